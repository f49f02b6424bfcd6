"""The `vocoder` stage: learn to turn the teacher's mel frames into its audio."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from training import features
from training.corpus import Corpus
from training.loop import Judged, Schedule, Trainer
from training.settings import HOP, SEED
from training.vocoder import NOISE_STEPS, Vocoder

SCHEDULE: Final = Schedule(steps=3000, rate=1e-3, betas=(0.8, 0.95), hold=0.5)

#: Segments per step and mel frames per segment.
BATCH: Final = 10
FRAMES: Final = 64

#: Frames at each edge of a segment that no loss sees: the filters lack their neighbours.
MARGIN: Final = 2

#: FFT sizes of the spectral loss; each with a quarter as hop.
RESOLUTIONS: Final = (512, 1024, 2048)


#: Mel (B, MELS, F), log pitch and voicing (B, F), audio (B, F * HOP).
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class Segments:
    """Random stretches of the corpus; what a step sees depends on the step alone."""

    def __init__(self, corpus: Corpus) -> None:
        """Keep the training sentences that are long enough."""
        train, _ = corpus.split()
        self._corpus = corpus
        self._long = [i for i in train if corpus.sizes[i, 1] > FRAMES]

    def places(self, step: int) -> list[tuple[int, int]]:
        """Return the sentence and the first frame of each segment."""
        rng = np.random.default_rng((SEED, step))
        indices = map(int, rng.choice(self._long, BATCH))
        return [(i, int(rng.integers(self._corpus.sizes[i, 1] - FRAMES))) for i in indices]

    def batch(self, step: int) -> Batch:
        """Return the segments of a step."""
        rows = []
        for index, start in self.places(step):
            one, cut = self._corpus[index], slice(start, start + FRAMES)
            signal = one.signal[start * HOP : (start + FRAMES) * HOP] / np.float32(32768)
            rows.append((one.mel[cut].T, one.pitch[cut], one.voiced[cut], signal))
        stacked = (np.stack(column).astype(np.float32) for column in zip(*rows, strict=True))
        mel, pitch, voiced, audio = (torch.from_numpy(column) for column in stacked)
        return mel, pitch, voiced, audio


def magnitudes(signal: Tensor, size: int) -> Tensor:
    """Return STFT magnitudes of (B, samples) at a hop of a quarter of `size`."""
    window = torch.hann_window(size)
    spectrum = torch.stft(signal, size, size // 4, size, window, return_complex=True)
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-7)


def spectral_loss(made: Tensor, true: Tensor) -> Tensor:
    """Spectral convergence plus log magnitude, averaged over RESOLUTIONS.

    Yamamoto et al. 2020, Parallel WaveGAN (arXiv:1910.11480), equations 5 and 6.
    """
    total = torch.zeros(())
    for size in RESOLUTIONS:
        a, b = magnitudes(made, size), magnitudes(true, size)
        convergence = torch.linalg.norm(b - a) / torch.linalg.norm(b)
        total = total + convergence + (a.log() - b.log()).abs().mean()
    return total / len(RESOLUTIONS)


def losses(model: Vocoder, batch: Batch, step: int) -> tuple[Tensor, dict[str, float], Tensor]:
    """Return the loss of a batch, its parts and the audio made."""
    mel, pitch, voiced, audio = batch
    with torch.autocast("cpu", torch.bfloat16):
        guess, masks = model.estimate(mel)
    roll = int(np.random.default_rng((SEED, step, 1)).integers(NOISE_STEPS))
    noise = torch.roll(model.noise, roll, 0)[None, : masks.shape[1]]
    made = model.render(pitch, masks, noise)
    inner = slice(MARGIN * HOP, -MARGIN * HOP)
    spectral = spectral_loss(made[:, inner], audio[:, inner])
    mels = (features.log_mel(made[:, inner]) - features.log_mel(audio[:, inner])).abs().mean()
    f0 = ((guess - pitch).abs() * (0.05 + voiced)).sum() / (0.05 + voiced).sum()
    notes = {"stft": spectral.item(), "mel": mels.item(), "f0": f0.item()}
    return spectral + mels + 2.0 * f0, notes, made


def judge(model: Vocoder, segments: Segments, step: int) -> Judged:
    """Return the loss of a step's segments."""
    loss, notes, _ = losses(model, segments.batch(step), step)
    return loss, notes


def train(work: Path, stop: int | None = None) -> None:
    """Train to the end of the schedule or to step `stop`; resume where a checkpoint lies."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    segments = Segments(Corpus(work / "corpus"))
    model = Vocoder()
    trainer = Trainer(model, SCHEDULE, work / "vocoder.pt")
    trainer.run("vocoder", lambda step: judge(model, segments, step), stop)
