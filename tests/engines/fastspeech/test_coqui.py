"""Coqui's ForwardTTS: ids, mels and signals are those of Coqui's own inference."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from farm.engines.fastspeech2 import FastSpeech2
from farm.errors import EngineError
from tests.engines.fastspeech.voices import load, make, segment

TEXTS = ("hello, world.", "a rather longer sentence, is it not?")
HOP = 256

#: Frames at either end that hear how the two pad the mel differently.
EDGE = 16


@pytest.mark.parametrize("form", ["coqui", "coqui_speakers", "coqui_convolutions"])
def test_ids_mel_and_signal_are_those_of_coqui(form: str, tmp_path: Path) -> None:
    engine = load(form, tmp_path)
    golden = np.load(tmp_path / "golden.npz")
    speaker = "bob" if form == "coqui_speakers" else ""
    for number, text in enumerate(TEXTS):
        spoken = segment(text, speaker=speaker)
        tokens = engine._tokens(spoken)
        assert list(tokens.ids) == golden[f"ids_{number}"].tolist()
        (mel,) = engine._acoustic.speak([engine._line(tokens, spoken)])
        np.testing.assert_allclose(mel.frames, golden[f"mel_{number}"], atol=1e-4)
        found = engine.speak([spoken])[0].samples
        # Coqui leaves 5 frames of padding at either end of what it gives.
        expected = golden[f"wav_{number}"][5 * HOP : -5 * HOP]
        assert len(found) == len(expected)
        inside = slice(EDGE * HOP, -EDGE * HOP)
        np.testing.assert_allclose(found[inside], expected[inside], atol=1e-4)


def test_speakers_pitch_and_energy_differ_within_a_batch(tmp_path: Path) -> None:
    together = load("coqui_speakers", tmp_path, batched=1)
    alone = load("coqui_speakers", tmp_path)
    batch = [
        segment(TEXTS[1], speaker="ann"),
        segment(TEXTS[0], speaker="eve", pitch=3.0),
        segment(TEXTS[1], speaker="bob", energy=1.4, speed=1.2),
    ]
    for each, audio in zip(batch, together.speak(batch), strict=True):
        np.testing.assert_allclose(audio.samples, alone.speak([each])[0].samples, atol=1e-3)


def test_pitch_is_changed_in_hertz_as_the_export_says(tmp_path: Path) -> None:
    unit = load("coqui", tmp_path)._acoustic._units["pitch"]
    assert unit is not None
    scale, shift = unit.change(2.0)
    # A prediction of 0.5 stands for 200 + 0.5 x 40 Hz; an octave above is 440 Hz.
    assert 200 + (0.5 * scale + shift) * 40 == pytest.approx(440)


def test_a_vocoder_of_other_decibels_is_refused(tmp_path: Path) -> None:
    voice = make("coqui", tmp_path)
    config = json.loads((tmp_path / "vocoder.json").read_text("utf-8"))
    config["audio"] |= {"log_func": "np.log10", "spec_gain": 20, "signal_norm": True}
    (tmp_path / "vocoder.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(EngineError, match="log 'ln' against 'db', normalisation 'none' against"):
        FastSpeech2(voice, tmp_path, "cpu")


def test_a_config_without_symbols_is_refused(tmp_path: Path) -> None:
    voice = make("coqui", tmp_path)
    (tmp_path / "config.json").write_text('{"audio": {"sample_rate": 22050}}', "utf-8")
    with pytest.raises(EngineError, match="has no 'characters'"):
        FastSpeech2(voice, tmp_path, "cpu")
    files = {role: name for role, name in voice.files.items() if role != "config"}
    with pytest.raises(EngineError, match=r"neither 'phones' .* nor 'config'"):
        FastSpeech2(dataclasses.replace(voice, files=files), tmp_path, "cpu")


def test_a_character_that_the_voice_lacks_is_warned_of(tmp_path: Path) -> None:
    audio = load("coqui", tmp_path).speak([segment("so ж it is")])[0]
    assert audio.warnings == ("voice 'tiny' lacks 'ж': left out",)
