"""Magnitude and phase to samples: the inverse short-time Fourier transform in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.errors import EngineError

Floats = NDArray[np.float32]

#: What a sum of squared windows is at least before it divides.
FLOOR = 1e-8


@dataclass(frozen=True)
class Inverse:
    """How a spectrum was cut: in samples."""

    n_fft: int
    hop: int
    window: int
    centred: bool
    """Whether frame 0 is centred on sample 0 (librosa, torch) or its hop begins there (Vocos)."""

    def signal(self, spectrum: NDArray[np.complex64]) -> Floats:
        """Turn frames [F, n_fft / 2 + 1] into F x hop samples.

        Windowed overlap-add, divided by the sum of squared Hann windows (Griffin and Lim 1984).
        """
        window = np.zeros(self.n_fft)
        start = (self.n_fft - self.window) // 2
        window[start : start + self.window] = np.hanning(self.window + 1)[:-1]
        pieces = np.fft.irfft(spectrum, self.n_fft, axis=1) * window
        total = self._added(pieces)
        weight = self._added(np.broadcast_to(window**2, pieces.shape))
        first = self.n_fft // 2 if self.centred else (self.n_fft - self.hop) // 2
        cut = slice(first, first + len(spectrum) * self.hop)
        found: Floats = (total[cut] / np.maximum(weight[cut], FLOOR)).astype(np.float32)
        return found

    def _added(self, pieces: NDArray[np.floating]) -> NDArray[np.float64]:
        """Add frames up, each a hop after the one before."""
        count = len(pieces)
        steps = -(-self.n_fft // self.hop)
        wide = np.zeros((count, steps * self.hop))
        wide[:, : self.n_fft] = pieces
        total = np.zeros((count + steps, self.hop))
        for step in range(steps):
            total[step : step + count] += wide[:, step * self.hop : (step + 1) * self.hop]
        return total.reshape(-1)


def of_metadata(metadata: Mapping[str, str], what: str) -> Inverse:
    """Read the transform that an ONNX file names: `n_fft hop_length win_length center`.

    These are the fields of sherpa-onnx's Vocos exports. `center` 0 is Vocos's own padding, `same`.

    Raises:
        EngineError: a field is missing, or the window is not Hann's.
    """
    try:
        n_fft, hop = int(metadata["n_fft"]), int(metadata["hop_length"])
        window, centred = int(metadata.get("win_length", n_fft)), int(metadata.get("center", 1))
    except (KeyError, ValueError) as error:
        raise EngineError(
            f"{what}: the vocoder gives a spectrum, but its metadata lacks a number for {error}: "
            "expected n_fft, hop_length, win_length, center"
        ) from error
    kind = metadata.get("window_type", "hann")
    if kind != "hann" or not 0 < hop <= window <= n_fft:
        raise EngineError(
            f"{what}: cannot invert window {kind!r} of {window} samples, hop {hop}, FFT {n_fft}: "
            "only Hann windows with hop <= window <= FFT are known"
        )
    return Inverse(n_fft, hop, window, bool(centred))
