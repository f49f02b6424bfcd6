"""How the commands that speak end: their exit code, the reason, and whatever they read from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.cli import book as books
from farm.ledger import Ledger
from tests.homes import VOICE, Home, until
from tests.homes import home as real_home

Words = tuple[str, ...]

HOLED = "One is here. Two [[fail]] is not."
REFUSED = "Nothing [[fail]] is."
LINES = [
    {"id": "good", "text": "One is here."},
    {"id": "holed", "text": f"{HOLED} Nor [[fail]] is three."},
    {"id": "stars", "text": "* * *"},
    {"id": "gone", "text": "Who speaks?", "voice": "gone"},
    {"id": "tagged", "ssml": '<speak><voice name="gone">Who speaks?</voice></speak>'},
    {"id": "nosuch", "text": "Who speaks?", "voice": "nosuch"},
    {"id": "quick", "text": "Two is here.", "voice": "quick"},
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A farm of real processes, with a voice that was revoked and texts of which parts fail."""
    with real_home(tmp_path_factory.mktemp("ends")) as farm:
        voice = VOICE.format(cost=0.001)
        for name, more in (("quick", ""), ("spare", ""), ("gone", "revoked: '2026-01-01'\n")):
            (farm.home / "voices" / f"{name}.yaml").write_text(voice + more)
        (farm.folder / "holed.txt").write_text(HOLED)
        (farm.folder / "refused.txt").write_text(REFUSED)
        (farm.folder / "tagged.ssml").write_text(f"<speak>{HOLED}</speak>")
        (farm.folder / "lines.jsonl").write_text("\n".join(map(json.dumps, LINES)))
        farm.start("up")
        until((farm.home / "connection.json").exists)
        yield farm


def job_of(said: str) -> str:
    """The job that a line tells to look at."""
    return said.partition("farm jobs show ")[2].split()[0]


@pytest.mark.parametrize(
    "words",
    [
        ("say", HOLED, "-o", "holed.wav"),
        ("book", "holed.txt", "-o", "holed.m4b"),
        ("book", "tagged.ssml", "-o", "tagged", "--format", "mp3"),
        ("batch", "lines.jsonl", "-o", "lines"),
    ],
    ids=lambda words: " ".join(words[::3]),
)
def test_what_was_spoken_with_a_hole_is_no_success(words: Words, running: Home) -> None:
    made = running.run(*words)
    assert made.returncode == 1, made.stdout
    assert (running.folder / words[3]).exists()
    job = job_of(made.stdout)
    assert running.run(*words, "--json").returncode == 1
    watched = running.run("jobs", "watch", job)
    assert (watched.returncode, f"{job} completed" in watched.stdout) == (1, True)
    assert " failed" in watched.stdout


def test_a_demo_with_a_hole_is_no_success(
    running: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(books, "SAMPLE", running.folder / "holed.txt")
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["demo"])
    assert (made.exit_code, "1 could not be spoken" in made.stdout) == (1, True), made.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("say", REFUSED, "-o", "x.wav"), "no segment could be spoken: asked to fail by {text}"),
        (("book", "refused.txt", "-o", "x"), "no segment could be spoken: asked to fail by {text}"),
        (("say", "?!...", "-o", "x.wav"), "nothing to speak in '?!...'"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_a_job_of_which_nothing_was_spoken_tells_the_reason_and_where_to_look(
    words: Words, reason: str, running: Home
) -> None:
    failed = running.run(*words)
    assert failed.returncode == 1
    job = job_of(failed.stderr)
    said = reason.format(text=repr(REFUSED))
    assert failed.stderr == f"farm: {said}: farm jobs show {job}\n"
    assert f"error     {said}\n" in running.run("jobs", "show", job).stdout


# Batches


def test_each_line_fails_by_itself_and_is_counted_once(running: Home) -> None:
    made = running.run("batch", "lines.jsonl", "-o", "counted")
    rows = (running.folder / "counted" / "results.jsonl").read_text().splitlines()
    found = {row["id"]: row for row in map(json.loads, rows)}
    assert {id_ for id_, row in found.items() if "error" not in row} == {"good", "quick"}
    assert "\n5 of 7 lines failed, see counted/results.jsonl: farm jobs show batch-" in made.stdout
    assert "could not be spoken" not in made.stdout
    revoked = "voice 'gone' was revoked on 2026-01-01: choose another"
    assert found["gone"]["error"] == f"line 4: {revoked}"
    assert found["tagged"]["error"] == f"line 5, in its SSML: line 1: {revoked}"
    assert found["stars"]["error"] == "nothing to speak in '* * *'"
    shown = json.loads(running.run("jobs", "show", job_of(made.stdout), "--json").stdout)
    assert {row["id"] for row in shown["failures"]} == set(found) - {"good", "quick"}
    assert shown["failed"] == len(shown["failures"]) == 6  # two segments of one line


def test_an_unknown_voice_is_told_with_all_that_there_are(running: Home) -> None:
    running.run("batch", "lines.jsonl", "-o", "named")
    rows = (running.folder / "named" / "results.jsonl").read_text().splitlines()
    (said,) = [row["error"] for row in map(json.loads, rows) if row["id"] == "nosuch"]
    known, _, choices = said.partition("; choose one of ")
    assert known == "line 6: unknown voice 'nosuch'"
    assert {"flite", "quick", "slow", "slt", "spare"} <= set(choices.split(", "))
    assert "gone" not in choices.split(", ")


# What is no file


@pytest.mark.parametrize(
    "script",
    [
        "{farm} batch - -o out < lines",
        "cat lines | {farm} batch - -o out",
        "cat lines | {farm} batch /dev/stdin -o out",
        "{farm} batch <(cat lines) -o out",
        "mkfifo pipe.jsonl; cat lines > pipe.jsonl & {farm} batch pipe.jsonl -o out",
    ],
)
def test_lines_come_from_a_pipe_as_from_a_file(script: str, running: Home, tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "One."}, {"id": "b", "text": "Two.", "voice": "quick"}]
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, rows)))
    shell(script, running, tmp_path)
    assert {path.name for path in (tmp_path / "out").glob("*.flac")} == {"a.flac", "b.flac"}


@pytest.mark.parametrize(
    "script",
    [
        "cat book | {farm} book - -o out --format mp3",
        "{farm} book <(cat book) -o out --format mp3",
        "mkfifo p.md; cat book > p.md & {farm} book p.md -o out --format mp3",
    ],
)
def test_a_book_comes_from_a_pipe_as_from_a_file(
    script: str, running: Home, tmp_path: Path
) -> None:
    (tmp_path / "book").write_text("# Rain\n\nIt rains.\n")
    shell(script, running, tmp_path)
    (made,) = (tmp_path / "out").glob("*.mp3")
    assert made.stat().st_size > 1000
    assert ("001 Rain" in made.name) == ("p.md" in script)  # only a name tells Markdown


def test_an_empty_pipe_is_no_book(running: Home, tmp_path: Path) -> None:
    script = "{farm} book - -o out < /dev/null"
    assert "'-' is empty" in shell(script, running, tmp_path, code=1).stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("{farm} batch - -o out <&-", "standard input is closed: give a file or a pipe"),
        ("{farm} book - -o out <&-", "standard input is closed: give a file or a pipe"),
        ("{farm} say - -o out.wav <&-", "standard input is closed: give a file or a pipe"),
        ("printf 'Hi \\377' | {farm} say - -o out.wav", "the text is not UTF-8 (at 3)"),
        ("{farm} say $'\\xff' -o out.wav", "the text is not UTF-8 (at 0)"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(
    script: str, said: str, running: Home, tmp_path: Path
) -> None:
    assert shell(script, running, tmp_path, code=1).stderr == f"farm: {said}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["say Hello. -o out.wav", "batch lines -o out", "jobs list --json", "--help"]
)
def test_a_closed_standard_output_is_said_before_anything_is_done(
    words: str, running: Home, tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text('{"id": "a", "text": "One."}')
    said = "farm: standard output is closed; if nobody reads it, send it to /dev/null\n"
    assert shell(f"{{farm}} {words} >&-", running, tmp_path, code=1).stderr == said
    assert shell(f"{{farm}} {words} <&- >&- 2>&-", running, tmp_path, code=1).stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["lines"]


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_command_that_needs_none_of_them_runs_without(
    closed: str, running: Home, tmp_path: Path
) -> None:
    made = shell(f"{{farm}} say Hello. -o out.wav {closed}", running, tmp_path)
    assert made.stdout.startswith("out.wav ")
    assert (tmp_path / "out.wav").stat().st_size > 1000


def test_a_worker_runs_without_a_standard_error(redis_url: str, tmp_path: Path) -> None:
    store = (tmp_path / "store").as_uri()
    settings = {"FARM_BROKER_URL": redis_url, "FARM_STORE_URL": store, "FARM_HOME": str(tmp_path)}
    line = f"exec {sys.executable} -m farm.cli worker --family tone 2>&-"
    with subprocess.Popen(["bash", "-c", line], env={**os.environ, **settings}) as worker:
        ledger = Ledger(redis_url)
        until(lambda: ledger.slots("tone") or worker.poll() is not None)
        worker.terminate()
        assert worker.wait(30) == 0


def shell(script: str, farm: Home, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a line of Bash in a folder; it must end as is told."""
    line = script.format(farm=f"{sys.executable} -m farm.cli")
    run = ["bash", "-c", line]
    ran = subprocess.run(
        run, cwd=folder, env=farm.environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == code, ran.stderr
    return ran
