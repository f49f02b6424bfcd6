"""A Piper graph run in one piece: what cannot be cut as `farm.engines.split` does, or need not be.

The graph (OHF-Voice/piper1-gpl, `export_onnx.py`): `input` int64 [1, T] phoneme ids,
`input_lengths` int64 [1], `scales` float32 [3] = noise, length, noise of durations, `sid`
int64 [1] where there are several speakers; the first output is the signal. Frames per phoneme id
are the second output, or those of the graph's one `Ceil` node, which is made an output in memory.

One segment is spoken after another. A graph without random nodes (the farm's own voice) gives
samples that are a function of the segment. Others draw noise inside the session, and differ from
run to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from farm.engines.sessions import mapped, open_session
from farm.engines.split import Baked, Reading, Utterance, has_noise, read
from farm.errors import EngineError


class Whole:
    """A Piper graph in one session on one device."""

    def __init__(
        self,
        model: Path,
        what: str,
        device: str,
        parameters: Mapping[str, float | int | str],
        hop: int,
    ) -> None:
        """Open a graph whose frames are `hop` samples long.

        Raises:
            EngineError: there is no such file, or it is no ONNX graph with Piper's inputs.
            Unavailable: the device is not there, or the model does not fit on it.
        """
        graph = timed(model)
        self.noisy = has_noise(graph)
        """Whether the graph draws noise inside."""
        self.hop = hop
        self.baked = Baked(None, None, None)
        """Scales that the graph does not take: none."""
        self.decoding = None
        """See `Engine.decoding`."""
        self._what = what
        self._session = open_session(graph.SerializeToString(), what, device, parameters)
        self.extra = ("sid",) if len(self._session.get_inputs()) > 3 else ()
        """Names of the inputs beyond Piper's three."""

    def speak(self, utterances: Sequence[Utterance]) -> list[Reading]:
        """Speak all utterances one after another; see `Split.speak`.

        The frames of a graph that does not give them are empty.
        """
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
            signal, *others = self._session.run(None, feeds)
        samples = np.asarray(signal, np.float32).reshape(-1)
        if not np.isfinite(samples).all():
            raise EngineError(f"{self._what}: the model gave no finite signal")
        frames = [each for each in others if each.ndim > 1 and each.size == len(utterance.ids)]
        if not frames:
            return Reading(samples, np.zeros(0, np.int64))
        rounded = np.rint(frames[0].reshape(-1)).astype(np.int64)
        length = int(rounded.sum()) * self.hop
        if len(samples) < length:
            raise EngineError(
                f"{self._what}: its durations say {length} samples, the model gave "
                f"{len(samples)}: check hop_length in its config"
            )
        return Reading(samples[:length], rounded)


def timed(path: Path) -> onnx.ModelProto:
    """Read a model and make its durations an output, where it has them and none is yet.

    Raises:
        EngineError: there is no such file, or it is no ONNX graph with Piper's inputs.
    """
    model = read(path)
    inputs = {each.name for each in model.graph.input}
    inputs -= {each.name for each in model.graph.initializer}
    if inputs - {"sid"} != {"input", "input_lengths", "scales"}:
        raise EngineError(
            f"{str(path)!r} is no Piper voice: its inputs are {sorted(inputs)}, "
            "not input, input_lengths, scales and perhaps sid"
        )
    if len(model.graph.output) == 1:
        # Here, because of the engines that run such graphs one alone is of piper-tts's extra.
        from piper.patch_voice_with_alignment import add_alignment_output

        with suppress(ValueError):  # no Ceil node, or several: a voice without timings
            add_alignment_output(model)
    return model
