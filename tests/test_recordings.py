"""What a recording must be for a voice to be cloned from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from farm.audio import Samples
from farm.errors import InvalidInput
from farm.voices.recordings import Measured, check, measure

RATE = 16_000
GOOD = Measured(10.0, 8.0, 22_050, 0.0)


def talk(seconds: float, peak: float = 0.3, rate: int = RATE) -> Samples:
    """Noise of a steady level: all of it counts as speech."""
    drawn = np.random.default_rng(1).uniform(-peak, peak, round(seconds * rate))
    return drawn.astype(np.float32)


def hush(seconds: float, peak: float = 1e-4) -> Samples:
    return talk(seconds, peak)


def test_speech_is_what_is_loud() -> None:
    found = measure(np.concatenate([talk(2.0), hush(3.0), talk(1.0), hush(4.0)]), RATE)
    assert found.seconds == 10.0
    assert found.speech_s == pytest.approx(3.0, abs=0.04)


@pytest.mark.parametrize("peak", [0.003, 0.03, 0.9])
def test_the_level_of_a_recording_does_not_matter(peak: float) -> None:
    found = measure(np.concatenate([talk(2.0, peak), hush(2.0, peak / 1000)]), RATE)
    assert found.speech_s == pytest.approx(2.0, abs=0.04)


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), hush(1.0), talk(0.01), talk(0)])
def test_silence_and_next_to_nothing_are_no_speech(samples: Samples) -> None:
    assert measure(samples, RATE).speech_s == 0


def test_a_signal_cut_off_at_any_level_is_clipped() -> None:
    wave = np.sin(np.arange(RATE) / 20).astype(np.float32)
    assert measure(wave, RATE).clipped < 1e-4
    for limit in (0.5, 0.99):
        cut = np.clip(wave, -limit, limit)
        wanted = np.mean(np.abs(wave) >= limit)
        assert measure(cut, RATE).clipped == pytest.approx(wanted, rel=0.02)
    assert measure(np.zeros(RATE, np.float32), RATE).clipped == 0


def test_good_recordings_pass_together() -> None:
    check({"a": GOOD})
    check({"a": replace(GOOD, speech_s=1.0), "b": replace(GOOD, speech_s=2.0)})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"speech_s": 2.9}, r"2.9 s of speech \(2.9 s in 'a.wav'\): give 3 to 60 s in all"),
        ({"speech_s": 60.1}, "60.1 s of speech"),
        ({"sample_rate": 8_000}, "'a.wav' has 8000 Hz: record it at 16000 Hz or more"),
        ({"clipped": 0.002}, r"'a.wav' is clipped \(0.2% of its samples"),
    ],
)
def test_what_will_not_do_is_named_with_what_would(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidInput, match=line):
        check({"a.wav": replace(GOOD, **changes)})
