"""Exports: checkpoints that need torch become voices that do not. Importing this loads no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from farm.errors import EngineError, Unavailable

#: Kind of checkpoint to the function that exports it.
EXPORTS = {
    "forward-tts": "farm.export.forward_voice:export",
    "yourtts": "farm.export.yourtts:export",
}

#: Largest difference of a sample between PyTorch and the graph, at zero noise, that passes for the
#: same.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Wish:
    """What is to be exported, and how it is to be named."""

    source: Path
    """The checkpoint's folder."""
    target: Path
    """The folder to write."""
    voice: str
    """Id of the voice."""
    licence: str = ""
    """Of the weights, which keep it in every form."""
    language: str = ""
    """BCP 47; empty: as the checkpoint says."""
    vocoder: Path | None = None
    """The folder of the vocoder's checkpoint, where the voice needs one."""


@dataclass(frozen=True)
class Exported:
    """What became of a checkpoint."""

    files: tuple[Path, ...]
    difference: float
    """Largest difference of a sample between PyTorch and the graph, at zero noise."""
    similarity: float | None = None
    """Cosine between PyTorch's d-vector and the graph's; None: the voice takes no d-vectors."""


def export(kind: str, wish: Wish) -> Exported:
    """Export a checkpoint, and compare what was written with the original.

    Raises:
        EngineError: there is no such kind, the folder holds no such checkpoint, or the graphs
            say something else.
        Unavailable: torch, coqui-tts or onnxruntime is not installed here.
    """
    if kind not in EXPORTS:
        raise EngineError(f"unknown kind {kind!r}: choose one of {', '.join(sorted(EXPORTS))}")
    module, _, name = EXPORTS[kind].partition(":")
    try:
        function: Callable[[Wish], Exported] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise Unavailable(
            f"export of {kind!r} is not installed here ({error}): "
            "install the extras 'farm[yourtts,onnx]'"
        ) from error
    return function(wish)
