"""The embedded farm: real processes, joined, supervised, and gone when nobody needs them."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from farm.embedded import FIRST_FAMILY, _families
from farm.ledger import Ledger
from tests.homes import Home, book_text, ended, home, kill, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A farm that runs until it is told to stop, and has spoken once."""
    with home(tmp_path_factory.mktemp("up")) as farm:
        up = farm.start("up")
        said = farm.run("say", "Good morning.", "-o", "first.wav")
        assert said.returncode == 0, said.stderr
        yield farm
        up.send_signal(signal.SIGINT)
        stopped = ended(up)
        assert stopped.returncode == 0, stopped.stderr
        assert "Ctrl-C stops it" in stopped.stdout
        assert farm.gone()


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


def test_a_second_farm_in_the_same_home_is_refused(running: Home) -> None:
    second = running.run("up")
    assert second.returncode == 1
    assert second.stderr == (
        f"farm: a farm runs in {running.home} already; commands will join it\n"
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
    others = [path for path in running.home.rglob("*") if path.is_file() and path not in secret]
    assert not [path for path in others if password.encode() in path.read_bytes()]


def test_redis_answers_nobody_without_the_password(running: Home) -> None:
    server = running.child("redis")
    addresses = {c.laddr.ip for c in server.net_connections() if c.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}
    address = json.loads((running.home / "connection.json").read_text())["broker_url"]
    stranger = "redis://" + address.split("@")[1]
    refused = running.run("jobs", "list", FARM_BROKER_URL=stranger)
    assert refused.returncode == 1
    assert "Authentication required" in refused.stderr
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


def test_no_worker_starts_for_a_family_that_only_had_work_once(redis_url: str) -> None:
    ledger, client = Ledger(redis_url), redis.Redis.from_url(redis_url)
    client.sadd("farm:lanes", "yourtts", "onnx.now", "tone")
    client.lpush("tts.onnx.now", "a message")
    assert _families(ledger) == {FIRST_FAMILY, "onnx"}
    client.close()
    ledger._redis.close()
