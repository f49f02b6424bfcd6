"""Every command of the README is run, in order, as a reader would; or it says here why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from farm import config
from tests.engines.tiny_piper import make_voice
from tests.homes import Home, home, until
from tests.text import epubs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

#: Commands that no test runs, and why.
NOT_RUN = {
    "git clone REPOSITORY farm && cd farm": "whoever runs this test has done so",
    "make demo": "minutes long; what it starts, `farm demo`, has its own test",
    "make test": "runs this test",
    "make lint": "CI runs it before the tests",
    "export FARM_BROKER_URL=redis://:PASSWORD@redis.example:6379/0": "an example's address",
    "export FARM_STORE_URL=s3://my-bucket/farm": "an example's address",
}

#: Commands that run until they are told to stop.
SERVICES = [
    "farm up",
    "farm control",
    "farm worker --family cpu",
    "farm worker --family piper",
    "farm api",
]

#: What a command is told besides, for its usual port may be taken here.
PORTS = {"farm api": "--port 0"}

#: What each command leaves in its folder.
MADE = {
    "farm say 'Siobhan wrote to Ms. Nguyen.' --lexicon configs/lexicons/names.pls -o names.wav": [
        "names.wav"
    ],
    "farm say 'Dr. Lee owes me $12.50 since 3 May 1897.' -o hello.wav": ["hello.wav"],
    "farm book my-book.epub -o my-book.m4b": ["my-book.m4b"],
    "farm book my-book.epub -o my-book-readalong.epub": ["my-book-readalong.epub"],
    "farm book my-book.epub -o chapters --format mp3 --subtitles srt": [
        "chapters/001 The Harbour.mp3",
        "chapters/001 The Harbour.srt",
        "chapters/manifest.json",
    ],
    "farm batch lines.jsonl -o lines": [
        "lines/greeting.flac",
        "lines/price.mp3",
        "lines/results.jsonl",
    ],
    "farm say 'This is someone else.' --voice en_US-someone-medium -o someone.flac": [
        "someone.flac"
    ],
}


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]
RUN = [line for line in COMMANDS if line not in NOT_RUN and line not in SERVICES]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Home]:
    """A home with the files that the README's commands name."""
    with home(tmp_path, FARM_VOICE="slt", FARM_CHILDREN="1") as made:
        bin_ = str(Path(sys.executable).parent)
        made.environment["PATH"] = os.pathsep.join([bin_, os.environ["PATH"]])
        (tmp_path / "lines.jsonl").write_text(blocks("json")[0], encoding="utf-8")
        write_book(tmp_path / "my-book.epub")
        shutil.copytree(ROOT / "configs/lexicons", tmp_path / "configs/lexicons")
        write_voice(tmp_path / "en_US-someone-medium.onnx")
        yield made


def write_book(path: Path) -> None:
    """An EPUB of one short chapter."""
    chapter = epubs.page("<h1>The Harbour</h1><p>The boat was late.</p>")
    epubs.write_epub(path, {"one.xhtml": chapter}, toc=[("The Harbour", "one.xhtml", [])])


def write_voice(path: Path) -> None:
    """A Piper voice of this name."""
    voice = make_voice(path.parent / "tiny")
    for role, suffix in (("model", ""), ("config", ".json")):
        shutil.move(path.parent / "tiny" / voice.files[role], f"{path}{suffix}")


def run(reader: Home, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the README in a shell, the installed `farm` on its PATH."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=reader.folder,
        env=reader.environment,
        capture_output=True,
        text=True,
        timeout=90,
    )


@contextmanager
def service(reader: Home, command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a line that goes on until Ctrl-C, and press it; it must end well."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command} {PORTS.get(command, '')}"],
        cwd=reader.folder,
        env=reader.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, command
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_every_command_is_run_or_says_why_not() -> None:
    assert set(NOT_RUN) | set(SERVICES) <= set(COMMANDS)
    assert set(MADE) <= set(RUN)
    assert [line for line in RUN if not line.startswith("farm ")] == []


def test_the_commands_do_what_the_readme_says(reader: Home) -> None:
    with service(reader, "farm up") as up:
        assert up.stdout is not None
        assert "the farm runs in" in up.stdout.readline()
        for command in RUN:
            told = run(reader, command)
            assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
            for name in MADE.get(command, []):
                assert (reader.folder / name).stat().st_size > 0, name
    assert reader.gone()
    rows = (reader.folder / "lines/results.jsonl").read_text().splitlines()
    assert [json.loads(row)["id"] for row in rows] == ["greeting", "price"]


def test_several_hosts_are_run_as_the_readme_says(reader: Home, redis_url: str) -> None:
    reader.environment |= {
        "FARM_BROKER_URL": redis_url,
        "FARM_STORE_URL": (reader.folder / "shared").as_uri(),
    }
    with ExitStack() as stack:
        for line in SERVICES[1:]:
            stack.enter_context(service(reader, line))
        told = run(reader, RUN[1])
        assert told.returncode == 0, told.stderr
        assert not (reader.home / "redis").exists()
    until(lambda: not reader.find("worker"))
    assert list((reader.folder / "shared/segments").rglob("*.flac"))


def test_every_setting_that_the_readme_names_is_one() -> None:
    named = set(re.findall(r"\bFARM_([A-Z0-9_]+)", README))
    assert named <= {name.upper() for name in config.Settings.model_fields}
    assert "BROKER_URL" in named


def test_every_target_of_make_that_the_readme_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert named <= targets
    assert "demo" in named


def test_a_stranger_reads_it_in_a_few_minutes() -> None:
    assert len(README.splitlines()) <= 150
