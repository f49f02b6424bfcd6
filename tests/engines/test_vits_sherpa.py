"""sherpa-onnx itself speaks the exports in its form, and we speak them as it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farm.engines.vits import Vits
from farm.jobs import Segment
from tests.engines.dialects.originals import request, spoken
from tests.exports import export
from tests.exports.voices import VOICES, voice

pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed: make setup EXTRAS=all")

TEXTS = {"en": "A short one, is it not?", "fr": "a short one", "zh": "今天天气很好，我们去银行"}


@pytest.mark.parametrize("name", [name for name in VOICES if name.startswith("sherpa_")])
def test_without_noise_the_signal_is_that_of_sherpa_onnx(name: str, tmp_path: Path) -> None:
    text, folder = TEXTS[VOICES[name][0]], export(name)
    theirs = spoken(folder, folder / "model.onnx", noise_scale=0.0, noise_scale_w=0.0)
    given = theirs.generate(text, request(folder)(text))
    ours = Vits(voice(name, tmp_path, noise_scale=0, noise_w=0), tmp_path, "cpu")
    audio = ours.speak([Segment("d" * 64, text, "voice")])[0]
    assert given.sample_rate == audio.sample_rate
    assert len(audio.samples) > 1_000
    np.testing.assert_allclose(audio.samples, given.samples, atol=1e-3)
