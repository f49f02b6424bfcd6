"""Many clients at once, and an API that is killed while they submit."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from farm import keys
from farm.jobs import State
from farm.ledger import Events, Ledger
from tests.api import streams
from tests.api.streams import Heard
from tests.homes import VOICE, Home, files_below, home, kill, until

#: Clients at once, and seconds for which they submit and poll.
CLIENTS, SECONDS = 20, 3.0
#: Times that a client polls a job, and seconds between.
POLLS, POLL_S = 5, 0.1
#: Jobs that each client submits while the API is killed, and how often that happens.
JOBS, KILLS = 2, 2

#: Lines of a batch that is watched; bytes of an upload that is broken off half-way.
LINES, UPLOAD_BYTES = 200, 8_000_000

Asked = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("load")) as farm:
        up = farm.start("up", "--flower-port", "0", "--api-port", "18000")
        assert up.stdout is not None
        lines = iter(up.stdout.readline, "")
        key = next(line for line in lines if line.startswith("API key: "))
        farm.environment["KEY"] = key.removeprefix("API key: ").strip()
        submitted(farm, "first")
        ended(farm, "first")  # by then all is loaded
        yield farm


class Client:
    """One kept connection, of a client that comes back when it is lost."""

    def __init__(self, farm: Home) -> None:
        url = json.loads((farm.home / "connection.json").read_text())["api_url"]
        self._where = url.removeprefix("http://")
        self._headers = {"X-API-Key": farm.environment["KEY"], "Content-Type": "application/json"}
        self._link = http.client.HTTPConnection(self._where, timeout=30)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Asked:
        self._link.request(method, path, json.dumps(body) if body else None, self._headers)
        answer = self._link.getresponse()
        return answer.status, json.loads(answer.read())

    def patiently(self, method: str, path: str, body: dict[str, Any] | None = None) -> Asked:
        """Ask until there is an answer."""

        def asked() -> Asked | None:
            with suppress(OSError, http.client.HTTPException):
                return self.ask(method, path, body)
            self.close()
            return None

        return until(asked)  # type: ignore[return-value]

    def close(self) -> None:
        self._link.close()


def submitted(farm: Home, name: str) -> None:
    """Put a job under a name, again and again until there is an answer."""
    client = Client(farm)
    body = {"kind": "speech", "text": f"This is {name}."}
    status, job = client.patiently("PUT", f"/v1/jobs/{name}", body)
    client.close()
    assert status in (200, 202), job
    assert job["id"] == name


def ended(farm: Home, name: str) -> dict[str, Any]:
    """Poll a job until its end."""
    client = Client(farm)

    def record() -> dict[str, Any] | None:
        status, job = client.patiently("GET", f"/v1/jobs/{name}")
        assert status == 200, job
        return job if State(job["state"]).terminal else None

    found = until(record)
    client.close()
    assert found is not None
    return found


def test_many_clients_submit_and_poll_without_an_error(farm: Home) -> None:
    end = time.monotonic() + SECONDS

    def submit_and_poll(number: int) -> list[int]:
        client, statuses, count = Client(farm), [], 0
        while time.monotonic() < end:
            text = f"Client {number} says so for time {count}."
            status, job = client.ask("POST", "/v1/jobs", {"kind": "speech", "text": text})
            statuses.append(status)
            for _ in range(POLLS):
                statuses.append(client.ask("GET", f"/v1/jobs/{job['id']}")[0])
                time.sleep(POLL_S)
            count += 1
        client.close()
        return statuses

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = Counter(s for each in pool.map(submit_and_poll, range(CLIENTS)) for s in each)
    assert statuses.keys() == {202, 200}
    assert statuses[200] == POLLS * statuses[202]
    assert statuses[202] >= CLIENTS


def test_what_an_api_accepted_before_it_was_killed_reaches_its_end_once(farm: Home) -> None:
    names = [f"kept-{number}" for number in range(CLIENTS * JOBS)]
    begun = threading.Semaphore(0)

    def put(name: str) -> None:
        begun.release()
        submitted(farm, name)

    def kill_again_and_again() -> None:
        for _ in range(KILLS):
            for _ in range(len(names) // (2 * KILLS)):
                begun.acquire()
            for process in farm.find("api"):
                with suppress(psutil.NoSuchProcess):
                    kill(process)

    killer = threading.Thread(target=kill_again_and_again)
    killer.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(put, names))
    killer.join()
    records = [ended(farm, name) for name in names]
    assert {record["state"] for record in records} == {"completed"}
    assert {record["revision"] for record in records} == {1}
    assert {record["counts"]["segments"] for record in records} == {1}
    listed = Counter(_listed(farm))
    assert {listed[name] for name in names} == {1}
    # What was not accepted when the API died has a marker, by which it is withdrawn in a minute.
    store = farm.home / "store"
    marked = {keys.opened(f"open/{path.name}")[0] for path in store.glob("open/*kept-*")}
    assert not marked & {path.read_text() for path in store.glob("names/*/kept-*")}


def test_a_stream_goes_on_where_a_killed_api_broke_it_off(farm: Home) -> None:
    (farm.home / "voices" / "slower.yaml").write_text(VOICE.format(cost=0.02))
    lines = [{"id": f"{n}", "text": f"This is line {n} of a long batch."} for n in range(LINES)]
    client = Client(farm)
    wanted = {"kind": "batch", "lines": lines, "voice": "slower"}
    status, job = client.patiently("PUT", "/v1/jobs/told", wanted)
    client.close()
    assert status == 202, job
    found: list[Heard] = []
    kills = 0
    while not found or found[-1].data != {"state": "completed"}:
        with suppress(httpx.TransportError):
            for heard in _heard(farm, found):
                found.append(heard)
                if kills < KILLS and len(found) >= 2 * (kills + 1):
                    for each in farm.find("api"):  # any of them may be the one that tells
                        kill(each)
                    kills += 1
    assert kills == KILLS
    assert [each.type for each in found].count("snapshot") == 1
    broker = json.loads((farm.home / "connection.json").read_text())["broker_url"]
    (id_,) = [path.name for path in (farm.home / "store" / "jobs").glob("*told*")]
    ledger = Ledger(broker)
    told = [id_ for id_, *_ in Events(ledger).of(id_, found[0].id)]
    ledger.redis.close()
    assert [each.id for each in found[1:]] == told


def _heard(farm: Home, found: list[Heard]) -> Iterator[Heard]:
    """Hear the batch, from the last event on that is there already, as soon as there is an API."""
    url = json.loads((farm.home / "connection.json").read_text())["api_url"]
    headers = {"X-API-Key": farm.environment["KEY"]}
    if found:
        headers["Last-Event-ID"] = found[-1].id
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        until(lambda: _answers(client))
        with client.stream("GET", "/v1/jobs/told/events") as response:
            yield from streams.heard(response)


def _answers(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/healthz").status_code == 200
    return False


def test_an_upload_that_a_killed_api_broke_off_leaves_nothing_behind(farm: Home) -> None:
    before = files_below(farm.home / "store")
    url = json.loads((farm.home / "connection.json").read_text())["api_url"]
    link = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    link.putrequest("POST", "/v1/jobs/upload")
    link.putheader("X-API-Key", farm.environment["KEY"])
    link.putheader("Content-Type", "multipart/form-data; boundary=edge")
    link.putheader("Content-Length", str(UPLOAD_BYTES))
    link.endheaders()
    head = '--edge\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    link.send(head.encode() + b"It rains. " * (UPLOAD_BYTES // 20))

    def receiving() -> psutil.Process | None:
        """Give that one of the API's processes which has some of it on disk."""
        found = (api for api in farm.find("api") if _spooled(api) > UPLOAD_BYTES // 4)
        return next(found, None)

    with closing(link):
        api = until(receiving)
        assert api is not None
        kill(api)
        with pytest.raises((OSError, http.client.HTTPException)):
            link.getresponse()
    submitted(farm, "after-the-upload")
    assert ended(farm, "after-the-upload")["state"] == "completed"
    after = files_below(farm.home / "store")
    new = [path for path in after if path not in before and "after-the-upload" not in str(path)]
    assert [path for path in new if "segments" not in path.parts] == []


def _spooled(api: psutil.Process) -> int:
    """Bytes of an upload that the API has on disk, in a file that has no name any more."""
    folder = Path(f"/proc/{api.pid}/fd")
    sizes = []
    for each in folder.iterdir():
        with suppress(OSError):
            if "(deleted)" in str(each.readlink()):
                sizes.append(each.stat().st_size)
    return max(sizes, default=0)


def _listed(farm: Home) -> Iterator[str]:
    client, cursor, more = Client(farm), "", True
    while more:
        _, page = client.ask("GET", f"/v1/jobs?limit=200&cursor={cursor}")
        yield from (job["id"] for job in page["data"])
        cursor = page["next_cursor"] or ""
        more = bool(cursor)
    client.close()
