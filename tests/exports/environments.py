"""Environments of their own, for exporters that cannot live beside the farm's own packages.

PaddleSpeech's takes 268 MB to download, and 1.1 GB while it is there. Set up and used from nothing
it took 20 s of one core, and 74 s on two cores that ten processes shared; there, 32 to 60 s where
uv had the packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LOCKS = Path(__file__).parents[2] / "requirements"


def lock(name: str) -> Path:
    """The file with the versions and hashes of a set of packages."""
    return LOCKS / f"{name}.txt"


def build(folder: Path, locks: Sequence[str]) -> Path:
    """Set an environment up with what the locks name and nothing else; return its Python.

    uv keeps what it downloads, so a second one takes seconds.

    Raises:
        RuntimeError: uv is missing, or could not set it up; with what it said.
    """
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if not uv:
        raise RuntimeError(f"no uv beside {sys.executable!r} and none on PATH: make setup")
    python = folder / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    _run(
        *(uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps"),
        *("--require-hashes", "--only-binary", ":all:"),
        *(word for name in locks for word in ("-r", str(lock(name)))),
    )
    return python


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{run.stdout}{run.stderr}")
