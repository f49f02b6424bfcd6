"""The voices that ship with the farm.

`slt` is an acoustic model and a vocoder merged to one graph with Piper's signature, once per home
folder; `slt-vits` is that graph as the engine `vits` speaks it; `slt-pair` is the two as they are,
for the controls that Piper has not. `flite` is a pair of its own with a speaker encoder: what
`farm voices clone` can make voices of.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path

#: Where the models lie in the package.
SOURCE = Path(str(resources.files("farm"))) / "data"
#: The voice that others can be cloned with.
CLONES = "flite"
#: Place in a home's folder to what is copied there.
PARTS = {
    "acoustic.onnx": "slt/acoustic.onnx",
    "vocoder.onnx": "slt/vocoder.onnx",
    "voice.json": "slt/voice.json",
    "slt.onnx.json": "slt/voice.json",
    "slt.yaml": "slt/slt.yaml",
    "slt-pair.yaml": "slt/slt-pair.yaml",
    "slt-vits.yaml": "slt/slt-vits.yaml",
    "flite.yaml": "flite/flite.yaml",
    "flite/acoustic.onnx": "flite/acoustic.onnx",
    "flite/vocoder.onnx": "flite/vocoder.onnx",
    "flite/encoder.onnx": "flite/encoder.onnx",
    "flite/config.json": "flite/config.json",
}


def prepare(home: Path) -> Path:
    """Return the folder of the built-in voices' files, made if it is not there yet."""
    digest = hashlib.sha256()
    for name in PARTS.values():
        digest.update((SOURCE / name).read_bytes())
    folder = home.absolute() / "built-in" / digest.hexdigest()[:12]
    if not (folder / "slt.yaml").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".merge-") as name:
            _make(Path(name) / "voice")
            _move_in(Path(name) / "voice", folder)
    return folder


def _make(folder: Path) -> None:
    for place, name in PARTS.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / name, folder / place)
    # Loaded here, because it is slow and only the first command of a home needs it.
    merge = importlib.import_module("farm.merge").merge
    merge(folder / "acoustic.onnx", folder / "vocoder.onnx", folder / "slt.onnx")


def _move_in(made: Path, folder: Path) -> None:
    """Give the folder its name, unless another command was first."""
    try:
        made.rename(folder)
    except OSError:
        if not (folder / "slt.yaml").exists():
            raise
