"""Flower as the farm starts it, with the brokers that a farm may have."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from pydantic import SecretStr

from farm.config import read_settings
from farm.tasks.app import create_celery
from farm.tasks.monitor import password
from farm.tasks.worker import legible
from tests.homes import until
from tests.redises import redis_server
from tests.storage.servers import free_port


@contextmanager
def flower(home: Path, url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `farm flower` until the end of the block; its process and its address."""
    home.mkdir(exist_ok=True)
    with (home / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "farm.cli", "flower", *arguments],
            env={**os.environ, "FARM_HOME": str(home), "FARM_BROKER_URL": url},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield process, line.split()[3] if line else ""
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_a_password_is_made_once_and_is_nobody_else_s_to_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "flower-password"
    made = password(path)
    assert len(made) >= 32
    assert password(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("of the operator\n")
    assert password(path) == "of the operator"


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_flower_reads_queues_of_a_redis_with_a_password_and_keeps_what_it_saw(
    kind: str, tmp_path: Path
) -> None:
    port = free_port()
    with redis_server("--port", str(port), "--requirepass", "hush~1") as server:
        place = f"127.0.0.1:{port}/0" if kind == "tcp" else str(server.socket)
        url = f"{'redis' if kind == 'tcp' else 'unix'}://:hush~1@{place}"
        with flower(tmp_path / "home", url, "--port", "0") as (process, address):
            headers = urllib3.make_headers(basic_auth=f"farm:{_password(tmp_path)}")
            assert urllib3.request("GET", f"{address}/api/workers").status == 401
            until(lambda: _told(url, address, headers))
            path = f"{address}/api/queues/length"
            answer = urllib3.request("GET", path, headers=headers, timeout=20)
            assert answer.status == 200, answer.data
            assert [row["messages"] for row in answer.json()["active_queues"]] == [0]
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        with flower(tmp_path / "home", url, "--port", "0") as (_, address):
            tasks = urllib3.request("GET", f"{address}/api/tasks", headers=headers).json()
    assert [task["kwargs"] for task in tasks.values()] == ["job j: a book"]
    assert (tmp_path / "home" / "log").read_text() == ""


def _told(url: str, address: str, headers: dict[str, str]) -> bool:
    """Tell of a task as a worker does; whether Flower shows it."""
    app = create_celery(read_settings(broker_url=SecretStr(url)))
    with app.events.default_dispatcher(hostname="tone-1@here") as dispatcher:
        about = {"uuid": "u1", "name": "farm.read", "args": "", "kwargs": "job j: a book"}
        dispatcher.send("task-received", **about)
    app.close()
    return bool(urllib3.request("GET", f"{address}/api/tasks", headers=headers).json())


def _password(tmp_path: Path) -> str:
    return (tmp_path / "home" / "flower-password").read_text()


def test_a_port_that_is_taken_is_said_in_one_line(redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with flower(tmp_path / "home", redis_url, "--port", str(port)) as (process, _):
            assert process.wait(30) == 1
    said = (tmp_path / "home" / "log").read_text()
    assert said.startswith(f"farm: cannot listen at 127.0.0.1:{port}: "), said
    assert said.count("\n") == 1


def test_a_result_begins_with_what_a_person_looks_for() -> None:
    numbers = {"segments": 3, "audio_ms": 12_345, "compute_ms": 678.9, "device": "cuda:1#0"}
    assert list(legible(numbers).items()) == [
        ("device", "cuda:1#0"),
        ("audio_s", 12.35),
        ("compute_s", 0.68),
        ("segments", 3),
    ]
    assert legible({"skipped": "done"}) == {"skipped": "done"}
