"""Loudness by ITU-R BS.1770-4, measured in one pass at constant memory.

FFmpeg's `biquad` filters weight the signal; energies, gates and the true peak are found here.
(Its `ebur128` does all of that, in three times as long: it gates anew every 100 ms.)
Mono counts as one channel, as in the standard: -19 LUFS of a mono file sound like -16 LUFS of
the same signal on both channels of a stereo one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from farm.audio.signal import Samples

#: Blocks of 400 ms softer than this do not count, nor those so much softer than the mean of the
#: others (BS.1770-4, annex 1); the loudness of a mean square of 1.
GATE_LUFS, RELATIVE_GATE_LU, OFFSET_LUFS = -70.0, 10.0, -0.691

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
    """BS.1770-4, annex 1: the energy of each 100 ms of the weighted signal, gated at the end."""

    def __init__(self, sample_rate: int) -> None:
        self._rate, self._time_base = sample_rate, Fraction(1, sample_rate)
        self._hop = sample_rate // 10
        self._pushed = 0
        # Weighted, of a stretch that is not whole yet.
        self._held = np.zeros(0, np.float32)
        self._energies: list[NDArray[np.float64]] = []
        # Kept: its nodes do not keep it alive, and crash without it.
        self._graph = graph = av.filter.Graph()
        graph.threads = 1
        self._source = last = graph.add_abuffer(
            sample_rate=sample_rate,
            format="fltp",
            layout="mono",
            time_base=self._time_base,
        )
        for section in weighting(sample_rate):
            node = graph.add("biquad", ":".join(f"{k}={v!r}" for k, v in section.items()))
            last.link_to(node)
            last = node
        self._sink = graph.add("abuffersink")
        last.link_to(self._sink)
        graph.configure()

    def push(self, block: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block, np.float32)[None], format="fltp", layout="mono"
        )
        frame.sample_rate = self._rate
        frame.time_base = self._time_base
        frame.pts = self._pushed
        self._pushed += len(block)
        self._source.push(frame)
        filtered = self._sink.pull()
        assert isinstance(filtered, av.AudioFrame)
        weighted = np.concatenate([self._held, filtered.to_ndarray()[0]])
        whole = len(weighted) // self._hop * self._hop
        stretches, self._held = weighted[:whole].reshape(-1, self._hop), weighted[whole:]
        self._energies.append(np.einsum("ij,ij->i", stretches, stretches, dtype=np.float64))

    def finish(self) -> float:
        """Return the integrated loudness in LUFS, to 0.001 LU as the peak is."""
        energies = np.concatenate([np.zeros(0), *self._energies])
        if len(energies) < 4:
            return -math.inf
        # 400 ms each, overlapping by 300.
        blocks = np.lib.stride_tricks.sliding_window_view(energies, 4).mean(axis=1) / self._hop
        loud = blocks[blocks > _power(GATE_LUFS)]
        if not len(loud):
            return -math.inf
        gated = loud[loud > _power(_lufs(loud.mean()) - RELATIVE_GATE_LU)]
        return round(_lufs(gated.mean()), 3)


def _lufs(power: float) -> float:
    return OFFSET_LUFS + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_LUFS) / 10))


def weighting(sample_rate: int) -> Iterator[dict[str, float]]:
    """Yield the two sections of BS.1770's K-weighting, by the names of FFmpeg's `biquad`.

    The standard gives them for 48 kHz only. At other rates these are the same analogue filters,
    a shelf and a high-pass, by the bilinear transform; their frequencies, qualities and gain as
    libebur128 and FFmpeg's `ebur128` have them, which give the standard's numbers at 48 kHz.
    """
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    yield {
        "b0": high + middle * k / q + k * k,
        "b1": 2 * (k * k - high),
        "b2": high - middle * k / q + k * k,
        **_poles(k, q),
    }
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    scale = 1 + k / q + k * k  # the standard's numerator is 1, -2, 1 whatever the denominator
    yield {"b0": scale, "b1": -2 * scale, "b2": scale, **_poles(k, q)}


def _poles(k: float, q: float) -> dict[str, float]:
    return {"a0": 1 + k / q + k * k, "a1": 2 * (k * k - 1), "a2": 1 - k / q + k * k}


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
