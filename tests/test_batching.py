from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm import batching
from farm.audio import Audio
from farm.batching import CHARACTERS_PER_S, Outcome, audio_seconds, chunk, cut, run
from farm.errors import EngineError, OutOfMemory
from farm.jobs import Prosody, Segment
from tests.running import tone

Speak = Callable[[Sequence[Segment]], list[Audio]]

LENGTHS = st.lists(st.integers(1, 400), max_size=60)


def segments(*texts: str) -> list[Segment]:
    return [Segment(text, text, "tone") for text in texts]


def of_lengths(lengths: Sequence[int]) -> list[Segment]:
    return [Segment(str(n), "x" * length, "tone") for n, length in enumerate(lengths)]


def engine(calls: list[int], fits: int = 1000) -> Speak:
    """One sample a character; `!` cannot be spoken, more than `fits` segments do not fit."""

    def speak(batch: Sequence[Segment]) -> list[Audio]:
        calls.append(len(batch))
        if len(batch) > fits or any("?" in segment.text for segment in batch):
            raise OutOfMemory(f"{len(batch)} segments")
        for segment in batch:
            if "!" in segment.text:
                raise EngineError(f"cannot speak {segment.text!r}")
        return [Audio(np.zeros(len(s.text), np.float32), 8000) for s in batch]

    return speak


def sizes(outcomes: Sequence[Outcome]) -> list[int]:
    """Samples of each signal; -1 for an error."""
    return [len(out.samples) if isinstance(out, Audio) else -1 for out in outcomes]


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
        return [Audio(np.zeros(3, np.float32), 8000)] * count

    (outcome,) = run(wrong, segments("a"))
    assert isinstance(outcome, EngineError)
    assert str(outcome) == f"the engine gave {count} signals for 1 segments"


def test_a_bug_of_an_engine_is_not_hidden() -> None:
    def broken(_: Sequence[Segment]) -> list[Audio]:
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        run(broken, segments("a", "b"))


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
