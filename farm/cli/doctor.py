"""`farm doctor`: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import typer

from farm import voices
from farm.audio import files, formats
from farm.cli import trying
from farm.cli.printing import (
    Finding,
    JsonOption,
    any_failed,
    findings_json,
    print_finding,
    print_json,
)
from farm.cli.services import ask, redis, store
from farm.config import Settings, read_settings
from farm.engines import ENGINES, FAMILIES
from farm.errors import FarmError
from farm.studio import catalogue

#: Free bytes below which a disk fails, and below which it is worth a warning.
DISK_FULL, DISK_LOW = 200 << 20, 2 << 30
#: Bytes of the store that an hour of a book takes: segments (90 MiB: 16-bit mono FLAC at 22 kHz),
#: chapters and M4B (30 MiB each).
HOUR_BYTES = 150 << 20

#: Extra to the module that shows whether it is installed.
EXTRAS = {
    "piper": "piper",
    "onnx": "onnxruntime",
    "yourtts": "TTS",
    "s3": "boto3",
    "api": "fastapi",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(json: JsonOption = False) -> None:
    """Say what works on this machine, and how to mend what does not."""
    settings, found = read_settings(), {}
    for name, check in CHECKS.items():
        found[name] = examine(check, settings)
        if not json:
            print_finding(name, found[name])
    if json:
        print_json(findings_json(found))
    raise typer.Exit(any_failed(found))


def examine(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    """Do one check; whatever it raises is what it found."""
    try:
        return check(settings)
    except FarmError as error:
        return Finding("failed", str(error))
    except Exception as error:  # a broken library may raise anything, and doctor must go on
        return Finding("failed", f"{type(error).__name__}: {error}", "install the farm again")


def python(_: Settings) -> Finding:
    """Check the interpreter."""
    text = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < (3, 11):  # noqa: UP036 (whoever starts the farm may not have asked pip)
        return Finding("failed", text, "set the farm up with Python 3.11 or newer")
    return Finding("ok", text)


def packages(_: Settings) -> Finding:
    """Check which extras are installed."""
    there = [extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module)]
    missing = [extra for extra in EXTRAS if extra not in there]
    without = f"; not installed: {', '.join(missing)}" if missing else ""
    return Finding("ok", f"farm {metadata.version('farm')} with {', '.join(there)}{without}")


def home(settings: Settings) -> Finding:
    """Check the home folder."""
    path = settings.home.absolute()
    if not os.access(_nearest(path), os.W_OK | os.X_OK) or (path.exists() and not path.is_dir()):
        mend = "set FARM_HOME to a folder that you can write to"
        return Finding("failed", f"{path} cannot be written to", mend)
    return Finding("ok", f"{path}{'' if path.exists() else ' (made when first needed)'}")


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def disk(settings: Settings) -> Finding:
    """Check the free space of the home folder and of a local store."""
    parts = urlsplit(settings.store)
    folders = [settings.home.absolute()]
    if parts.scheme == "file":
        folders.append(Path(unquote(parts.path)))
    free = {folder: shutil.disk_usage(_nearest(folder)).free for folder in folders}
    folder = min(free, key=lambda each: free[each])
    return disk_finding(free[folder], str(folder))


def disk_finding(free: int, where: str) -> Finding:
    """Judge the free bytes of a folder."""
    text = f"{free / 2**30:.1f} GiB free in {where}, about {free // HOUR_BYTES:,} hours of books"
    if free < DISK_LOW:
        mend = "make room, or set FARM_HOME or FARM_STORE_URL to a larger disk"
        return Finding("failed" if free < DISK_FULL else "warning", text, mend)
    return Finding("ok", text)


def codecs(_: Settings) -> Finding:
    """Check that every audio format can be written and read, with a tenth of a second of tone."""
    tone = (0.3 * np.sin(np.linspace(0, 2 * np.pi * 44, 2400))).astype(np.float32)
    bad: list[str] = []
    with tempfile.TemporaryDirectory(prefix="farm-codecs-") as folder:
        for name, format_ in formats.FORMATS.items():
            path = Path(folder, f"tone{format_.suffix}")
            try:
                with files.Writer(path, name, 24_000) as writer:
                    writer.write(tone)
                files.probe(path)
            except Exception as error:  # each format stands for itself
                bad.append(f"{name}: {type(error).__name__}: {error}")
    if bad:
        return Finding("failed", "; ".join(bad), "pip install --force-reinstall av")
    return Finding("ok", ", ".join(formats.FORMATS))


def engines(_: Settings) -> Finding:
    """Check which engines can be loaded."""
    broken = {}
    for name, place in ENGINES.items():
        try:
            importlib.import_module(place.partition(":")[0])
        except ImportError as error:
            broken[name] = str(error)
    good = ", ".join(name for name in ENGINES if name not in broken)
    if not broken:
        return Finding("ok", good)
    reasons = "; ".join(f"{name}: {reason}" for name, reason in broken.items())
    extras = dict.fromkeys(FAMILIES.get(name, name) for name in broken)
    mend = " ".join(f"pip install 'farm[{extra}]'" for extra in extras)
    return Finding("warning", f"{good or 'none'}; not here: {reasons}", mend)


def runtime(settings: Settings) -> Finding:
    """Check ONNX Runtime: its version, its providers, and that it is installed once."""
    installed = {}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    providers: list[str] = []
    if importlib.util.find_spec("onnxruntime"):
        # As a module by name: doctor asks what is there, and the command line loads no runtime.
        providers = importlib.import_module("onnxruntime").get_available_providers()
    return runtime_finding(installed, providers, settings.device)


def runtime_finding(installed: Mapping[str, str], providers: Sequence[str], device: str) -> Finding:
    """Judge which distributions of ONNX Runtime are there, and what they can run on."""
    if len(installed) > 1:
        return Finding(
            "failed",
            f"{' and '.join(installed)} are both installed; they write the same folder, so that "
            "CUDA is lost",
            "pip uninstall -y onnxruntime onnxruntime-gpu, then install only the one you need",
        )
    if not installed:
        mend = "pip install 'farm[onnx]', or 'farm[onnx-gpu]' for a GPU"
        return Finding("warning", "onnxruntime is not installed", mend)
    if not providers:
        return Finding("failed", "onnxruntime has no provider", "install it again")
    if device.startswith("cuda") and "CUDAExecutionProvider" not in providers:
        mend = (
            "pip uninstall -y onnxruntime, then pip install 'farm[onnx-gpu]'; or FARM_DEVICES=cpu"
        )
        return Finding("failed", f"device {device!r} is set, but there is no CUDA provider", mend)
    name, version = next(iter(installed.items()))
    short = ", ".join(provider.removesuffix("ExecutionProvider") for provider in providers)
    return Finding("ok", f"{name} {version}: {short}")


def gpu(settings: Settings) -> Finding:
    """Check for NVIDIA GPUs; none is fine."""
    program = shutil.which("nvidia-smi")
    names = re.findall(r"GPU \d+: (.+?) \(UUID", ask(program, "-L")) if program else []
    return gpu_finding(names, settings.device)


def gpu_finding(names: Sequence[str], device: str) -> Finding:
    """Judge the GPUs that the driver names against the device of the settings."""
    there = ", ".join(names)
    if device.startswith("cuda"):
        if names:
            return Finding("ok", f"{there}; the engines run on {device}")
        mend = "install the NVIDIA driver (nvidia-smi), or set FARM_DEVICES=cpu"
        return Finding("failed", f"device {device!r} is set, but there is no GPU", mend)
    if names:
        mend = "install 'farm[onnx-gpu]' in place of onnxruntime, and set FARM_DEVICES=cuda:0"
        return Finding("warning", f"{there} is not used: the engines run on the CPU", mend)
    return Finding("ok", "none; the engines run on the CPU")


def espeak(_: Settings) -> Finding:
    """Check the phonemiser's data."""
    spec = importlib.util.find_spec("piper")
    if spec is None or spec.origin is None:
        return Finding("warning", "piper-tts is not installed", "pip install 'farm[piper]'")
    data = Path(spec.origin).parent / "espeak-ng-data"
    if not (data / "phontab").is_file():
        mend = "pip install --force-reinstall piper-tts"
        return Finding("failed", f"{data} lacks its phoneme table", mend)
    languages = sum(1 for path in data.glob("*_dict"))
    return Finding("ok", f"espeak-ng with {languages} languages, {data}")


def voice(settings: Settings) -> Finding:
    """Check that the default voice speaks."""
    mend = "`farm voices list` shows what is there; set FARM_VOICE, or `farm voices add` one"
    try:
        file = voices.find(catalogue(settings), settings.voice)
        with trying.loaded(file, settings.device) as (pinned, engine):
            begin = time.perf_counter()
            (audio,) = engine.speak(trying.segments(pinned)[:1])
    except FarmError as error:
        return Finding("failed", str(error), mend)
    spent = time.perf_counter() - begin
    text = f"{file.id} ({pinned.language}, {audio.sample_rate} Hz) spoke {audio.seconds:.1f} s"
    return Finding("ok", f"{text} in {spent:.2f} s; `farm voices check {file.id}` tries it fully")


CHECKS: dict[str, Callable[[Settings], Finding]] = {
    "python": python,
    "packages": packages,
    "home": home,
    "disk": disk,
    "redis": redis,
    "store": store,
    "codecs": codecs,
    "engines": engines,
    "onnxruntime": runtime,
    "gpu": gpu,
    "espeak": espeak,
    "voice": voice,
}
