"""The commands of docs/yourtts-onnx.md, run as by a person who has no checkpoint."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import urllib3

from tests.exports.your_voices import SAMPLE_RATE, SPEAKERS
from tests.homes import Home, home, until

pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")
pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

ROOT = Path(__file__).parents[2]
SHOWN = re.search(
    r"^```sh\n(.*?)^```",
    (ROOT / "docs/yourtts-onnx.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
assert SHOWN
MAKE, *COMMANDS, SERVE = [shlex.split(line) for line in SHOWN[1].splitlines()]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path, FARM_CHILDREN="1", OMP_NUM_THREADS="1") as made:
        yield made


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the page's first line in a folder."""
    line = [sys.executable, str(ROOT / MAKE[0]), *MAKE[1:]]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True)


def health(url: str) -> str:
    """The state of a service."""
    return str(urllib3.request("GET", f"{url}/health", retries=False).json()["status"])


def test_a_checkpoint_is_made_added_exported_and_heard_by_both_engines(reader: Home) -> None:
    made = make(reader.folder)
    assert made.returncode == 0, made.stderr
    assert "random weights" in made.stdout
    again = make(reader.folder)
    assert (again.returncode, again.stderr) == (
        1,
        "babbler is not empty: name another folder\n",
    )
    for words in COMMANDS:
        told = reader.run(*words[1:])
        assert told.returncode == 0, f"{words}\n{told.stdout}\n{told.stderr}"
    for name in ("babbler", "babbler-onnx"):
        samples, rate = soundfile.read(reader.folder / f"{name}.wav")
        assert rate == SAMPLE_RATE
        assert len(samples) > rate / 4
        assert abs(samples).max() > 0.01
    serve(reader)


def serve(reader: Home) -> None:
    """Run the page's last line, at a free port."""
    service = reader.start(*SERVE[1:], "--port", "0")
    assert service.stdout is not None
    url = service.stdout.readline().rpartition(" ")[2].strip()
    until(lambda: health(url) == "ok")
    body = {"text": "Bonjour.", "language": "fr-fr", "speaker": SPEAKERS[1]}
    answer = urllib3.request("POST", f"{url}/synthesize", json=body, timeout=60)
    assert answer.status == 200, answer.data
    assert answer.json()["sample_rate"] == SAMPLE_RATE
    service.send_signal(signal.SIGTERM)
    assert service.wait(30) == 0
