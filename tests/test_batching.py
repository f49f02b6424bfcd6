from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm import batching
from farm.audio import Audio
from farm.batching import (
    CHARACTERS_PER_S,
    FLIGHT_COMPUTE_S,
    Outcome,
    audio_seconds,
    chunk,
    cut,
    flights,
    run,
)
from farm.errors import DeviceLost, EngineError, FarmError, OutOfMemory, UnknownVoice
from farm.jobs import Prosody, Segment
from tests.running import tone

Speak = Callable[[Sequence[Segment]], list[Audio]]

#: Samples of a letter, of the engine of these tests.
LETTER = 20

LENGTHS = st.lists(st.integers(1, 400), max_size=60)


def segments(*texts: str) -> list[Segment]:
    return [Segment(text, text, "tone") for text in texts]


def of_lengths(lengths: Sequence[int]) -> list[Segment]:
    return [Segment(str(n), "x" * length, "tone") for n, length in enumerate(lengths)]


def signal(letters: int) -> Audio:
    return Audio(np.full(letters * LETTER, 0.5, np.float32), 8000)


def engine(calls: list[int], fits: int = 1000) -> Speak:
    """`LETTER` samples a character; `!` cannot be spoken, more than `fits` segments do not fit."""

    def speak(batch: Sequence[Segment]) -> list[Audio]:
        calls.append(len(batch))
        if len(batch) > fits or any("?" in segment.text for segment in batch):
            raise OutOfMemory(f"{len(batch)} segments")
        for segment in batch:
            if "!" in segment.text:
                raise EngineError(f"cannot speak {segment.text!r}")
        return [signal(len(s.text)) for s in batch]

    return speak


def sizes(outcomes: Sequence[Outcome]) -> list[int]:
    """Letters of each signal; -1 for an error."""
    return [len(out.samples) // LETTER if isinstance(out, Audio) else -1 for out in outcomes]


@given(LENGTHS, st.floats(0.001, 1.0))
def test_flights_keep_every_batch_in_order_and_last_no_longer_than_one_must(
    lengths: list[int], rtf: float
) -> None:
    batches = list(cut(of_lengths(lengths), 500))
    grouped = list(flights(batches, rtf))
    assert [batch for flight in grouped for batch in flight] == batches
    for flight in grouped:
        compute = rtf * sum(audio_seconds(segment) for batch in flight for segment in batch)
        assert len(flight) == 1 or compute <= FLIGHT_COMPUTE_S + 1e-9


@pytest.mark.parametrize("bad", range(8))
def test_one_bad_segment_in_a_batch_of_eight_costs_only_itself(bad: int) -> None:
    batch = segments(*("abcdefgh"[:n] for n in range(1, 9)))
    batch[bad] = replace(batch[bad], text="!")
    calls: list[int] = []
    outcomes = run(engine(calls), batch)
    assert sizes(outcomes) == [-1 if n == bad else n + 1 for n in range(8)]
    assert str(outcomes[bad]) == "cannot speak '!'"
    assert len(calls) == 7


def test_a_good_batch_is_one_pass() -> None:
    calls: list[int] = []
    assert sizes(run(engine(calls), segments("a", "bb", "ccc"))) == [1, 2, 3]
    assert calls == [3]


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    calls: list[int] = []
    assert sizes(run(engine(calls, fits=2), segments("a", "bb", "ccc", "dddd", "e"))) == [
        1,
        2,
        3,
        4,
        1,
    ]
    assert calls == [5, 2, 3, 1, 2]


def test_a_single_segment_that_does_not_fit_is_the_callers() -> None:
    with pytest.raises(OutOfMemory, match="1 segments"):
        run(engine([]), segments("a", "?"))


def test_an_engine_that_loses_a_signal_is_asked_again_for_each_segment() -> None:
    def forgetful(batch: Sequence[Segment]) -> list[Audio]:
        return engine([])(batch[:1])

    assert sizes(run(forgetful, segments("a", "bb", "ccc"))) == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 2])
def test_an_engine_with_a_wrong_count_for_one_segment_is_an_error_of_it(count: int) -> None:
    def wrong(_: Sequence[Segment]) -> list[Audio]:
        return [signal(3)] * count

    (outcome,) = run(wrong, segments("a"))
    assert isinstance(outcome, EngineError)
    assert str(outcome) == f"the engine gave {count} signals for 1 segments"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("bug"), RecursionError("deep"), MemoryError(), SystemExit(2), KeyError(3)],
)
def test_whatever_an_engine_raises_is_an_error_of_the_segment_it_is_about(
    error: BaseException,
) -> None:
    def broken(batch: Sequence[Segment]) -> list[Audio]:
        if any(segment.text == "b" for segment in batch):
            raise error
        return engine([])(batch)

    outcomes = run(broken, segments("a", "b", "cc"))
    assert sizes(outcomes) == [1, -1, 2]
    assert str(outcomes[1]) == f"the engine failed: {type(error).__name__}: {error}"
    assert isinstance(outcomes[1], EngineError)
    assert outcomes[1].__cause__ is error


@pytest.mark.parametrize("error", [DeviceLost("gone"), UnknownVoice("revoked")])
def test_what_is_no_fault_of_a_segment_is_the_callers(error: FarmError) -> None:
    def broken(_: Sequence[Segment]) -> list[Audio]:
        raise error

    with pytest.raises(type(error)):
        run(broken, segments("a", "b"))


def test_ctrl_c_is_nobodys_error() -> None:
    def interrupted(_: Sequence[Segment]) -> list[Audio]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted, segments("a"))


GOOD = np.full(800, 0.5, np.float32)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "NoneType, no signal"),
        ("a text", "str, no signal"),
        (Audio([0.5] * 800, 8000), "Audio, no signal"),  # type: ignore[arg-type]
        (Audio(GOOD[:0], 8000), "a signal of shape (0,) and float32, not (samples,) and float32"),
        (Audio(GOOD.reshape(2, 400), 8000), "a signal of shape (2, 400) and float32, not"),
        (Audio(GOOD.astype(np.float64), 8000), "a signal of shape (800,) and float64, not"),
        (Audio((GOOD * 9).astype(np.int16), 8000), "a signal of shape (800,) and int16, not"),
        (Audio(np.append(GOOD, np.float32(np.nan)), 8000), "a signal of 0.10 s that holds NaN"),
        (Audio(np.append(GOOD, np.float32(-np.inf)), 8000), "a signal of 0.10 s that holds NaN"),
        (Audio(GOOD, 16000), "a signal at 16000 Hz, not at 8000"),
        (Audio(GOOD * 0, 8000), "0.10 s of silence for 10 letters"),
        (Audio(GOOD * 1e-6, 8000), "0.10 s of silence for 10 letters"),
        (Audio(GOOD[:100], 8000), "0.013 s for 10 letters"),
    ],
)
def test_what_is_no_signal_of_a_text_is_an_error_of_its_segment(given: Any, reason: str) -> None:
    batch = segments("Hello", "One, two, four!", "you")

    def wrong(asked: Sequence[Segment]) -> list[Audio]:
        return [given if s.text == batch[1].text else signal(len(s.text)) for s in asked]

    first, bad, last = run(wrong, batch, 8000)
    assert isinstance(bad, EngineError)
    assert str(bad).startswith(f"the engine gave {reason}")
    assert sizes([first, last]) == [5, 3]


@pytest.mark.parametrize(
    ("segment", "audio"),
    [
        (Segment("d", "... --", "tone"), Audio(GOOD * 0, 8000)),
        (Segment("d", "Hello there.", "tone", Prosody(volume=-120.0)), Audio(GOOD * 0, 8000)),
        (Segment("d", "Quick as this.", "tone", Prosody(speed=4.0)), Audio(GOOD[:60], 8000)),
        (Segment("d", "\u4e0d" * 90, "tone"), Audio(GOOD[:60], 8000, (), ("it lacks that",))),
    ],
)
def test_silence_and_haste_that_are_meant_are_no_errors(segment: Segment, audio: Audio) -> None:
    assert run(lambda _: [audio], [segment], 8000) == [audio]


@given(marks=st.text("a!", min_size=1, max_size=40), fits=st.integers(1, 10))
def test_every_segment_gets_its_own_outcome_in_order(marks: str, fits: int) -> None:
    batch = segments(*(mark * (n + 1) for n, mark in enumerate(marks)))
    expected = [-1 if mark == "!" else n + 1 for n, mark in enumerate(marks)]
    assert sizes(run(engine([], fits), batch)) == expected


@given(lengths=LENGTHS, budget=st.integers(1, 2000))
def test_a_batch_of_several_stays_within_its_padded_budget(lengths: list[int], budget: int) -> None:
    whole = of_lengths(lengths)
    batches = list(cut(whole, budget))
    assert [segment for batch in batches for segment in batch] == whole
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(s.text) for s in batch) <= budget


@given(lengths=LENGTHS, budget=st.integers(1, 2000))
def test_no_batch_is_smaller_than_it_must_be(lengths: list[int], budget: int) -> None:
    for batch, following in pairwise(cut(of_lengths(lengths), budget)):
        together = [*batch, following[0]]
        assert len(together) * max(len(s.text) for s in together) > budget


def test_the_frames_of_slow_speech_are_padded_too_and_its_tokens_at_any_speed() -> None:
    def sizes(speed: float) -> list[int]:
        slow = [replace(s, prosody=Prosody(speed=speed)) for s in of_lengths([10] * 8)]
        return [len(batch) for batch in cut(slow, 40)]

    assert sizes(1.0) == sizes(2.0) == [4, 4]
    assert sizes(0.5) == [2, 2, 2, 2]


def test_a_budget_of_one_gives_one_segment_a_batch() -> None:
    assert [len(batch) for batch in cut(of_lengths([1, 1, 5]), 1)] == [1, 1, 1]


@given(lengths=LENGTHS, rtf=st.floats(0.001, 1), least=st.floats(0, 100))
def test_chunks_keep_order_and_hold_as_much_as_they_may(
    lengths: list[int], rtf: float, least: float
) -> None:
    whole = of_lengths(lengths)
    runs = list(chunk(whole, tone(rtf=rtf), least))
    assert [segment for run in runs for segment in run] == whole
    low, high = batching.CHUNK_AUDIO_S
    limit = max(least, min(high, max(low, batching.CHUNK_COMPUTE_S / rtf)))
    for held in runs:
        assert len(held) == 1 or sum(map(audio_seconds, held)) <= limit
    for held, following in pairwise(runs):
        assert sum(map(audio_seconds, [*held, following[0]])) > limit


def test_length_is_predicted_from_text_and_speed() -> None:
    segment = Segment("d", "x" * round(CHARACTERS_PER_S * 4), "tone", Prosody(speed=2.0))
    assert audio_seconds(segment) == 2.0
