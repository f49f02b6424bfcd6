"""PaddleSpeech's exports: what the farm says is what Paddle itself says; controls and warnings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from farm.engines.fastspeech2 import FastSpeech2
from farm.errors import EngineError
from farm.jobs import Voice
from tests.engines.fastspeech.voices import FORMS, IDS, load, make, segment, symbols
from tests.exports import export

#: The first of them downloads PaddleSpeech.
pytestmark = pytest.mark.timeout(600)

HOP = 300

Golden = Mapping[str, NDArray[np.float32]]


def speak(engine: FastSpeech2, ids: list[int], **prosody: Any) -> NDArray[np.float32]:
    return engine.speak([segment(symbols(ids), **prosody)])[0].samples


def frames(engine: FastSpeech2, ids: list[int], **prosody: Any) -> list[int]:
    audio = engine.speak([segment(symbols(ids), **prosody)])[0]
    return [timing.samples // HOP for timing in audio.timings]


@pytest.fixture(scope="module")
def golden() -> Golden:
    """What Paddle itself gives, by model and number of the ids."""
    with np.load(export("paddle") / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def engine(tmp_path: Path) -> FastSpeech2:
    return load("paddle", tmp_path, alphabet="symbols")


@pytest.mark.parametrize("form", ["paddle", "paddle_mb_melgan"])
@pytest.mark.parametrize("number", [0, 1])
def test_the_signal_is_the_one_that_paddle_gives(
    form: str, number: int, tmp_path: Path, golden: Golden
) -> None:
    found = speak(load(form, tmp_path, alphabet="symbols"), IDS[number])
    kind = "mb_melgan" if form.endswith("melgan") else "hifigan"
    np.testing.assert_allclose(found, golden[f"csmsc_{kind}_{number}"], atol=1e-5)


@pytest.mark.parametrize("number", [0, 1])
def test_three_graphs_give_the_signal_of_paddles_whole_mel(
    number: int, tmp_path: Path, golden: Golden
) -> None:
    engine = load("paddle_streaming", tmp_path, alphabet="symbols")
    (expected,) = engine._vocoder.speak([golden[f"stream_mel_{number}"]])
    np.testing.assert_allclose(speak(engine, IDS[number]), expected, atol=1e-5)


@pytest.mark.parametrize(("speaker", "number"), [("SSB0005", 1), ("SSB0009", 2), ("", 1)])
def test_speakers_are_those_of_paddle(
    speaker: str, number: int, tmp_path: Path, golden: Golden
) -> None:
    engine = load("paddle_speakers", tmp_path, alphabet="symbols")
    (expected,) = engine._vocoder.speak([golden[f"aishell3_mel_{number}"]])
    np.testing.assert_allclose(speak(engine, IDS[1], speaker=speaker), expected, atol=1e-5)


def test_speakers_differ(golden: Golden) -> None:
    mels = [golden[f"aishell3_mel_{number}"] for number in (1, 2)]
    assert mels[0].shape != mels[1].shape or np.abs(mels[0] - mels[1]).max() > 1e-3


def test_timings_are_the_models_durations_symbol_by_symbol(
    engine: FastSpeech2, golden: Golden
) -> None:
    audio = engine.speak([segment(symbols(IDS[1]))])[0]
    assert [timing.symbol for timing in audio.timings] == symbols(IDS[1]).split()
    assert sum(frames(engine, IDS[1])) == len(golden["csmsc_mel_1"])


def test_half_the_speed_doubles_each_symbol_before_it_is_rounded(engine: FastSpeech2) -> None:
    plain, slow = frames(engine, IDS[1]), frames(engine, IDS[1], speed=0.5)
    assert all(abs(2 * one - other) <= 1 for one, other in zip(plain, slow, strict=True))
    assert slow != plain


def test_ratios_are_put_in_the_units_of_the_statistics(engine: FastSpeech2, tmp_path: Path) -> None:
    statistics = np.load(tmp_path / "pitch_stats.npy")
    unit = engine._acoustic._units["pitch"]
    assert unit is not None
    assert unit.log
    assert unit.std == pytest.approx(float(statistics[1, 0]))
    assert unit.change(2.0) == pytest.approx([1.0, np.log(2) / 0.3])
    energy = engine._acoustic._units["energy"]
    assert energy is not None
    assert energy.change(2.0) == pytest.approx([2.0, 60 / 40])


def test_without_statistics_pitch_is_refused_with_what_to_do(tmp_path: Path) -> None:
    voice = without(make("paddle", tmp_path, alphabet="symbols"), "pitch", "energy")
    engine = FastSpeech2(voice, tmp_path, "cpu")
    with pytest.raises(EngineError, match=r"name its pitch_stats\.npy as file 'pitch'"):
        speak(engine, IDS[0], pitch=1.0)
    with pytest.raises(EngineError, match="set the parameters energy_mean, energy_std"):
        speak(engine, IDS[0], energy=1.5)
    given = dataclasses.replace(
        voice, parameters={"alphabet": "symbols", "pitch_mean": 5.4, "pitch_std": 0.3}
    )
    with_parameters = FastSpeech2(given, tmp_path, "cpu")
    whole = load("paddle", tmp_path, alphabet="symbols")
    np.testing.assert_allclose(
        speak(with_parameters, IDS[0], pitch=2.0), speak(whole, IDS[0], pitch=2.0), atol=1e-6
    )


@pytest.mark.parametrize("energy", [0.0, -1.0])
def test_an_energy_that_cannot_be_is_an_error(engine: FastSpeech2, energy: float) -> None:
    with pytest.raises(EngineError, match=f"energy {energy} is not valid"):
        speak(engine, IDS[0], energy=energy)


def test_a_slower_voice_is_a_parameter(engine: FastSpeech2, tmp_path: Path) -> None:
    slow = load("paddle", tmp_path, alphabet="symbols", length_scale=2.0)
    np.testing.assert_array_equal(speak(slow, IDS[1]), speak(engine, IDS[1], speed=0.5))


def test_symbols_that_the_map_lacks_are_warned_of_and_left_out(engine: FastSpeech2) -> None:
    audio = engine.speak([segment("sil " + "xyz " + "a5 n")])[0]
    assert [timing.symbol for timing in audio.timings] == ["sil", "a5", "n"]
    assert audio.warnings == ("voice 'tiny' lacks 'xyz': left out",)
    assert engine.speak([segment("sil a5 n")])[0].warnings == ()


def test_mandarin_is_read_by_the_front_end(tmp_path: Path) -> None:
    audio = load("paddle", tmp_path).speak([segment("你好。")])[0]
    assert [timing.symbol for timing in audio.timings] == ["n", "i2", "h", "ao3"]


def test_a_single_symbol_speaks_and_too_many_are_an_error_not_silence(engine: FastSpeech2) -> None:
    assert len(speak(engine, [9])) % HOP == 0
    with pytest.raises(EngineError, match="voice 'tiny': "):
        speak(engine, [5, 9] * 2000)


def test_three_graphs_need_their_statistics_and_one_needs_none(tmp_path: Path) -> None:
    voice = make("paddle_streaming", tmp_path)
    with pytest.raises(EngineError, match=r"name its speech_stats\.npy as file 'stats'"):
        FastSpeech2(without(voice, "stats"), tmp_path, "cpu")
    with pytest.raises(EngineError, match="no acoustic model known here"):
        FastSpeech2(without(voice, "decoder", "postnet", "stats"), tmp_path, "cpu")
    whole = make("paddle", tmp_path)
    files = {**whole.files, "stats": "speech_stats.npy"}
    with pytest.raises(EngineError, match="leave 'stats' out"):
        FastSpeech2(dataclasses.replace(whole, files=files), tmp_path, "cpu")


def test_statistics_of_another_shape_are_refused(tmp_path: Path) -> None:
    voice = make("paddle_streaming", tmp_path)
    np.save(tmp_path / "speech_stats.npy", np.zeros((2, 40), np.float32))
    with pytest.raises(EngineError, match=r"'stats' has shape \(2, 40\), not \(2, 80\)"):
        FastSpeech2(voice, tmp_path, "cpu")
    np.save(tmp_path / "speech_stats.npy", {"mean": 1}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=r"is no \.npy file of numbers"):
        FastSpeech2(voice, tmp_path, "cpu")


def test_a_model_with_speakers_needs_their_names(tmp_path: Path) -> None:
    voice = without(make("paddle_speakers", tmp_path), "speakers")
    with pytest.raises(EngineError, match="no file names them: add 'speakers'"):
        FastSpeech2(voice, tmp_path, "cpu")


def test_an_alphabet_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="unknown alphabet 'runes': choose 'paddle' or 'symbols'"):
        load("paddle", tmp_path, alphabet="runes")
    voice = dataclasses.replace(make("paddle", tmp_path), language="fi")
    with pytest.raises(EngineError, match="no front end for a map of 'fi'"):
        FastSpeech2(voice, tmp_path, "cpu")


def test_a_hop_that_the_vocoder_does_not_have_is_named_with_both(tmp_path: Path) -> None:
    voice = make("paddle", tmp_path)
    text = (tmp_path / "default.yaml").read_text().replace("n_shift: 300", "n_shift: 256")
    (tmp_path / "default.yaml").write_text(text)
    with pytest.raises(EngineError, match="do not fit: hop 256 against 300; take a vocoder"):
        FastSpeech2(voice, tmp_path, "cpu")


def test_a_vocoder_of_other_bands_of_frequency_is_refused(tmp_path: Path) -> None:
    voice = make("paddle", tmp_path)
    text = (tmp_path / "default.yaml").read_text()
    (tmp_path / "other.yaml").write_text(text.replace("fmin: 80", "fmin: 0"))
    files = {**voice.files, "vocoder_config": "other.yaml"}
    with pytest.raises(EngineError, match=r"do not fit: low 80\.0 against 0\.0"):
        FastSpeech2(dataclasses.replace(voice, files=files), tmp_path, "cpu")


@pytest.mark.parametrize("role", ["acoustic", "vocoder"])
def test_a_broken_graph_is_named(role: str, tmp_path: Path) -> None:
    voice = make("paddle", tmp_path)
    (tmp_path / voice.files[role]).write_bytes(b"no graph")
    with pytest.raises(EngineError, match=f"{voice.files[role]}' is no ONNX model"):
        FastSpeech2(voice, tmp_path, "cpu")


@pytest.mark.parametrize("role", ["acoustic", "vocoder"])
def test_a_missing_role_is_named(role: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"names no '{role}' file"):
        FastSpeech2(without(make("paddle", tmp_path), role), tmp_path, "cpu")


def test_a_graph_that_draws_noise_is_refused(tmp_path: Path) -> None:
    voice = make("paddle", tmp_path)
    model = onnx.load(tmp_path / "hifigan.onnx")
    model.graph.node.append(onnx.helper.make_node("RandomNormal", [], ["noise"], shape=[1]))
    onnx.save(model, tmp_path / "hifigan.onnx")
    with pytest.raises(EngineError, match=r"draws noise itself \(RandomNormal\)"):
        FastSpeech2(voice, tmp_path, "cpu")


def test_every_form_of_paddle_has_all_three_controls(tmp_path: Path) -> None:
    wanted = {"length_scale", "pitch_scale", "pitch_shift", "energy_scale", "energy_shift"}
    for form in (each for each in FORMS if each.startswith("paddle")):
        assert wanted <= load(form, tmp_path / form)._acoustic._inputs


def without(voice: Voice, *roles: str) -> Voice:
    files = {role: name for role, name in voice.files.items() if role not in roles}
    return dataclasses.replace(voice, files=files)
