"""The engine `vits` over genuine exports of every dialect: the contract, and what is its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.audio import Audio
from farm.engines import Engine, load
from farm.engines.vits import Vits
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from tests.engines.test_contract import (
    TEXTS,
    speak,
    test_a_long_text_is_spoken_to_its_end,
    test_a_segment_that_cannot_be_spoken_leaves_the_engine_in_order,
    test_a_speed_that_cannot_be_is_an_error,
    test_company_in_a_batch_changes_no_sample,
    test_each_segment_gives_one_signal_in_order,
    test_no_segments_give_no_signals,
    test_nothing_to_speak_is_an_error_that_shows_the_text,
    test_the_same_segment_sounds_the_same_after_a_restart,
    test_threads_do_not_disturb_each_other,
    test_volume_is_in_decibels_and_never_beyond_full_scale,
)
from tests.engines.tiny_piper import make_voice
from tests.exports.voices import VOICES, voice

__all__ = [
    "test_a_long_text_is_spoken_to_its_end",
    "test_a_segment_that_cannot_be_spoken_leaves_the_engine_in_order",
    "test_a_speed_that_cannot_be_is_an_error",
    "test_company_in_a_batch_changes_no_sample",
    "test_each_segment_gives_one_signal_in_order",
    "test_no_segments_give_no_signals",
    "test_nothing_to_speak_is_an_error_that_shows_the_text",
    "test_the_same_segment_sounds_the_same_after_a_restart",
    "test_threads_do_not_disturb_each_other",
    "test_volume_is_in_decibels_and_never_beyond_full_scale",
]

#: One voice of each dialect, and one without noise of durations, for the whole contract.
CONTRACT = ("mms", "coqui", "coqui_deterministic", "piper", "sherpa_english")

#: Language to texts: a long one between two short ones.
SENTENCES = {
    "en": TEXTS,
    "fr": TEXTS,
    "ko": ["세계", "안녕하세요 세계", "plain"],
    "ro": TEXTS,
    "zh": ["你好。", "今天天气很好，我们去银行！你好世界。", "好"],
}

_engines: dict[str, Engine] = {}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vits")


@pytest.fixture(params=CONTRACT, name="voice")
def _voice(request: pytest.FixtureRequest, tmp_path: Path) -> Voice:
    return voice(str(request.param), tmp_path)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, folders: Path) -> Path:
    """One folder a voice for the whole run: its graph is cut once."""
    folder: Path = folders / request.node.callspec.params["voice"]
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def engine(voice: Voice, tmp_path: Path) -> Engine:
    return opened(voice, tmp_path)


def opened(voice: Voice, folder: Path) -> Engine:
    """Load a voice once for the whole run."""
    if voice.id not in _engines:
        _engines[voice.id] = load(voice, folder, "cpu")
    return _engines[voice.id]


def make(name: str, folders: Path) -> Engine:
    """Load an export's voice once for the whole run."""
    if name not in _engines:
        _engines[name] = load(voice(name, folders / name), folders / name, "cpu")
    return _engines[name]


def say(engine: Engine, text: str, language: str = "", **prosody: Any) -> Audio:
    """Speak one text in a language."""
    return engine.speak([Segment("d" * 64, text, "voice", Prosody(**prosody), language)])[0]


def test_twice_the_speed_takes_about_half_the_time(engine: Engine) -> None:
    slow, fast = speak(engine, TEXTS[1]), speak(engine, TEXTS[1], speed=2.0)
    # Every symbol lasts a whole number of frames, rounded up.
    ids = len(engine._dialect.tokenise(TEXTS[1], "en").ids)  # type: ignore[attr-defined]
    assert len(slow.samples) / 2 <= len(fast.samples) + 1
    assert len(fast.samples) < len(slow.samples) / 2 + ids * 256


@pytest.mark.parametrize("name", sorted(VOICES))
def test_every_export_speaks_alike_alone_and_in_company(name: str, folders: Path) -> None:
    engine = make(name, folders)
    texts = SENTENCES[VOICES[name][0].partition("-")[0]]
    together = engine.speak([Segment("d" * 64, text, "voice") for text in texts])
    for text, audio in zip(texts, together, strict=True):
        alone = say(engine, text)
        np.testing.assert_array_equal(alone.samples, audio.samples)
        assert alone.sample_rate == VOICES[name][1]
        assert sum(timing.samples for timing in alone.timings) == len(alone.samples)
        assert 0.01 < np.abs(alone.samples).max() <= 1


@pytest.mark.parametrize("name", ["coqui_speakers", "piper_speakers", "sherpa_speakers"])
def test_speakers_are_chosen_by_name_or_number(name: str, folders: Path) -> None:
    engine = make(name, folders)
    text = SENTENCES[VOICES[name][0].partition("-")[0]][0]
    own = say(engine, text).samples
    other = say(engine, text, speaker="2").samples
    np.testing.assert_array_equal(say(engine, text, speaker="0").samples, own)
    assert other.shape != own.shape or np.abs(other - own).max() > 0.01
    if name != "sherpa_speakers":
        np.testing.assert_array_equal(say(engine, text, speaker="carol").samples, other)


def test_a_speaker_that_is_not_there_is_an_error_with_the_choices(folders: Path) -> None:
    with pytest.raises(EngineError, match="no speaker 'eve'; its speakers: alice, bob, carol, d"):
        say(make("coqui_speakers", folders), "no", speaker="eve")
    with pytest.raises(EngineError, match="no speaker '4'"):
        say(make("sherpa_speakers", folders), "好", speaker="4")
    with pytest.raises(EngineError, match="none, it has a single voice"):
        say(make("coqui", folders), "no", speaker="alice")


def test_languages_and_speakers_may_differ_within_a_batch(folders: Path) -> None:
    engine = make("coqui_languages", folders)
    segments = [
        Segment("d" * 64, "a short one", "voice", Prosody(speaker=speaker), language)
        for speaker, language in [("", "en"), ("bob", "fr"), ("dave", "pt-BR"), ("", "fr-FR")]
    ]
    together = engine.speak(segments)
    for segment, audio in zip(segments, together, strict=True):
        np.testing.assert_array_equal(engine.speak([segment])[0].samples, audio.samples)
    english, french = together[0].samples, together[3].samples
    assert english.shape != french.shape or np.abs(english - french).max() > 0.01


@pytest.mark.parametrize(
    ("name", "language", "spoken"),
    [
        ("coqui_languages", "zh", "en, fr-fr, pt-br"),
        ("mms", "de", "en"),
        ("sherpa_jieba", "en", "zh"),
    ],
)
def test_a_language_that_the_voice_does_not_speak_is_an_error(
    name: str, language: str, spoken: str, folders: Path
) -> None:
    with pytest.raises(EngineError, match=f"does not speak '{language}', only {spoken}"):
        say(make(name, folders), "no", language)


def test_what_the_voice_lacks_is_said_and_the_rest_spoken(folders: Path) -> None:
    with_it = say(make("mms", folders), "no ☃ snow 日")
    assert with_it.warnings == ("the voice lacks '☃'", "the voice lacks '日'")
    assert say(make("mms", folders), "no, snow.").warnings == ()
    chinese = say(make("sherpa_speakers", folders), "你好龘")
    assert chinese.warnings == ("the voice lacks '龘'",)
    assert say(make("sherpa_english", folders), "a snowman").warnings == (
        "the voice lacks 'snowman'",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("mms", "..."), ("mms", "日本"), ("sherpa_jieba", "！"), ("coqui", "?!"), ("piper", ".")],
)
def test_marks_alone_are_nothing_to_pronounce(name: str, text: str, folders: Path) -> None:
    with pytest.raises(EngineError, match="nothing to pronounce in"):
        say(make(name, folders), text)


@pytest.mark.parametrize("control", [{"pitch": 2.0}, {"energy": 1.5}])
def test_a_control_that_vits_does_not_have_is_an_error(
    control: dict[str, Any], folders: Path
) -> None:
    with pytest.raises(EngineError, match=r"engine 'vits' cannot change the (pitch|energy)"):
        say(make("mms", folders), "no", "", **control)


def test_another_segment_digest_gives_another_reading(folders: Path) -> None:
    engine = make("coqui", folders)
    one = engine.speak([Segment("1" * 64, TEXTS[0], "voice")])[0].samples
    two = engine.speak([Segment("2" * 64, TEXTS[0], "voice")])[0].samples
    assert one.shape != two.shape or np.abs(one - two).max() > 0.01


def test_parameters_of_the_voice_set_the_scales(folders: Path) -> None:
    folder = folders / "still"
    still = voice("mms", folder, noise_scale=0, noise_w=0, length_scale=1.5)
    engine = Vits(still, folder, "cpu")
    one = engine.speak([Segment("1" * 64, TEXTS[0], "voice")])[0].samples
    two = engine.speak([Segment("2" * 64, TEXTS[0], "voice")])[0].samples
    np.testing.assert_array_equal(one, two)


def test_a_voice_of_another_rate_is_refused(folders: Path) -> None:
    folder = folders / "rate"
    one = voice("mms", folder)
    wrong = Voice(**(vars(one) | {"sample_rate": 22_050}))
    with pytest.raises(EngineError, match=r"says 22050 Hz but its model 16000 Hz: pin"):
        Vits(wrong, folder, "cpu")


def piper_graph(folder: Path, **how: Any) -> Voice:
    """A graph of Piper's signature that cannot be cut, as a voice of `vits`."""
    return replace(make_voice(folder, **how), engine="vits", family="onnx")


def test_a_graph_that_draws_noise_and_cannot_be_cut_is_refused(folders: Path) -> None:
    noisy = piper_graph(folders / "noisy", noisy=True)
    with pytest.raises(EngineError, match="0 outputs follow a transposed convolution"):
        Vits(noisy, folders / "noisy", "cpu")


def test_a_graph_that_keeps_its_durations_is_spoken_without_timings(folders: Path) -> None:
    untimed = Vits(piper_graph(folders / "untimed", timed=False), folders / "untimed", "cpu")
    audio = say(untimed, "Hello, world.")
    # Each id lasts two frames: begin, a blank, each of 14 phonemes with a blank, end.
    assert (len(audio.samples), audio.timings) == (33 * 2 * 256, ())
