"""What the models see of a signal: log-mel frames, pitch and energy."""

from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.settings import F0_RANGE, HOP, MEL_FLOOR, MELS, SAMPLE_RATE, WINDOW

FloatArray = npt.NDArray[np.float32]


def _to_mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map Hertz to mel: linear below 1 kHz, logarithmic above (Slaney, Auditory Toolbox)."""
    high = 15.0 + np.log(np.maximum(hertz, 1000.0) / 1000.0) * 27.0 / np.log(6.4)
    return np.where(hertz < 1000.0, hertz * 3.0 / 200.0, high)


def _from_mel(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Map mel back to Hertz."""
    high = 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, high)


@cache
def mel_filters() -> Tensor:
    """Return Slaney's area-normalised triangles, float32 of shape (MELS, WINDOW // 2 + 1)."""
    nyquist = SAMPLE_RATE / 2
    edges = _from_mel(np.linspace(0.0, _to_mel(np.array([nyquist]))[0], MELS + 2))
    bins = np.linspace(0.0, nyquist, WINDOW // 2 + 1)
    ramps = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    rising, falling = -ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(triangles.astype(np.float32))


def log_mel(signal: Tensor) -> Tensor:
    """Return natural-log mel frames, (B, samples) -> (B, MELS, samples // HOP).

    Frame i is centred on the hop that it stands for, as in HiFi-GAN (Kong et al. 2020,
    `meldataset.py`): reflection of (WINDOW - HOP) / 2 samples, no further centring.
    """
    edge = (WINDOW - HOP) // 2
    padded = torch.nn.functional.pad(signal[:, None], (edge, edge), mode="reflect")[:, 0]
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(padded, WINDOW, HOP, WINDOW, window, center=False, return_complex=True)
    magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)
    return torch.log(torch.clamp(mel_filters() @ magnitude, min=MEL_FLOOR))


def pitch(
    signal: FloatArray, frames: int, between: tuple[float, float] = F0_RANGE
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return F0 in Hertz, (frames,), bridged where unvoiced, and which frames are voiced.

    pyworld's DIO, refined by StoneMask (Morise et al. 2009), read at frame centres.
    """
    import pyworld  # type: ignore[import-untyped]

    wide = signal.astype(np.float64)
    low, high = between
    f0, times = pyworld.dio(wide, SAMPLE_RATE, f0_floor=low, f0_ceil=high, frame_period=4.0)
    f0 = pyworld.stonemask(wide, f0, times, SAMPLE_RATE)
    centres = (np.arange(frames) + 0.5) * HOP / SAMPLE_RATE
    voiced = f0[np.clip(np.rint(centres / 0.004).astype(int), 0, len(f0) - 1)] > 0
    known = f0 > 0
    if known.sum() < 2:
        raise ValueError("no voiced frames in this signal; drop the sentence")
    bridged = np.interp(centres, times[known], f0[known])
    return bridged.astype(np.float32), cast(npt.NDArray[np.bool_], voiced)


def energy(mel: FloatArray) -> FloatArray:
    """Return the log of the mean mel magnitude per frame, (MELS, F) -> (F,)."""
    return cast(FloatArray, np.log(np.exp(mel).mean(axis=0)).astype(np.float32))
