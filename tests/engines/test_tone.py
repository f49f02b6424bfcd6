"""The fake: how it sounds, and how it fails on demand."""

from __future__ import annotations

import multiprocessing
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from farm.engines.tone import PEAK, Tone
from farm.errors import DeviceLost, EngineError, OutOfMemory
from farm.jobs import Prosody, Segment, Voice


def tone(**parameters: float) -> Tone:
    voice = Voice(
        id="tone",
        digest="0",
        engine="tone",
        family="tone",
        language="en",
        sample_rate=8_000,
        parameters=parameters,
    )
    return Tone(voice, Path("none"), "cpu")


def segment(text: str, digest: str = "a", **prosody: float) -> Segment:
    return Segment(digest, text, "tone", Prosody(**prosody))  # type: ignore[arg-type]


def loudest_hertz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * 8_000 / len(samples))


def test_a_character_lasts_sixty_milliseconds() -> None:
    (audio,) = tone().speak([segment("Hello")])
    assert len(audio.samples) == 5 * 480
    assert [(timing.symbol, timing.samples) for timing in audio.timings] == [
        (letter, 480) for letter in "Hello"
    ]


def test_lengths_that_do_not_divide_add_up() -> None:
    (audio,) = tone().speak([segment("Hello world", speed=0.7)])
    assert len(audio.samples) == round(11 * 480 / 0.7)
    assert {timing.samples for timing in audio.timings} == {685, 686}


def test_the_pitch_follows_from_the_digest() -> None:
    one, two, again = (tone().speak([segment("x" * 40, d)])[0].samples for d in "aba")
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, again)
    assert 110 <= loudest_hertz(one) <= 440


def test_twelve_semitones_are_an_octave() -> None:
    low = tone().speak([segment("x" * 100)])[0].samples
    high = tone().speak([segment("x" * 100, pitch=12.0)])[0].samples
    assert loudest_hertz(high) == pytest.approx(2 * loudest_hertz(low), abs=0.5)
    assert np.abs(low).max() == pytest.approx(PEAK, abs=0.01)


def test_a_marker_fails_its_segments_and_is_not_spoken() -> None:
    with pytest.raises(EngineError, match=r"asked to fail by 'one \[\[fail\]\]'"):
        tone().speak([segment("fine"), segment("one [[fail]]")])
    (slow,) = tone().speak([segment("one [[slow 0.01]]")])
    assert "".join(timing.symbol for timing in slow.timings) == "one"


def test_a_marker_warns_of_its_segment_alone() -> None:
    lacking, whole = tone().speak([segment("one [[lack]]"), segment("two")])
    assert lacking.warnings == ("the voice lacks '[[lack]]'",)
    assert "".join(timing.symbol for timing in lacking.timings) == "one"
    assert whole.warnings == ()


def test_memory_runs_out_in_company_only() -> None:
    with pytest.raises(OutOfMemory, match="in a batch of 2"):
        tone().speak([segment("[[oom]] a"), segment("b")])
    assert len(tone().speak([segment("[[oom]] a")])[0].samples) > 0


def test_a_text_of_markers_alone_says_nothing() -> None:
    with pytest.raises(EngineError, match="nothing to speak"):
        tone().speak([segment("[[oom]]")])


def test_a_crash_kills_the_process() -> None:
    assert _die("[[crash]] a", 10) == -signal.SIGKILL


def test_a_hang_does_not_come_back() -> None:
    assert _die("[[hang]] a", 0.3) is None


def test_slow_segments_take_their_time() -> None:
    assert _took("a [[slow 0.2]]") >= 0.2


@pytest.mark.parametrize("busy", [0, 1])
def test_compute_per_second_of_audio_is_spent(busy: int) -> None:
    computed = time.thread_time()
    assert _took("x" * 20, seconds_per_audio_second=0.1, busy=busy) >= 0.12
    assert (time.thread_time() - computed > 0.1) is bool(busy)


def _took(text: str, **parameters: float) -> float:
    began = time.monotonic()
    tone(**parameters).speak([segment(text)])
    return time.monotonic() - began


def _die(text: str, wait_s: float) -> int | None:
    """Speak in a process of its own; return how it ended, or None if it had not."""
    child = multiprocessing.get_context("fork").Process(
        target=tone().speak, args=([segment(text)],)
    )
    child.start()
    child.join(wait_s)
    code = child.exitcode
    child.kill()
    child.join()
    return code


def test_asked_to_it_loses_its_device() -> None:
    with pytest.raises(DeviceLost, match="One"):
        tone().speak([segment("One [[poison]]")])


def test_a_pass_may_cost_something_beside_its_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    tone(seconds_per_pass=0.6).speak([segment("One"), segment("Two")])
    assert slept == [0.6]


def test_padding_counts_to_what_fits_into_a_pass() -> None:
    engine = tone(most_characters=20)
    assert len(engine.speak([segment("x" * 10), segment("x" * 10)])) == 2
    assert len(engine.speak([segment("x" * 20)])) == 1
    with pytest.raises(OutOfMemory, match="22 padded characters, 20 fit"):
        engine.speak([segment("x" * 11), segment("x")])
