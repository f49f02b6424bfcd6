"""Reference recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from farm.engines.cloning.reference import read, references, resampled
from farm.errors import EngineError

TONE = (0.3 * np.sin(2 * np.pi * 220 / 22_050 * np.arange(22_051))).astype(np.float32)


def test_a_recording_is_read_as_mono_with_its_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, 0 * TONE], axis=1), 22_050, "FLOAT")
    samples, rate = read(tmp_path / "a.wav")
    assert rate == 22_050
    np.testing.assert_allclose(samples, TONE / 2, atol=1e-6)


def test_a_file_without_audio_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    for name in ("a.wav", "missing.wav"):
        with pytest.raises(EngineError, match=name):
            read(tmp_path / name)


def test_another_rate_keeps_pitch_and_length_rounded_up() -> None:
    wave = resampled(TONE, 22_050, 16_000)
    assert len(wave) == 16_001
    assert wave.dtype == np.float32
    middle = slice(1000, 15_000)
    expected = 0.3 * np.sin(2 * np.pi * 220 / 16_000 * np.arange(16_001))
    np.testing.assert_allclose(wave[middle], expected[middle], atol=1e-3)


def test_the_same_rate_changes_nothing() -> None:
    np.testing.assert_array_equal(resampled(TONE, 16_000, 16_000), TONE)


def test_silence_and_snippets_hold_no_voice() -> None:
    with pytest.raises(EngineError, match="is silent"):
        resampled(0 * TONE, 16_000, 16_000)
    with pytest.raises(EngineError, match=r"lasts 0\.10 s"):
        resampled(TONE[:1600], 16_000, 16_000)


def test_references_are_the_roles_of_that_name() -> None:
    files = {"model": "m", "reference": "a.wav", "reference_2": "b.wav", "d_vector": "d.npy"}
    assert references(files, Path("v")) == [Path("v/a.wav"), Path("v/b.wav")]
