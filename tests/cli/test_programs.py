"""`--json` of the commands that speak and that run the farm: one object, and no other word."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import typer

from farm import builtin, voices
from farm.cli import COMMANDS, app
from farm.engines import ENGINES, family
from tests.homes import Home, book_text, ended, until
from tests.homes import home as real_home
from tests.running import Running

#: Commands that print nothing on standard output.
SILENT = {"api", "control", "flower", "piper", "supervise", "worker", "yourtts"}
BOOK = book_text(2, 3)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A farm of real processes with a book and lines to speak."""
    with real_home(tmp_path_factory.mktemp("programs")) as farm:
        (farm.folder / "book.md").write_text(BOOK)
        lines = [{"id": "one", "text": "First."}, {"id": "two", "text": "Second [[fail]]"}]
        (farm.folder / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
        up = farm.start("up", "--json", "--api-port", "0", "--flower-port", "0")
        until((farm.home / "connection.json").exists)
        yield farm
        pid = farm.supervisor().pid
        up.send_signal(signal.SIGINT)
        said = json.loads(ended(up).stdout)
        assert said == {
            "home": str(farm.home),
            "store": (farm.home / "store").as_uri(),
            "pid": pid,
        }


def made(farm: Home, *words: str, code: int = 0) -> dict[str, Any]:
    """Run a command with `--json`; what it printed, its files as they should be."""
    run = farm.run(*words, "--json")
    assert run.returncode == code, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    for file in found["files"]:
        data = (farm.folder / file["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert len(data) == file["size"]
    assert found["elapsed_s"] > 0
    return found


def paths(found: dict[str, Any]) -> set[str]:
    return {file["path"] for file in found["files"]}


def test_every_command_that_prints_data_prints_it_as_json_too() -> None:
    root: Any = typer.main.get_command(app)
    without = set()
    for name in COMMANDS:
        one = root.get_command(None, name)
        for each in getattr(one, "commands", {name: one}).values():
            if not any("--json" in option.opts for option in each.params):
                without.add(each.name)
    assert without == SILENT


def test_what_was_said_is_one_object(running: Home) -> None:
    first = made(running, "say", "Good morning. And more.", "-o", "said/a.wav")
    assert paths(first) == {"said/a.wav"}
    assert (first["hits"], first["misses"], first["failed"]) == (0, 2, 0)
    assert first["state"] == "completed"
    assert first["seconds"] == pytest.approx(first["files"][0]["seconds"], abs=0.001)
    again = made(running, "say", "Good morning. And more.", "-o", "said/a.wav")
    assert again["job"] == first["job"]
    assert (again["hits"], again["misses"]) == (2, 0)


def test_a_book_of_one_file_is_one_object(running: Home) -> None:
    found = made(running, "book", "book.md", "-o", "one.m4b", "--subtitles", "srt")
    assert paths(found) == {"one.m4b", "one.srt"}
    assert found["job"].startswith("book-")
    assert found["segments"] == found["hits"] + found["misses"] == 8
    assert found["failures"] == []


def test_a_book_in_a_folder_lists_every_file_with_its_chapter(running: Home) -> None:
    found = made(running, "book", "book.md", "-o", "many", "--format", "mp3")
    assert len(paths(found)) == len(found["files"]) == 2
    assert {file["format"] for file in found["files"]} == {"mp3"}
    assert len({file["item"] for file in found["files"]}) == 2
    there = {f"many/{path.name}" for path in (running.folder / "many").iterdir()}
    assert there == paths(found) | {"many/manifest.json"}


def test_a_batch_with_a_bad_line_says_so_and_fails(running: Home) -> None:
    found = made(running, "batch", "lines.jsonl", "-o", "lines", code=1)
    assert "lines/one.flac" in paths(found)
    (lost,) = found["failures"]
    assert lost["id"] == "two"
    assert "asked to fail" in lost["error"]
    assert found["failed"] == 1


def test_the_demo_is_one_object(running: Home) -> None:
    found = made(running, "demo")
    assert {file["format"] for file in found["files"]} == {"epub", "m4b", "mp3", "srt", "vtt"}
    assert all(path.startswith("out/demo/") for path in paths(found))


def test_the_demo_ends_with_a_paragraph_by_each_engine_of_the_light_set(running: Home) -> None:
    spoken = made(running, "demo")["voices"]
    known = voices.catalogue([builtin.prepare(running.home)])
    # `tone` is no voice; `yourtts` takes torch, and the clients a service elsewhere.
    light = {name for name in ENGINES if family(name) in ("onnx", "piper")}
    assert {known[name].engine for name in spoken} == light
    for path in spoken.values():
        assert 5 < soundfile.info(running.folder / path).duration < 20


@pytest.mark.parametrize(
    "words",
    [
        ("say", "", "-o", "x.wav"),
        ("say", "?!...", "-o", "x.wav"),
        ("book", "gone.epub", "-o", "x.m4b"),
        ("batch", "gone.jsonl", "-o", "x"),
    ],
)
def test_an_error_is_one_line_and_no_object(words: tuple[str, ...], running: Home) -> None:
    run = running.run(*words, "--json")
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("farm: ")
    assert run.stderr.count("\n") == 1


def test_recover_says_how_many_it_took_up(farm: Running, data: Callable[..., Any]) -> None:
    farm.submit("Hello.", "job-1")
    assert data("recover") == {"taken_up": 0}
    farm.redis.flushall()
    assert data("recover") == {"taken_up": 1}


def test_gc_says_how_many_segments_it_deleted(farm: Running, data: Callable[..., Any]) -> None:
    farm.submit("Hello.")
    farm.drain()
    assert data("gc", "--days", "1") == {"deleted": 0}
    assert data("gc", "--days", "0") == {"deleted": 1}
    assert farm.segments() == []


def test_the_manifest_beside_a_demo_names_the_same_files(running: Home) -> None:
    found = made(running, "demo")
    listed = json.loads(Path(running.folder, "out/demo/manifest.json").read_text())
    named = {file["sha256"] for item in listed["items"] for file in item["files"].values()}
    named |= {file["sha256"] for file in listed["package"].values()}
    assert {file["sha256"] for file in found["files"]} <= named
