"""An acoustic graph and a vocoder graph that speak with a d-vector.

    acoustic  input int64 [B, T], input_lengths int64 [B], scales float32 [3] (the length is the
              second), d_vector float32 [B, D] -> mel [B, M, F], mel_lengths [B], durations [B, T]
    vocoder   mel, mel_lengths -> signal [B, 1, S] or [B, S]

Names are the graphs' own. There is no noise, so samples are a function of the segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.engines.sessions import mapped, open_session
from farm.engines.split import Reading, Utterance
from farm.errors import EngineError

_TEXT = ("input", "input_lengths", "scales")


class Pair:
    """Two graphs in two sessions on one device; utterances are spoken one after another."""

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

    def speak(self, utterances: Sequence[Utterance]) -> list[Reading]:
        """Speak all utterances; see `Split.speak`."""
        return [self._speak(each) for each in utterances]

    def _speak(self, utterance: Utterance) -> Reading:
        scales = [utterance.noise, utterance.length, utterance.noise_w]
        feeds: dict[str, NDArray[Any]] = {
            "input": utterance.ids[np.newaxis],
            "input_lengths": np.array([len(utterance.ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        feeds |= {name: utterance.extra[name][np.newaxis] for name in self.extra}
        with mapped(self._what):
            given = dict(zip(self._outputs, self._acoustic.run(None, feeds), strict=True))
            signal = self._vocoder.run(None, {name: given[name] for name in self._passed})[0]
        samples = np.asarray(signal, np.float32).reshape(-1)
        frames = np.rint(given["durations"].reshape(-1)).astype(np.int64)
        length = int(frames.sum()) * self.hop
        if len(samples) < length:
            raise EngineError(
                f"{self._what}: its durations say {length} samples, the vocoder gave "
                f"{len(samples)}: check hop_length in its config"
            )
        return Reading(samples[:length], frames)
