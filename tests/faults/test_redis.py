"""Redis out of memory, on a full disk, lost, or replaced by a replica without its last writes."""

from __future__ import annotations

import ipaddress
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from farm import keys, lifecycle
from farm.errors import LedgerUnavailable, Unavailable
from farm.jobs import Output, Segment, State
from farm.outgoing import Outgoing
from farm.submission import accept, find
from farm.webhooks import Deliveries
from tests.deliveries import SECRET
from tests.faults.relay import Relay, relay
from tests.faults.undisturbed import outputs, rarely
from tests.receivers import receiver
from tests.redises import Server, redis_server
from tests.running import Running, acting, quiet, running
from tests.storage.servers import free_port
from tests.test_submission import draft

TEXT = "# One\n\nOne is here. Two is there.\n\n# Two\n\n" + "A sentence of words, and more. " * 20
JOB: dict[str, Any] = {"kind": "book", "name": "a.md", "output": Output("wav", "", (), ("srt",))}
STAGES = ["read", "page", "chunk", "items", "package"]


@pytest.fixture(scope="module")
def expected(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outputs of the job that nothing happened to."""
    return outputs(redis_server, tmp_path_factory.mktemp("quiet"), TEXT, **JOB)


def check(farm: Running, expected: dict[str, str], job: str = "j") -> None:
    """The job has its outputs and counts, and exactly one end."""
    assert farm.outputs(job) == expected
    assert farm.count("segments", job) == farm.count("segments_total", job)
    assert farm.count("chunks_done", job) == farm.count("chunks_total", job)
    assert farm.count("items_done", job) == farm.count("items_total", job) == 2
    assert farm.count("failed", job) == 0
    ends = [key for key in farm.farm.store.list(keys.job(job)) if key.endswith("/status.json")]
    assert len(ends) == 1


# Out of memory


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Running]:
    """A farm with a Redis of its own."""
    with redis_server() as server, running(server.url, tmp_path) as farm, quiet():
        yield farm


def no_memory(farm: Running) -> None:
    """Have Redis refuse whatever needs memory (`noeviction` is its default)."""
    farm.redis.config_set("maxmemory", "1mb")


def memory(farm: Running) -> None:
    farm.redis.config_set("maxmemory", "0")


@pytest.mark.parametrize("stage", STAGES)
def test_a_redis_without_memory_costs_only_time(
    stage: str, farm: Running, expected: dict[str, str]
) -> None:
    farm.submit(TEXT, **JOB)
    farm.until(stage)
    no_memory(farm)
    for act in (farm.step, farm.control.tick, farm.control.tick):
        with pytest.raises(LedgerUnavailable, match="maxmemory"):
            act()
    assert farm.show()["state"] in ("queued", "planning", "running", "finalizing")
    memory(farm)
    assert farm.finish() == "completed"
    check(farm, expected)


@pytest.mark.parametrize("stage", ["read", "page", rarely("items")])
def test_memory_that_runs_out_in_the_midst_of_a_unit_costs_only_time(
    stage: str, farm: Running, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.submit(TEXT, **JOB)
    farm.until(stage)
    put = farm.farm.store.put

    def full(*args: Any, **options: Any) -> bool:
        no_memory(farm)
        return put(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(farm.farm.store, "put", full)
        with suppress(LedgerUnavailable):
            farm.step()
    memory(farm)
    assert farm.finish() == "completed"
    check(farm, expected)


def test_memory_that_runs_out_while_a_chunk_is_spoken_costs_only_time(
    farm: Running, expected: dict[str, str]
) -> None:
    passes = itertools.count()

    def full(_: Sequence[Segment]) -> None:
        if next(passes) == 1:  # what is spoken before it can be noted no more
            no_memory(farm)

    farm.submit(TEXT, **JOB)
    farm.until("chunk")
    acting(farm, full)
    with suppress(LedgerUnavailable):
        farm.step()
    memory(farm)
    assert farm.finish() == "completed"
    check(farm, expected)


def test_a_job_that_is_accepted_while_redis_has_no_memory_begins_later(
    farm: Running, expected: dict[str, str]
) -> None:
    no_memory(farm)
    farm.submit(TEXT, **JOB)
    spec, new = accept(farm.farm, draft(farm), "ann", name="named")
    assert new
    assert farm.show()["state"] == "queued"
    assert not farm.queue
    memory(farm)
    assert farm.finish() == farm.finish(spec.id) == "completed"
    check(farm, expected)


# A replica without the last writes in the place of Redis


class Pair:
    """A Redis and its replica behind one address."""

    def __init__(self, first: Server, second: Server, ports: tuple[int, int], way: Relay) -> None:
        self._first, self._second, self._ports, self._way = first, second, ports, way
        self.url = f"redis://127.0.0.1:{way.port}/0"

    def cut(self) -> None:
        """Let the replica hear of nothing more; what it was sent it has."""
        with client(self._first) as first, client(self._second) as second:
            assert first.wait(1, 5_000) == 1
            second.replicaof("NO", "ONE")

    def fail_over(self) -> None:
        """Kill the first and let the replica take its place."""
        self._first.stop()
        self._way.move(self._ports[1])


@contextmanager
def client(server: Server) -> Iterator[Any]:
    found: Any = redis.Redis.from_url(server.url, decode_responses=True)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    ports = free_port(), free_port()
    bind = ("--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", "--port")
    with (
        redis_server(*bind, str(ports[0])) as first,
        redis_server(*bind, str(ports[1])) as second,
        relay(ports[0]) as way,
        client(second) as replica,
    ):
        replica.replicaof("127.0.0.1", ports[0])
        until(lambda: replica.info("replication")["master_link_status"] == "up")
        yield Pair(first, second, ports, way)


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


#: Units of work whose every trace in Redis is lost.
LOST = [1, 3, 1000]


@pytest.mark.parametrize(
    ("stage", "lost"),
    [
        (stage, lost) if (stage, lost) in {("chunk", 1), ("items", 1000)} else rarely(stage, lost)
        for stage in STAGES
        for lost in LOST
    ],
)
def test_a_replica_that_lost_the_last_writes_loses_no_job_and_doubles_no_output(
    stage: str, lost: int, pair: Pair, tmp_path: Path, expected: dict[str, str]
) -> None:
    with running(pair.url, tmp_path) as farm, quiet():
        farm.control.tick()
        farm.submit(TEXT, **JOB)
        farm.until(stage)
        pair.cut()
        queue = deque(farm.queue)
        for _ in range(lost):
            if farm.queue:
                farm.step()
        ended = farm.farm.store.exists(keys.status("j", 1))
        before = farm.show() if ended else None
        pair.fail_over()
        farm.queue = queue
        with suppress(Unavailable):  # the first to notice that connections broke
            farm.farm.ledger.ping()
        if before:
            farm.control.tick()
            assert farm.show() == before
            farm.drain()
            assert farm.show() == before
        assert farm.finish() == "completed"
        check(farm, expected)


def test_a_job_that_the_replica_never_heard_of_is_taken_up_at_the_next_look(
    pair: Pair, tmp_path: Path, expected: dict[str, str]
) -> None:
    with running(pair.url, tmp_path) as farm, quiet():
        farm.control.tick()
        pair.cut()
        farm.submit(TEXT, **JOB)
        pair.fail_over()
        farm.queue.clear()
        farm.control.tick()
        assert [ref.stage for ref, _ in farm.queue] == ["read"]
        assert farm.finish() == "completed"
        check(farm, expected)


def failed_over(farm: Running, pair: Pair, act: Callable[[], object]) -> None:
    """Do something that the replica does not hear of, and let it take over."""
    pair.cut()
    queue = deque(farm.queue)
    act()
    pair.fail_over()
    farm.queue = queue
    farm.control.tick()


def test_what_was_cancelled_stays_cancelled_though_the_replica_knows_nothing_of_it(
    pair: Pair, tmp_path: Path
) -> None:
    with running(pair.url, tmp_path) as farm, quiet():
        farm.control.tick()
        farm.submit(TEXT, **JOB)
        farm.until("chunk")
        failed_over(farm, pair, lambda: lifecycle.cancel(farm.farm, "j"))
        assert farm.show()["state"] == "cancelled"
        farm.drain()
        assert farm.segments() == []
        assert farm.farm.ledger.job("j")["state"] == "cancelled"


def test_a_pause_and_its_end_outlive_the_loss_of_the_writes(pair: Pair, tmp_path: Path) -> None:
    with running(pair.url, tmp_path) as farm, quiet():
        farm.control.tick()
        for job in ("paused", "resumed"):
            farm.submit(TEXT, job, **JOB)
        lifecycle.pause(farm.farm, "resumed")

        def act() -> None:
            lifecycle.pause(farm.farm, "paused")
            lifecycle.resume(farm.farm, "resumed")

        failed_over(farm, pair, act)
        assert farm.show("paused")["state"] == "paused"
        assert farm.finish("resumed") == "completed"
        assert farm.show("paused")["state"] == "paused"
        lifecycle.resume(farm.farm, "paused")
        assert farm.finish("paused") == "completed"
        assert farm.outputs("paused") == farm.outputs("resumed")


def test_a_job_that_was_removed_does_not_come_back(pair: Pair, tmp_path: Path) -> None:
    with running(pair.url, tmp_path) as farm, quiet():
        farm.control.tick()
        farm.submit(TEXT, **JOB)
        farm.until("items")

        def act() -> None:
            assert farm.finish() == "completed"
            lifecycle.remove(farm.farm, "j")

        failed_over(farm, pair, act)
        farm.drain()
        assert not farm.farm.ledger.knows("j")
        assert not list(farm.farm.store.list("jobs/"))


def test_a_record_of_the_store_stands_against_another_of_the_ledger(farm: Running) -> None:
    farm.submit(TEXT, **JOB)
    assert farm.finish() == "completed"
    before = farm.show()
    farm.redis.hset("farm:job:j", mapping={"state": State.CANCELLED, "segments": 0})
    assert farm.show() == before


# All of it lost


def test_idempotency_keys_and_webhooks_outlive_redis(farm: Running) -> None:
    with receiver() as told:
        made = draft(farm, webhook=f"{told.url}/end")
        farm.control.tick()
        spec, new = accept(farm.farm, made, "ann", name="book")
        assert new
        home = Outgoing((ipaddress.ip_network("127.0.0.0/8"),))
        deliveries = Deliveries(farm.farm.store, "farm", lambda _: SECRET, home)
        for _ in range(3):
            farm.until("chunk")
            farm.redis.flushall()
            farm.queue.clear()
            assert accept(farm.farm, made, "ann", name="book") == (spec, False)
            farm.control.tick()
            assert find(farm.farm, "ann", "book") == spec
        assert farm.finish(spec.id) == "completed"
        assert list(farm.farm.store.list("webhooks/farm/pending/"))
        for _ in range(3):
            farm.redis.flushall()
            farm.control.tick()
            deliveries.look()
            deliveries.wait()
        assert [request.path for request in told.got] == ["/end"]
        assert accept(farm.farm, made, "ann", name="book") == (spec, False)
        assert farm.show(spec.id)["state"] == "completed"
