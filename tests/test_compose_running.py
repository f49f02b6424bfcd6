"""What docker-compose.yml starts does what it is for: each service's own command as a process.

In the place of SeaweedFS there is moto; all else is what compose starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from farm.jobs import State
from tests.composed import PATIENCE_S, Stack
from tests.homes import until

STARTED = ["api", "control", "flower", "worker-cpu", "worker-onnx", "worker-piper",
           "worker-yourtts"]  # fmt: skip
LINES = [
    {"id": "one", "text": "Good morning.", "voice": "slt"},
    {"id": "two", "text": "Good night.", "voice": "flite"},
]


def store(stack: Stack) -> subprocess.Popen[bytes]:
    """Start an S3 server without a bucket; it takes any key, but does not do without one."""
    with (stack.logs / "store").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", stack.ports["8333"]],
            stdout=log,
            stderr=log,
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services of the profile `cpu`, healthy, with an API key in `stack.key`."""
    made = Stack(tmp_path_factory.mktemp("compose"), FARM_CHILDREN="1")
    served = store(made)
    try:
        made.start("redis")
        made.await_healthy("redis")
        made.start("bucket")
        assert made.finish("bucket") == 0, made.said("bucket")
        made.key = json.loads(made.run("api", "farm", "keys", "add", "--json"))["key"]
        for name in STARTED:
            made.start(name)
        made.await_healthy(*STARTED)
        yield made
    finally:
        made.kill()
        served.kill()
        served.wait()


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the API as it is published."""
    address = f"http://127.0.0.1:{stack.ports['8000']}"
    headers = {"Authorization": f"Bearer {stack.key}"}
    with httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_S) as found:
        yield found


def test_a_batch_goes_through_every_service(stack: Stack, client: httpx.Client) -> None:
    made = client.post("/v1/jobs", json={"kind": "batch", "lines": LINES})
    assert made.status_code == 202, made.text
    address = made.headers["Location"]

    def ended() -> Any:
        job = client.get(address).json()
        return job if State(job["state"]).terminal else None

    assert until(ended)["state"] == "completed"
    found = client.get(f"{address}/outputs").json()
    files = [each for each in found["data"] if each["name"].endswith(".flac")]
    assert len(files) == len(LINES)
    for file in files:
        assert file["url"].startswith(f"http://localhost:{stack.ports['8333']}/farm/")
        with urllib.request.urlopen(file["url"]) as answer:
            assert answer.read(4) == b"fLaC"


def test_the_farm_is_ready(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.text
    families = ("cpu", "onnx", "piper", "yourtts")
    assert set(answer.json()["components"]) == {
        *("redis", "store", "control"),
        *(f"worker:{family}" for family in families),
    }


def test_the_api_asks_for_a_key(client: httpx.Client) -> None:
    assert client.get("/v1/jobs", headers={"Authorization": "Bearer farm_0"}).status_code == 401


def test_flower_shows_the_workers_to_who_knows_the_password(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.ports['5555']}/api/workers?status=true"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address)
    login = b64encode(f"farm:{stack.secret('flower_password')}".encode()).decode()
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {login}"})

    def families() -> set[str]:
        with urllib.request.urlopen(request) as answer:
            return {name.partition("-")[0] for name in json.load(answer)}

    assert until(lambda: families() >= {"cpu", "onnx", "piper", "yourtts"})


def test_redis_keeps_everything_and_asks_for_the_password(stack: Stack) -> None:
    address = f"redis://127.0.0.1:{stack.ports['6379']}/0"
    with redis.Redis.from_url(address) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    password = stack.secret("redis_password")
    with redis.Redis.from_url(address, password=password, decode_responses=True) as client:
        wanted = {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "maxmemory": str(1 << 30),
            "dir": str(stack.folder / "volumes" / "redis"),
        }
        for name, value in wanted.items():
            assert client.config_get(name) == {name: value}


def test_no_process_shows_a_secret(stack: Stack) -> None:
    processes, secrets = stack.processes(), {*stack.secrets, stack.key}
    assert len(secrets) == 4
    assert len(processes) >= len(STARTED) + 1 + 4  # Redis, and a child of each worker
    for process in processes:
        told = " ".join([*process.cmdline(), *process.environ().values()])
        assert [each for each in secrets if each in told] == []
    for path in stack.logs.iterdir():
        assert [each for each in secrets if each in path.read_text()] == []


def test_nothing_is_written_where_nothing_can_be(stack: Stack) -> None:
    folder = stack.folder / "read-only" / "control"
    assert {path.name for path in folder.iterdir()} == {"keys.json", "keys.json.lock"}
    assert [*stack.folder.glob("work/*/*")] == []


def test_a_worker_that_is_not_there_is_not_healthy(stack: Stack) -> None:
    assert stack.services["worker-yourtts"]["healthcheck"]["test"][-1] == "yourtts"
    with stack.begin("worker-yourtts", ["python", "/etc/farm/healthy.py", "worker", "tone"]) as run:
        assert run.wait(PATIENCE_S) == 1


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU here")
def test_a_worker_for_gpus_says_that_there_are_none(stack: Stack) -> None:
    stack.start("worker-onnx-gpu")
    assert stack.finish("worker-onnx-gpu") == 1
    assert "devices 'cuda:0' are not there" in stack.said("worker-onnx-gpu")


def test_told_to_stop_every_service_ends_well_and_in_time(stack: Stack) -> None:
    # The last test: it leaves nothing running. Redis goes last, as its dependants do first.
    last = {"redis": stack.running.pop("redis")}
    assert stack.stop() == dict.fromkeys(STARTED, 0)
    stack.running = last
    assert stack.stop() == {"redis": 0}
