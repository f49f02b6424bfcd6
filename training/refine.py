"""The `refine` stage: teach the vocoder the acoustic model's mels and the right breathiness.

Magnitude losses alone prefer a clean harmonic to noise that they cannot match, which
buzzes above 2 kHz. So the contrast between harmonics and the valleys amid them is made
to match the teacher's, averaged over bands, where chance cancels out.
"""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from training.acoustic import Acoustic
from training.corpus import Corpus
from training.loop import Judged, Schedule, Trainer, averaged
from training.settings import F0_CENTRE, HOP, SAMPLE_RATE, SEED, WINDOW
from training.train_acoustic import collate
from training.train_vocoder import FRAMES, Batch, Segments, losses
from training.vocoder import Vocoder

SCHEDULE: Final = Schedule(steps=1200, rate=4e-4, betas=(0.8, 0.95), warmup=50, hold=0.3)

#: Harmonics looked at, and Hertz in one band of the average.
HARMONICS: Final = 48
BAND: Final = 1000.0
BANDS: Final = 7

#: Beside the spectral losses, which are about 1.
CONTRAST_WEIGHT: Final = 0.3

#: Segments of a batch that start from the acoustic model's mel.
PREDICTED: Final = 5


def _at(spectrum: Tensor, hertz: Tensor) -> Tensor:
    """Read log spectra (B, F, bins) at frequencies (B, F, K), linearly between bins."""
    place = (hertz * WINDOW / SAMPLE_RATE).clamp(max=WINDOW // 2 - 1)
    low = place.floor()
    share = place - low
    index = low.long()
    return (
        torch.gather(spectrum, 2, index) * (1 - share)
        + torch.gather(spectrum, 2, index + 1) * share
    )


def contrast(signal: Tensor, f0: Tensor, voiced: Tensor) -> Tensor:
    """Return how far harmonics stand above their valleys, log magnitude per band: (B, BANDS).

    `signal` is (B, F * HOP), `f0` in Hertz and `voiced` are (B, F). The mean is taken over
    all voiced frames and all harmonics in a band; a band without any gives 0.
    """
    edge = (WINDOW - HOP) // 2
    padded = torch.nn.functional.pad(signal[:, None], (edge, edge), mode="reflect")[:, 0]
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(padded, WINDOW, HOP, WINDOW, window, center=False, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    logs = 0.5 * torch.log(power + 1e-8).transpose(1, 2)
    peaks = f0[..., None] * torch.arange(1, HARMONICS + 1)
    gap = _at(logs, peaks) - _at(logs, peaks + f0[..., None] / 2)
    band = (peaks / BAND).long()
    sums = []
    for number in range(BANDS):
        weight = (band == number) * voiced[..., None]
        sums.append((gap * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2)).clamp(min=1))
    return torch.stack(sums, dim=1)


class Mixed:
    """Segments of which some carry the mel that the acoustic model would give."""

    def __init__(self, corpus: Corpus, acoustic: Acoustic) -> None:
        """Use the training sentences and a trained model."""
        self._segments, self._corpus, self._acoustic = Segments(corpus), corpus, acoustic

    @torch.no_grad()
    def _mel(self, index: int, start: int) -> Tensor:
        """Return the model's mel of one segment at the teacher's own durations and prosody."""
        one = collate(self._corpus, [index])
        hidden, _ = self._acoustic.encode(one.ids, one.lengths)
        size = one.mel.shape[1]
        mel = self._acoustic.decode(hidden, one.pitch, one.energy, one.durations, size)
        return mel[0, start : start + FRAMES].T

    def batch(self, step: int) -> Batch:
        """Return what `Segments.batch` does, with the first mels replaced."""
        mel, pitch, voiced, audio = self._segments.batch(step)
        for row, (index, start) in enumerate(self._segments.places(step)[:PREDICTED]):
            mel[row] = self._mel(index, start)
        return mel, pitch, voiced, audio


def judge(model: Vocoder, mixed: Mixed, step: int) -> Judged:
    """Return the vocoder's loss of a step plus the difference in contrast."""
    batch = mixed.batch(step)
    loss, notes, made = losses(model, batch, step)
    _, pitch, voiced, audio = batch
    f0 = F0_CENTRE * torch.exp(pitch)
    gap = (contrast(made, f0, voiced) - contrast(audio, f0, voiced)).abs().mean()
    return loss + CONTRAST_WEIGHT * gap, {**notes, "contrast": gap.item()}


def train(work: Path, stop: int | None = None) -> None:
    """Go on from the vocoder's averaged weights, or from this stage's own checkpoint."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    acoustic, model = Acoustic(), Vocoder()
    acoustic.load_state_dict(averaged(work / "acoustic.pt"))
    model.load_state_dict(averaged(work / "vocoder.pt"))
    mixed = Mixed(Corpus(work / "corpus"), acoustic.eval())
    trainer = Trainer(model, SCHEDULE, work / "refined.pt")
    trainer.run("refine", lambda step: judge(model, mixed, step), stop)
