"""Joining: sample counts are exact, edges are faded, one piece is in memory at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.audio import Audio, Samples, joining
from tests.audio.signals import sine

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]


def joined(*pieces: tuple[Audio, int], rate: int = 22_050, head: int = 0, tail: int = 0) -> Samples:
    return np.concatenate(list(joining.join(pieces, rate, head, tail)))


def ones(length: int, rate: int = 22_050) -> Audio:
    return Audio(np.ones(length, np.float32), rate)


def test_a_join_has_exactly_the_samples_of_its_parts() -> None:
    signal = joined((ones(1000), 100), (ones(333), 7), head=500, tail=1000)
    assert len(signal) == 11_025 + 1000 + 2205 + 333 + 154 + 22_050


def test_pauses_are_true_silence_and_segments_lie_where_spans_say() -> None:
    pieces = [(ones(1000), 100), (ones(600), 50), (ones(10), 0)]
    signal = joined(*pieces, head=20, tail=30)
    spans = list(joining.spans([(len(a.samples), p) for a, p in pieces], 22_050, 20))
    assert [span.end - span.start for span in spans] == [1000, 600, 10]
    silent = np.ones(len(signal), bool)
    for span in spans:
        silent[span.start : span.end] = False
        assert signal[span.start : span.end].max() > 0.9
    assert not signal[silent].any()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.sampled_from(RATES), st.integers(0, 300))),
    st.sampled_from(RATES),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_lengths_are_known_before_anything_is_joined(
    rows: list[tuple[int, int, int]], rate: int, head: int, tail: int
) -> None:
    lengths = [(joining.resampled_length(n, own, rate), pause) for n, own, pause in rows]
    spans = list(joining.spans(lengths, rate, head))
    blocks = list(joining.join(((ones(n, own), p) for n, own, p in rows), rate, head, tail))
    end = spans[-1].end + joining.count(rows[-1][2], rate) if rows else joining.count(head, rate)
    assert sum(map(len, blocks)) == end + joining.count(tail, rate)
    assert all(len(block) and block.dtype == np.float32 for block in blocks)


def test_edges_rise_from_and_fall_to_zero_in_five_milliseconds() -> None:
    faded = joining.fade(np.ones(2000, np.float32), 20_000)
    assert faded[0] == 0
    assert faded[-1] == 0
    assert (np.diff(faded[:101]) > 0).all()
    assert (faded[100:1900] == 1).all()
    np.testing.assert_array_equal(faded, faded[::-1])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 50, 150])
def test_a_signal_shorter_than_its_fades_is_faded_over_what_there_is(length: int) -> None:
    faded = joining.fade(np.ones(length, np.float32), 22_050)
    assert len(faded) == length
    assert ((faded >= 0) & (faded <= 1)).all()
    if length > 1:
        assert faded[0] == faded[-1] == 0


def test_fading_leaves_the_original_alone() -> None:
    original = np.ones(1000, np.float32)
    joining.fade(original, 22_050)
    assert original.all()


def test_no_step_is_left_where_a_loud_segment_meets_silence() -> None:
    signal = joined((Audio(sine(100, 0.5, 22_050, 0.9) + 0.05, 22_050), 100), head=50, tail=50)
    assert np.abs(np.diff(signal)).max() < 0.05


def test_a_piece_of_another_rate_keeps_its_pitch_and_length() -> None:
    signal = joined((Audio(sine(1000, 1, 16_000), 16_000), 0), rate=24_000)
    assert len(signal) == 24_000
    spectrum = np.abs(np.fft.rfft(signal))
    assert np.argmax(spectrum) == 1000
    assert np.abs(signal[1000:-1000] - sine(1000, 1, 24_000)[1000:-1000]).max() < 1e-3


def test_a_piece_of_the_items_rate_is_not_touched_by_the_resampler() -> None:
    audio = Audio(sine(440, 0.2, 22_050), 22_050)
    assert joining.resample(audio, 22_050) is audio.samples


def test_nothing_joined_is_nothing() -> None:
    assert list(joining.join([], 22_050)) == []
    assert list(joining.spans([], 22_050)) == []


def test_an_hour_of_segments_is_joined_in_the_memory_of_a_few() -> None:
    def pieces() -> Iterator[tuple[Audio, int]]:
        for _ in range(720):
            yield Audio(np.ones(22_050 * 5, np.float32), 22_050), 0

    tracemalloc.start()
    length = sum(len(block) for block in joining.join(pieces(), 22_050))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length == 22_050 * 3600
    assert peak < 8 * 22_050 * 5 * 4


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), max_size=6))
def test_a_signal_that_comes_in_pieces_is_faded_as_it_is_whole(lengths: list[int]) -> None:
    """Shorter than its ramps, as long, and longer; empty pieces, too."""
    draw = np.random.default_rng(0)
    pieces = [draw.uniform(-1, 1, length).astype(np.float32) for length in lengths]
    whole = np.concatenate([np.zeros(0, np.float32), *pieces])
    blocks = list(joining.faded(pieces, 22_050))
    assert all(len(block) for block in blocks)
    together = np.concatenate([np.zeros(0, np.float32), *blocks])
    np.testing.assert_array_equal(together, joining.fade(whole, 22_050))


def test_of_what_comes_only_a_fades_length_is_held_back() -> None:
    came = 0

    def pieces() -> Iterator[Samples]:
        nonlocal came
        for _ in range(5):
            came += 1000
            yield np.ones(1000, np.float32)

    given_ = 0
    for block in joining.faded(pieces(), 22_050):
        given_ += len(block)
        assert came - given_ in (0, joining.count(joining.FADE_MS, 22_050))
