"""Audio: one mono signal and what the engine knew about its timing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Timing:
    """A phoneme (or another symbol of the voice) and how long it lasts."""

    symbol: str
    samples: int


@dataclass(frozen=True, eq=False)
class Audio:
    """One float32 mono signal of shape (samples,) in [-1, 1]."""

    samples: Samples
    sample_rate: int
    timings: tuple[Timing, ...] = ()
    """In order, their samples adding up to the signal's; empty where the engine has none."""
    warnings: tuple[str, ...] = ()
    """What a listener may miss: characters or phonemes the voice does not have."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate
