"""The zero-shot pair's training: pseudo-speakers, and models that hear who speaks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from training import features  # noqa: E402
from training.acoustic import Acoustic  # noqa: E402
from training.settings import SAMPLE_RATE  # noqa: E402
from training.zeroshot.models import SIZE, SpeakerEncoder, ZeroShot  # noqa: E402
from training.zeroshot.speakers import SEEN, UNSEEN, played  # noqa: E402


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * hertz * time).astype(np.float32)


@pytest.mark.parametrize("rate", [0.84, 1.0, 1.25])
def test_played_faster_a_tone_is_higher_and_shorter(rate: float) -> None:
    made = played(tone(400), rate)
    assert len(made) == round(SAMPLE_RATE / rate)
    peak = np.abs(np.fft.rfft(made)).argmax() * SAMPLE_RATE / len(made)
    assert peak == pytest.approx(400 * rate, abs=1)
    assert np.abs(made).max() == pytest.approx(1, abs=0.05)


def test_who_judges_was_never_learnt_from() -> None:
    assert len(set(SEEN)) == len(SEEN) == 34
    assert not set(SEEN) & set(UNSEEN)
    assert {speaker.voice for speaker in UNSEEN} == {speaker.voice for speaker in SEEN}


def test_the_model_begins_as_the_default_voice() -> None:
    torch.manual_seed(1)
    model, ids = ZeroShot(), torch.randint(1, 100, (2, 9))
    lengths, d_vector = torch.tensor([9, 5]), torch.randn(2, SIZE)
    hidden, _ = Acoustic.encode(model, ids, lengths)
    told, _ = model.encode_as(ids, lengths, d_vector)
    assert torch.equal(hidden, told)
    torch.nn.init.normal_(model.speaker.weight)
    told, _ = model.encode_as(ids, lengths, d_vector)
    assert not torch.allclose(hidden, told)
    assert told[1, 5:].abs().max() == 0  # padding stays silent


def test_the_encoders_front_end_is_that_of_the_features() -> None:
    wav = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (1, 8192)).astype(np.float32))
    mine = SpeakerEncoder().mels(wav)[0]
    wanted = features.log_mel(wav)[0].T
    # `log_mel` pads by (WINDOW - HOP) / 2 = 384 samples: its frames lie half a hop elsewhere.
    shifted = features.log_mel(wav[:, 128:])[0].T
    assert mine.shape[1] == wanted.shape[1]
    torch.testing.assert_close(mine[1:-2], shifted[2 : len(mine) - 1], atol=1e-3, rtol=0)


def test_neither_level_nor_silence_around_it_changes_who_is_heard() -> None:
    torch.manual_seed(1)
    encoder = SpeakerEncoder().eval()
    wav = torch.from_numpy(np.random.default_rng(2).normal(0, 0.1, (1, 32_768)).astype(np.float32))
    quiet = torch.zeros(1, 16_384)
    with torch.no_grad():
        one, louder, framed = (
            encoder(each)[0] for each in (wav, 3 * wav, torch.cat([quiet, wav, quiet], 1))
        )
    assert float(one.norm()) == pytest.approx(1, abs=1e-5)
    assert float(one @ louder) > 0.9999
    assert float(one @ framed) > 0.99
