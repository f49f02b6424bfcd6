"""The `data` stage: every pseudo-speaker speaks its share of the sentences."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training import corpus
from training.corpus import Utterance
from training.progress import Progress
from training.sentences import training_text
from training.settings import HELD_OUT, SEED
from training.zeroshot.speakers import F0_RANGE, SEEN


def speaker_of(number: int) -> int:
    """Return who speaks a sentence: they take turns."""
    return number % len(SEEN)


def _utterance(job: tuple[int, str]) -> Utterance | None:
    number, text = job
    try:
        return corpus.utterance(text, SEEN[speaker_of(number)].speak, F0_RANGE)
    except ValueError:  # no voiced frame in it
        return None


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)


def build(folder: Path, wordnet: Path, count: int, jobs: int) -> None:
    """Make the corpus of about `count` sentences, with `speaker.npy`: who speaks each."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = set(HELD_OUT.read_text("utf-8").splitlines())
    texts = training_text(wordnet, held_out, count, SEED)
    found, speakers = _spoken(texts, jobs)
    hours = corpus.write(folder, found)
    np.save(folder / "speaker.npy", np.array(speakers, np.int64))
    print(f"{len(found)} of {len(texts)} sentences, {hours:.2f} hours, {len(SEEN)} speakers")


def _spoken(texts: Sequence[str], jobs: int) -> tuple[list[Utterance], list[int]]:
    progress = Progress("data", len(texts))
    found: list[Utterance] = []
    speakers: list[int] = []
    with ProcessPoolExecutor(jobs, initializer=_start_worker) as pool:
        for number, one in enumerate(pool.map(_utterance, enumerate(texts), chunksize=16)):
            progress.show(number + 1)
            if one is not None:
                found.append(one)
                speakers.append(speaker_of(number))
    return found, speakers


def speakers(folder: Path) -> npt.NDArray[np.int64]:
    """Return who speaks each sentence of a corpus, as places in `SEEN`."""
    found: npt.NDArray[np.int64] = np.load(folder / "speaker.npy")
    return found
