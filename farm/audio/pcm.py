"""Sixteen-bit samples: one rounding for segments and files alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from farm.audio.signal import Samples

#: A full-scale float of 1.0 in 16-bit steps; FFmpeg and libsndfile read by the same divisor.
FULL_SCALE = 32768.0


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Round float samples in [-1, 1] to 16 bits; louder ones are clipped. No dither: repeatable.

    Takes and returns shape (samples,). What `from_int16` gave comes back bit for bit.
    """
    scaled = np.rint(np.multiply(samples, FULL_SCALE, dtype=np.float32))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_int16(samples: NDArray[np.int16]) -> Samples:
    """Return 16-bit samples as float32 in [-1, 1), exactly."""
    return np.divide(samples, FULL_SCALE, dtype=np.float32)
