"""What a job tells those who watch it, over HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.access import KeyFile
from farm.api import events
from farm.api.create import THREADS
from farm.api.watching import Event, Watch
from farm.ledger import Events, Ledger
from tests.api.conftest import Api, serving, wait_for
from tests.api.streams import Heard, heard, listen
from tests.ledger.desk import Desk, result
from tests.redises import Server, redis_server

TEXT = "One sentence. Another sentence. A third one."


def submit(client: httpx.Client, name: str = "told") -> str:
    """Submit a batch of three lines; its name."""
    lines = [{"id": str(n), "text": f"Line {n}."} for n in range(3)]
    body = {"kind": "batch", "lines": lines}
    client.put(f"/v1/jobs/{name}", json=body).raise_for_status()
    return name


def types(found: list[Heard]) -> list[str]:
    return [each.type for each in found]


def begun(client: httpx.Client, job: str, pool: ThreadPoolExecutor) -> Future[list[Heard]]:
    """Listen in a thread; return when the first event has come."""
    first = threading.Event()

    def run() -> list[Heard]:
        found = []
        with client.stream("GET", f"/v1/jobs/{job}/events") as response:
            for each in heard(response):
                found.append(each)
                first.set()
        return found

    future = pool.submit(run)
    wait_for(lambda: first.is_set() or future.done())
    return future


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_a_job_is_heard_from_its_snapshot_to_its_end(api: Api, pool: ThreadPoolExecutor) -> None:
    ann = api.client()
    api.workers.going.clear()
    job = submit(ann)
    listening = begun(ann, job, pool)
    api.workers.going.set()
    found = listening.result(30)
    assert found[0].type == "snapshot"
    shown = ann.get(f"/v1/jobs/{job}").json()
    assert found[0].data.keys() == shown.keys()
    assert found[0].data["id"] == job
    assert found[0].data["state"] in ("queued", "planning")
    assert set(types(found[1:])) == {"state", "chunk", "items"}
    assert found[-1].data == {"state": "completed"}
    (items,) = [each.data for each in found if each.type == "items"]
    assert items == {"done": 3, "items": [0, 1, 2]}
    ids = [tuple(map(int, each.id.split("-"))) for each in found]
    assert ids == sorted(set(ids))


def test_a_client_that_comes_back_hears_what_it_missed_and_nothing_twice(api: Api) -> None:
    ann = api.client()
    job = submit(ann)
    api.finish(ann, job)
    everything = Events(api.farm.ledger).of(job_of(api, job))
    rest = listen(ann, job, last=everything[1][0])
    assert [each.id for each in rest] == [id_ for id_, _, _ in everything[2:]]


def job_of(api: Api, name: str, owner: str = "ann") -> str:
    return api.service.job(owner, name).id


def test_whoever_has_heard_the_end_is_told_to_stop_asking(api: Api) -> None:
    ann = api.client()
    job = submit(ann)
    api.finish(ann, job)
    last = listen(ann, job)[-1].id
    again = ann.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": last})
    assert (again.status_code, again.content) == (204, b"")


def test_a_job_that_has_ended_is_a_snapshot_and_no_more(api: Api) -> None:
    ann = api.client()
    job = submit(ann)
    api.finish(ann, job)
    (only,) = listen(ann, job)
    assert (only.type, only.data["state"]) == ("snapshot", "completed")


@pytest.mark.parametrize("last", ["1-1", "nonsense", "99999999999999999999999-0", "%00"])
def test_an_id_that_the_stream_does_not_hold_gives_a_snapshot_first(api: Api, last: str) -> None:
    ann = api.client()
    job = submit(ann)
    api.finish(ann, job)
    assert types(listen(ann, job, last)) == ["snapshot"]


def test_the_events_of_another_owner_are_not_there(api: Api) -> None:
    job = submit(api.client("ann"))
    refused = api.client("bob").get(f"/v1/jobs/{job}/events")
    assert refused.status_code == 404
    assert refused.json()["type"] == "/problems/not-found"


def test_a_reason_for_waiting_that_may_name_hosts_is_not_told(redis_url: str) -> None:
    desk = Desk(redis_url)
    ref = desk.started()
    desk.ledger.release(ref, "w1", "cannot reach 10.1.2.3:9000")
    row = Events(desk.ledger).of("j")[-1]
    text = events.written(Event(*row)).decode()
    assert text == (f'id: {row[0]}\nevent: waiting\ndata: {{"stage": "chunk", "tries": 1}}\n\n')
    desk.close()


def test_a_job_that_is_removed_ends_its_stream(
    api: Api, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    ann = api.client()
    api.workers.going.clear()
    job = submit(ann)
    listening = begun(ann, job, pool)
    id_ = job_of(api, job)
    api.farm.store.delete(f"jobs/{id_}/spec.json")
    api.farm.store.delete(f"jobs/{id_}/current")
    api.farm.ledger.remove(id_)
    assert types(listening.result(30))[0] == "snapshot"


def test_a_silent_stream_has_heartbeats(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    ann = api.client()
    api.workers.going.clear()
    job = submit(ann)
    with ann.stream("GET", f"/v1/jobs/{job}/events") as response:
        beats = 0
        for line in response.iter_lines():
            beats += line == ": "
            if beats == 3:
                break
    assert beats == 3


def test_two_hundred_streams_take_one_thread_and_a_few_connections(api: Api) -> None:
    ann = api.client()
    api.workers.going.clear()
    jobs = [submit(ann, f"job-{n}") for n in range(20)]
    before = threading.active_count()
    connections = len(client_list(api))

    async def one(client: httpx.AsyncClient, job: str, ready: asyncio.Semaphore) -> str:
        last = ""
        async with client.stream("GET", f"/v1/jobs/{job}/events") as response:
            async for line in response.aiter_lines():
                if line.startswith("event: snapshot"):
                    ready.release()
                last = line if line.startswith("data:") else last
        return last

    async def everybody() -> tuple[list[str], int, int]:
        ready = asyncio.Semaphore(0)
        limits = httpx.Limits(max_connections=200)
        headers = {"Authorization": ann.headers["Authorization"]}
        async with httpx.AsyncClient(
            base_url=api.url, headers=headers, timeout=60, limits=limits
        ) as client:
            streams = [asyncio.create_task(one(client, jobs[n % 20], ready)) for n in range(200)]
            for _ in streams:
                await ready.acquire()
            threads = threading.active_count() - before
            found = len(client_list(api)) - connections
            api.workers.going.set()
            return await asyncio.gather(*streams), threads, found

    ends, threads, found = asyncio.run(everybody())
    assert set(ends) == {'data: {"state": "completed"}'}
    # Requests are let in by the threads of the server's pool; the streams themselves add few.
    assert threads <= THREADS + 10
    assert found <= THREADS + 10
    assert THREADS + 10 < 200


def client_list(api: Api) -> list[object]:
    return list(api.farm.ledger.redis.client_list())


@pytest.fixture
def own() -> Iterator[Server]:
    with redis_server() as server:
        yield server


def test_a_stream_goes_on_when_redis_comes_back(
    own: Server, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    with serving(own.url, tmp_path) as api:
        ann = api.client()
        api.workers.going.clear()
        job = submit(ann)
        listening = begun(ann, job, pool)
        own.stop()
        own.start()
        api.workers.going.set()
        found = listening.result(60)
    assert types(found).count("snapshot") == 1
    assert found[-1].data == {"state": "completed"}
    assert len({each.id for each in found}) == len(found)


def test_a_stream_begins_anew_when_redis_has_lost_everything(
    own: Server, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    with serving(own.url, tmp_path) as api:
        ann = api.client()
        api.workers.going.clear()
        job = submit(ann)
        listening = begun(ann, job, pool)
        own.stop()
        own.lose()
        time.sleep(2)  # longer than the client of Redis tries by itself
        own.start()
        api.workers.going.set()
        found = listening.result(60)
    assert types(found).count("snapshot") >= 2
    assert found[-1].data["state"] == "completed"


def test_events_that_come_faster_than_a_client_reads_are_read_again(desk: Desk) -> None:
    ref = desk.started("j")

    async def slow() -> tuple[object, int]:
        watch = Watch(Events(Ledger(desk.url)))
        with watch.watched("j", "0-0") as told:
            assert await told.events(1) is None
            for _ in range(300):
                desk.ledger.claim(ref, "w1")
                desk.ledger.release(ref, "w1", "why")
            newest = Events(desk.ledger).newest("j")
            while watch._after["j"] != newest:
                await asyncio.sleep(0.05)
            lost = await told.events(1)
            desk.ledger.finish(ref, result())
            return lost, len(await told.events(5) or [])

    lost, rest = asyncio.run(slow())
    assert lost is None
    assert rest == 1


@pytest.fixture
def desk(redis_url: str) -> Iterator[Desk]:
    desk = Desk(redis_url)
    yield desk
    desk.close()


def test_a_stream_ends_with_its_key(api: Api, pool: ThreadPoolExecutor) -> None:
    key, text = api.key("ann")
    api.workers.going.clear()
    headers = {"Authorization": f"Bearer {text}"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=20) as ann:
        listening = begun(ann, submit(ann), pool)
        KeyFile(api.service.settings.keys_path).revoke(key.id)
        api.workers.going.set()
        assert types(listening.result(20)) == ["snapshot"]
