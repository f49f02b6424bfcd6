"""A book goes on where it was, whatever is interrupted or killed, and nothing is spoken again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.homes import Home, book_text, digest, ended, home, kill, until

CHAPTERS, SENTENCES = 3, 20
SEGMENTS = CHAPTERS * (SENTENCES + 1)
#: Seconds of compute per second of audio: the book takes two children about four seconds.
COST = 0.04
#: Segments that are there when something is killed.
SOME = 12
#: Seconds for which a supervisor is stopped.
STOPPED_S = 8.0

Command = subprocess.Popen[str]


def write_book(farm: Home) -> None:
    (farm.folder / "book.md").write_text(book_text(CHAPTERS, SENTENCES))


def begin(farm: Home) -> Command:
    """Start the book, and wait until it is in the middle."""
    command = farm.start("book", "book.md", "-o", "book.m4b")
    until(lambda: command.poll() is not None or len(farm.spoken()) >= SOME)
    assert command.poll() is None
    assert len(farm.spoken()) < SEGMENTS
    return command


def interrupt(_: Home, command: Command) -> None:
    """Press Ctrl-C: the terminal tells the whole group."""
    os.killpg(command.pid, signal.SIGINT)


def kill_command(_: Home, command: Command) -> None:
    kill(command)


def kill_supervisor(farm: Home, _: Command) -> None:
    kill(farm.supervisor())


def end_supervisor(farm: Home, _: Command) -> None:
    os.kill(farm.supervisor().pid, signal.SIGTERM)


def stop_supervisor(farm: Home, _: Command) -> None:
    """Stop it for a while: nobody looks after its children then."""
    boss = farm.supervisor()
    boss.suspend()
    kill(farm.child("control"))
    time.sleep(STOPPED_S)
    boss.resume()


def kill_both(farm: Home, command: Command) -> None:
    kill(farm.supervisor())
    kill(command)


def kill_child(*name: str) -> Callable[[Home, Command], None]:
    def kill_it(farm: Home, _: Command) -> None:
        kill(farm.child(*name))

    return kill_it


def kill_forked(farm: Home, _: Command) -> None:
    kill(farm.child("worker", "tone").children()[0])


#: What happens in the middle of the book, and whether its command goes on by itself.
FAULTS: dict[str, tuple[Callable[[Home, Command], None], bool]] = {
    "ctrl-c": (interrupt, False),
    "the command": (kill_command, False),
    "the supervisor": (kill_supervisor, True),
    "the supervisor, told to end": (end_supervisor, True),
    "the supervisor, stopped": (stop_supervisor, True),
    "the command and the supervisor": (kill_both, False),
    "a child of the worker": (kill_forked, True),
    "the worker": (kill_child("worker", "tone"), True),
    "the worker of planning and audio": (kill_child("worker", "cpu"), True),
    "control": (kill_child("control"), True),
    "redis": (kill_child("redis"), True),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the book that nobody disturbed."""
    with home(tmp_path_factory.mktemp("undisturbed"), cost=COST) as farm:
        write_book(farm)
        made = farm.run("book", "book.md", "-o", "book.m4b")
        assert made.returncode == 0, made.stderr
        assert len(farm.spoken()) == SEGMENTS
        return digest(farm.folder / "book.m4b")


def finish(farm: Home, command: Command, goes_on: bool) -> None:
    """Bring the book to its end, by the same command again if this one has ended."""
    first = ended(command)
    assert "Traceback" not in first.stderr
    assert (first.returncode == 0) == goes_on, first.stderr
    if first.returncode == 130:
        assert first.stderr == "farm: stopped; the same command goes on where this one was\n"
    if not goes_on:
        again = farm.run("book", "book.md", "-o", "book.m4b")
        assert again.returncode == 0, again.stderr


def check(folder: Path, fault: str, expected: str) -> None:
    act, goes_on = FAULTS[fault]
    with home(folder, cost=COST) as farm:
        write_book(farm)
        command = begin(farm)
        before = farm.spoken()
        act(farm, command)
        finish(farm, command, goes_on)
        after = farm.spoken()
        assert {path: after[path] for path in before} == before
        assert len(after) == SEGMENTS
        assert digest(farm.folder / "book.m4b") == expected
        assert farm.gone(), farm.processes()


def test_a_book_goes_on_after_ctrl_c(undisturbed: str, tmp_path: Path) -> None:
    check(tmp_path, "ctrl-c", undisturbed)


def test_a_farm_that_stays_goes_on_after_ctrl_c_and_the_command_says_so(tmp_path: Path) -> None:
    with home(tmp_path, cost=COST) as farm:
        write_book(farm)
        up = farm.start("up", "--api-port", "0", "--flower-port", "0")
        until((farm.home / "connection.json").exists)
        command = begin(farm)
        interrupt(farm, command)
        told, stopped = ended(command).stderr.splitlines()
        assert told == "farm: the farm goes on; `farm jobs cancel` ends a job"
        assert stopped.startswith("farm: stopped; ")
        watched = farm.run("jobs", "watch", "book")
        assert watched.returncode == 0, watched.stderr
        assert len(farm.spoken()) == SEGMENTS
        interrupt(farm, up)
        assert ended(up).returncode == 0


@pytest.mark.faults
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "ctrl-c"])
def test_a_book_goes_on_whatever_is_killed(fault: str, undisturbed: str, tmp_path: Path) -> None:
    check(tmp_path, fault, undisturbed)
