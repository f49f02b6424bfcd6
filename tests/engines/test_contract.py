"""What every engine promises, over small voices of each: genuine exports, and the farm's own.

Those that speak through a service elsewhere are judged with real servers, in tests of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm import builtin
from farm.audio import Audio
from farm.engines import ENGINES, Engine, family, load
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from farm.voices import catalogue, pin
from tests.engines.fastspeech import voices as fastspeech
from tests.exports.voices import voice as vits_voice
from tests.exports.your_voices import onnx_voice_in, torch_voice_in

TEXTS = ["A short one.", "A sentence that is a good deal longer than the other, is it not?", "No!"]
#: Of eight lengths.
EIGHT = [
    *TEXTS,
    "Two of them.",
    "Why?",
    "And so it goes on and on.",
    f"{TEXTS[1]} {TEXTS[0]}",
    "Some words stand between the long and the short.",
]


def _piper(folder: Path) -> Voice:
    return replace(vits_voice("piper", folder), engine="piper", family="piper")


def _tone(_: Path) -> Voice:
    return Voice(
        id="tone", digest="0" * 64, engine="tone", family="tone", language="en", sample_rate=16_000
    )


#: Engine to what makes a voice of it in a folder. A new engine gets a line here.
MAKERS: dict[str, Callable[[Path], Voice]] = {
    "fastspeech2": fastspeech.own,
    "piper": _piper,
    "tone": _tone,
    "vits": lambda folder: vits_voice("coqui_deterministic", folder),
    "yourtts": torch_voice_in,
    "yourtts_onnx": onnx_voice_in,
}
#: Voices that ship with the farm, whose graphs draw no noise and run whole.
WHOLE = ("flite", "slt", "slt-pair", "slt-vits")
#: Frames of each symbol are rounded up: twice the speed leaves more than half the time.
ROUNDED = {"piper", "vits", "yourtts", "yourtts_onnx"}


def segment(text: str, **prosody: Any) -> Segment:
    """Return a segment with a prosody."""
    return Segment("d" * 64, text, "voice", Prosody(**prosody))


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the voices that ship with the farm."""
    return builtin.prepare(tmp_path_factory.mktemp("home"))


@pytest.fixture(params=[*sorted(name for name in ENGINES if family(name) != "http"), *WHOLE])
def voice(request: pytest.FixtureRequest, tmp_path: Path, shipped: Path) -> Voice:
    """A voice of each engine, its files in `tmp_path`."""
    if request.param not in WHOLE:
        return MAKERS[request.param](tmp_path)
    file = catalogue([shipped])[request.param]
    for path in file.files.values():
        shutil.copyfile(path, tmp_path / path.name)
    return pin(file)


@pytest.fixture
def engine(voice: Voice, tmp_path: Path) -> Engine:
    return load(voice, tmp_path, "cpu")


def speak(engine: Engine, text: str, **prosody: Any) -> Audio:
    """Speak one text alone."""
    return engine.speak([segment(text, **prosody)])[0]


def test_each_segment_gives_one_signal_in_order(engine: Engine, voice: Voice) -> None:
    spoken = engine.speak([segment(text) for text in TEXTS])
    assert len(spoken) == len(TEXTS)
    for audio in spoken:
        assert audio.samples.dtype == np.float32
        assert audio.samples.ndim == 1
        assert audio.sample_rate == engine.sample_rate == voice.sample_rate
        assert 0 < np.abs(audio.samples).max() <= 1
    assert len(spoken[1].samples) > 2 * len(spoken[0].samples) > 2 * len(spoken[2].samples)


def test_no_segments_give_no_signals(engine: Engine) -> None:
    assert engine.speak([]) == []


def test_timings_add_up_to_the_signal(engine: Engine) -> None:
    for audio in engine.speak([segment(text) for text in TEXTS]):
        assert len(audio.timings) >= 3
        assert sum(timing.samples for timing in audio.timings) == len(audio.samples)
        assert all(timing.samples >= 0 and timing.symbol for timing in audio.timings)


def test_company_in_a_batch_changes_no_sample(engine: Engine) -> None:
    batch = engine.speak([segment(text) for text in TEXTS])
    for text, audio in zip(TEXTS, batch, strict=True):
        np.testing.assert_array_equal(audio.samples, speak(engine, text).samples)


def test_the_same_segment_sounds_the_same_after_a_restart(
    engine: Engine, voice: Voice, tmp_path: Path
) -> None:
    before = speak(engine, TEXTS[1])
    speak(engine, TEXTS[0])
    after = speak(load(voice, tmp_path, "cpu"), TEXTS[1])
    np.testing.assert_array_equal(before.samples, after.samples)
    assert before.timings == after.timings


def test_threads_do_not_disturb_each_other(engine: Engine) -> None:
    alone = [speak(engine, text).samples for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        for number, audio in enumerate(pool.map(lambda text: speak(engine, text), TEXTS * 8)):
            np.testing.assert_array_equal(audio.samples, alone[number % len(TEXTS)])


def test_twice_the_speed_takes_half_the_time(engine: Engine, voice: Voice) -> None:
    slow, fast = speak(engine, TEXTS[1]), speak(engine, TEXTS[1], speed=2.0)
    if voice.engine in ROUNDED:
        assert 0.5 <= len(fast.samples) / len(slow.samples) < 0.7
    else:
        assert abs(len(slow.samples) / 2 - len(fast.samples)) <= 1
    assert sum(timing.samples for timing in fast.timings) == len(fast.samples)


def test_volume_is_in_decibels_and_never_beyond_full_scale(engine: Engine) -> None:
    plain = speak(engine, TEXTS[0]).samples
    quiet = speak(engine, TEXTS[0], volume=-6.0).samples
    np.testing.assert_allclose(quiet, plain * 10 ** (-6 / 20), atol=1e-6)
    assert np.abs(speak(engine, TEXTS[0], volume=60.0).samples).max() == 1


def test_a_long_text_is_spoken_to_its_end(engine: Engine) -> None:
    once = "and so on and on "
    twenty, forty = speak(engine, once * 20), speak(engine, once * 40)
    assert len(forty.samples) > 1.9 * len(twenty.samples)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing_to_speak_is_an_error_that_shows_the_text(engine: Engine, text: str) -> None:
    with pytest.raises(EngineError, match=f"nothing to .* in {text!r}".replace("\\", r"\\")):
        speak(engine, text)


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_a_speed_that_cannot_be_is_an_error(engine: Engine, speed: float) -> None:
    with pytest.raises(EngineError, match=f"speed {speed}"):
        speak(engine, TEXTS[0], speed=speed)


def test_a_segment_that_cannot_be_spoken_leaves_the_engine_in_order(engine: Engine) -> None:
    before = speak(engine, TEXTS[0]).samples
    with pytest.raises(EngineError):
        engine.speak([segment(TEXTS[0]), segment("")])
    np.testing.assert_array_equal(speak(engine, TEXTS[0]).samples, before)


def test_a_batch_in_one_pass_says_what_each_says_alone(voice: Voice, tmp_path: Path) -> None:
    """As off the CPU: padded, behind masks, cut; texts, paces and volumes differ."""
    forced = replace(voice, parameters={**voice.parameters, "batched": 1})
    batching = load(forced, tmp_path, "cpu")
    wanted = [
        segment(text, speed=1.0 + 0.25 * (number % 3), volume=-3.0 * (number % 2))
        for number, text in enumerate(EIGHT)
    ]
    for each, among in zip(wanted, batching.speak(wanted), strict=True):
        alone = batching.speak([each])[0]
        assert among.timings == alone.timings
        assert len(among.samples) == len(alone.samples)
        assert np.abs(among.samples - alone.samples).max() < 1e-3


def test_a_stream_has_the_samples_of_what_is_spoken_at_once(engine: Engine) -> None:
    for text in TEXTS:
        pieces = list(engine.stream(segment(text, volume=-6.0)))
        whole = speak(engine, text, volume=-6.0)
        together = np.concatenate([each.samples for each in pieces])
        np.testing.assert_allclose(together, whole.samples, atol=1e-5)
        assert {each.warnings for each in pieces} == {whole.warnings}
    with pytest.raises(EngineError):
        next(engine.stream(segment("")))
