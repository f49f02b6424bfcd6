"""Loudness against what BS.1770-4 and EBU Tech 3341 say of known signals."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest

from farm.audio import Samples
from farm.audio.loudness import Loudness, gain, measure, weighting
from tests.audio.signals import sine, speech_like

RATES = [16_000, 22_050, 24_000, 44_100, 48_000]


def level(dbfs: float) -> float:
    return float(10 ** (dbfs / 20))


@pytest.mark.parametrize("rate", RATES)
def test_a_full_scale_sine_of_997_hz_in_one_channel_is_minus_3_01_lufs(rate: int) -> None:
    # ITU-R BS.1770-4, annex 1, below table 3.
    found = measure([sine(997, 5, rate, 1.0)], rate)
    assert found.integrated_lufs == pytest.approx(-3.01, abs=0.1)
    assert found.true_peak_dbtp == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("dbfs", [-23.0, -33.0])
def test_ebu_tech_3341_cases_1_and_2_in_one_channel(rate: int, dbfs: float) -> None:
    # Stereo sines of 1 kHz at -23 and -33 dBFS read -23 and -33 LUFS; one channel 3.01 less.
    found = measure([sine(1000, 20, rate, level(dbfs))], rate)
    assert found.integrated_lufs == pytest.approx(dbfs - 3.01, abs=0.1)


def test_ebu_tech_3341_case_3_quiet_stretches_do_not_count() -> None:
    parts = [sine(1000, s, 48_000, level(db)) for db, s in [(-36, 10), (-23, 60), (-36, 10)]]
    assert measure(parts, 48_000).integrated_lufs == pytest.approx(-23 - 3.01, abs=0.1)


def test_a_peak_between_the_samples_is_found() -> None:
    # EBU Tech 3341, case 16: a quarter of the sample rate, at 45 degrees, peaks at -6 dBTP
    # while its samples reach -9; faded, so that the start is no peak of its own.
    time = np.arange(48_000)
    signal = 0.5 * np.sin(np.pi / 2 * time + np.pi / 4) * np.hanning(48_000) ** 0.25
    found = measure([signal.astype(np.float32)], 48_000)
    assert found.true_peak_dbtp == pytest.approx(-6.02, abs=0.05)
    assert 20 * math.log10(np.abs(signal).max()) < -9


@pytest.mark.parametrize("rate", [11_025, 22_050, 44_100, 48_000])
def test_a_peak_in_the_last_millisecond_is_found(rate: int) -> None:
    signal = sine(500, 1.0137, rate, 0.01)
    signal[-20:] = 0.8
    assert measure([signal], rate).true_peak_dbtp > -3


@pytest.mark.parametrize("rate", RATES)
def test_ffmpegs_own_meter_agrees(rate: int) -> None:
    speech, pause = speech_like(3, rate), np.zeros(rate, np.float32)
    quiet = speech * np.float32(0.05)
    signal = np.concatenate([speech, pause, quiet, speech + sine(5000, 3, rate, 0.1)])
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=rate, format="flt", layout="mono", time_base=Fraction(1, rate)
    )
    meter = graph.add("ebur128", "metadata=1:peak=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(signal[None], format="flt", layout="mono")
    frame.sample_rate = rate
    source.push(frame)
    reports = [sink.pull().metadata for _ in range(100)]
    peak = max(float(report.get("lavfi.r128.true_peak", 0)) for report in reports)
    found = measure([signal], rate)
    assert found.true_peak_dbtp == pytest.approx(20 * math.log10(peak), abs=0.1)
    assert found.integrated_lufs == pytest.approx(float(reports[-1]["lavfi.r128.I"]), abs=0.02)


def test_the_weighting_at_48_khz_is_the_standards() -> None:
    # ITU-R BS.1770-4, annex 1, tables 1 and 2.
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    shelf += [-1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621]
    for section, wanted in zip(weighting(48_000), [shelf, high_pass], strict=True):
        found = [section[name] / section["a0"] for name in ("b0", "b1", "b2", "a1", "a2")]
        assert found == pytest.approx(wanted, abs=1e-8)


def test_the_size_of_the_blocks_does_not_matter() -> None:
    signal = speech_like(7, 22_050)
    whole = measure([signal], 22_050)
    for size in (1000, 2205, 30_000):
        blocks = [signal[at : at + size] for at in range(0, len(signal), size)]
        found = measure([*blocks, signal[:0]], 22_050)
        assert found.integrated_lufs == whole.integrated_lufs
        assert found.true_peak_dbtp == pytest.approx(whole.true_peak_dbtp, abs=1e-4)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.1, 0.25])
def test_what_is_too_short_to_measure_is_left_as_it_is(seconds: float) -> None:
    found = measure([sine(500, seconds, 22_050)], 22_050)
    assert found.integrated_lufs == -math.inf
    assert gain(found, -19) == 1


def test_silence_is_left_as_it_is() -> None:
    found = measure([np.zeros(48_000, np.float32)], 48_000)
    assert found == Loudness(-math.inf, -math.inf)
    assert gain(found, -19) == 1


@pytest.mark.parametrize("target", [-16.0, -19.0, -23.0])
def test_gain_brings_a_signal_to_the_target(target: float) -> None:
    signal = sine(300, 4, 22_050, 0.02) + sine(1200, 4, 22_050, 0.01)
    factor = gain(measure([signal], 22_050), target)
    again = measure([signal * np.float32(factor)], 22_050)
    assert again.integrated_lufs == pytest.approx(target, abs=0.1)


def test_the_ceiling_goes_before_the_target() -> None:
    signal = sine(300, 4, 22_050, 0.02)
    signal[30_000] = 0.9
    factor = gain(measure([signal], 22_050), -16, ceiling_dbtp=-1.5)
    again = measure([signal * np.float32(factor)], 22_050)
    assert again.true_peak_dbtp == pytest.approx(-1.5, abs=0.1)
    assert again.integrated_lufs < -30


def test_gain_is_exact_where_nothing_limits_it() -> None:
    assert gain(Loudness(-25, -20), -19) == pytest.approx(level(6))
    assert gain(Loudness(-13, -3), -19) == pytest.approx(level(-6))
    assert gain(Loudness(-25, -3), -19) == pytest.approx(level(1.5))


def test_ten_minutes_are_measured_in_the_memory_of_a_block() -> None:
    def blocks() -> Iterator[Samples]:
        for _ in range(120):
            yield sine(440, 5, 22_050)

    tracemalloc.start()
    found = measure(blocks(), 22_050)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.integrated_lufs == pytest.approx(-9.7, abs=0.5)
    assert peak < 12 * 22_050 * 5 * 4
