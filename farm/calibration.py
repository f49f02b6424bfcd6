"""How much a forward pass should hold: measured once per voice, kind of device and versions.

A batch is doubled until the throughput stops growing or the memory ends; where an engine has two
ways of decoding a batch, once with each. The result, in padded characters (`farm.batching.cut`),
and the faster way are kept in this host's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import farm
from farm.audio import Audio
from farm.engines import Engine
from farm.errors import EngineError, OutOfMemory
from farm.jobs import Segment, Voice
from farm.processes import locked

log = logging.getLogger(__name__)

Speak = Callable[[Sequence[Segment]], list[Audio]]

#: A batch twice as large must be so many times as fast, or it only costs memory; so must the other
#: way of decoding, or it is chance.
GAIN = 1.05
#: Segments in the largest batch that is tried.
LARGEST = 64
#: Characters of the shortest segment that is measured: a word says nothing about a sentence.
SHORTEST = 60
#: Part of its text by which a measured batch's shortest segment is shorter than its longest. A
#: chunk's segments are sorted, so a batch's are of similar lengths; copies would have no padding.
SPREAD = 0.25
#: Characters that all segments of the timed batch lack beside those that warm up: while it works, a
#: device meets ever new lengths.
FEWER = 4
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
    fixed_windows: bool | None = None
    """As `Decoding.fixed` was; None: the engine had no choice."""


@dataclass(frozen=True)
class Setting:
    """How a voice is spoken on one kind of device."""

    budget: int = 1
    """Padded characters a forward pass may hold; 1: one segment a pass."""
    fixed_windows: bool | None = None
    """What `Decoding.fixed` is to be; None: as it is."""

    def apply(self, engine: Engine) -> None:
        """Have an engine that has the choice decode as was chosen."""
        if engine.decoding is not None:
            engine.decoding.fixed = bool(self.fixed_windows)


def unequal(segment: Segment, count: int, fewer: int = 0) -> list[Segment]:
    """Return `count` beginnings of a segment, from all of it but `fewer` characters downwards."""
    whole = len(segment.text) - fewer
    lengths = [whole - round(SPREAD * whole * number / count) for number in range(count)]
    return [replace(segment, text=segment.text[:length], phones=()) for length in lengths]


def compare(
    engine: Engine, segment: Segment, clock: Callable[[], float] = time.perf_counter
) -> list[Pass]:
    """Measure every way in which an engine can decode a batch; raises as `measure` does.

    The engine is left as it was.
    """
    if engine.decoding is None:
        return measure(engine.speak, segment, clock)
    found, passes = engine.decoding.fixed, []
    try:
        for fixed in (False, True):
            engine.decoding.fixed = fixed
            rows = measure(engine.speak, segment, clock)
            passes += [replace(each, fixed_windows=fixed) for each in rows]
    except OutOfMemory:
        if not passes:  # else the other way takes less
            raise
    finally:
        engine.decoding.fixed = found
    return passes


def measure(
    speak: Speak, segment: Segment, clock: Callable[[], float] = time.perf_counter
) -> list[Pass]:
    """Speak a segment's beginnings, 1, 2, 4, ... at once; stop as this module's page says.

    Raises:
        OutOfMemory: a single segment does not fit.
        EngineError: the segment cannot be spoken.
    """
    passes: list[Pass] = []
    size = 1
    while size <= LARGEST:
        try:
            # A size met for the first time is slower: buffers, choice of algorithms.
            speak(unequal(segment, size))
            begin = clock()
            seconds = sum(audio.seconds for audio in speak(unequal(segment, size, FEWER)))
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


def choose(passes: Sequence[Pass]) -> Setting:
    """Return how the fastest batch was spoken; one segment at a time, where that is fastest."""
    best = passes[0]
    for each in passes[1:]:
        if each.throughput >= GAIN * best.throughput:
            best = each
    return Setting(best.characters if best.segments > 1 else 1, best.fixed_windows)


@dataclass(frozen=True)
class Budgets:
    """The settings of this host's voices on one kind of device."""

    folder: Path
    card: str
    clock: Callable[[], float] = time.perf_counter
    """In seconds; what passes are timed by."""

    def known(self, voice: Voice) -> Setting | None:
        """Return what was measured for a voice; None where nothing was."""
        try:
            found = json.loads(self._path(voice).read_text())
            return Setting(int(found["budget"]), found["fixed_windows"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def find(self, voice: Voice, engine: Engine, segment: Segment) -> Setting:
        """Return a voice's setting, measured now with beginnings of a segment.

        One segment a pass for the time being where that is short or cannot be spoken, or while
        another process measures.
        """
        if len(segment.text) < SHORTEST:
            return Setting()
        with locked(self._path(voice).with_suffix(".lock"), fcntl.LOCK_EX) as lock:
            if lock is None:
                return Setting()
            return self.known(voice) or self._measured(voice, engine, segment)

    def _measured(self, voice: Voice, engine: Engine, segment: Segment) -> Setting:
        try:
            passes = compare(engine, segment, self.clock)
        except (OutOfMemory, EngineError) as error:
            log.warning("voice %s: no budget could be measured: %s", voice.id, error)
            return Setting()
        setting = choose(passes)
        about = {"voice": voice.id, "digest": voice.digest, "card": self.card}
        rows = {"runtimes": runtimes(), "passes": [asdict(each) for each in passes]}
        found = {**about, **asdict(setting), **rows}
        path = self._path(voice)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(found, indent=1))
        temporary.replace(path)
        return setting

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
