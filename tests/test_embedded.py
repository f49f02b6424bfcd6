"""The embedded farm: real processes, joined, supervised, and gone when nobody needs them."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import urllib3

from farm.embedded.supervisor import API_PROCESSES, FIRST_FAMILY, _families
from farm.ledger import Ledger
from tests.homes import Home, book_text, ended, files_below, home, kill, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A farm that runs until it is told to stop, and has spoken once."""
    with home(tmp_path_factory.mktemp("up")) as farm:
        up = farm.start("up")
        assert up.stdout is not None
        farm.said = [up.stdout.readline() for _ in range(4)]
        said = farm.run("say", "Good morning.", "-o", "first.wav")
        assert said.returncode == 0, said.stderr
        yield farm
        up.send_signal(signal.SIGINT)
        stopped = ended(up)
        assert stopped.returncode == 0, stopped.stderr
        assert stopped.stdout == ""
        assert farm.gone()


def connection(farm: Home) -> dict[str, str]:
    found: dict[str, str] = json.loads((farm.home / "connection.json").read_text())
    return found


def api_key(farm: Home) -> str:
    return farm.said[2].split()[-1]


def test_what_a_person_needs_is_printed_at_the_start(running: Home) -> None:
    urls = connection(running)
    assert running.said == [
        f"the farm runs in {running.home}; Ctrl-C stops it\n",
        f"web page: {urls['api_url']}/\n",
        f"API key: {api_key(running)}\n",
        f"Flower: {urls['flower_url']} (user farm, password in "
        f"{running.home / 'flower-password'})\n",
    ]
    assert re.fullmatch(r"farm_[0-9a-f]{8}_[\w-]{32}", api_key(running))


def test_the_api_of_a_farm_knows_the_key_that_was_printed_and_no_other(running: Home) -> None:
    url = connection(running)["api_url"] + "/v1/workers"
    assert urllib3.request("GET", url).status == 401
    headers = {"X-API-Key": api_key(running)}
    answer = urllib3.request("GET", url, headers=headers)
    assert answer.status == 200
    workers = {worker["family"]: worker for worker in answer.json()["data"]}
    assert {"cpu", "tone"} <= workers.keys()
    assert workers["tone"]["slots"] == ["cpu", "cpu"]

    def told() -> set[str]:
        found = urllib3.request("GET", url, headers=headers).json()["data"]
        children = [c for worker in found for c in worker["children"]]
        return {voice for child in children for voice in child["voices"]}

    until(lambda: told() == {"slow"})


def test_a_whole_farm_is_ready(running: Home) -> None:
    url = connection(running)["api_url"] + "/readyz"
    until(lambda: urllib3.request("GET", url).status == 200)


def test_an_api_that_dies_is_started_again_at_its_port_and_refuses_nobody(running: Home) -> None:
    url, before = connection(running)["api_url"], running.find("api")
    assert len(before) == API_PROCESSES
    for process in before:
        kill(process)
    until(lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in before))
    with urllib3.PoolManager() as fresh:  # without a connection to the one that died
        answer = fresh.request("GET", f"{url}/healthz", retries=False, timeout=60)
        assert answer.status == 200
    old = {process.pid for process in before}
    until(lambda: len({p.pid for p in running.find("api")} - old) == API_PROCESSES)


def holding(secret: str, folder: Path) -> list[Path]:
    """The files below a folder that hold a secret; others may be gone before they are read."""
    found = []
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            if path.is_file() and secret.encode() in path.read_bytes():
                found.append(path)
    return found


def test_the_key_is_in_no_file_and_no_password_in_a_command_line(running: Home) -> None:
    key, flower = api_key(running), running.home / "flower-password"
    assert stat.S_IMODE(flower.stat().st_mode) == 0o600
    assert not holding(key, running.home)
    password = flower.read_text()
    assert len(password) >= 32
    assert holding(password, running.home) == [flower]
    lines = [" ".join(process.cmdline()) for process in running.processes()]
    assert not [line for line in lines if password in line or key in line]


def test_flower_shows_job_voice_items_slot_and_seconds_to_whoever_has_the_password(
    running: Home,
) -> None:
    url = connection(running)["flower_url"]
    password = (running.home / "flower-password").read_text()
    for wrong in ({}, urllib3.make_headers(basic_auth="farm:wrong")):
        for path in ("/api/tasks", "/api/workers", "/"):
            assert urllib3.request("GET", url + path, headers=wrong).status == 401
    headers = urllib3.make_headers(basic_auth=f"farm:{password}")

    def tasks() -> dict[str, Any]:
        # What was done before Flower listened it does not know.
        said = running.run("say", "Good night.", "-o", "shown.wav")
        assert said.returncode == 0, said.stderr
        found = urllib3.request("GET", f"{url}/api/tasks", headers=headers).json().values()
        return {t["name"]: t for t in found if t["state"] == "SUCCESS"}

    found = until(lambda: (t := tasks()).keys() >= {"farm.read", "farm.synthesize"} and t)
    spoken = found["farm.synthesize"]  # type: ignore[index]
    assert re.fullmatch(r"job speech-\w+: slow, item 0", spoken["kwargs"]), spoken["kwargs"]
    assert spoken["result"].startswith("{'device': 'cpu', 'audio_s': "), spoken["result"]
    assert "'compute_s': " in spoken["result"]
    workers = urllib3.request("GET", f"{url}/api/workers?refresh=1", headers=headers).json()
    assert {name.partition("-")[0] for name in workers} >= {"cpu", "tone"}
    broker = urllib3.request("GET", f"{url}/broker", headers=headers)
    assert broker.status == 200
    assert b"tts.tone" in broker.data
    secret = connection(running)["broker_url"].split("@")[0].split(":")[-1]
    assert secret.encode() not in broker.data


def replaced(farm: Home, name: tuple[str, ...], pid: int) -> bool:
    """Whether the supervisor runs another process under this name."""
    try:
        return farm.child(*name).pid != pid
    except (StopIteration, psutil.NoSuchProcess):
        return False


def test_a_command_joins_the_farm_that_runs(running: Home) -> None:
    before = running.supervisor().pid
    said = running.run("say", "Good evening.", "-o", "second.wav")
    assert said.returncode == 0, said.stderr
    assert (running.folder / "second.wav").stat().st_size > 10_000
    assert running.find("supervise") == []
    assert running.supervisor().pid == before


def test_a_command_s_own_farm_has_neither_api_nor_flower(tmp_path: Path) -> None:
    with home(tmp_path, cost=0.2) as farm:
        said = farm.start("say", "Good morning to you all.", "-o", "first.wav")
        boss = farm.supervisor()
        assert connection(farm).keys() == {"broker_url", "store_url", "stays", "pid"}
        until(lambda: len(boss.children()) >= 4)
        assert not farm.find("api")
        assert not farm.find("flower")
        assert ended(said).returncode == 0
        assert not (farm.home / "keys.json").exists()
        assert farm.gone()


def test_ports_that_are_taken_or_not_wanted_are_no_trouble(tmp_path: Path) -> None:
    with home(tmp_path) as farm, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = farm.start("up", "--api-port", port, "--flower-port", "0", "--json")
        until((farm.home / "connection.json").exists)
        found = connection(farm)
        assert urllib3.util.parse_url(found["api_url"]).port != int(port)
        assert "flower_url" not in found
        until(lambda: farm.find("api"))
        assert urllib3.request("GET", f"{found['api_url']}/healthz").status == 200
        up.send_signal(signal.SIGINT)
        told = json.loads(ended(up).stdout)
        assert told["api_url"] == found["api_url"]
        assert told["api_key"].startswith("farm_")
        second = farm.start("up", "--api-port", "0", "--flower-port", "0", "--json")
        until((farm.home / "connection.json").exists)
        second.send_signal(signal.SIGINT)
        assert json.loads(ended(second).stdout).keys() == {"home", "store", "pid"}
        assert farm.gone()


def test_a_second_farm_in_the_same_home_is_refused(running: Home) -> None:
    second = running.run("up")
    assert second.returncode == 1
    assert second.stderr == (
        f"farm: a farm runs in {running.home} already; commands will join it\n"
    )


def test_a_farm_that_stays_waits_for_that_of_a_command_to_end(tmp_path: Path) -> None:
    with home(tmp_path, cost=0.2) as farm:
        said = farm.start("say", "Good morning to you all.", "-o", "first.wav")
        farm.supervisor()
        assert farm.run("keys", "add").returncode == 0
        up = farm.start("up", "--flower-port", "0")
        assert up.stdout is not None
        told = [up.stdout.readline() for _ in range(3)]
        assert said.poll() == 0
        assert told == [
            f"the farm runs in {farm.home}; Ctrl-C stops it\n",
            f"web page: {connection(farm)['api_url']}/\n",
            "API key: as at the first start; `farm keys add` makes another\n",
        ]
        assert farm.run("jobs", "list").returncode == 0
        up.send_signal(signal.SIGINT)
        stopped = ended(up)
        assert (stopped.returncode, stopped.stderr) == (
            0,
            f"farm: a farm runs in {farm.home} until its last command ends: waiting for it\n",
        )


def test_the_password_is_in_no_command_line_and_in_no_open_file(running: Home) -> None:
    connection = running.home / "connection.json"
    password = json.loads(connection.read_text())["broker_url"].split("@")[0].split(":")[-1]
    assert len(password) >= 32
    processes = running.processes()
    assert len(processes) >= 8
    assert not [p for p in processes if password in " ".join(p.cmdline())]
    secret = [connection, running.home / "redis" / "redis.conf"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secret] == [0o600, 0o600]
    assert holding(password, running.home) == sorted(secret)


def test_redis_answers_nobody_without_the_password(running: Home) -> None:
    server = running.child("redis")
    addresses = {c.laddr.ip for c in server.net_connections() if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}
    address = json.loads((running.home / "connection.json").read_text())["broker_url"]
    stranger = "redis://:guessed@" + address.split("@")[1]
    refused = running.run("jobs", "list", FARM_BROKER_URL=stranger)
    assert refused.returncode == 1
    assert "invalid username-password pair" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_worker_starts_when_there_is_work_for_its_family(running: Home) -> None:
    assert running.child("worker", "tone").is_running()
    with pytest.raises(StopIteration):
        running.child("worker", "yourtts")


def test_whatever_dies_is_started_again(running: Home) -> None:
    names = [("redis",), ("control",), ("worker", "tone"), ("worker", "cpu")]
    died = {name: running.child(*name) for name in names}
    for process in died.values():
        kill(process)
    for name, process in died.items():
        until(lambda name=name, pid=process.pid: replaced(running, name, pid))  # type: ignore[misc]
    said = running.run("say", "Are you still there?", "-o", "third.wav")
    assert said.returncode == 0, said.stderr


def test_what_the_farm_says_while_all_is_well_is_nothing(running: Home) -> None:
    piper = running.home / "logs" / "worker-piper.log"
    assert piper.exists()
    assert "SecurityWarning" not in piper.read_text()
    assert "celery" not in piper.read_text().lower()


def test_a_farm_outlives_the_command_that_started_it_while_another_needs_it(tmp_path: Path) -> None:
    with home(tmp_path, cost=0.04) as farm:
        (tmp_path / "book.md").write_text(book_text(2, 10))
        first = farm.start("say", "Good morning.", "-o", "first.wav")
        second = farm.start("book", "book.md", "-o", "book.m4b")
        starter = farm.supervisor().pid
        assert ended(first).returncode == 0
        assert second.poll() is None
        result = ended(second)
        assert result.returncode == 0, result.stderr
        assert [process.pid for process in farm.find("supervise")] == [starter]
        assert farm.gone()
        assert not (farm.home / "connection.json").exists()


def test_a_farm_that_cannot_start_says_why_and_where_it_is_written(tmp_path: Path) -> None:
    with home(tmp_path) as farm:
        (farm.home / "redis").write_text("in the way")
        said = farm.run("say", "Good morning.", "-o", "first.wav")
        assert said.returncode == 1
        assert said.stderr.startswith("farm: the embedded farm did not start: ")
        assert "File exists" in said.stderr
        assert said.stderr.endswith(f"see {farm.home / 'logs' / 'supervisor.log'}\n")
        assert said.stderr.count("\n") == 1
        assert farm.gone()


@pytest.mark.parametrize("command", ["say", "book", "batch", "demo", "up"])
def test_a_gpu_that_is_not_there_is_an_error_that_says_so(tmp_path: Path, command: str) -> None:
    with home(tmp_path, FARM_DEVICES="cuda:99") as farm:
        (tmp_path / "b.md").write_text(book_text(1, 1))
        (tmp_path / "lines.jsonl").write_text('{"id": "a", "text": "Good morning."}\n')
        arguments = {"say": ["Good morning.", "-o", "x.wav"], "book": ["b.md", "-o", "x.m4b"],
                     "batch": ["lines.jsonl", "-o", "x"]}  # fmt: skip
        ran = farm.run(command, *arguments.get(command, []))
        assert ran.returncode == 1
        start = "farm: " if command == "up" else "farm: the embedded farm did not start: "
        assert ran.stderr.startswith(start)
        assert re.search(r"cuda:99'? (is|are) not there", ran.stderr)
        assert ran.stderr.count("\n") == 1
        assert farm.gone()
        assert not (farm.home / "redis" / "redis.conf").exists()


def test_devices_that_are_none_are_an_error_with_the_choices(tmp_path: Path) -> None:
    with home(tmp_path, FARM_DEVICES="gpu") as farm:
        ran = farm.run("up")
        assert ran.returncode == 1
        assert ran.stderr.startswith("farm: devices 'gpu': give 'cpu', or each GPU once")
        assert ran.stderr.count("\n") == 1


def test_no_worker_starts_for_a_family_that_only_had_work_once(redis_url: str) -> None:
    ledger, client = Ledger(redis_url), redis.Redis.from_url(redis_url)
    client.sadd("farm:lanes", "yourtts", "onnx.now", "tone")
    client.lpush("tts.onnx.now", "a message")
    assert _families(ledger) == {FIRST_FAMILY, "onnx"}
    client.close()
    ledger.redis.close()
