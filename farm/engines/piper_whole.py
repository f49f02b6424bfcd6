"""A Piper graph run in one piece: what cannot be cut as `farm.engines.split` does, or need not be.

The graph (OHF-Voice/piper1-gpl, `export_onnx.py`) takes what `farm.engines.together` says, the
ids being phonemes', and `sid` int64 [B] where there are several speakers; the first output is the
signal. Frames per phoneme id are the second output, or those of the graph's one `Ceil` node, which
is made an output in memory.

A graph without random nodes (the farm's own voice) gives samples that are a function of the
segment; off the CPU it speaks a batch in one pass where it is found to mask what pads one. Others
draw noise inside the session, differ from run to run, and speak one segment after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from farm.audio import Samples
from farm.engines import together
from farm.engines.sessions import batches, mapped, open_session
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
        extra = {name: np.array(0, np.int64) for name in self.extra}
        self.together = batches(device, parameters) and together.masks(self._pass, extra)
        """Whether a batch is spoken in one pass."""

    def speak(self, utterances: Sequence[Utterance]) -> list[Reading]:
        """Speak all utterances; see `Split.speak`.

        The frames of a graph that does not give them are empty.
        """
        return together.spoken(self._pass, utterances, self.together)

    def stream(self, utterance: Utterance) -> Iterator[Reading]:
        """Give an utterance in one piece; see `Split.stream`."""
        yield from self._pass([utterance])

    def _pass(self, utterances: Sequence[Utterance]) -> list[Reading]:
        fed = together.feeds(utterances, self.extra)
        with mapped(self._what):
            signal, *others = self._session.run(None, fed)
        signals = np.asarray(signal, np.float32).reshape(len(utterances), -1)
        size, none = fed["input"].size, np.zeros((len(utterances), 0))
        timed = [each for each in others if each.ndim > 1 and each.size == size]
        rows = timed[0].reshape(fed["input"].shape) if timed else none
        return [self._reading(*each) for each in zip(signals, rows, utterances, strict=True)]

    def _reading(self, samples: Samples, frames: NDArray[Any], utterance: Utterance) -> Reading:
        """Cut what one utterance is of a pass."""
        if not np.isfinite(samples).all():
            raise EngineError(f"{self._what}: the model gave no finite signal")
        rounded = np.rint(frames[: len(utterance.ids)]).astype(np.int64)
        if not len(rounded):
            return Reading(samples, rounded)
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
