"""Pseudo-speakers: flite's four voices, each at several rates of playing and at several pitches.

Playing faster moves pitch and formants together, as a shorter vocal tract does; flite's `f0_shift`
moves the pitch alone (its `rms` does not know it, so `rms` varies by rate only).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training import teacher
from training.teacher import FloatArray, Phone

#: Hertz; where the F0 of any pseudo-speaker lies.
F0_RANGE: Final = (55.0, 400.0)

RATES: Final = (0.9, 1.0, 1.12)
SHIFTS: Final = (0.8, 1.0, 1.25)

#: How fast `rms` is played, in place of shifts.
RMS_RATES: Final = (0.84, 0.9, 0.96, 1.0, 1.05, 1.12, 1.2)


@dataclass(frozen=True)
class Speaker:
    """One of flite's voices, varied."""

    voice: str
    rate: float = 1.0
    """How fast it is played."""
    shift: float = 1.0
    """Times its own F0, before it is played faster."""

    @property
    def name(self) -> str:
        """A name for figures, `slt-1.12-0.80`."""
        return f"{self.voice}-{self.rate:.2f}-{self.shift:.2f}"

    def speak(self, text: str) -> tuple[FloatArray, list[Phone]]:
        """Speak; return 16 kHz float32 of shape (samples,) and the phones."""
        options = ("--setf", f"f0_shift={self.shift}")
        signal, phones = teacher.speak(text, self.voice, *options)
        moved = [Phone(phone.symbol, phone.end / self.rate) for phone in phones]
        return played(signal, self.rate), moved


#: Who is learnt from.
SEEN: Final = [
    *(
        Speaker(v, rate, shift)
        for v in ("slt", "awb", "kal16")
        for rate in RATES
        for shift in SHIFTS
    ),
    *(Speaker("rms", rate) for rate in RMS_RATES),
]

#: Who judges the result: no voice, rate and shift of theirs was learnt together.
UNSEEN: Final = [
    Speaker("slt", 0.95, 0.9),
    Speaker("rms", 0.93),
    Speaker("awb", 1.06, 1.12),
    Speaker("kal16", 1.06, 1.1),
]


def played(signal: FloatArray, rate: float) -> FloatArray:
    """Resample (samples,) so that it lasts `1 / rate` times as long, by its spectrum."""
    count = round(len(signal) / rate)
    spectrum = np.fft.rfft(signal.astype(np.float64))
    bins = np.zeros(count // 2 + 1, np.complex128)
    kept = min(len(bins), len(spectrum))
    bins[:kept] = spectrum[:kept]
    return (np.fft.irfft(bins, count) * count / len(signal)).astype(np.float32)
