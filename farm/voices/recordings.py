"""What a recording must be for a voice to be cloned from it: long enough, clean, not too narrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from farm.audio import Samples
from farm.errors import InvalidInput

#: Seconds of speech, in all references together: fewer do not tell a voice, more add nothing.
LEAST_S, MOST_S = 3.0, 60.0
#: Hertz below which a recording lacks the upper formants that speaker encoders were trained on.
LEAST_RATE = 16_000
#: Share of samples at the recording's limit above which it counts as clipped.
CLIPPED_SHARE = 1e-3

#: Seconds of the frames whose energy is looked at.
_FRAME_S = 0.02
#: A frame is speech that is at most so much below the loud ones, in decibels...
_RANGE_DB = 30.0
#: ...and above what quiet rooms have, in dB relative to full scale.
_FLOOR_DBFS = -60.0
#: Equal samples in a row, at the greatest magnitude, that make a flat top.
_FLAT = 3


@dataclass(frozen=True)
class Measured:
    """What a recording is."""

    seconds: float
    speech_s: float
    sample_rate: int
    clipped: float
    """Share of samples at the recording's limit."""


def measure(samples: Samples, sample_rate: int) -> Measured:
    """Measure a recording, mono in [-1, 1] at `sample_rate` Hz.

    Speech is what is loud: frames of 20 ms within 30 dB of the 95th percentile.
    """
    size = max(1, round(_FRAME_S * sample_rate))
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    least = max(np.quantile(level, 0.95) - _RANGE_DB, _FLOOR_DBFS) if len(level) else 0.0
    speech_s = float(np.sum(level > least)) * size / sample_rate
    return Measured(len(samples) / sample_rate, speech_s, sample_rate, _clipped(samples))


def _clipped(samples: Samples) -> float:
    """Share of samples in runs of equal ones at the greatest magnitude, or at full scale."""
    if not len(samples):
        return 0.0
    peak = np.abs(samples).max()
    at_limit = np.abs(samples) >= peak if peak > 0 else np.zeros(len(samples), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], at_limit.astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _FLAT].sum()) / len(samples)


def check(recordings: Mapping[str, Measured]) -> None:
    """Raise `InvalidInput`, with the recording's name, unless a voice can be cloned from them."""
    for name, found in recordings.items():
        if found.sample_rate < LEAST_RATE:
            raise InvalidInput(
                f"{name!r} has {found.sample_rate} Hz: record it at {LEAST_RATE} Hz or more "
                "(converting it upwards adds nothing)"
            )
        if found.clipped > CLIPPED_SHARE:
            raise InvalidInput(
                f"{name!r} is clipped ({found.clipped:.1%} of its samples are at its limit): "
                "record it again with less gain"
            )
    speech_s = sum(found.speech_s for found in recordings.values())
    if not LEAST_S <= speech_s <= MOST_S:
        each = ", ".join(f"{found.speech_s:.1f} s in {n!r}" for n, found in recordings.items())
        raise InvalidInput(
            f"{speech_s:.1f} s of speech ({each}): give {LEAST_S:g} to {MOST_S:g} s in all"
        )
