"""Acoustic models: ids to mel frames, through whatever graphs an exporter made.

Told apart by what a graph takes and gives:

    PaddleSpeech, one graph      text int64 [T], spk_id int64 [1]? -> mel [F, bands]
    PaddleSpeech, streaming      text int64 [T] -> hidden [1, F, H]; then a decoder [1, F, H] ->
                                 [1, F, bands]; a postnet [1, bands, F] -> the same, added to it;
                                 mean and deviation (speech_stats.npy) put in at the end
    masked (the farm's export    input [B, T], input_lengths [B], scales [3] or length_scale [B],
    of Coqui's ForwardTTS, and   sid [B]?, pitch_shift [B]? ... -> mel [B, bands, F],
    the farm's own voice)        mel_lengths [B], durations [B, T]

`controls` adds to each what it can be made to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from farm.engines.fastspeech.acoustic import Acoustic, Floats, Line, Mel, Parts, load
from farm.engines.fastspeech.controls import open_up
from farm.engines.sessions import mapped, open_session
from farm.errors import EngineError


class Paddle(Acoustic):
    """PaddleSpeech's export: one utterance a call."""

    def __init__(self, parts: Parts, model: onnx.ModelProto, what: str, device: str) -> None:
        """Open one graph, or three where the first gives what is not a mel yet."""
        super().__init__(parts, model, what, device)
        self._decoder, self._postnet = (
            _open(path, what, device, parts) if path else None
            for path in (parts.decoder, parts.postnet)
        )
        last = self._decoder or self._session
        self.bands = _static(last.get_outputs()[0].shape[-1], f"{what}: bands of the mel")
        if self._decoder and parts.statistics is None:
            raise EngineError(
                f"{what}: a model in three graphs gives normalised frames: name its "
                "speech_stats.npy as file 'stats'"
            )
        if not self._decoder and parts.statistics is not None:
            raise EngineError(
                f"{what}: a model in one graph de-normalises its frames itself: leave 'stats' out"
            )
        if parts.statistics is not None and parts.statistics.shape != (2, self.bands):
            raise EngineError(
                f"{what}: 'stats' has shape {parts.statistics.shape}, not {(2, self.bands)}"
            )

    def speak(self, lines: Sequence[Line]) -> list[Mel]:
        """Speak one line after another; see `Acoustic.speak`."""
        return [self._one(line) for line in lines]

    def _one(self, line: Line) -> Mel:
        feeds: dict[str, Any] = {"text": line.ids, **self._controls([line])}
        if "spk_id" in self._inputs:
            feeds["spk_id"] = np.array([line.speaker], np.int64)
        with mapped(self._what):
            found = dict(zip(self._outputs, self._session.run(None, feeds), strict=True))
        durations = _whole(found["durations"]) if "durations" in found else None
        frames = found[self._outputs[0]]
        if self._decoder:
            frames = self._decode(frames)
        return Mel(np.ascontiguousarray(frames, np.float32), durations)

    def _decode(self, hidden: Floats) -> Floats:
        """As `t2s/exps/ort_predict_streaming.py` without streaming."""
        statistics = self._parts.statistics
        assert self._decoder is not None
        assert statistics is not None
        with mapped(self._what):
            frames: Floats = _run(self._decoder, hidden)
            if self._postnet:
                residual = _run(self._postnet, np.ascontiguousarray(frames.transpose(0, 2, 1)))
                frames = frames + residual.transpose(0, 2, 1)
        mean, deviation = statistics
        whole: Floats = frames[0] * deviation + mean
        return whole


class Masked(Acoustic):
    """Batches of padded ids; each row as if it were alone."""

    def __init__(self, parts: Parts, model: onnx.ModelProto, what: str, device: str) -> None:
        """Open the graph."""
        super().__init__(parts, model, what, device)
        shape = self._session.get_outputs()[self._outputs.index("mel")].shape
        self.bands = _static(shape[1], f"{what}: bands of the mel")

    def speak(self, lines: Sequence[Line]) -> list[Mel]:
        """Speak in one pass, or one for each length where the graph has one for all."""
        if "scales" not in self._inputs:
            return self._pass(lines) if lines else []
        order = sorted(range(len(lines)), key=lambda i: lines[i].length)
        found: dict[int, Mel] = {}
        for _, group in groupby(order, key=lambda i: lines[i].length):
            numbers = list(group)
            found |= zip(numbers, self._pass([lines[i] for i in numbers]), strict=True)
        return [found[i] for i in range(len(lines))]

    def _pass(self, lines: Sequence[Line]) -> list[Mel]:
        lengths = np.array([len(line.ids) for line in lines], np.int64)
        ids = np.zeros((len(lines), lengths.max()), np.int64)
        for row, line in zip(ids, lines, strict=True):
            row[: len(line.ids)] = line.ids
        feeds: dict[str, Any] = {"input": ids, "input_lengths": lengths, **self._controls(lines)}
        if "scales" in self._inputs:
            feeds["scales"] = np.array([0, lines[0].length, 0], np.float32)
        if "sid" in self._inputs:
            feeds["sid"] = np.array([line.speaker for line in lines], np.int64)
        with mapped(self._what):
            mel, sizes, durations = self._session.run(["mel", "mel_lengths", "durations"], feeds)
        return [
            Mel(np.ascontiguousarray(each[:, :size].T, np.float32), _whole(frames[:length]))
            for each, size, frames, length in zip(mel, sizes, durations, lengths, strict=True)
        ]


def open_acoustic(parts: Parts, what: str, device: str) -> Acoustic:
    """Open an acoustic model of any form; see the module.

    Raises:
        EngineError: a graph cannot be read, draws noise, or is of no form known here.
        Unavailable: the device is not there, or the model does not fit on it.
    """
    model = load(parts.model, what)
    weights = {each.name for each in model.graph.initializer}
    inputs = {each.name for each in model.graph.input} - weights
    outputs = {each.name for each in model.graph.output}
    ranks = [len(each.type.tensor_type.shape.dim) for each in model.graph.output]
    if {"input", "input_lengths"} <= inputs and {"mel", "mel_lengths", "durations"} <= outputs:
        kind: type[Acoustic] = Masked
    elif "text" in inputs and ranks == [2 if parts.decoder is None else 3]:
        kind = Paddle
    else:
        raise EngineError(
            f"{what}: {str(parts.model)!r} is no acoustic model known here: it maps "
            f"{sorted(inputs)} to {sorted(outputs)} of ranks {ranks}; known are PaddleSpeech's "
            "(text, spk_id?) in one graph, or in three with the files 'decoder' and 'postnet', and "
            "masked ones (input, input_lengths -> mel, mel_lengths, durations)"
        )
    open_up(model)
    return kind(parts, model, what, device)


def _open(path: Path, what: str, device: str, parts: Parts) -> onnxruntime.InferenceSession:
    content: bytes = load(path, what).SerializeToString()
    return open_session(content, what, device, parts.parameters)


def _run(session: onnxruntime.InferenceSession, value: Floats) -> Floats:
    found: Floats = session.run(None, {session.get_inputs()[0].name: value})[0]
    return found


def _static(value: object, what: str) -> int:
    if not isinstance(value, int):
        raise EngineError(f"{what}: the graph does not fix them: export it with a fixed number")
    return value


def _whole(frames: NDArray[Any]) -> NDArray[np.int64]:
    """Whole frames of each id; what lies below zero before it is clipped counts as none."""
    found: NDArray[np.int64] = np.maximum(np.rint(frames.reshape(-1)), 0).astype(np.int64)
    return found
