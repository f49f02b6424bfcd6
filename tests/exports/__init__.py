"""Small models with random weights, written by the real exporters and kept on disk.

`export("coqui")` returns a folder with `model.onnx` and what lies beside it. A folder is made
once, in a process of its own (the exporters import torch and warn), and found again as long as
the makers' source and the exporters' versions stay. Where an exporter is not installed and
nothing was made before, the test is skipped and says so. PaddleSpeech cannot be installed beside
the others: its maker runs in an environment that is set up for it and thrown away.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tests.exports.environments import build, lock

_HERE = Path(__file__).parent

#: Module here to what else decides its exports: modules here, and packages.
_PIPER = (("piper_train",), ("lightning", "piper-tts"))
_COQUI = (("coqui",), ("coqui-tts", "piper-tts"))
#: The exporter that it tries is the farm's own.
_FORWARD = (("../../farm/export/forward_tts", "../../farm/export/tracing"), ("coqui-tts",))

#: Name of an export to its maker's module here, the modules that it builds on, and packages.
EXPORTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "forward_tts": ("forward_tts", *_FORWARD),
    "forward_tts_convolutions": ("forward_tts", *_FORWARD),
    "forward_tts_speakers": ("forward_tts", *_FORWARD),
    "mms": ("mms", (), ("transformers",)),
    "mms_deterministic": ("mms", (), ("transformers",)),
    "mms_phonemes": ("mms", (), ("transformers",)),
    "mms_uroman": ("mms", (), ("transformers",)),
    "coqui": ("coqui", (), ("coqui-tts",)),
    "coqui_deterministic": ("coqui", (), ("coqui-tts",)),
    "coqui_languages": ("coqui", (), ("coqui-tts",)),
    "coqui_phonemes": ("coqui", (), ("coqui-tts",)),
    "coqui_speakers": ("coqui", (), ("coqui-tts",)),
    "paddle": ("../data/paddle/make", ("../data/paddle/maps",), ()),
    "piper": ("piper_train", (), ("lightning", "piper-tts")),
    "piper_speakers": ("piper_train", (), ("lightning", "piper-tts")),
    "sherpa_characters": ("sherpa", *_PIPER),
    "sherpa_coqui": ("sherpa", *_COQUI),
    "sherpa_english": ("sherpa", *_PIPER),
    "sherpa_icefall": ("sherpa", *_PIPER),
    "sherpa_jieba": ("sherpa", *_PIPER),
    "sherpa_piper": ("sherpa", *_PIPER),
    "sherpa_speakers": ("sherpa", *_PIPER),
    "vocos": ("vocos", (), ("vocos",)),
    "yourtts": ("yourtts", ("your_voices",), ("coqui-tts",)),
}

#: Programs that an exporter calls: Coqui's phonemiser has no library of its own.
_PROGRAMS = {"coqui_phonemes": ("espeak-ng",)}

#: What is made in an environment of its own, and the locks that this has.
_ENVIRONMENTS = {"paddle": ("paddle", "paddlespeech")}
#: Export to why its environment could not be set up, in this run.
_obstacles: dict[str, str] = {}

#: What every exporter is built on.
_BASE = ("torch", "onnx")


def export(name: str) -> Path:
    """Return the folder of an export, made now if need be; skip the test if it cannot be made."""
    module, others, needs = EXPORTS[name]
    locks = [lock(each) for each in _ENVIRONMENTS.get(name, ())]
    folder = _cache() / f"{name}-{_digest((module, *others), needs, locks)}"
    if not folder.exists():
        missing = [each for each in (*_BASE, *needs) if not _version(each)]
        if missing:
            pytest.skip(f"export {name!r} needs {', '.join(missing)}: make setup EXTRAS=all")
        programs = [each for each in _PROGRAMS.get(name, ()) if not shutil.which(each)]
        if programs and "CI" not in os.environ:
            pytest.skip(f"export {name!r} needs {', '.join(programs)}, of the system")
        _make(module, name, folder)
    return folder


def copy(name: str, folder: Path) -> Path:
    """Copy an export's files into a folder, which a test may then change; return the folder."""
    shutil.copytree(export(name), folder, dirs_exist_ok=True)
    return folder


def _make(module: str, name: str, folder: Path) -> None:
    """Make an export, or wait for another process that makes it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if folder.exists():
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as making:
            made = Path(making) / "made"
            made.mkdir()
            _run([*_maker(module, name, Path(making)), name, str(made)])
            made.rename(folder)


def _run(command: list[str]) -> None:
    run = subprocess.run(
        command,
        cwd=_HERE.parents[1],
        # Polygraphy, which paddle2onnx calls, would fetch what it misses.
        env=os.environ | {"OMP_NUM_THREADS": "1", "POLYGRAPHY_AUTOINSTALL_DEPS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{run.stdout}{run.stderr}")


def _maker(module: str, name: str, making: Path) -> list[str]:
    """The command that makes an export, but for its name and folder."""
    if name not in _ENVIRONMENTS:
        return [sys.executable, "-W", "ignore", "-m", f"tests.exports.{module}"]
    if name not in _obstacles:
        try:
            python = build(making / "environment", _ENVIRONMENTS[name])
            return [str(python), "-E", "-W", "ignore", str(_HERE / f"{module}.py")]
        except RuntimeError as error:
            _obstacles[name] = str(error)
    if "CI" in os.environ:
        raise RuntimeError(_obstacles[name])
    pytest.skip(f"export {name!r} needs packages that could not be had: {_obstacles[name]}")


def _cache() -> Path:
    default = Path.home() / ".cache" / "farm-tests"
    return Path(os.environ.get("FARM_TEST_CACHE", default)) / "exports"


def _digest(modules: tuple[str, ...], needs: tuple[str, ...], locks: Sequence[Path]) -> str:
    """A digest of the makers' source and of the versions of what they import."""
    sources = [*(_HERE / f"{each}.py" for each in ("weights", *modules)), *locks]
    content = b"".join(each.read_bytes() for each in sources)
    versions = " ".join(f"{each}=={_version(each)}" for each in needs)
    return hashlib.sha256(content + versions.encode()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
