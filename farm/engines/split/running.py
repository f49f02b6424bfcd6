"""Speaking with a graph in three sessions.

Between the parts, in plain arrays: frames are rounded and counted, the prior of each id is
repeated for its frames, and noise is drawn from the seed of each utterance. So scales, speakers
and seeds may differ within a batch, and an utterance's length is known before it is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from farm.audio import Samples
from farm.engines.base import Decoding
from farm.engines.sessions import batches, mapped, open_session
from farm.engines.split.arrays import mask, noise, padded
from farm.engines.split.blocked import blocked
from farm.engines.split.cache import parts as cached_parts
from farm.engines.split.decoder import MASK, masked
from farm.engines.split.windows import Window, plan
from farm.errors import EngineError

#: Most frames decoded at once: about 6 s of a signal.
WINDOW = 512
#: Most frames decoded at once for who waits for the first sound.
STREAM_WINDOW = 128
#: Windows decoded in one run on a device that gains by it.
ROWS = 16
#: Frames of the longest utterance, about half an hour: its prior and flow are not cut in windows.
MOST_FRAMES = 150_000
#: Channels of the noise of durations (the two of VITS's stochastic predictor, section 2.2.2).
_CHANNELS = 2
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


@dataclass(frozen=True, eq=False)
class Utterance:
    """What a graph is to say, and how."""

    ids: NDArray[np.int64]
    """[T]."""
    seed: int
    """All noise is drawn from it; see `seed`."""
    noise: float = 0.667
    length: float = 1.0
    noise_w: float = 0.8
    """Scales of the prior's noise, of the durations and of their noise, as VITS names them."""
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """A row for each further input (`Split.extra`), without the axis of the batch."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was said: `frames.sum() * hop == len(samples)`, where the frames are known."""

    samples: Samples
    """float32 [S], of its own length."""
    frames: NDArray[np.int64]
    """[T]: how many frames each id lasts."""


@dataclass(frozen=True)
class Baked:
    """Scales that the graph does not take, as it has them; None: it takes them."""

    noise: float | None
    length: float | None
    noise_w: float | None


class Split:
    """A VITS graph in three sessions on one device. Its methods may be called by many threads.

    On a CPU utterances are spoken one after another, unpadded, by a rewritten decoder (`blocked`):
    the bits of each are a function of itself. On other devices they are batched behind masks, and
    agree within 1e-3.
    """

    def __init__(
        self,
        model: Path,
        what: str,
        device: str,
        parameters: Mapping[str, float | int | str],
        cache: Path,
    ) -> None:
        """Cut a model, or take its parts from the folder `cache`, and open them on a device.

        `what` names the model in errors; `parameters` are the voice's, see `open_session`, and
        `batches`, with `window`: most frames decoded at once, and `fixed_window` (1: windows of a
        batch are padded to that, so that a GPU sees shapes again; 0: they are not).

        Raises:
            Uncut: the graph cannot be cut.
            EngineError: it is no ONNX model.
            Unavailable: the device is not there, or the model does not fit on it.
        """
        parts = cached_parts(model, cache)
        cut = parts.seams.cut
        self.hop = parts.seams.hop
        self._what, self._cut, self._context = what, cut, parts.seams.context
        self._batch = batches(device, parameters)
        self._window = max(int(parameters.get("window", WINDOW)), 4 * self._context)
        self._decoding = Decoding(bool(parameters.get("fixed_window")))
        chosen = not self._batch or "fixed_window" in parameters
        self.decoding = None if chosen else self._decoding
        """See `Engine.decoding`."""
        decoder = parts.decoder
        if self._batch:
            decoder = masked(decoder, cut.latent)
        elif device == "cpu":
            decoder = blocked(decoder, cut.latent)
        self._encoder = open_session(parts.encoder, what, device, parameters)
        self._flow = open_session(parts.flow, what, device, parameters)
        self._decoder = open_session(decoder, what, device, parameters)
        drawn = cut.duration_noise
        self.baked = Baked(cut.prior.scale, cut.durations.scale, drawn.scale if drawn else 0.0)
        """Scales that the graph does not take as inputs; utterances give all three."""
        self.extra = parts.seams.extra
        """Names of the further inputs: speakers, languages, d-vectors."""

    def speak(self, utterances: Sequence[Utterance]) -> list[Reading]:
        """Speak all utterances, in the order given.

        Raises:
            OutOfMemory: the batch did not fit; the caller may halve it.
            EngineError: these utterances cannot be spoken.
        """
        if not utterances:
            return []
        if not self._batch and len(utterances) > 1:
            return [reading for each in utterances for reading in self.speak([each])]
        frames, latents = self._latents(utterances)
        signals: list[list[Samples]] = [[] for _ in utterances]
        for item, samples in self._decoded(utterances, latents, self._window):
            signals[item].append(samples)
        return list(map(Reading, map(np.concatenate, signals), frames))

    def stream(self, utterance: Utterance, window: int = STREAM_WINDOW) -> Iterator[Reading]:
        """Give an utterance's samples piece by piece as they are decoded, without its frames.

        Together they are those of `speak` within 1e-5: windows of another size add in another
        order. Raises what `speak` does, before the first piece or between two.
        """
        _, latents = self._latents([utterance])
        window = max(window, 4 * self._context)
        for _, samples in self._decoded([utterance], latents, window, rows=1):
            yield Reading(samples, np.zeros(0, np.int64))

    def _latents(
        self, utterances: Sequence[Utterance]
    ) -> tuple[list[NDArray[np.int64]], list[Samples]]:
        """Return the frames of each utterance's ids, and its latent [C, F]."""
        with mapped(self._what):
            outputs = self._encoder.run(None, self._text_feeds(utterances))
            frames, priors = [], []
            for number, each in enumerate(utterances):
                durations, mean, spread = (output[number] for output in outputs)
                rounded = self._frames(durations.reshape(-1)[: len(each.ids)], each)
                frames.append(rounded)
                priors.append(self._prior(mean, spread, rounded, each))
            feeds = {
                self._cut.prior.name: padded(priors),
                self._cut.frame_mask: mask([prior.shape[1] for prior in priors]),
            }
            (latents,) = self._flow.run(None, self._known(self._flow, feeds, utterances))
        lengths = [prior.shape[1] for prior in priors]
        return frames, [latent[:, :n] for latent, n in zip(latents, lengths, strict=True)]

    def _text_feeds(self, utterances: Sequence[Utterance]) -> dict[str, NDArray[Any]]:
        text, lengths = self._cut.text, [len(each.ids) for each in utterances]
        if not all(lengths):
            raise EngineError(f"{self._what}: an utterance without ids cannot be spoken")
        feeds: dict[str, NDArray[Any]] = {text.ids: padded([each.ids for each in utterances])}
        if text.lengths:
            feeds[text.lengths] = np.array(lengths)
        if text.mask:
            feeds[text.mask] = mask(lengths)[:, 0]
        if self._cut.duration_noise:
            drawn = [noise(each.seed, 0, (len(each.ids), _CHANNELS)) for each in utterances]
            scaled = zip(drawn, utterances, strict=True)
            noises = [values.T * np.float32(each.noise_w) for values, each in scaled]
            feeds[self._cut.duration_noise.name] = padded(noises)
        return self._known(self._encoder, feeds, utterances)

    def _frames(self, durations: Samples, utterance: Utterance) -> NDArray[np.int64]:
        rounded = np.ceil(durations * np.float32(utterance.length))
        total = float(rounded.sum(dtype=np.float64))
        if not (rounded >= 0).all() or not 1 <= total <= MOST_FRAMES:
            raise EngineError(
                f"{self._what}: {len(rounded)} ids at length scale {utterance.length!r} last "
                f"{total:.0f} frames: from 1 to {MOST_FRAMES} can be spoken"
            )
        return np.asarray(rounded, np.int64)

    def _prior(
        self, mean: Samples, spread: Samples, frames: NDArray[np.int64], utterance: Utterance
    ) -> Samples:
        """Return the prior [C, F] of one utterance, drawn frame by frame."""
        rows = mean if self._cut.mean.rows else mean.T
        deviations = np.exp(spread if self._cut.spread.rows else spread.T)
        count = len(frames)
        prior = noise(utterance.seed, 1, (int(frames.sum()), rows.shape[1]))
        prior *= np.repeat(deviations[:count], frames, axis=0)
        prior *= np.float32(utterance.noise)
        prior += np.repeat(rows[:count], frames, axis=0)
        return np.ascontiguousarray(prior.T)

    def _decoded(
        self,
        utterances: Sequence[Utterance],
        latents: Sequence[Samples],
        window: int,
        rows: int = ROWS,
    ) -> Iterator[tuple[int, Samples]]:
        """Decode latents in windows; give the kept samples of each with its utterance's number.

        A device that gains by it decodes so many rows at once.
        """
        windows = [
            (number, each)
            for number, latent in enumerate(latents)
            for each in plan(latent.shape[1], window, self._context)
        ]
        step = rows if self._batch else 1
        for start in range(0, len(windows), step):
            yield from self._decode(utterances, latents, windows[start : start + step])

    def _decode(
        self,
        utterances: Sequence[Utterance],
        latents: Sequence[Samples],
        rows: Sequence[tuple[int, Window]],
    ) -> Iterator[tuple[int, Samples]]:
        parts = [latents[number][:, each.start : each.stop] for number, each in rows]
        least = self._window if self._batch and self._decoding.fixed else 0
        feeds: dict[str, NDArray[Any]] = {self._cut.latent: padded(parts, least)}
        if self._batch:
            feeds[MASK] = mask([part.shape[1] for part in parts], least)
        speakers = [utterances[number] for number, _ in rows]
        with mapped(self._what):
            (signal,) = self._decoder.run(None, self._known(self._decoder, feeds, speakers))
        signals = signal.reshape(len(rows), -1)
        width = feeds[self._cut.latent].shape[2]
        if signals.shape[1] != width * self.hop:
            raise EngineError(
                f"{self._what}: its decoder gave {signals.shape[1]} samples for {width} frames, "
                f"not {self.hop} for each"
            )
        for samples, (number, each) in zip(signals, rows, strict=True):
            begin, end = (frame - each.start for frame in (each.first, each.last))
            kept = samples[begin * self.hop : end * self.hop]
            if not np.isfinite(kept).all():
                raise EngineError(f"{self._what}: the model gave no finite signal")
            yield number, kept

    def _known(
        self,
        session: onnxruntime.InferenceSession,
        feeds: dict[str, NDArray[Any]],
        utterances: Sequence[Utterance],
    ) -> dict[str, NDArray[Any]]:
        """Add the extra inputs that a session takes to its feeds."""
        for name in (each.name for each in session.get_inputs() if each.name in self.extra):
            rows = [each.extra[name] for each in utterances if name in each.extra]
            if len(rows) < len(utterances):
                raise EngineError(
                    f"{self._what} wants {name!r} with each utterance; it takes {self.extra}"
                )
            feeds[name] = np.stack(rows)
        types = {each.name: _DTYPES[each.type] for each in session.get_inputs()}
        return {name: value.astype(types[name], copy=False) for name, value in feeds.items()}
