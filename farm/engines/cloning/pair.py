"""An acoustic graph and a vocoder graph that speak with a d-vector.

    acoustic  what `farm.engines.together` says (the length alone of the scales counts), d_vector
              float32 [B, D] -> mel [B, M, F], mel_lengths [B], durations [B, T]
    vocoder   mel, mel_lengths -> signal [B, 1, S] or [B, S]

Names are the graphs' own. There is no noise, so samples are a function of the segment. Off the CPU
a batch is spoken in one pass where both are found to mask what pads one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.audio import Samples
from farm.engines import together
from farm.engines.sessions import batches, mapped, open_session
from farm.engines.split import Reading, Utterance
from farm.errors import EngineError

_TEXT = ("input", "input_lengths", "scales")


class Pair:
    """Two graphs in two sessions on one device."""

    def __init__(
        self,
        acoustic: Path,
        vocoder: Path,
        what: str,
        device: str,
        parameters: Mapping[str, float | int | str],
        hop: int,
    ) -> None:
        """Open both; frames are `hop` samples long, `what` names the pair in errors.

        Raises:
            EngineError: the files are not such graphs.
            Unavailable: the device is not there, or the models do not fit on it.
        """
        self.hop, self._what = hop, what
        self.decoding = None
        """See `Engine.decoding`."""
        try:
            contents = acoustic.read_bytes(), vocoder.read_bytes()
        except OSError as error:
            raise EngineError(f"{what}: {error}") from error
        self._acoustic, self._vocoder = (
            open_session(content, what, device, parameters) for content in contents
        )
        inputs = [each.name for each in self._acoustic.get_inputs()]
        if not {*_TEXT, "d_vector"} <= {*inputs}:
            raise EngineError(f"{what}: its model takes {inputs}, not {[*_TEXT, 'd_vector']}")
        self.extra = tuple(name for name in inputs if name not in _TEXT)
        """Names of the further inputs."""
        self._outputs = [each.name for each in self._acoustic.get_outputs()]
        self._passed = [each.name for each in self._vocoder.get_inputs()]
        lacking = {*self._passed, "durations"} - {*self._outputs}
        if lacking:
            raise EngineError(f"{what}: its model does not give {sorted(lacking)}")
        self.together = batches(device, parameters) and together.masks(self._pass, self._tried())
        """Whether a batch is spoken in one pass."""

    def speak(self, utterances: Sequence[Utterance]) -> list[Reading]:
        """Speak all utterances; see `Split.speak`."""
        return together.spoken(self._pass, utterances, self.together)

    def _tried(self) -> dict[str, NDArray[Any]]:
        """A row for each further input: a d-vector of length 1, and the first of the others."""
        shapes = {each.name: each.shape for each in self._acoustic.get_inputs()}
        size = shapes["d_vector"][-1]
        vector = np.full(size, 1 / np.sqrt(size), np.float32)
        return {name: np.array(0) if name != "d_vector" else vector for name in self.extra}

    def _pass(self, utterances: Sequence[Utterance]) -> list[Reading]:
        fed = together.feeds(utterances, self.extra)
        with mapped(self._what):
            given = dict(zip(self._outputs, self._acoustic.run(None, fed), strict=True))
            signal = self._vocoder.run(None, {name: given[name] for name in self._passed})[0]
        signals = np.asarray(signal, np.float32).reshape(len(utterances), -1)
        rows = given["durations"].reshape(fed["input"].shape)
        return [self._reading(*each) for each in zip(signals, rows, utterances, strict=True)]

    def _reading(self, samples: Samples, frames: NDArray[Any], utterance: Utterance) -> Reading:
        """Cut what one utterance is of a pass."""
        frames = np.rint(frames[: len(utterance.ids)]).astype(np.int64)
        length = int(frames.sum()) * self.hop
        if len(samples) < length:
            raise EngineError(
                f"{self._what}: its durations say {length} samples, the vocoder gave "
                f"{len(samples)}: check hop_length in its config"
            )
        return Reading(samples[:length], frames)
