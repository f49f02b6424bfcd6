"""`farm serve` as a process of its own, with the voice that ships."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import urllib3
from typer.testing import Result

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm import serving, slots
from farm.calibration import Budgets
from farm.engines import Engine
from farm.engines.yourtts_onnx import YourTtsOnnx
from farm.errors import UnknownVoice
from farm.jobs import Voice
from tests.engines.cloning.tiny_pair import make_voice

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that all of these processes use: the shipped voice is made once."""
    return tmp_path_factory.mktemp("home")


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `farm serve` until the end of the block; its process and its URL."""
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "farm.cli", "serve", *arguments],
            env={**os.environ, "FARM_HOME": str(home)},
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


def wait(url: str) -> None:
    """Wait until the model is loaded."""
    retry = urllib3.Retry(40, backoff_factor=0.1, backoff_max=0.5, status_forcelist=[503],
                          respect_retry_after_header=False)  # fmt: skip
    assert urllib3.request("GET", f"{url}/health", retries=retry).status == 200


def test_the_shipped_voice_is_served_until_sigterm(shared: Path) -> None:
    with running(shared, "piper", "--port", "0", "--voice", "slt") as (process, url):
        wait(url)
        assert url.startswith("http://127.0.0.1:")
        body = {"text": "Hello there. " * 60, "voice": "slt", "language": "en"}
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(urllib3.request, "POST", f"{url}/tts", json=body, timeout=60)
            while not urllib3.request("GET", f"{url}/health").json()["queue_depth"]:
                assert not answer.done()
            process.send_signal(signal.SIGTERM)
            response = answer.result()
        assert response.status == 200
        info = soundfile.info(io.BytesIO(response.data))
        assert info.samplerate == 16_000
        assert info.duration > 30
        assert process.wait(20) == 0
    assert (shared / "log").read_text() == ""


def test_a_service_that_still_loads_can_be_stopped_too(shared: Path) -> None:
    with running(shared, "piper", "--port", "0", "--voice", "slt") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_service_that_is_stopped_in_the_midst_of_a_call_ends_as_others_do(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime aborts a process whose interpreter has ended when it comes back to it."""
    monkeypatch.setenv("FARM_CALIBRATE", "true")
    for _ in range(3):
        with running(shared, "yourtts", "--port", "0", "--voice", "flite") as (process, _url):
            while not [*shared.glob("cache/budgets/*.lock")]:
                assert process.poll() is None
                time.sleep(0.02)
            time.sleep(0.2)
            assert not [*shared.glob("cache/budgets/*.json")], "it measures still"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert (shared / "log").read_text() == ""
        shutil.rmtree(shared / "cache" / "budgets")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_code_that_is_interrupted_makes_an_error_of_an_end_that_was_asked_for(
    number: signal.Signals,
) -> None:
    """As pydantic does of whatever is raised while a model is built."""
    code = f"""
import os, time
from farm.cli.ending import end_well
end_well()
try:
    os.kill(os.getpid(), {int(number)})
    time.sleep(20)
except BaseException as error:
    raise RuntimeError("a schema is wrong") from error
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_port_that_is_taken_is_said_in_one_line(shared: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(shared, "piper", "--port", str(port), "--voice", "slt") as (process, _):
            assert process.wait(30) == 1
    said = (shared / "log").read_text()
    assert said.startswith(f"farm: cannot listen at 127.0.0.1:{port}: Address already in use")
    assert said.count("\n") == 1


def test_a_voice_that_cannot_be_loaded_ends_the_process_with_the_reason(shared: Path) -> None:
    arguments = ("yourtts", "--port", "0", "--voice", "slt")
    with running(shared, *arguments) as (process, _):
        assert process.wait(30) == 1
    said = (shared / "log").read_text()
    assert said == "farm: voice 'slt' cannot speak with the voice of a reference\n"


def test_a_process_whose_device_is_lost_ends_with_the_reason(shared: Path) -> None:
    (shared / "voices").mkdir(exist_ok=True)
    (shared / "voices" / "tone.yaml").write_text("engine: tone\nlanguage: en\n")
    with running(shared, "piper", "--port", "0", "--voice", "tone") as (process, url):
        wait(url)
        body = {"text": "Hello [[poison]].", "voice": "tone"}
        assert urllib3.request("POST", f"{url}/tts", json=body, retries=False).status == 503
        assert process.wait(30) == 1
    said = (shared / "log").read_text()
    assert said == "farm: asked to lose the device by 'Hello [[poison]].'\n"


def test_an_unknown_voice_is_refused_with_the_names(command: Command) -> None:
    with pytest.raises(UnknownVoice, match=r"unknown voice 'ghost': choose one of .*slt"):
        command("serve", "piper", "--voice", "ghost")


def test_a_revoked_voice_is_refused_and_in_nobodys_way(
    starts: Callable[..., list[tuple[Voice, Engine]]], home: Path
) -> None:
    (home / "voices").mkdir(parents=True)
    text = "engine: yourtts_onnx\nlanguage: en\nfiles: {encoder: a/b.onnx}\nrevoked: '2026-01-01'\n"
    (home / "voices" / "gone.yaml").write_text(text)
    ((voice, _),) = starts("")
    assert voice.id == "flite"
    with pytest.raises(UnknownVoice, match="'gone' was revoked on 2026-01-01"):
        starts("gone")


def test_a_voice_that_is_revoked_while_it_is_served_is_spoken_no_more(shared: Path) -> None:
    described = shared / "voices" / "ann.yaml"
    described.parent.mkdir(exist_ok=True)
    described.write_text("engine: tone\nlanguage: en\n")
    with running(shared, "piper", "--port", "0", "--voice", "ann") as (_, url):
        wait(url)
        body = {"text": "Hello.", "voice": "ann"}
        assert urllib3.request("POST", f"{url}/tts", json=body).status == 200
        with described.open("a") as file:
            file.write("revoked: '2026-01-01'\n")
        response = urllib3.request("POST", f"{url}/tts", json=body)
        assert (response.status, b"was revoked" in response.data) == (404, True)
    described.unlink()


def test_the_pair_that_ships_is_served_with_its_speakers(shared: Path) -> None:
    with running(shared, "yourtts", "--port", "0") as (_, url):
        wait(url)
        body = {"text": "Hello there.", "speaker": "rms", "language": "en"}
        response = urllib3.request("POST", f"{url}/synthesize", json=body, timeout=60)
        assert response.status == 200, response.data
        answer = response.json()
        assert (answer["sample_rate"], answer["used_reference"]) == (16_000, False)
        assert len(answer["audio"]) > 8_000
        ghost = urllib3.request("POST", f"{url}/synthesize", json=body | {"speaker": "ghost"})
        assert ghost.status in (400, 404)
        assert b"rms" in ghost.data


@pytest.fixture
def starts(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[tuple[Voice, Engine]]]:
    """Start `farm serve yourtts` as far as its voices are loaded; they, each time."""
    loaded: list[tuple[Voice, Engine]] = []

    def serve(_: Any, loaders: Any, __: Any) -> None:
        loaded.extend(load() for load in loaders)

    monkeypatch.setattr(serving, "serve", serve)

    def start(voice: str = "ann") -> list[tuple[Voice, Engine]]:
        loaded.clear()
        assert command("serve", "yourtts", "--voice", voice).exit_code == 0
        return list(loaded)

    return start


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Peaks of the recordings that were embedded."""
    found: list[float] = []
    embed = YourTtsOnnx.embed

    def noted(self: YourTtsOnnx, samples: Any, sample_rate: int) -> Any:
        found.append(round(float(samples.max()), 3))
        return embed(self, samples, sample_rate)

    monkeypatch.setattr(YourTtsOnnx, "embed", noted)
    return found


def record(folder: Path, peak: float) -> None:
    soundfile.write(folder / "a.wav", np.full(16_000, peak), 16_000, "FLOAT")


@pytest.fixture
def ann(home: Path) -> Path:
    """A voice of this host that is whoever speaks in a reference; its folder."""
    folder = home / "voices" / "ann"
    files = {**make_voice(folder).files, "reference": "a.wav"}
    record(folder, 0.1)
    lines = [f"  {role}: ann/{name}" for role, name in files.items()]
    text = "\n".join(["engine: yourtts_onnx", "files:", *lines, ""])
    (home / "voices" / "ann.yaml").write_text(text)
    return folder


def test_a_service_embeds_a_voices_reference_at_its_first_start_only(
    starts: Callable[[], list[tuple[Voice, Engine]]], embedded: list[float], ann: Path, home: Path
) -> None:
    for _ in range(2):
        ((voice, engine),) = starts()
        assert isinstance(engine, YourTtsOnnx)
        np.testing.assert_allclose(engine.speakers.find(""), 0.1, rtol=1e-6)
    assert embedded == [0.1]
    assert (home / "cache" / "voices" / "ann" / voice.digest / "a.wav").is_file()
    record(ann, 0.3)
    starts()
    assert embedded == [0.1, 0.3]
    config = ann / "config.json"
    config.write_text(config.read_text() + " ")  # another model
    starts()
    assert embedded == [0.1, 0.3, 0.3]


@pytest.mark.parametrize(
    ("device", "calibrate", "measured"),
    [("cpu", "", False), ("cpu", "true", True), ("cuda:0", "", True), ("cuda:0", "false", False)],
)
def test_a_service_measures_where_a_worker_would(
    device: str,
    calibrate: str,
    measured: bool,
    command: Command,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[serving.Options] = []
    monkeypatch.setattr(serving, "serve", lambda options, *_: given.append(options))
    if calibrate:
        monkeypatch.setenv("FARM_CALIBRATE", calibrate)
    for kind in ("piper", "yourtts"):
        assert command("serve", kind, "--device", device).exit_code == 0
    assert [options.budgets is not None for options in given] == [measured, measured]
    if device == "cpu" and measured:
        for options in given:
            assert options.budgets is not None
            assert options.budgets() == Budgets(home / "cache" / "budgets", slots.card("cpu"))
