"""Piper voices: a tiny graph of known sound, through the real phonemiser and runtime."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from farm.engines.piper import Piper
from farm.engines.piper_whole import timed
from farm.errors import EngineError, OutOfMemory, Unavailable
from farm.jobs import Phones, Prosody, Segment
from tests.engines.tiny_piper import FRAMES, HOP, make_config, make_voice
from tests.exports import copy

EACH = int(FRAMES) * HOP


def speak(engine: Piper, text: str, **prosody: Any) -> Any:
    return engine.speak([Segment("d" * 64, text, "tiny", Prosody(**prosody))])[0]


def symbols(engine: Piper, text: str) -> str:
    return "".join(timing.symbol for timing in speak(engine, text).timings)


@pytest.fixture
def piper(tmp_path: Path) -> Piper:
    return Piper(make_voice(tmp_path), tmp_path, "cpu")


def load(folder: Path, *, config: Mapping[str, Any] | None = None, **options: Any) -> Piper:
    """Load a tiny voice; `config` overrides fields of its config, `options` go to `make_voice`."""
    parameters = options.pop("parameters", {})
    voice = dataclasses.replace(make_voice(folder, **options), parameters=parameters)
    content = make_config(options.get("speakers", ())) | dict(config or {})
    (folder / "tiny.onnx.json").write_text(json.dumps(content), encoding="utf-8")
    return Piper(voice, folder, "cpu")


def test_a_text_is_spoken_by_its_phonemes_each_with_its_pad(piper: Piper) -> None:
    audio = speak(piper, "Hello, world.")
    assert [timing.symbol for timing in audio.timings] == [*"^həlˈoʊ, wˈɜːld.$"]
    # Start, every phoneme, each followed by a pad; the end alone.
    assert [timing.samples for timing in audio.timings] == [2 * EACH] * 16 + [EACH]
    assert len(audio.samples) == 33 * EACH


def test_the_level_is_the_models_own(piper: Piper) -> None:
    audio = speak(piper, "a")
    highest = max(DEFAULT_PHONEME_ID_MAP[timing.symbol][0] for timing in audio.timings)
    assert audio.samples.max() == pytest.approx(highest / 512)
    first = DEFAULT_PHONEME_ID_MAP["^"][0] / 512
    np.testing.assert_allclose(audio.samples[:EACH], first, atol=1e-7)
    np.testing.assert_array_equal(audio.samples[EACH : 2 * EACH], 0)


def test_sentences_that_espeak_sees_in_one_segment_are_spoken_as_one(piper: Piper) -> None:
    whole = symbols(piper, "One. Two! Three?")
    assert whole == "^wˌʌn. tˈuː! θɹˈiː?$"


def test_brackets_are_text_not_phonemes(piper: Piper) -> None:
    assert symbols(piper, "The [[more]] here") == symbols(piper, "The [more] here")


def pronounced(engine: Piper, text: str, *phones: Phones) -> Any:
    return engine.speak([Segment("d" * 64, text, "tiny", phones=phones)])[0]


def test_given_phonemes_are_spoken_exactly_within_their_sentence(piper: Piper) -> None:
    assert piper.reads_ipa
    audio = pronounced(piper, "I gave it to Siobhan.", Phones(13, 20, "ʃɪˈvɔːn"))
    spoken = "".join(timing.symbol for timing in audio.timings)
    assert spoken == symbols(piper, "I gave it to her.").replace("hɜː", "ʃɪˈvɔːn")
    assert audio.warnings == ()
    lacking = pronounced(piper, "X.", Phones(0, 1, "ɛ˥"))
    assert lacking.warnings == ("the voice lacks '˥'",)


def test_a_voice_of_letters_reads_no_phonemes(tmp_path: Path) -> None:
    piper = load(tmp_path, config={"phoneme_type": "text"})
    assert not piper.reads_ipa
    spoken = pronounced(piper, "fox", Phones(0, 3, "a"))
    assert "".join(timing.symbol for timing in spoken.timings) == "^fox$"


def test_phonemes_that_the_voice_lacks_are_warned_of_each_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lacking = {"ʊ", "ə"}
    small = {s: ids for s, ids in DEFAULT_PHONEME_ID_MAP.items() if s not in lacking}
    engine = load(tmp_path, config={"phoneme_id_map": small})
    with caplog.at_level(logging.WARNING):
        audio = speak(engine, "Hello, hello")
    assert audio.warnings == ("the voice lacks 'ə'", "the voice lacks 'ʊ'")
    assert [timing.symbol for timing in audio.timings] == [*"^hlˈo, hlˈo$"]
    assert caplog.text == ""  # said where the job is reported, not a second time here


def test_a_text_that_the_voice_has_every_phoneme_of_comes_without_a_warning(piper: Piper) -> None:
    assert speak(piper, "Hello, world.").warnings == ()


@pytest.mark.parametrize("text", ["...", "— “”", "-", "\u200b", "'"])
def test_a_text_of_marks_alone_cannot_be_spoken(piper: Piper, text: str) -> None:
    with pytest.raises(EngineError, match="nothing to pronounce in"):
        speak(piper, text)


def test_ten_thousand_characters_without_a_stop_are_spoken(piper: Piper) -> None:
    audio = speak(piper, "word " * 2000)
    assert sum(timing.symbol == "w" for timing in audio.timings) == 2000


def test_a_voice_without_durations_speaks_without_timings(tmp_path: Path) -> None:
    audio = speak(load(tmp_path, timed=False), "Hello")
    assert audio.timings == ()
    assert len(audio.samples) == 15 * EACH


def test_a_voice_that_gives_durations_already_is_taken_as_it_is(tmp_path: Path) -> None:
    make_voice(tmp_path / "plain")
    onnx.save(timed(tmp_path / "plain" / "tiny.onnx"), tmp_path / "patched.onnx")
    again = timed(tmp_path / "patched.onnx")
    assert [output.name for output in again.graph.output] == ["output", "frames"]


def test_the_parameters_of_the_voice_reach_the_graph(tmp_path: Path) -> None:
    plain = speak(load(tmp_path), "Hello")
    slow = speak(load(tmp_path, parameters={"length_scale": 1.5}), "Hello")
    assert len(slow.samples) == 1.5 * len(plain.samples)
    both = speak(load(tmp_path, parameters={"length_scale": 1.5}), "Hello", speed=1.5)
    assert len(both.samples) == len(plain.samples)


def test_a_noisy_graph_that_cannot_be_cut_runs_whole_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(tmp_path)
    assert caplog.text == ""
    still = load(tmp_path, noisy=True)
    assert "voice 'tiny' runs whole and is not deterministic" in caplog.text
    assert "cannot be cut: 0 outputs follow a transposed convolution" in caplog.text
    np.testing.assert_array_equal(speak(still, "Hi").samples, speak(still, "Hi").samples)
    noisy = load(tmp_path, noisy=True, parameters={"noise_scale": 0.1})
    assert not np.array_equal(speak(noisy, "Hi").samples, speak(noisy, "Hi").samples)


def test_energy_is_refused_not_ignored(piper: Piper) -> None:
    with pytest.raises(EngineError, match=r"cannot change the energy \(asked for 1.5\)"):
        speak(piper, "Hello", energy=1.5)


def test_pitch_is_refused_not_ignored(piper: Piper) -> None:
    with pytest.raises(EngineError, match=r"cannot change the pitch \(asked for 2.0 semitones\)"):
        speak(piper, "Hello", pitch=2.0)


def test_speakers_are_chosen_by_name(tmp_path: Path) -> None:
    engine = load(tmp_path, speakers=("ann", "bob"))
    ann, bob = (speak(engine, "Hello", speaker=name).samples for name in ("ann", "bob"))
    np.testing.assert_allclose(bob - ann, 0.1, atol=1e-6)
    np.testing.assert_array_equal(speak(engine, "Hello").samples, ann)


def test_a_voice_may_name_its_speaker_and_a_segment_another(tmp_path: Path) -> None:
    engine = load(tmp_path, speakers=("ann", "bob"), parameters={"speaker": "bob"})
    assert speak(engine, "a").samples.max() > speak(engine, "a", speaker="ann").samples.max()


def test_speakers_without_names_go_by_number(tmp_path: Path) -> None:
    engine = load(tmp_path, speakers=("ann", "bob"), config={"speaker_id_map": {}})
    assert speak(engine, "a", speaker="1").samples.max() > speak(engine, "a").samples.max()
    with pytest.raises(EngineError, match="no speaker '2'; its speakers: 0, 1"):
        speak(engine, "a", speaker="2")


def test_an_unknown_speaker_is_refused_with_the_names(tmp_path: Path) -> None:
    engine = load(tmp_path, speakers=("bob", "ann"))
    with pytest.raises(EngineError, match="'tiny' has no speaker 'eve'; its speakers: ann, bob"):
        speak(engine, "Hello", speaker="eve")


def test_a_single_voice_takes_no_speaker(piper: Piper) -> None:
    with pytest.raises(EngineError, match="no speaker 'eve'; its speakers: none, it has a single"):
        speak(piper, "Hello", speaker="eve")


def test_a_signal_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="voice 'tiny': the model gave no finite signal"):
        speak(load(tmp_path, broken=True), "Hello")


def test_a_wrong_hop_is_found_out_rather_than_heard(tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match="say 15360 samples, the model gave 7680: check hop_length"
    ):
        speak(load(tmp_path, config={"hop_length": 512}), "Hello")
    shorter = speak(load(tmp_path, config={"hop_length": 128}), "Hello")
    assert len(shorter.samples) == sum(timing.samples for timing in shorter.timings) == 3840


def test_what_the_runtime_refuses_is_an_engine_error(tmp_path: Path) -> None:
    engine = load(tmp_path, parameters={"length_scale": -5.0})
    with pytest.raises(EngineError, match=r"^voice 'tiny': "):
        speak(engine, "Hello")


def test_a_signal_too_large_for_the_machine_is_out_of_memory(tmp_path: Path) -> None:
    engine = load(tmp_path, parameters={"length_scale": 1e9})
    with pytest.raises(OutOfMemory, match=r"^voice 'tiny': "):
        speak(engine, "Hello")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is no Piper config: Expecting"),
        (b"{}", "no field 'num_symbols'"),
        (b"[]", "is no Piper config"),
        (b"\xff", "is no Piper config"),
        (None, "is no Piper config: .*No such file"),
    ],
)
def test_a_broken_config_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    voice = make_voice(tmp_path)
    if content is None:
        (tmp_path / "tiny.onnx.json").unlink()
    else:
        (tmp_path / "tiny.onnx.json").write_bytes(content)
    with pytest.raises(EngineError, match=f"tiny.onnx.json' .*{reason}|json' {reason}"):
        Piper(voice, tmp_path, "cpu")


@pytest.mark.parametrize("content", [b"not a graph", b"", None])
def test_a_broken_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    voice = make_voice(tmp_path)
    if content is None:
        (tmp_path / "tiny.onnx").unlink()
    else:
        (tmp_path / "tiny.onnx").write_bytes(content)
    with pytest.raises(EngineError, match=r"tiny.onnx' is no (ONNX model|Piper voice)"):
        Piper(voice, tmp_path, "cpu")


def test_a_graph_that_is_no_piper_voice_is_told_what_it_lacks(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    model = onnx.load(tmp_path / "tiny.onnx")
    model.graph.input[2].name = "scale"
    model.graph.node[0].input[0] = "scale"
    onnx.save(model, tmp_path / "tiny.onnx")
    with pytest.raises(EngineError, match=r"its inputs are \['input', 'input_lengths', 'scale'\]"):
        Piper(voice, tmp_path, "cpu")


def test_a_voice_that_names_no_model_is_told_so(tmp_path: Path) -> None:
    voice = dataclasses.replace(make_voice(tmp_path), files={"config": "tiny.onnx.json"})
    with pytest.raises(EngineError, match=r"'tiny' names no 'model' file; it has \['config'\]"):
        Piper(voice, tmp_path, "cpu")


def test_a_sample_rate_that_changed_since_pinning_is_refused(tmp_path: Path) -> None:
    voice = dataclasses.replace(make_voice(tmp_path), sample_rate=22_050)
    with pytest.raises(EngineError, match="says 22050 Hz but its config 16000 Hz"):
        Piper(voice, tmp_path, "cpu")


def test_a_language_that_espeak_does_not_know_fails_at_load(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot turn 'a' into phonemes"):
        load(tmp_path, config={"espeak": {"voice": "klingonese"}})


def test_a_gpu_that_is_not_there_is_unavailable_not_the_cpu(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    with pytest.raises(Unavailable, match="device 'cuda:99' is not there"):
        Piper(voice, tmp_path, "cuda:99")


def test_a_language_that_the_voice_does_not_speak_is_refused(piper: Piper) -> None:
    def say(language: str) -> int:
        segment = Segment("d" * 64, "Hello", "tiny", language=language)
        return len(piper.speak([segment])[0].samples)

    assert say("en") == say("en-GB") == say("EN_us") == say("")
    with pytest.raises(EngineError, match="voice 'tiny' speaks 'en', not 'de-AT'"):
        say("de-AT")
    with pytest.raises(EngineError, match="speaks 'en', not 'eng'"):
        say("eng")


def genuine(folder: Path, name: str = "piper") -> Piper:
    """Load a voice as piper.train exports it, with noise, of random weights."""
    copy(name, folder)
    voice = dataclasses.replace(
        make_voice(folder),
        sample_rate=22_050,
        files={"model": "model.onnx", "config": "model.onnx.json"},
    )
    return Piper(voice, folder, "cpu")


def test_a_cut_voice_says_a_digest_the_same_way_after_a_restart(tmp_path: Path) -> None:
    before = speak(genuine(tmp_path), "Hello, world.")
    after = speak(genuine(tmp_path), "Hello, world.")
    np.testing.assert_array_equal(before.samples, after.samples)
    assert before.timings == after.timings
    assert sum(timing.samples for timing in after.timings) == len(after.samples)
    assert "".join(timing.symbol for timing in after.timings) == "^həlˈoʊ, wˈɜːld.$"


def test_a_cut_voice_reads_another_digest_otherwise(tmp_path: Path) -> None:
    piper = genuine(tmp_path)
    one, other = piper.speak([Segment(each * 64, "Hello", "tiny") for each in "ab"])
    assert len(one.samples) != len(other.samples) or (one.samples != other.samples).any()


def test_the_parts_of_a_cut_voice_are_kept_in_its_folder(tmp_path: Path) -> None:
    genuine(tmp_path)
    kept = sorted(path.name for path in (tmp_path / ".split").glob("*/*"))
    assert kept == ["decoder.onnx", "encoder.onnx", "flow.onnx", "split.json"]


def test_speakers_of_a_cut_voice_differ_and_may_share_a_batch(tmp_path: Path) -> None:
    piper = genuine(tmp_path, "piper_speakers")
    segments = [
        Segment("d" * 64, "Hello", "tiny", Prosody(speaker=name)) for name in ("alice", "bob", "")
    ]
    alice, bob, default = (audio.samples for audio in piper.speak(segments))
    np.testing.assert_array_equal(alice, default)
    assert len(alice) != len(bob) or np.abs(alice - bob).max() > 1e-3
    with pytest.raises(EngineError, match="no speaker 'eve'; its speakers: alice, bob, carol"):
        speak(piper, "Hello", speaker="eve")


def test_a_cut_voice_keeps_its_pace_and_its_level(tmp_path: Path) -> None:
    piper = genuine(tmp_path)
    plain, fast, loud = (
        speak(piper, "Hello, world.", **each) for each in ({}, {"speed": 2.0}, {"volume": -6.0})
    )
    assert 0.4 < len(fast.samples) / len(plain.samples) < 0.8
    np.testing.assert_allclose(loud.samples, plain.samples * 10 ** (-6 / 20), atol=1e-6)


def test_a_cut_voice_of_another_device_is_unavailable(tmp_path: Path) -> None:
    genuine(tmp_path)
    voice = dataclasses.replace(
        make_voice(tmp_path),
        sample_rate=22_050,
        files={"model": "model.onnx", "config": "model.onnx.json"},
    )
    with pytest.raises(Unavailable, match="device 'cuda:99' is not there"):
        Piper(voice, tmp_path, "cuda:99")
