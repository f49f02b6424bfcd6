"""Loudness by ITU-R BS.1770-4, measured in one pass at constant memory.

FFmpeg's `ebur128` filter does the measuring. Mono counts as one channel, as in the standard:
-19 LUFS of a mono file sound like -16 LUFS of the same signal on both channels of a stereo one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import av
import av.filter
import numpy as np
from av.filter.context import FilterContext

from farm.audio.signal import Samples

#: What `ebur128` reports where no block passed the absolute gate: silence, or under 0.4 s.
GATE_LUFS = -70.0

#: Half the step in which the filter reports peaks; added so that a peak is never understated.
_PEAK_ROUNDING = 0.0005


@dataclass(frozen=True)
class Loudness:
    """How loud an item is."""

    integrated_lufs: float
    """Gated loudness of the whole; -inf for silence and for less than 0.4 s."""
    true_peak_dbtp: float
    """Highest peak between the samples, in dB of full scale; -inf for silence."""


def measure(blocks: Iterable[Samples], sample_rate: int) -> Loudness:
    """Measure the loudness of a mono signal given as blocks of any length.

    Takes float32 of shape (samples,). Integrated loudness follows BS.1770-4 (gates at -70 LUFS
    and -10 LU), true peak its annex 2, at four times oversampling or more.
    """
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate,
        format="flt",
        layout="mono",
        time_base=Fraction(1, sample_rate),
    )
    meter = graph.add("ebur128", "metadata=1:peak=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    report = {"lavfi.r128.I": str(GATE_LUFS), "lavfi.r128.true_peak": "0"}
    pushed = 0
    for block in blocks:
        report |= _push(source, sink, block, pushed, sample_rate)
        pushed += len(block)
    # The filter reports every 100 ms: silence brings the last stretch out of it.
    step = -(-sample_rate // 10)
    report |= _push(source, sink, np.zeros(step, np.float32), pushed, sample_rate)
    return _loudness(float(report["lavfi.r128.I"]), float(report["lavfi.r128.true_peak"]))


def gain(loudness: Loudness, target_lufs: float, ceiling_dbtp: float = -1.5) -> float:
    """Return the factor that brings an item to a loudness, its true peak under the ceiling.

    Linear; 1.0 for silence and for what is too short to measure.
    """
    if math.isinf(loudness.integrated_lufs) or math.isinf(loudness.true_peak_dbtp):
        return 1.0
    wanted = target_lufs - loudness.integrated_lufs
    allowed = ceiling_dbtp - loudness.true_peak_dbtp
    return float(10 ** (min(wanted, allowed) / 20))


def _push(
    source: FilterContext, sink: FilterContext, block: Samples, at: int, sample_rate: int
) -> dict[str, str]:
    """Feed one block; return the filter's latest report, empty while it has none."""
    if not len(block):
        return {}
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(block, np.float32)[None], format="flt", layout="mono"
    )
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = at
    source.push(frame)
    report: dict[str, str] = {}
    while True:
        try:
            report |= sink.pull().metadata
        except av.BlockingIOError:
            return report


def _loudness(lufs: float, peak: float) -> Loudness:
    silent = peak == 0
    return Loudness(
        integrated_lufs=-math.inf if lufs <= GATE_LUFS else lufs,
        true_peak_dbtp=-math.inf if silent else 20 * math.log10(peak + _PEAK_ROUNDING),
    )
