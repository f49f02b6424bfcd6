"""How much a forward pass should hold: measured once per voice, kind of device and versions.

A batch of one segment is doubled until the throughput stops growing or the memory ends. The
result, in padded characters (`farm.batching.cut`), is kept in this host's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import farm
from farm.audio import Audio
from farm.errors import EngineError, OutOfMemory
from farm.jobs import Segment, Voice
from farm.processes import locked

log = logging.getLogger(__name__)

Speak = Callable[[Sequence[Segment]], list[Audio]]

#: A batch twice as large must be so many times as fast, or it only costs memory.
GAIN = 1.05
#: Segments in the largest batch that is tried.
LARGEST = 64
#: Characters of the shortest segment that is measured: a word says nothing about a sentence.
SHORTEST = 60
#: Packages whose version may change what a batch costs.
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "torch", "coqui-tts", "piper-tts")


@dataclass(frozen=True)
class Pass:
    """One size of batch, measured."""

    segments: int
    characters: int
    """Padded."""
    throughput: float
    """Seconds of audio per second of compute."""


def measure(
    speak: Speak, segment: Segment, clock: Callable[[], float] = time.perf_counter
) -> list[Pass]:
    """Speak a segment in batches of 1, 2, 4, ... copies, and stop as this module's page says.

    Raises:
        OutOfMemory: a single segment does not fit.
        EngineError: the segment cannot be spoken.
    """
    passes: list[Pass] = []
    size = 1
    while size <= LARGEST:
        batch = [segment] * size
        try:
            speak(batch)  # a size met for the first time is slower: buffers, choice of algorithms
            begin = clock()
            seconds = sum(audio.seconds for audio in speak(batch))
        except OutOfMemory:
            if not passes:
                raise
            return passes
        spent = max(clock() - begin, 1e-9)
        passes.append(Pass(size, size * len(segment.text), seconds / spent))
        if size > 1 and passes[-1].throughput < GAIN * passes[-2].throughput:
            return passes
        size *= 2
    return passes


def choose(passes: Sequence[Pass]) -> int:
    """Return the budget of the fastest batch; 1, one segment at a time, where that is fastest."""
    best = passes[0]
    for each in passes[1:]:
        if each.throughput >= GAIN * best.throughput:
            best = each
    return best.characters if best.segments > 1 else 1


@dataclass(frozen=True)
class Budgets:
    """The budgets of this host's voices on one kind of device."""

    folder: Path
    card: str

    def known(self, voice: Voice) -> int | None:
        """Return what was measured for a voice; None where nothing was."""
        try:
            return int(json.loads(self._path(voice).read_text())["budget"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def find(self, voice: Voice, speak: Speak, segment: Segment) -> int:
        """Return a voice's budget, measured now with copies of a segment.

        1 for the time being where that is short or cannot be spoken, or while another process
        measures.
        """
        if len(segment.text) < SHORTEST:
            return 1
        with locked(self._path(voice).with_suffix(".lock"), fcntl.LOCK_EX) as lock:
            if lock is None:
                return 1
            known = self.known(voice)
            return known if known is not None else self._measured(voice, speak, segment)

    def _measured(self, voice: Voice, speak: Speak, segment: Segment) -> int:
        try:
            passes = measure(speak, segment)
        except (OutOfMemory, EngineError) as error:
            log.warning("voice %s: no budget could be measured: %s", voice.id, error)
            return 1
        about = {"voice": voice.id, "digest": voice.digest, "card": self.card}
        rows = [asdict(each) for each in passes]
        found = {**about, "runtimes": runtimes(), "budget": choose(passes), "passes": rows}
        path = self._path(voice)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(found, indent=1))
        temporary.replace(path)
        return choose(passes)

    def _path(self, voice: Voice) -> Path:
        setting = hashlib.sha256(f"{self.card}\n{runtimes()}".encode()).hexdigest()
        return self.folder / f"{voice.digest[:32]}-{setting[:16]}.json"


@lru_cache(maxsize=1)
def runtimes() -> str:
    """Name the farm's version and those of the runtimes that are installed."""
    found = [f"farm-{farm.__version__}"]
    for name in RUNTIMES:
        try:
            found.append(f"{name}-{version(name)}")
        except PackageNotFoundError:
            continue
    return " ".join(found)
