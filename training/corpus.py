"""The `data` stage: sentences to ids, durations, signals and features in one folder."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper.phonemize_espeak import EspeakPhonemizer

from training import features, teacher
from training.alignment import align, silent
from training.progress import Progress
from training.sentences import training_text
from training.settings import EDGE_FRAMES, F0_CENTRE, F0_RANGE, HELD_OUT, HOP, SAMPLE_RATE, SEED

#: Mean alignment cost per symbol above which espeak and flite read different words.
MAX_COST: Final = 0.06

#: Sentences kept apart for the losses that the training prints.
VALIDATION: Final = 64


@dataclass(frozen=True)
class Utterance:
    """One sentence of T symbols and F frames."""

    ids: npt.NDArray[np.int16]
    """Piper's phoneme ids without pads, (T,)."""
    durations: npt.NDArray[np.int16]
    """Frames of each symbol, (T,); they sum to F."""
    signal: npt.NDArray[np.int16]
    """The teacher's audio at 16 kHz, (F * HOP,)."""
    mel: npt.NDArray[np.float32]
    """Natural-log mel, (F, MELS)."""
    pitch: npt.NDArray[np.float32]
    """log(F0 / F0_CENTRE) per frame, bridged where unvoiced, (F,)."""
    voiced: npt.NDArray[np.bool_]
    """Whether a frame is voiced, (F,)."""
    energy: npt.NDArray[np.float32]
    """Log of the mean magnitude per frame, (F,)."""


@cache
def _phonemizer() -> EspeakPhonemizer:
    return EspeakPhonemizer()


def _frames(
    symbols: Sequence[str], ends: Sequence[float], samples: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Return each symbol's frames after trimming the edges, and the first frame kept."""
    total = samples // HOP
    last_sound = max(i for i, symbol in enumerate(symbols) if not silent(symbol))
    bounds = np.minimum(np.rint(np.array(ends) * SAMPLE_RATE / HOP).astype(np.int64), total)
    last = min(total, int(bounds[last_sound]) + EDGE_FRAMES[1])
    first = max(0, int(bounds[0]) - EDGE_FRAMES[0])
    bounds = np.clip(bounds, first, last)
    bounds[-1] = last
    return np.diff(bounds, prepend=first), first


def utterance(
    text: str,
    speak: Callable[[str], tuple[npt.NDArray[np.float32], list[teacher.Phone]]] = teacher.speak,
    between: tuple[float, float] = F0_RANGE,
) -> Utterance | None:
    """Speak and align one sentence; None where espeak splits it or reads it otherwise.

    `between` is where the speaker's F0 may lie, in Hertz.
    """
    sentences = _phonemizer().phonemize("en-us", text)
    if len(sentences) != 1:
        return None
    symbols = ["^", *(s for s in sentences[0] if s in DEFAULT_PHONEME_ID_MAP), "$"]
    signal, phones = speak(text)
    ends, cost = align(symbols, phones)
    if cost > MAX_COST:
        return None
    durations, first = _frames(symbols, ends, len(signal))
    frames = int(durations.sum())
    signal = signal[first * HOP : (first + frames) * HOP]
    mel = features.log_mel(torch.from_numpy(signal.copy())[None])[0].numpy()
    f0, voiced = features.pitch(signal, frames, between)
    return Utterance(
        ids=np.array([DEFAULT_PHONEME_ID_MAP[s][0] for s in symbols], np.int16),
        durations=durations.astype(np.int16),
        signal=np.rint(signal * 32768.0).astype(np.int16),
        mel=mel.T.copy(),
        pitch=np.log(f0 / F0_CENTRE).astype(np.float32),
        voiced=voiced,
        energy=features.energy(mel),
    )


def _start_worker() -> None:
    torch.set_num_threads(1)


def _utterances(texts: Sequence[str], jobs: int) -> Iterator[Utterance]:
    """Yield what can be used of the texts, in their order, with a progress line."""
    progress = Progress("data", len(texts))
    with ProcessPoolExecutor(jobs, initializer=_start_worker) as pool:
        for number, found in enumerate(pool.map(utterance, texts, chunksize=16), 1):
            progress.show(number)
            if found is not None:
                yield found


def build(folder: Path, wordnet: Path, count: int, jobs: int) -> None:
    """Make the corpus of about `count` sentences; one `.npy` per field, rows end to end."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = set(HELD_OUT.read_text("utf-8").splitlines())
    texts = training_text(wordnet, held_out, count, SEED)
    found = list(_utterances(texts, jobs))
    hours = write(folder, found)
    print(f"{len(found)} of {len(texts)} sentences, {hours:.2f} hours, in {folder}")


def write(folder: Path, found: Sequence[Utterance]) -> float:
    """Write utterances as arrays, rows end to end; return how many hours they last."""
    for field in fields(Utterance):
        rows = np.concatenate([getattr(one, field.name) for one in found])
        np.save(folder / f"{field.name}.npy", rows)
    sizes = np.array([(len(u.ids), len(u.mel)) for u in found], np.int64)
    np.save(folder / "sizes.npy", sizes)
    return float(sizes[:, 1].sum() * HOP / SAMPLE_RATE / 3600)


class Corpus:
    """The folder that `build` wrote, read lazily; indexed by sentence."""

    def __init__(self, folder: Path) -> None:
        """Open the arrays. Raises FileNotFoundError where the data stage has not run."""
        self.sizes: npt.NDArray[np.int64] = np.load(folder / "sizes.npy")
        self._arrays: dict[str, npt.NDArray[Any]] = {
            field.name: np.load(folder / f"{field.name}.npy", mmap_mode="r")
            for field in fields(Utterance)
        }
        self._starts = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(self.sizes, axis=0)])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Utterance:
        (t0, f0), (t1, f1) = self._starts[index], self._starts[index + 1]
        rows = {"ids": (t0, t1), "durations": (t0, t1), "signal": (f0 * HOP, f1 * HOP)}
        cuts = {name: rows.get(name, (f0, f1)) for name in self._arrays}
        return Utterance(**{name: self._arrays[name][a:b] for name, (a, b) in cuts.items()})

    def ids(self) -> npt.NDArray[np.int16]:
        """Return the phoneme ids of all sentences end to end."""
        return self._arrays["ids"]

    def split(self) -> tuple[range, range]:
        """Return the indices to train on and those to validate on."""
        edge = len(self) - VALIDATION
        return range(edge), range(edge, len(self))
