"""What `benchmarks.engines` compares: the farm's engines, their rivals, and the goals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import material
from benchmarks.probe import Setup
from farm import builtin, voices
from farm.schema import to_json


@dataclass(frozen=True)
class Way:
    """How a contender is run."""

    title: str
    processes: int = 1
    threads: int = 1
    batched: bool = False


OURS = (Way("alone"), Way("2 processes", 2), Way("in batches", batched=True))
THEIRS = (Way("1 process"), Way("2 processes", 2), Way("1 process, 2 threads", threads=2))
#: Each process with a service of its own.
CLIENTS = (Way("alone"), Way("2 processes", 2))
#: The `piper` command takes as many threads as there are cores.
PIPERS = (Way("1 process", threads=0), Way("2 processes", 2, 0))


@dataclass(frozen=True)
class Contender:
    """One speaker with its model."""

    title: str
    model: str
    """A key of `MODELS`."""
    rival: str = ""
    """A key of `rivals.SPEAKERS`; empty: one of the farm's engines."""
    ways: Sequence[Way] = OURS
    serve: str = ""
    """The service that the engine `<serve>_http` speaks through."""


@dataclass(frozen=True)
class Goal:
    """How fast one contender must be, each at its best."""

    ours: str
    least: float
    theirs: str = ""
    """Times as fast as this contender; empty: times real time."""


@dataclass(frozen=True)
class Group:
    """Contenders that are measured together, round by round on the same text."""

    about: str
    contenders: Sequence[Contender]
    goals: Sequence[Goal] = ()


GROUPS = {
    "piper": Group(
        "Piper's medium size (63 MB, untrained)",
        (
            Contender("`piper`", "medium"),
            Contender("the `piper` command", "medium", "piper", PIPERS),
        ),
        (Goal("`piper`", 1.2, "the `piper` command"),),
    ),
    "vits": Group(
        "the same graph in sherpa-onnx's form",
        (
            Contender("`vits`", "sherpa"),
            Contender("sherpa-onnx", "sherpa", "sherpa", THEIRS),
        ),
        (Goal("`vits`", 1.2, "sherpa-onnx"),),
    ),
    "yourtts": Group(
        "YourTTS of the released size (40 M parameters, untrained)",
        (
            Contender("`yourtts_onnx`", "yourtts_onnx"),
            Contender("`yourtts`", "yourtts"),
            Contender("`tts` (Coqui's Synthesizer)", "yourtts", "coqui", THEIRS),
        ),
        (
            Goal("`yourtts_onnx`", 1.15, "`yourtts`"),
            Goal("`yourtts_onnx`", 1.15, "`tts` (Coqui's Synthesizer)"),
        ),
    ),
    "home": Group(
        "the home-made voices",
        (
            Contender("`piper`, voice `slt`", "slt"),
            Contender("`fastspeech2`, voice `slt-pair`", "slt-pair"),
            Contender("`yourtts_onnx`, voice `flite`", "flite"),
        ),
        (Goal("`piper`, voice `slt`", 100), Goal("`fastspeech2`, voice `slt-pair`", 100)),
    ),
    "http": Group(
        "through `farm serve` on the same machine",
        (
            Contender("`piper_http`", "medium", ways=CLIENTS, serve="piper"),
            Contender("`yourtts_http`", "yourtts_onnx", ways=CLIENTS, serve="yourtts"),
        ),
    ),
    "tone": Group("no model at all", (Contender("`tone`", "tone"),)),
}

#: The groups that are measured unless others are asked for.
USUAL = ("piper", "vits", "yourtts", "home", "http")


def setup(contender: Contender, way: Way, cache: Path, first: str, budget: int) -> Setup:
    """Say what a process of a contender is to load.

    Raises:
        RuntimeError: its model cannot be made here.
    """
    path = model(contender.model, cache)
    if contender.rival:
        return Setup(contender.rival, str(path.parent), first, threads=way.threads)
    file = voices.read(path)
    if way.batched:
        file = replace(file, parameters={**file.parameters, "batched": 1})
    folder = next((each.parent for each in file.files.values()), path.parent)
    voice = voices.pin(file)
    if contender.serve:
        told = {"voice": file.id} if contender.serve == "piper" else file.parameters
        engine = f"{contender.serve}_http"
        voice = replace(voice, engine=engine, family="http", files={}, parameters=told)
        folder = path.parent
    size = budget if way.batched else 1
    said = to_json(voice).decode()
    return Setup("engine", str(folder), first, said, budget=size, serve=contender.serve)


def model(name: str, cache: Path) -> Path:
    """Return the YAML of a voice, its model made if it is not there.

    Raises:
        RuntimeError: it cannot be made here; the message says why.
    """
    if name in ("slt", "slt-pair", "flite"):
        return builtin.prepare(cache) / f"{name}.yaml"
    if name == "tone":
        return _tone(cache / "tone")
    if material.medium_voice(cache / "medium") is None:
        raise RuntimeError("scripts/make-medium-voice failed: make setup EXTRAS=all")
    if name == "medium":
        return cache / "medium" / "medium.yaml"
    if name == "yourtts_onnx":
        model("yourtts", cache)
    return _made(name, cache / name)


def _made(name: str, folder: Path) -> Path:
    path = folder / "voice.yaml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        maker = [sys.executable, "-W", "ignore", "-m", "benchmarks.making", name, str(folder)]
        run = subprocess.run(maker, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"{name} cannot be made: {run.stderr.strip()[-300:]}")
    return path


def _tone(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tone.yaml"
    path.write_text("id: tone\nengine: tone\nlanguage: en\n", "utf-8")
    return path
