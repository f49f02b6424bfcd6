"""Parts on disk: a model is cut once per host, not once per process.

    <cache>/<key>/encoder.onnx  flow.onnx  decoder.onnx  split.json

whole or not there: the folder is written under another name and moved in. The key names the
model's content and what cut it; `split.json` holds the digests of the three files.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, uses_external_data
from pydantic import TypeAdapter, ValidationError

from farm.engines.split.seams import Seams
from farm.engines.split.surgery import Parts, split
from farm.errors import EngineError

_LOGGER = logging.getLogger(__name__)

#: Raise it whenever the same model would be cut otherwise than before.
_FORMAT = 1
_NAMES = ("encoder", "flow", "decoder")


@dataclass(frozen=True)
class _Record:
    seams: Seams
    digests: list[str]
    """SHA-256 of each part."""


_RECORD = TypeAdapter(_Record)


def parts(model: Path, cache: Path) -> Parts:
    """Return the parts of a model: those in the cache, or cut now and kept there.

    Where the cache cannot be written, the parts are made anew by each process, with a warning.

    Raises:
        Uncut: see `split`.
        EngineError: there is no such file, or it is no ONNX model.
    """
    folder = cache / _key(model)
    kept = _kept(folder)
    if kept:
        return kept
    made = split(read(model))
    try:
        _write(made, folder)
    except OSError as error:
        _LOGGER.warning("the parts of %s are not kept in %s: %s", model, folder, error)
    return made


def read(path: Path) -> onnx.ModelProto:
    """Read an ONNX model with its weights, or raise `EngineError`."""
    try:
        return onnx.load(path)
    except (OSError, ValueError, DecodeError, onnx.checker.ValidationError) as error:
        raise EngineError(f"{str(path)!r} is no ONNX model: {error}") from error


def _key(model: Path) -> str:
    try:
        content = model.read_bytes()
        digest = hashlib.sha256(f"{_FORMAT} {onnx.__version__} ".encode())
        digest.update(content)
        # Weights in other files are named by entries with this key.
        for name in _beside(model) if b"location" in content else ():
            digest.update((model.parent / name).read_bytes())
    except OSError as error:
        raise EngineError(f"{str(model)!r} is no ONNX model: {error}") from error
    return digest.hexdigest()


def _beside(path: Path) -> list[str]:
    try:
        model = onnx.load(path, load_external_data=False)
    except (ValueError, DecodeError) as error:
        raise EngineError(f"{str(path)!r} is no ONNX model: {error}") from error
    tensors = (each for each in model.graph.initializer if uses_external_data(each))
    return sorted({ExternalDataInfo(each).location for each in tensors})


def _kept(folder: Path) -> Parts | None:
    """The parts in a folder, unless it is not there or not what was written."""
    try:
        record = _RECORD.validate_json((folder / "split.json").read_bytes())
        contents = [(folder / f"{name}.onnx").read_bytes() for name in _NAMES]
    except (OSError, ValidationError):
        return None
    if [hashlib.sha256(content).hexdigest() for content in contents] != record.digests:
        return None
    return Parts(record.seams, *contents)


def _write(made: Parts, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".split-") as name:
        fresh = Path(name) / "parts"
        fresh.mkdir()
        contents = [made.encoder, made.flow, made.decoder]
        for part, content in zip(_NAMES, contents, strict=True):
            (fresh / f"{part}.onnx").write_bytes(content)
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        (fresh / "split.json").write_bytes(_RECORD.dump_json(_Record(made.seams, digests)))
        try:
            fresh.rename(folder)
        except OSError:
            if _kept(folder) is None:  # not another process's, but a broken one
                shutil.rmtree(folder)
                fresh.rename(folder)
