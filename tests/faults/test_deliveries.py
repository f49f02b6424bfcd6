"""Messages twice and in any order; two who reconcile at once; two farms on one store."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farm import keys, lifecycle, recovery
from farm.jobs import Output, State
from farm.ledger import Ledger
from farm.webhooks import Deliveries
from tests.faults.undisturbed import outputs, rarely
from tests.redises import redis_server
from tests.running import Running, quiet, running

BOOK: dict[str, Any] = {"kind": "book", "name": "a.md", "output": Output("wav", "", (), ("srt",))}
WORDS = "amber basket candle dragon ember falcon garden harbour island jacket".split()  # noqa: SIM905
TEXT = "\n\n".join(
    f"# The {word}\n\n" + " ".join(f"The {word} and the {other} stayed." for other in WORDS)
    for word in WORDS[:4]
)


@pytest.fixture(scope="module")
def expected(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outputs of the job that nothing happened to."""
    return outputs(redis_server, tmp_path_factory.mktemp("quiet"), TEXT, **BOOK)


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm, quiet():
        yield farm


@pytest.fixture
def other(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    """A second process's hold on the same farm."""
    with running(redis_url, tmp_path) as farm:
        yield farm


def check(farm: Running, expected: dict[str, str]) -> None:
    """Outputs are those of a quiet farm, and nothing was counted twice."""
    assert farm.outputs() == expected
    record = farm.show()
    assert record["segments"] == record["segments_total"] == record["hits"] + record["misses"]
    assert record["chunks_done"] == record["chunks_total"]
    assert record["items_done"] == record["items_total"] == 4
    assert record["pages_done"] == record["pages_total"]
    assert record["failed"] == 0


@pytest.mark.parametrize("seed", [1, 2, *map(rarely, range(3, 20))])
def test_messages_twice_and_in_any_order_change_nothing(
    seed: int, farm: Running, expected: dict[str, str]
) -> None:
    chance = random.Random(seed)
    farm.submit(TEXT, **BOOK)
    seen = []
    while farm.queue:
        farm.queue.rotate(chance.randrange(len(farm.queue)))
        seen.append(farm.queue[0])
        if chance.random() < 0.5:
            farm.queue.append(farm.queue[0])
        if chance.random() < 0.3:
            farm.queue.append(chance.choice(seen))
        farm.step()
        if chance.random() < 0.1:
            farm.control.tick()
    farm.queue.extend(reversed(seen))
    farm.drain()
    assert farm.finish() == "completed"
    check(farm, expected)
    assert farm.count("misses") == len(farm.segments())


@pytest.mark.parametrize("seed", [1, *map(rarely, range(2, 6))])
def test_workers_who_get_the_same_messages_at_the_same_time_count_each_once(
    seed: int, farm: Running, redis_url: str, tmp_path: Path, expected: dict[str, str]
) -> None:
    """Every claim is lost at once, so that all of them work on the same."""
    farm.submit(TEXT, **BOOK)
    with running(redis_url, tmp_path) as second, running(redis_url, tmp_path) as third:
        crew = [farm, second, third]
        while any(each.queue for each in crew):
            waiting = [pair for each in crew for pair in each.queue]
            random.Random(seed).shuffle(waiting)
            for each in crew:
                each.queue.clear()
                each.queue.extend(waiting[:1])
            farm.queue.extend(waiting[1:])
            together(*(each.step for each in crew), lambda: lose_claims(farm))
    assert farm.finish() == "completed"
    check(farm, expected)


def together(*acts: Any) -> None:
    """Do all of it at the same time."""
    failed: list[BaseException] = []

    def do(act: Any) -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=do, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def lose_claims(farm: Running) -> None:
    """Let whoever comes next have the claim, for a while."""
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        farm.redis.delete("farm:leases")


class Unlocked(Ledger):
    """A ledger that takes everybody for the holder of the lock: one was stopped while it had it."""

    def lock(self, holder: str, seconds: int) -> bool:  # noqa: ARG002
        return True


def test_two_who_reconcile_at_once_send_nothing_twice_that_is_counted(
    farm: Running, other: Running, redis_url: str, expected: dict[str, str]
) -> None:
    for each in (farm, other):
        each.farm.ledger.redis.close()
        each.farm.ledger = Unlocked(redis_url)
    farm.submit(TEXT, **BOOK)
    farm.queue.clear()
    for _ in range(200):
        farm.hurry()
        together(farm.control.tick, other.control.tick)
        for each in (farm, other):
            if each.queue:
                each.step()
        if State(farm.show()["state"]).terminal:
            break
    for each in (farm, other):
        each.drain()
    assert farm.show()["state"] == "completed"
    check(farm, expected)


def test_two_who_recover_at_once_begin_a_job_once(
    farm: Running, other: Running, expected: dict[str, str]
) -> None:
    farm.control.tick()
    farm.submit(TEXT, **BOOK)
    farm.until("chunk")
    farm.redis.flushall()
    farm.queue.clear()
    together(*[lambda each=each: recovery.recover(each.farm) for each in (farm, other)])
    stages = Counter(ref.stage for each in (farm, other) for ref, _ in each.queue)
    assert stages["read"] >= 1
    other.drain()
    assert farm.finish() == "completed"
    check(farm, expected)


# Two farms on one store


@pytest.fixture
def neighbour(farm: Running, tmp_path: Path) -> Iterator[Running]:
    """Another farm, with a Redis of its own, on the same store."""
    with redis_server() as server, running(server.url, tmp_path, farm.farm.store) as other:
        other.farm.id = "neighbour"
        yield other


def submit(farm: Running, job: str, **changes: Any) -> None:
    spec = replace(farm.spec(job, "book", **changes), farm=farm.farm.id, name="a.md")
    assert lifecycle.submit(farm.farm, spec, TEXT.encode())


def test_farms_that_share_a_store_touch_only_their_own_jobs(
    farm: Running, neighbour: Running
) -> None:
    submit(farm, "ours", output=BOOK["output"])
    submit(neighbour, "theirs", output=BOOK["output"])
    farm.until("chunk")
    neighbour.until("items")
    for each in (farm, neighbour):
        each.redis.flushall()
        each.queue.clear()
        each.control.tick()
        assert {ref.job for ref, _ in each.queue} == {"ours" if each is farm else "theirs"}
    assert not farm.farm.ledger.knows("theirs")
    assert not neighbour.farm.ledger.knows("ours")
    assert neighbour.finish("theirs") == farm.finish("ours") == "completed"
    assert farm.outputs("ours") == farm.outputs("theirs")
    assert farm.count("misses", "ours") == 0  # what the neighbour spoke for the same owner


def test_a_farm_neither_expires_nor_deletes_nor_tells_of_its_neighbours_jobs(
    farm: Running, neighbour: Running
) -> None:
    submit(neighbour, "short", ttl_s=1, webhook="http://127.0.0.1/")
    assert neighbour.finish("short") == "completed"
    neighbour.redis.flushall()
    submit(neighbour, "late", deadline=1.0)
    before = set(farm.farm.store.list(""))
    time.sleep(2.1)  # markers have whole seconds
    for _ in range(6):
        farm.control.tick()
    deliveries = Deliveries(farm.farm.store, farm.farm.id, lambda _: None)
    assert not deliveries.look()
    assert set(farm.farm.store.list("")) == before
    neighbour.control.tick()
    assert neighbour.show("late")["state"] == "expired"
    assert not list(farm.farm.store.list(keys.job("short")))


def test_a_job_of_a_neighbour_is_shown_as_the_store_has_it(
    farm: Running, neighbour: Running
) -> None:
    submit(neighbour, "theirs")
    assert farm.show("theirs")["state"] == "queued"
    assert neighbour.finish("theirs") == "completed"
    assert farm.show("theirs") == neighbour.show("theirs")
