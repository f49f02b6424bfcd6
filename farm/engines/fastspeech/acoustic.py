"""Acoustic models: ids in, mel frames out, and the controls in between; `forms` has each kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from farm.engines.fastspeech.controls import Unit
from farm.engines.sessions import open_session
from farm.errors import EngineError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Line:
    """What an acoustic model reads: one utterance."""

    ids: NDArray[np.int64]
    """[T]"""
    length: float = 1.0
    """Stretches the durations."""
    pitch: float = 0.0
    """Semitones."""
    energy: float = 1.0
    """Ratio."""
    speaker: int = 0


@dataclass(frozen=True, eq=False)
class Mel:
    """What it gives: one utterance's frames."""

    frames: Floats
    """[F, bands]"""
    durations: NDArray[np.int64] | None
    """Frames of each id, [T], their sum F; None where the graph does not tell."""


@dataclass(frozen=True)
class Parts:
    """The files of an acoustic model, and in what units it thinks."""

    model: Path
    decoder: Path | None = None
    postnet: Path | None = None
    statistics: Floats | None = None
    """Mean and deviation of each band, [2, bands]."""
    pitch: Unit | None = None
    energy: Unit | None = None
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)


class Acoustic(ABC):
    """One acoustic model on one device."""

    bands: int
    metadata: Mapping[str, str]

    def __init__(self, parts: Parts, model: onnx.ModelProto, what: str, device: str) -> None:
        """Open the graph with all its controls; `what` names the voice in errors."""
        self._what, self._parts = what, parts
        self.metadata = {each.key: each.value for each in model.metadata_props}
        content: bytes = model.SerializeToString()
        self._session = open_session(content, what, device, parts.parameters)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._outputs = [each.name for each in self._session.get_outputs()]
        units = {"pitch": parts.pitch, "energy": parts.energy}
        self._units = {
            name: units[name] or _unit(self.metadata, name)
            for name in units
            if f"{name}_shift" in self._inputs
        }

    @property
    def chooses_speaker(self) -> bool:
        """Whether the graph takes a speaker."""
        return bool(self._inputs & {"sid", "spk_id"})

    @abstractmethod
    def speak(self, lines: Sequence[Line]) -> list[Mel]:
        """Read all lines, in as few passes as the graph allows.

        Raises:
            EngineError: the graph cannot do what a line asks, or fails.
            OutOfMemory: the lines did not fit.
        """

    def check(self, line: Line) -> None:
        """Raise `EngineError` for a control that this graph does not have."""
        if line.length != 1 and not self._inputs & {"length_scale", "scales"}:
            raise EngineError(
                f"{self._what}: the model has no durations to change: leave speed at 1"
            )
        if line.pitch:
            self._change("pitch", 2 ** (line.pitch / 12))
        if line.energy != 1:
            self._change("energy", line.energy)

    def _change(self, name: str, ratio: float) -> tuple[float, float]:
        if ratio == 1:
            return 1.0, 0.0
        if name not in self._units:
            neutral = "0" if name == "pitch" else "1"
            raise EngineError(
                f"{self._what}: the model has no {name} to change: leave it at {neutral}"
            )
        unit = self._units[name]
        if unit is None:
            raise EngineError(
                f"{self._what}: nobody says in what unit the model predicts {name}: name its "
                f"{name}_stats.npy as file {name!r}, or set the parameters {name}_mean, {name}_std"
            )
        if ratio <= 0:
            raise EngineError(f"{self._what}: {name} {ratio!r} is not valid: it must be above 0")
        scale, shift = unit.change(ratio)
        if scale != 1 and f"{name}_scale" not in self._inputs:
            raise EngineError(
                f"{self._what}: the model's {name} can only be shifted, in logarithms"
            )
        return scale, shift

    def _controls(self, lines: Sequence[Line]) -> dict[str, Floats]:
        """The values of the inputs that the graph has, one a line."""
        pitch = [self._change("pitch", 2 ** (line.pitch / 12)) for line in lines]
        energy = [self._change("energy", line.energy) for line in lines]
        values = {
            "length_scale": [line.length for line in lines],
            "pitch_scale": [scale for scale, _ in pitch],
            "pitch_shift": [shift for _, shift in pitch],
            "energy_scale": [scale for scale, _ in energy],
            "energy_shift": [shift for _, shift in energy],
        }
        return {n: np.array(v, np.float32) for n, v in values.items() if n in self._inputs}


def load(path: Path, what: str) -> onnx.ModelProto:
    """Read a graph; refuse one that draws noise, for nobody could repeat what it says."""
    try:
        model = onnx.load(path)
    except (OSError, ValueError, DecodeError) as error:
        raise EngineError(f"{what}: {str(path)!r} is no ONNX model: {error}") from error
    random = sorted({n.op_type for n in model.graph.node if n.op_type.startswith("Random")})
    if random:
        raise EngineError(
            f"{what}: {str(path)!r} draws noise itself ({', '.join(random)}), so that no two "
            "readings agree: take a vocoder without noise (HiFi-GAN, MB-MelGAN, Vocos)"
        )
    return model


def _unit(metadata: Mapping[str, str], name: str) -> Unit | None:
    """What an export says of its own units: `pitch_unit`, `pitch_mean`, `pitch_std`."""
    if f"{name}_std" not in metadata:
        return None
    mean = float(metadata.get(f"{name}_mean", 0))
    return Unit(metadata.get(f"{name}_unit") == "log", mean, float(metadata[f"{name}_std"]))
