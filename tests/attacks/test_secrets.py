"""Secrets and what a job speaks are where they belong, and in nothing that others look at."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
import redis
import urllib3
from flower.urls import handlers

from tests.homes import Home, files_below, home, until
from tests.receivers import Receiver, receiver
from tests.storage.servers import BUCKET, serve

#: What a client sends: words that nothing else holds.
TEXT, TITLE, LABEL = "Zanzibarquux", "Titlequux", "Labelquux"
BAD, HOOK, WRONG_KEY = "Badlinequux", "hookquux", "farm_00000000_" + "Wrongkeyquux" * 2 + "00000000"
#: Requests that say something wrong about a text, or put it where none belongs.
LONG = f"{TEXT} {'is said and said again, ' * 3}{TEXT}"
WRONG: tuple[dict[str, Any], ...] = (
    {"kind": "speech", "text": f"{TEXT}\ud800"},
    {"kind": "speech", "text": f"{TEXT} " * 80_000},
    {"kind": "speech", "text": [TEXT]},
    {"kind": "speech", "text": f"<speak>{TEXT}"},
    {"kind": "speech", "texts": TEXT},
    {"kind": "speech", "text": TEXT, "priority": LONG},
    {"kind": "batch", "lines": TEXT},
    {"kind": "batch", "lines": [{"id": "a", "text": f"{TEXT}\ud800"}]},
    {"kind": "batch", "lines": [{"id": "a", "text": TEXT, "speed": 9}]},
)
#: Of the ledger, which is the farm's own: its keys begin so.
OWN = "farm:"


@dataclass
class Running:
    """A farm with all that belongs to it, what it was sent, and what others see of it."""

    farm: Home
    secrets: dict[str, str]
    """By what they are."""
    told: list[str]
    """What a command printed."""
    answers: list[str] = field(default_factory=list)
    """Bodies of errors, with their headers."""
    seen: list[str] = field(default_factory=list)
    """Commands that Redis got, those of the ledger apart."""
    hooks: list[Any] = field(default_factory=list)

    @property
    def urls(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.farm.home / "connection.json").read_text())
        return found

    def ask(self, method: str, path: str, body: Any = None, key: str = "", **more: Any) -> Any:
        headers = {"X-API-Key": key or self.secrets["API key"]}
        url = self.urls["api_url"] + path
        if body is not None:  # half a character, too
            headers["Content-Type"] = "application/json"
            more["body"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = urllib3.request(method, url, headers=headers, timeout=60, **more)
        if answer.status >= 400:
            self.answers.append(answer.data.decode() + json.dumps(dict(answer.headers)))
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.data

    def ended(self, job: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            record: dict[str, Any] = self.ask("GET", f"/v1/jobs/{job}")
            return record if record["state"] in ("completed", "failed") else None

        found = until(look)
        assert found
        return found


@contextmanager
def monitored(url: str, seen: list[str]) -> Iterator[None]:
    """Note every command that Redis gets during the block, but those on the ledger's own keys."""
    client = redis.Redis.from_url(url, decode_responses=True)
    watched: Any = client.monitor()  # type: ignore[no-untyped-call]

    def note() -> None:
        with suppress(redis.ConnectionError, OSError), watched as monitor:
            for each in monitor.listen():
                if f" {OWN}" not in each["command"] and not each["command"].startswith("EVAL"):
                    seen.append(each["command"])

    thread = threading.Thread(target=note, daemon=True)
    thread.start()
    try:
        yield
    finally:
        client.client_kill_filter(_type="normal", skipme=True)
        thread.join(10)  # before its connection is closed under it
        client.close()


def submit(running: Running, there: Receiver) -> None:
    """Send every kind of job, and requests that are refused."""
    there.answer = lambda _: (500, {}, b"no")
    common = {"title": TITLE, "labels": {"note": LABEL}, "webhook": f"{there.url}/{HOOK}"}
    text = f"# {TITLE}\n\n{TEXT} is said. {TEXT} [[fail]] is not. [[lack]] {TEXT} is warned of.\n"
    running.ask("PUT", "/v1/jobs/book", {"kind": "book", "name": "a.md", "text": text, **common})
    rows = [{"id": "a", "text": f"{TEXT} once."}, {"id": "b", "text": f"{TEXT}.", "voice": BAD}]
    running.ask("PUT", "/v1/jobs/batch", {"kind": "batch", "lines": rows, **common})
    running.ask("PUT", "/v1/jobs/speech", {"kind": "speech", "text": f"{TEXT}.", **common})
    speech = {
        "model": "slow",
        "voice": "slow",
        "input": f"{TEXT} at once.",
        "response_format": "wav",
    }
    running.ask("POST", "/v1/audio/speech", speech)
    for job in ("book", "speech"):
        running.ended(job)
    until(lambda: there.got)
    running.hooks = list(there.got)


def misbehave(running: Running) -> None:
    """Ask for what is refused, or cannot be."""
    running.ask("GET", "/v1/jobs", key=WRONG_KEY)
    running.ask("PUT", "/v1/jobs/x", {"kind": "speech", "text": TEXT, "voice": BAD})
    running.ask("PUT", "/v1/jobs/x", {"kind": "speech", "text": TEXT, "more": BAD})
    running.ask("POST", "/v1/audio/speech", {"model": "m", "voice": "v", "input": TEXT})
    running.ask("POST", "/v1/jobs", f'{{"kind": "speech", "text": "{TEXT}'.encode())
    running.ask("POST", "/v1/jobs", b'{"kind": "speech", "text": "\xff' + TEXT.encode() + b'"}')
    running.ask("GET", f"/v1/jobs/{BAD}")
    for wrong in WRONG:
        running.ask("POST", "/v1/jobs", {"labels": {"note": LABEL}, **wrong})
    azure = "/texttospeech/batchsyntheses/abc?api-version=2024-04-01"
    running.ask("PUT", azure, {"inputKind": "PlainText", "inputs": [{"content": TEXT}]})
    edit = {"item": 0, "start": 0, "text": f"{TEXT} " * 99}
    running.ask("POST", "/v1/jobs/speech/edits", {"edits": [edit]})
    running.ask("GET", "/v1/downloads/x?name=a&until=1&sig=" + WRONG_KEY)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A farm on an S3 store, after it was used and misused."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "s3").mkdir()
    with serve("nanio", folder / "s3") as store, receiver() as there:
        environment = {
            "FARM_STORE_URL": f"s3://{BUCKET}/here",
            "FARM_S3_ENDPOINT_URL": store.endpoint_url,
            "FARM_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
        }
        with home(folder / "farm", 0.001, **environment) as farm:
            up = farm.start("up", "--json")
            assert up.stdout is not None
            told = json.loads("".join(iter(up.stdout.readline, "}\n")) + "}")
            farm.supervisor()
            file = json.loads((farm.home / "keys.json").read_text())["keys"][0]
            made = Running(farm, {"API key": told["api_key"]}, [])
            password = farm.home / "flower-password"
            until(lambda: password.exists() and password.read_text())
            made.secrets |= {
                "webhook secret": file["webhook_secret"].removeprefix("whsec_"),
                "hash of the key": file["digest"],
                "S3 secret": store.secret_key,
                "Redis password": made.urls["broker_url"].split("@")[0].rpartition(":")[2],
                "Flower password": password.read_text().strip(),
            }
            until(lambda: answers(made))
            with monitored(made.urls["broker_url"], made.seen):
                submit(made, there)
                misbehave(made)
            made.told.append(farm.run("jobs", "show", "book").stderr)
            yield made


def flower(
    running: Running, path: str, method: str = "GET", *, known: bool = True
) -> urllib3.BaseHTTPResponse:
    """Ask Flower."""
    password = running.secrets["Flower password"]
    headers = urllib3.make_headers(basic_auth=f"farm:{password}") if known else {}
    url = running.urls["flower_url"] + path
    return urllib3.request(method, url, headers=headers, timeout=30, redirect=False)


def answers(running: Running) -> bool:
    """Whether Flower does."""
    with suppress(urllib3.exceptions.HTTPError):
        return flower(running, "/api/workers").status == 200
    return False


def logs(running: Running) -> Iterator[tuple[str, str]]:
    for path in sorted((running.farm.home / "logs").iterdir()):
        yield path.name, path.read_text(errors="replace")


def command_lines(running: Running) -> Iterator[tuple[str, str]]:
    for process in running.farm.processes():
        with suppress(psutil.NoSuchProcess):
            yield f"/proc/{process.pid}/cmdline", " ".join(process.cmdline())


def monitor(running: Running) -> Iterator[tuple[str, str]]:
    for path in ("/api/tasks", "/api/workers", "/tasks", "/workers", "/metrics", "/api/task/types"):
        yield f"Flower {path}", flower(running, path).data.decode()
    tasks = json.loads(flower(running, "/api/tasks").data)
    assert {task["name"] for task in tasks.values()} >= {"farm.synthesize", "farm.plan"}
    for id_ in list(tasks)[:20]:
        yield f"Flower {id_}", flower(running, f"/task/{id_}").data.decode()


def messages(running: Running) -> Iterator[tuple[str, str]]:
    """What went through Redis of Celery, with the bodies within it in clear."""
    for command in running.seen:
        yield "Redis", command
        for word in command.replace('\\"', '"').split('"'):
            with suppress(ValueError):
                yield "Redis", base64.b64decode(word, validate=True).decode(errors="replace")


def operators(running: Running) -> Iterator[tuple[str, str]]:
    for path in ("/readyz", "/healthz", "/v1/workers", "/v1/queues"):
        yield path, json.dumps(running.ask("GET", path))


PLACES: dict[str, Callable[[Running], Iterator[tuple[str, str]]]] = {
    "logs": logs,
    "command lines": command_lines,
    "Flower": monitor,
    "messages": messages,
    "operators": operators,
    "errors": lambda running: iter([("an error", each) for each in running.answers]),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_told(running: Running, place: str) -> None:
    found = [
        (what, where)
        for where, said in PLACES[place](running)
        for what, secret in {**running.secrets, "a wrong key": WRONG_KEY, "the hook": HOOK}.items()
        if secret in said and (what, place) != ("the hook", "errors")
    ]
    assert found == []


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_what_is_spoken_is_told(running: Running, place: str) -> None:
    seen = list(PLACES[place](running))
    assert seen
    for word in (TEXT, LABEL, *([] if place == "errors" else [BAD])):  # errors name a wrong voice
        assert [where for where, said in seen if word in said] == [], word


def test_what_was_to_be_seen_was_there(running: Running) -> None:
    """The places hold what they should, so that a missing word means something."""
    assert {"api.log", "control.log", "flower.log"} <= {name for name, _ in logs(running)}
    assert any("synthesize" in said for _, said in messages(running))
    assert any("--family" in said for _, said in command_lines(running))
    assert len(running.answers) >= 6 + len(WRONG)
    failure = running.ask("GET", "/v1/jobs/book/failures")
    assert TEXT in json.dumps(failure)  # its owner is told
    assert {each.path for each in running.hooks} == {f"/{HOOK}"}
    assert all(TEXT not in each.body.decode() for each in running.hooks)


def test_the_secrets_are_in_files_that_only_their_owner_reads(running: Running) -> None:
    for path in files_below(running.farm.home):
        if not path.is_file() or path.is_symlink():
            continue
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            held = [what for what, secret in running.secrets.items() if secret.encode() in data]
            assert "API key" not in held, path
            assert not held or path.stat().st_mode & 0o077 == 0, (path, held)


def test_flower_answers_nobody_without_its_password(running: Running) -> None:
    """Every address of Flower's, but those that tell only that it lives."""
    paths = [str(handler[0] if isinstance(handler, tuple) else handler.regex.pattern)
             for handler in handlers]  # fmt: skip
    asked = 0
    for path in (path.rstrip("$").replace("(.+)", "x").replace("(.*)", "x") for path in paths):
        if path.startswith(("/static", "/login", "/logout", "/healthcheck", ".")):
            continue
        for method in ("GET", "POST"):
            answer = flower(running, path, method, known=False)
            assert answer.status in (401, 405), (method, path, answer.status)
        asked += 1
    assert asked > 20
    odd = {"Authorization": "Basic " + base64.b64encode("fÄrm:é".encode()).decode()}
    broken = urllib3.request("GET", running.urls["flower_url"] + "/tasks", headers=odd)
    assert broken.status in (401, 500)  # it compares ASCII only
    assert not any(secret in broken.data.decode() for secret in running.secrets.values())


def test_redis_answers_nobody_without_its_password(running: Running) -> None:
    address = running.urls["broker_url"].rpartition("@")[2]
    with redis.Redis.from_url(f"redis://{address}") as stranger:
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with pytest.raises(redis.AuthenticationError):
            stranger.llen("control")
    with redis.Redis.from_url(running.urls["broker_url"]) as known:
        assert known.config_get("bind")["bind"] == "127.0.0.1"
