"""The `acoustic` stage: learn durations, prosody and mel frames from phoneme ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.acoustic import ENERGY_SHIFT, PITCH_SCALE, Acoustic, valid
from training.corpus import Corpus
from training.loop import Judged, Schedule, Trainer, averaged
from training.settings import MEL_FLOOR, SEED

SCHEDULE: Final = Schedule(steps=3000, rate=2e-3, betas=(0.9, 0.98))

#: Mel frames in a batch, padding included.
FRAMES: Final = 1600

#: Weights beside the mel's 1.
DURATION_WEIGHT: Final = 0.5
PROSODY_WEIGHT: Final = 0.15


@dataclass(frozen=True)
class Batch:
    """B sentences padded to T symbols and F frames."""

    ids: Tensor
    """(B, T), int64; 0 is padding."""
    lengths: Tensor
    """Symbols of each row, (B,)."""
    durations: Tensor
    """Frames of each symbol, (B, T)."""
    mel: Tensor
    """(B, F, MELS); log floor beyond a row's end."""
    pitch: Tensor
    """Mean log(F0 / F0_CENTRE) of each symbol times PITCH_SCALE, (B, T)."""
    energy: Tensor
    """Mean log energy of each symbol, shifted, (B, T)."""


def symbol_means(
    values: npt.NDArray[np.float32], durations: npt.NDArray[np.int16]
) -> npt.NDArray[np.float32]:
    """Average frame values (F,) over each symbol's frames; 0 for a symbol without any."""
    ends = np.cumsum(durations, dtype=np.int64)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    total = sums[ends] - sums[ends - durations]
    means: npt.NDArray[np.float32] = (total / np.maximum(durations, 1)).astype(np.float32)
    return means


def _pad(rows: list[npt.NDArray[np.generic]], value: float = 0.0) -> Tensor:
    """Stack rows of different lengths, filled up with `value`."""
    tensors = [torch.from_numpy(np.array(row)) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def collate(corpus: Corpus, indices: list[int]) -> Batch:
    """Build the batch of these sentences."""
    rows = [corpus[index] for index in indices]
    return Batch(
        ids=_pad([row.ids for row in rows]).long(),
        lengths=torch.tensor([len(row.ids) for row in rows]),
        durations=_pad([row.durations for row in rows]).long(),
        mel=_pad([row.mel for row in rows], float(np.log(MEL_FLOOR))),
        pitch=_pad([symbol_means(row.pitch * PITCH_SCALE, row.durations) for row in rows]),
        energy=_pad([symbol_means(row.energy + ENERGY_SHIFT, row.durations) for row in rows]),
    )


def epoch(frames: npt.NDArray[np.int64], number: int) -> list[list[int]]:
    """Cut the sentences of these lengths into batches of similar length, in random order."""
    rng = np.random.default_rng((SEED, number))
    order = np.argsort(frames * rng.uniform(0.9, 1.1, len(frames)))
    batches: list[list[int]] = [[]]
    for index in map(int, order):
        longest = max((int(frames[i]) for i in [*batches[-1], index]), default=0)
        if longest * (len(batches[-1]) + 1) > FRAMES and batches[-1]:
            batches.append([])
        batches[-1].append(index)
    return [batches[i] for i in rng.permutation(len(batches))]


class Batches:
    """The batch of every step; depends on the step alone."""

    def __init__(self, corpus: Corpus) -> None:
        """Use the training sentences."""
        train, _ = corpus.split()
        self._corpus, self._frames = corpus, corpus.sizes[: len(train), 1]
        self._epoch, self._first, self._plan = 0, 0, epoch(self._frames, 0)

    def at(self, step: int) -> Batch:
        """Return the batch of a step; steps must not go back."""
        while step - self._first >= len(self._plan):
            self._first += len(self._plan)
            self._epoch += 1
            self._plan = epoch(self._frames, self._epoch)
        return collate(self._corpus, self._plan[step - self._first])


def judge(model: Acoustic, batch: Batch) -> Judged:
    """Return the loss of a batch: mel L1, duration MSE, pitch and energy L1."""
    size = batch.mel.shape[1]
    with torch.autocast("cpu", torch.bfloat16):
        hidden, said = model.encode(batch.ids, batch.lengths)
        mel = model.decode(hidden, batch.pitch, batch.energy, batch.durations, size)
    frames = valid(batch.durations.sum(dim=1), size)
    symbols = valid(batch.lengths, batch.ids.shape[1])[..., 0]
    spoken = (batch.durations > 0).float()
    mels = ((mel - batch.mel).abs() * frames).sum() / frames.sum() / mel.shape[2]
    gap = said.duration - torch.log1p(batch.durations.float())
    duration = (gap.square() * symbols).sum() / symbols.sum()
    pitch = ((said.pitch - batch.pitch).abs() * spoken).sum() / spoken.sum()
    energy = ((said.energy - batch.energy).abs() * spoken).sum() / spoken.sum()
    loss = mels + DURATION_WEIGHT * duration + PROSODY_WEIGHT * (pitch + energy)
    notes = {"mel": mels, "duration": duration, "pitch": pitch, "energy": energy}
    return loss, {name: value.item() for name, value in notes.items()}


def validate(work: Path) -> dict[str, float]:
    """Return the averaged model's losses on the sentences kept apart."""
    corpus = Corpus(work / "corpus")
    model = Acoustic()
    model.load_state_dict(averaged(work / "acoustic.pt"))
    _, kept = corpus.split()
    groups = [list(kept[i : i + 8]) for i in range(0, len(kept), 8)]
    with torch.no_grad():
        parts = [judge(model, collate(corpus, group))[1] for group in groups]
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def train(work: Path, stop: int | None = None) -> None:
    """Train to the end of the schedule or to step `stop`; resume where a checkpoint lies."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    batches = Batches(Corpus(work / "corpus"))
    model = Acoustic()
    trainer = Trainer(model, SCHEDULE, work / "acoustic.pt")
    trainer.run("acoustic", lambda step: judge(model, batches.at(step)), stop)
    print("validation", validate(work))
