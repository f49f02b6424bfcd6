"""What every form of a FastSpeech 2 voice promises, whoever exported it."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.audio import Audio
from farm.engines.fastspeech2 import FastSpeech2
from farm.errors import EngineError
from tests.engines.fastspeech.voices import FORMS, load, make, segment, texts

#: The first of them downloads PaddleSpeech.
pytestmark = pytest.mark.timeout(600)

#: Decibels below full scale: what a cut tail may hold beyond the single run.
SILENT = 10 ** (-50 / 20)

#: Forms whose models predict no pitch and no energy.
FLAT = {"coqui_convolutions"}


@pytest.fixture(scope="module", params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(form: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(form)


@pytest.fixture(scope="module")
def engine(form: str, folder: Path) -> FastSpeech2:
    return load(form, folder)


@pytest.fixture(scope="module")
def together(form: str, folder: Path) -> FastSpeech2:
    """The same voice, told to speak a batch in one pass."""
    return load(form, folder, batched=1)


def speak(engine: FastSpeech2, text: str, **prosody: Any) -> Audio:
    return engine.speak([segment(text, **prosody)])[0]


def test_a_batch_of_eight_says_what_each_says_alone(
    form: str, engine: FastSpeech2, together: FastSpeech2
) -> None:
    eight = texts(form) * 2
    for text, audio in zip(eight, together.speak([segment(t) for t in eight]), strict=True):
        alone = speak(engine, text)
        assert len(audio.samples) == len(alone.samples)
        assert audio.timings == alone.timings
        assert np.abs(audio.samples - alone.samples).max() < min(1e-3, SILENT)


def test_speeds_differ_within_a_batch(
    form: str, engine: FastSpeech2, together: FastSpeech2
) -> None:
    speeds = (1.0, 0.7, 1.3, 1.0)
    batch = [segment(t, speed=s) for t, s in zip(texts(form), speeds, strict=True)]
    for each, audio in zip(batch, together.speak(batch), strict=True):
        np.testing.assert_allclose(audio.samples, engine.speak([each])[0].samples, atol=1e-3)


def test_without_a_batch_company_changes_no_bit(form: str, engine: FastSpeech2) -> None:
    batch = engine.speak([segment(text) for text in texts(form)])
    for text, audio in zip(texts(form), batch, strict=True):
        np.testing.assert_array_equal(audio.samples, speak(engine, text).samples)


def test_a_restart_and_threads_change_no_bit(form: str, engine: FastSpeech2, folder: Path) -> None:
    again = load(form, folder)
    alone = [speak(engine, text).samples for text in texts(form)]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda text: speak(again, text).samples, texts(form))
        for one, other in zip(alone, found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_timings_name_the_symbols_and_add_up_to_the_signal(form: str, engine: FastSpeech2) -> None:
    for text in texts(form):
        audio = speak(engine, text)
        assert sum(timing.samples for timing in audio.timings) == len(audio.samples)
        assert all(timing.symbol and timing.samples >= 0 for timing in audio.timings)
        assert len({timing.samples for timing in audio.timings}) > 1 or len(audio.timings) < 3


def test_the_signal_is_float_mono_and_within_full_scale(form: str, engine: FastSpeech2) -> None:
    audio = speak(engine, texts(form)[1])
    assert audio.samples.dtype == np.float32
    assert audio.samples.ndim == 1
    assert 0.01 < np.abs(audio.samples).max() <= 1
    assert audio.sample_rate == engine.sample_rate


def test_speed_shortens_and_lengthens(form: str, engine: FastSpeech2) -> None:
    text = texts(form)[1]
    plain, slow, fast = (len(speak(engine, text, speed=s).samples) for s in (1, 0.5, 2))
    # Frames are whole, and some models give every symbol one at least.
    assert slow == pytest.approx(2 * plain, rel=0.12)
    assert plain / 2 * 0.88 < fast < plain * 0.75


def test_a_model_that_knows_pitch_and_energy_changes_them(form: str, engine: FastSpeech2) -> None:
    text = texts(form)[1]
    plain = speak(engine, text).samples
    for change in ({"pitch": 3.0}, {"pitch": -3.0}, {"energy": 1.5}):
        if form in FLAT:
            with pytest.raises(EngineError, match="to change: leave it at"):
                speak(engine, text, **change)
            continue
        changed = speak(engine, text, **change).samples
        assert len(changed) == len(plain)
        assert np.abs(changed - plain).max() > 1e-3


def test_volume_is_in_decibels(form: str, engine: FastSpeech2) -> None:
    text = texts(form)[0]
    quiet = speak(engine, text, volume=-6.0).samples
    np.testing.assert_allclose(quiet, speak(engine, text).samples * 10 ** (-0.3), atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_nothing_to_pronounce_is_an_error(engine: FastSpeech2, text: str) -> None:
    with pytest.raises(EngineError, match="nothing to pronounce in"):
        speak(engine, text)


def test_a_language_that_the_voice_does_not_speak_is_an_error(engine: FastSpeech2) -> None:
    with pytest.raises(EngineError, match="does not speak 'fi'"):
        engine.speak([segment("hyvää", language="fi")])


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_a_speed_that_cannot_be_is_an_error(form: str, engine: FastSpeech2, speed: float) -> None:
    with pytest.raises(EngineError, match=f"speed {speed} is not valid"):
        speak(engine, texts(form)[0], speed=speed)


def test_an_unknown_speaker_is_refused_with_the_names(form: str, engine: FastSpeech2) -> None:
    names = "SSB0005, SSB0009" if form == "paddle_speakers" else "ann, bob, eve"
    choices = names if form.endswith("speakers") else "none, it has a single voice"
    with pytest.raises(EngineError, match=f"no speaker 'zoe'; its speakers: {choices}"):
        speak(engine, texts(form)[0], speaker="zoe")


def test_no_segments_give_no_signals(engine: FastSpeech2, together: FastSpeech2) -> None:
    assert engine.speak([]) == []
    assert together.speak([]) == []


def test_another_rate_than_the_pinned_one_is_refused(form: str, folder: Path) -> None:
    voice = dataclasses.replace(make(form, folder), sample_rate=8_000)
    with pytest.raises(EngineError, match="says 8000 Hz but its models"):
        FastSpeech2(voice, folder, "cpu")
