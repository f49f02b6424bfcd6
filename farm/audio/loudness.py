"""Loudness by ITU-R BS.1770-4, measured in one pass at constant memory.

FFmpeg's `ebur128` filter measures the loudness. The true peak is found here (the filter does that
too, but reports it in steps of 0.001 of full scale and takes twice as long as both together).
Mono counts as one channel, as in the standard: -19 LUFS of a mono file sound like -16 LUFS of
the same signal on both channels of a stereo one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from farm.audio.signal import Samples

#: What `ebur128` reports where no block passed the absolute gate: silence, or under 0.4 s.
GATE_LUFS = -70.0

#: How much finer than the samples the peak is looked for (BS.1770-4, annex 2).
OVERSAMPLING = 4

#: Samples on each side of a gap that its interpolation uses, and gaps looked into at a time.
REACH, GAPS = 16, 4096

#: How far a signal can rise between samples at most: a gap whose neighbours stay this much under
#: the highest peak so far cannot hold a higher one. (Speech rises by 0.4 dB, a sine by 3 dB.)
OVERSHOOT = 1.5


def _interpolation() -> NDArray[np.float64]:
    """Weights, shape (2 * REACH, OVERSAMPLING - 1), of a gap's neighbours for points within it.

    The sinc function under a Kaiser window, as wide as the samples used; each point's sum to 1.
    """
    points = np.arange(1, OVERSAMPLING) / OVERSAMPLING
    away = np.arange(1 - REACH, REACH + 1)[:, None] - points
    window = np.i0(8.0 * np.sqrt(np.maximum(0, 1 - (away / REACH) ** 2)))
    weights = np.sinc(away) * window
    return np.asarray(weights / weights.sum(axis=0))


_INTERPOLATION = _interpolation()


@dataclass(frozen=True)
class Loudness:
    """How loud an item is."""

    integrated_lufs: float
    """Gated loudness of the whole; -inf for silence and for less than 0.4 s."""
    true_peak_dbtp: float
    """Highest peak, also between the samples, in dB of full scale; -inf for silence."""


def measure(blocks: Iterable[Samples], sample_rate: int) -> Loudness:
    """Measure the loudness of a mono signal given as blocks of any length.

    Takes float32 of shape (samples,). Integrated loudness follows BS.1770-4 with gates at -70
    LUFS and -10 LU, true peak its annex 2.
    """
    meter = _Meter(sample_rate)
    peak = _Peak()
    for block in blocks:
        if len(block):
            meter.push(block)
            peak.push(block)
    return Loudness(meter.finish(), peak.finish())


def gain(loudness: Loudness, target_lufs: float, ceiling_dbtp: float = -1.5) -> float:
    """Return the factor that brings an item to a loudness, its true peak under the ceiling.

    Linear; 1.0 for silence and for what is too short to measure.
    """
    if math.isinf(loudness.integrated_lufs) or math.isinf(loudness.true_peak_dbtp):
        return 1.0
    wanted = target_lufs - loudness.integrated_lufs
    allowed = ceiling_dbtp - loudness.true_peak_dbtp
    return float(10 ** (min(wanted, allowed) / 20))


class _Meter:
    """FFmpeg's `ebur128`, fed block by block."""

    def __init__(self, sample_rate: int) -> None:
        self._rate, self._time_base = sample_rate, Fraction(1, sample_rate)
        self._pushed = 0
        self._lufs = GATE_LUFS
        # Kept: its nodes do not keep it alive, and crash without it.
        self._graph = graph = av.filter.Graph()
        graph.threads = 1
        self._source = graph.add_abuffer(
            sample_rate=sample_rate,
            format="flt",
            layout="mono",
            time_base=self._time_base,
        )
        meter = graph.add("ebur128", "metadata=1")
        self._sink = graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        graph.configure()

    def push(self, block: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block, np.float32)[None], format="flt", layout="mono"
        )
        frame.sample_rate = self._rate
        frame.time_base = self._time_base
        frame.pts = self._pushed
        self._pushed += len(block)
        self._source.push(frame)
        self._drain()

    def finish(self) -> float:
        """Return the integrated loudness, in LUFS."""
        # A report comes every 100 ms: silence brings the last stretch out of the filter.
        self.push(np.zeros(-(-self._rate // 10), np.float32))
        return self._lufs if self._lufs > GATE_LUFS else -math.inf

    def _drain(self) -> None:
        last = None
        while True:
            try:
                last = self._sink.pull()
            except av.BlockingIOError:
                break
        if last is not None:
            self._lufs = float(last.metadata.get("lavfi.r128.I", self._lufs))


class _Peak:
    """The highest absolute value of the oversampled signal, looked for where it can be."""

    def __init__(self) -> None:
        self._highest = 0.0
        # The samples before those to come that the interpolation reaches.
        self._held = np.zeros(2 * REACH - 1, np.float32)

    def push(self, block: Samples) -> None:
        signal = np.concatenate([self._held, np.asarray(block, np.float32)])
        self._held = signal[len(signal) - (2 * REACH - 1) :]
        size = np.abs(signal)
        self._highest = max(self._highest, float(size.max()))
        # Sample n + REACH - 1 of a window's 2 * REACH is the one before the gap looked into.
        around = np.lib.stride_tricks.sliding_window_view(signal, 2 * REACH)
        beside = np.maximum(size[REACH - 1 : -REACH], size[REACH : len(size) - REACH + 1])
        (gaps,) = np.nonzero(beside > self._highest / OVERSHOOT)
        for at in range(0, len(gaps), GAPS):
            between = around[gaps[at : at + GAPS]] @ _INTERPOLATION
            self._highest = max(self._highest, float(np.abs(between).max()))

    def finish(self) -> float:
        """Return the true peak in dBTP, to 0.001 dB: more would differ with the processor."""
        self.push(np.zeros(2 * REACH, np.float32))
        return round(20 * math.log10(self._highest), 3) if self._highest else -math.inf
