"""The `acoustic` and `vocoder` stages: both go on from the default voice's models."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training import train_acoustic, train_vocoder
from training.corpus import Corpus
from training.loop import Judged, Schedule, Trainer, averaged
from training.settings import MEL_FLOOR, SEED
from training.teacher import FloatArray
from training.train_acoustic import Batch, collate, epoch
from training.train_vocoder import Segments
from training.zeroshot.corpus import speakers
from training.zeroshot.models import SpeakerEncoder, WideVocoder, ZeroShot

ACOUSTIC: Final = Schedule(steps=2000, rate=1e-3, betas=(0.9, 0.98), warmup=100)
VOCODER: Final = Schedule(steps=1200, rate=5e-4, betas=(0.8, 0.95), warmup=50, hold=0.4)

#: Mel frames of the reference that a sentence is told its speaker by (1.5 to 4 s).
REFERENCE: Final = (96, 256)


class Cloner(nn.Module):
    """Acoustic model and speaker encoder, trained together."""

    def __init__(self) -> None:
        """Start from random weights; the caller seeds torch."""
        super().__init__()
        self.acoustic = ZeroShot()
        self.listener = SpeakerEncoder()

    def encode(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, object]:
        """Speak as whom `reference` holds."""
        return self.acoustic.encode_as(ids, lengths, self.listener.embed(self.reference))

    def decode(self, *given: Tensor | int) -> Tensor:
        """See `Acoustic.decode`."""
        return self.acoustic.decode(*given)  # type: ignore[arg-type]

    reference: Tensor


class Batches:
    """The batch of every step, with another recording of each sentence's speaker."""

    def __init__(self, folder: Path) -> None:
        """Use the training sentences of a corpus."""
        self._corpus, self._who = Corpus(folder), speakers(folder)
        train, _ = self._corpus.split()
        self._frames = self._corpus.sizes[: len(train), 1]
        self._of = [
            np.flatnonzero(self._who[: len(train)] == n) for n in range(self._who.max() + 1)
        ]
        self._epoch, self._first, self._plan = 0, 0, epoch(self._frames, 0)

    def at(self, step: int) -> tuple[Batch, Tensor]:
        """Return the batch of a step and its references (B, F, MELS); steps must not go back."""
        while step - self._first >= len(self._plan):
            self._first += len(self._plan)
            self._epoch += 1
            self._plan = epoch(self._frames, self._epoch)
        indices = self._plan[step - self._first]
        return collate(self._corpus, indices), self.references(indices, step)

    def references(self, indices: list[int], step: int) -> Tensor:
        """Return a stretch of another sentence of each speaker, all of one length."""
        rng = np.random.default_rng((SEED, step, 2))
        wanted = int(rng.integers(*REFERENCE))
        rows = [self._stretch(int(self._who[index]), wanted, rng) for index in indices]
        return torch.from_numpy(np.stack(rows))

    def _stretch(self, who: int, wanted: int, rng: np.random.Generator) -> FloatArray:
        mel = self._corpus[int(rng.choice(self._of[who]))].mel
        start = int(rng.integers(max(1, len(mel) - wanted)))
        part = np.array(mel[start : start + wanted])
        short = wanted - len(part)
        return np.pad(part, ((0, short), (0, 0)), constant_values=float(np.log(MEL_FLOOR)))


def judge(model: Cloner, batch: Batch, reference: Tensor) -> Judged:
    """Return the acoustic loss of a batch that is spoken as its references."""
    model.reference = reference
    return train_acoustic.judge(model, batch)  # type: ignore[arg-type]


def cloner(default: Path) -> Cloner:
    """Return a model that begins as the default voice."""
    torch.manual_seed(SEED)
    model = Cloner()
    weights = averaged(default / "acoustic.pt")
    model.acoustic.load_state_dict(weights, strict=False)
    return model


def acoustic(work: Path, default: Path, stop: int | None = None) -> None:
    """Train acoustic model and speaker encoder, or go on from their checkpoint."""
    torch.set_num_threads(1)
    batches, model = Batches(work / "corpus"), cloner(default)
    trainer = Trainer(model, ACOUSTIC, work / "cloner.pt")
    trainer.run("acoustic", lambda step: judge(model, *batches.at(step)), stop)


def vocoder(work: Path, default: Path, stop: int | None = None) -> None:
    """Train the default voice's vocoder on every pseudo-speaker, or go on from its checkpoint."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    segments, model = Segments(Corpus(work / "corpus")), WideVocoder()
    model.load_state_dict(averaged(default / "refined.pt"))
    trainer = Trainer(model, VOCODER, work / "vocoder.pt")
    trainer.run("vocoder", lambda step: train_vocoder.judge(model, segments, step), stop)
