"""`farm api` as a process of its own, with a Redis but no farm."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import Result

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.access import KeyFile
from farm.config import read_settings
from farm.errors import InvalidInput
from farm.submission import find
from farm.tasks.app import create_celery, create_farm
from tests.api.streams import heard
from tests.storage.servers import free_port

Command = Callable[..., Result]


@contextmanager
def serving(home: Path, url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `farm api` until the end of the block; its process and its URL."""
    home.mkdir(exist_ok=True)
    (home / "voices").mkdir(exist_ok=True)
    (home / "voices" / "tone.yaml").write_text(
        "engine: tone\nlanguage: en\nparameters: {sample_rate: 8000}\n"
    )
    environment = {"FARM_HOME": str(home), "FARM_BROKER_URL": url, "FARM_VOICE": "tone"}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "farm.cli", "api", *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield process, line.rpartition(" ")[2].strip()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_an_api_without_keys_serves_this_machine_and_says_nothing_of_requests(
    redis_url: str, tmp_path: Path
) -> None:
    with serving(tmp_path / "home", redis_url, "--port", "0") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.get(f"{url}/v1/jobs?secret=farm_0&limit=1").status_code in (200, 400)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert (tmp_path / "home" / "log").read_text() == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_api_without_keys_listens_at_loopback_only(
    redis_url: str, tmp_path: Path, host: str
) -> None:
    with serving(tmp_path / "home", redis_url, "--port", "0", "--host", host) as (process, _):
        assert process.wait(30) == 1
    assert (tmp_path / "home" / "log").read_text() == (
        f"farm: there are no API keys, so the API may listen at loopback only, not at {host!r}: "
        "make one with `farm keys add`, or leave --host out\n"
    )


def test_without_keys_no_page_of_another_site_may_ask(redis_url: str, tmp_path: Path) -> None:
    with serving(tmp_path / "home", redis_url, "--port", "0") as (_, url):
        port = url.rpartition(":")[2]

        def status(**headers: str) -> int:
            return httpx.get(f"{url}/v1/models", headers=headers).status_code

        assert status() == 200
        assert status(Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 200
        assert status(Host=f"[::1]:{port}") == 200
        assert status(Host="evil.example") == 403
        assert status(Host="[") == 403
        assert status(Host=f"127.0.0.1.evil.example:{port}") == 403
        assert status(Origin="https://evil.example") == 403
        assert status(Origin="null") == 403
        refused = httpx.get(f"{url}/v1/models", headers={"Origin": "https://evil.example"})
        assert refused.headers["content-type"] == "application/problem+json"
        assert "farm keys add" in refused.json()["detail"]
        _, key = KeyFile(tmp_path / "home" / "keys.json").add()
        assert status(Host="my.example", Authorization=f"Bearer {key}") == 200


def test_with_a_key_it_listens_anywhere(redis_url: str, tmp_path: Path) -> None:
    _, key = KeyFile(tmp_path / "home" / "keys.json").add()
    with serving(tmp_path / "home", redis_url, "--port", "0", "--host", "0.0.0.0") as (_, url):
        url = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/v1/models").status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 200


def test_a_port_that_is_taken_is_said_in_one_line(redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(tmp_path / "home", redis_url, "--port", str(port)) as (process, _):
            assert process.wait(30) == 1
    said = (tmp_path / "home" / "log").read_text()
    assert re.fullmatch(rf"farm: cannot listen at 127.0.0.1:{port}: [^\n]+\n", said)


def test_without_a_redis_to_use_it_says_what_to_do(command: Command) -> None:
    with pytest.raises(InvalidInput, match="FARM_BROKER_URL is not set"):
        command("api")


def test_a_stream_ends_with_its_server_and_goes_on_at_the_next(
    redis_url: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    settings = read_settings(home=home, broker_url=SecretStr(redis_url))
    farm = create_farm(settings, create_celery(settings))
    ledger = farm.ledger
    port = str(free_port())
    with serving(home, redis_url, "--port", port) as (process, url):
        body = {"kind": "batch", "lines": [{"id": "1", "text": "One."}]}
        httpx.put(f"{url}/v1/jobs/told", json=body).raise_for_status()
        with httpx.stream("GET", f"{url}/v1/jobs/told/events", timeout=20) as response:
            (snapshot,) = _until_ended(response, process)
        assert process.wait(20) == 0
    ledger.pause(find(farm, "local", "told").id)
    with serving(home, redis_url, "--port", port) as (_, url):
        headers = {"Last-Event-ID": snapshot}
        stream = httpx.stream("GET", f"{url}/v1/jobs/told/events", headers=headers, timeout=20)
        with stream as response:
            first = next(heard(response))
    assert (first.type, first.data) == ("state", {"state": "paused"})
    ledger.redis.close()


def _until_ended(response: httpx.Response, process: subprocess.Popen[str]) -> list[str]:
    """Tell the server to end when the first event has come; return the ids until the end."""
    ids: list[str] = []
    timer = threading.Timer(0.5, process.send_signal, [signal.SIGTERM])
    for event in heard(response):
        if not ids:
            timer.start()
        ids.append(event.id)
    timer.join()
    return ids
