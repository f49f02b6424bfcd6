"""Vocoders: mel frames to samples, through whatever graph an exporter made.

Told apart by what a graph takes and gives:

    PaddleSpeech     logmel [F, bands] -> [S, 1]                        one utterance a call
    batched          mel [B, bands, F] or [B, F, bands] -> [B, 1, S]    HiFi-GAN, MB-MelGAN
    with lengths     mel [B, bands, F], lengths int64 [B] -> [B, S]     masks its padding itself
    spectrum         mel [B, bands, F] -> magnitude, cosine, sine of the phase, or magnitude,
                     phase; each [B, n_fft / 2 + 1, F]                  Vocos; see `inverse`

A batched vocoder without lengths hears the padding of its neighbours as far as its convolutions
reach. So each utterance, alone or in company, is followed by its own last frame, repeated beyond
that reach (as coqui's `inference_padding` does), and cut afterwards. The reach is measured when
the vocoder is opened; one without an end is given one utterance a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from farm.audio import Samples
from farm.engines.fastspeech import mel as mels
from farm.engines.fastspeech.acoustic import load
from farm.engines.fastspeech.inverse import of_metadata
from farm.engines.sessions import mapped, open_session
from farm.errors import EngineError

Floats = NDArray[np.float32]

#: Frames of the probe that measures a vocoder; its reach must be below half of it.
PROBE = 96
#: A change of a sample that counts as one.
HEARD = 1e-6


class Vocoder:
    """One vocoder on one device."""

    def __init__(
        self, path: Path, what: str, device: str, parameters: Mapping[str, float | int | str]
    ) -> None:
        """Open a graph of any form above, and measure its hop and its reach.

        Raises:
            EngineError: it cannot be read, draws noise, or is of no form known here.
            Unavailable: the device is not there, or the model does not fit on it.
        """
        model = load(path, what)
        self.metadata = {each.key: each.value for each in model.metadata_props}
        content: bytes = model.SerializeToString()
        self._what = f"{what}: vocoder"
        self._session = open_session(content, self._what, device, parameters)
        self._mel, self._lengths = _inputs(self._session, self._what)
        shape = self._session.get_inputs()[self._mel].shape
        self._flat = len(shape) == 2
        self._bands_last = self._flat or not isinstance(shape[1], int)
        self.bands = shape[-1] if self._bands_last else shape[1]
        if not isinstance(self.bands, int):
            raise EngineError(f"{self._what}: its mel has no fixed number of bands: {shape}")
        outputs = len(self._session.get_outputs())
        self._inverse = of_metadata(self.metadata, self._what) if outputs > 1 else None
        self.rest = 0
        self._together = not self._flat
        self.hop = self._measure()

    def config(self) -> mels.MelConfig:
        """What the graph itself says of the mel it wants: hop and bands as measured."""
        told = mels.of_metadata(self.metadata)
        return mels.merged(mels.MelConfig(hop=self.hop, bands=self.bands), told)

    def speak(self, utterances: Sequence[Floats]) -> list[Samples]:
        """Turn frames [F, bands] into F x hop samples each, in one pass where the graph can.

        Raises:
            EngineError: the graph fails, or gives too few samples.
            OutOfMemory: the utterances did not fit.
        """
        if self._together:
            return self._pass(utterances) if utterances else []
        return [self._pass([each])[0] for each in utterances]

    def _pass(self, utterances: Sequence[Floats]) -> list[Samples]:
        longest = max(len(each) for each in utterances) + self.rest
        rows = [np.pad(u, ((0, longest - len(u)), (0, 0)), "edge") for u in utterances]
        signals = self._run(np.stack(rows), [len(each) for each in utterances])
        cut = [row[: len(u) * self.hop] for row, u in zip(signals, utterances, strict=True)]
        for row, each in zip(cut, utterances, strict=True):
            if len(row) < len(each) * self.hop:
                raise EngineError(f"{self._what} gave {len(row)} samples for {len(each)} frames")
        return cut

    def _run(self, batch: Floats, lengths: Sequence[int]) -> list[Samples]:
        """Run the graph on [B, F, bands] and return the signal of each row, uncut."""
        mel = batch[0] if self._flat else batch if self._bands_last else batch.transpose(0, 2, 1)
        names = [each.name for each in self._session.get_inputs()]
        feeds: dict[str, Any] = {names[self._mel]: np.ascontiguousarray(mel, np.float32)}
        if self._lengths is not None:
            feeds[names[self._lengths]] = np.array(lengths, np.int64)
        with mapped(self._what):
            found = self._session.run(None, feeds)
        if self._inverse is None:
            return list(np.asarray(found[0], np.float32).reshape(len(batch), -1))
        return [self._inverse.signal(row.T) for row in _spectrum(found)]

    def _measure(self) -> int:
        """Find samples a frame, and how far a frame is heard; set `rest` by it."""
        rng = np.random.default_rng(0)
        long = rng.normal(-3, 1, (1, PROBE, self.bands)).astype(np.float32)
        short = long[:, : PROBE // 2]
        whole, half = self._run(long, [PROBE])[0], self._run(short, [PROBE // 2])[0]
        hop, left = divmod(len(whole) - len(half), PROBE - PROBE // 2)
        if left or hop <= 0:
            raise EngineError(
                f"{self._what} gives {len(half)} samples for {PROBE // 2} frames and {len(whole)} "
                f"for {PROBE}: no whole number a frame"
            )
        if not self._flat and self._lengths is None:
            self._settle(long, whole, hop)
        self.rest = max(self.rest, -((len(whole) - PROBE * hop) // hop))
        return hop

    def _settle(self, frames: Floats, signal: Samples, hop: int) -> None:
        """Rest as long as a changed frame reaches back; alone where that is too far to tell."""
        other = frames.copy()
        other[:, PROBE // 2 :] += 1
        changed = np.abs(self._run(other, [PROBE])[0] - signal) > HEARD
        first = int(changed.argmax()) if changed.any() else PROBE // 2 * hop
        reach = PROBE // 2 - first // hop
        if reach >= PROBE // 2 - 1:
            self._together = False
        else:
            self.rest = max(reach, 0) + 1


def _inputs(session: onnxruntime.InferenceSession, what: str) -> tuple[int, int | None]:
    """Which input is the mel, and which its lengths."""
    inputs = session.get_inputs()
    floats = [i for i, each in enumerate(inputs) if each.type == "tensor(float)"]
    whole = [i for i, each in enumerate(inputs) if each.type == "tensor(int64)"]
    if len(floats) != 1 or len(inputs) > 2 or len(floats) + len(whole) != len(inputs):
        given = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
        raise EngineError(
            f"{what} is of no form known here: it takes {given}; known are one mel of rank 2 or 3, "
            "and a mel with its lengths"
        )
    return floats[0], whole[0] if whole else None


def _spectrum(found: Sequence[Floats]) -> NDArray[np.complex64]:
    """Magnitude with cosine and sine, or with the phase itself, as complex numbers."""
    if len(found) == 3:
        magnitude, cosine, sine = found
    else:
        magnitude, phase = found
        cosine, sine = np.cos(phase), np.sin(phase)
    spectrum: NDArray[np.complex64] = (magnitude * (cosine + 1j * sine)).astype(np.complex64)
    return spectrum
