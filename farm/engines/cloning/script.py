"""What is said with a zero-shot voice: a segment becomes a line, and a line's signal its audio."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from farm.audio import Audio, Samples
from farm.engines.cloning import reference, speakers
from farm.engines.cloning.speakers import DVector, Speakers
from farm.engines.dialects import languages
from farm.engines.dialects.base import Tokens, timings
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from farm.phonemes import ipa

_LOGGER = logging.getLogger(__name__)


class Speller(Protocol):
    """What turns a text into a voice's ids."""

    reads_ipa: ClassVar[bool]
    """Whether sounds may be put into the text, as `farm.phonemes.ipa` does."""

    def spell(self, text: str, language: str) -> Tokens:
        """Spell a text in a language of the voice, or raise `EngineError`."""


@dataclass(frozen=True)
class Scales:
    """How noisy and how slow a voice speaks, as VITS names it."""

    noise: float
    length: float
    noise_w: float

    def of(self, voice: Voice) -> Scales:
        """Return what a voice's own parameters make of them."""
        return Scales(
            float(voice.parameters.get("noise_scale", self.noise)),
            float(voice.parameters.get("length_scale", self.length)),
            float(voice.parameters.get("noise_w", self.noise_w)),
        )

    def at(self, prosody: Prosody, engine: str) -> Scales:
        """Return them at a prosody's speed.

        Raises:
            EngineError: the prosody asks for what these engines cannot do.
        """
        if prosody.pitch:
            raise EngineError(
                f"engine {engine!r} cannot change the pitch (asked for {prosody.pitch!r} "
                "semitones): leave it at 0"
            )
        if prosody.energy != 1:
            raise EngineError(
                f"engine {engine!r} cannot change the energy (asked for {prosody.energy!r}): "
                "leave it at 1"
            )
        if prosody.speed <= 0:
            raise EngineError(f"speed {prosody.speed!r} is not valid: it must be above 0")
        return Scales(self.noise, self.length / prosody.speed, self.noise_w)


@dataclass(frozen=True, eq=False)
class Line:
    """A segment, ready to be spoken."""

    segment: Segment
    spelling: Tokens
    language: int
    d_vector: DVector
    scales: Scales


@dataclass(frozen=True, eq=False)
class Script:
    """A voice as far as its model need not know."""

    voice: Voice
    speller: Speller
    languages: Mapping[str, int]
    """The model's name of a language to its id."""
    scales: Scales
    speakers: Speakers
    hop: int
    """Samples of a frame."""

    def line(self, segment: Segment) -> Line:
        """Spell a segment and find who speaks it.

        Raises:
            EngineError: the voice lacks language, speaker or control, or there is nothing to say.
        """
        scales = self.scales.at(segment.prosody, self.voice.engine)
        asked = segment.language or self.voice.language
        language = languages.choose(asked, self.languages, f"voice {self.voice.id!r}")
        text = ipa.inlined(segment.text, segment.phones if self.speller.reads_ipa else ())
        return Line(
            segment,
            self.speller.spell(text, language),
            self.languages[language],
            self.speakers.find(segment.prosody.speaker),
            scales,
        )

    def audio(self, line: Line, signal: Samples, frames: NDArray[np.int64]) -> Audio:
        """Return a line's signal, cut to what its ids last, at its volume.

        Raises:
            EngineError: the signal is not finite.
        """
        samples: list[int] = (frames * self.hop).tolist()
        signal = signal[: sum(samples)]
        if not np.isfinite(signal).all():
            raise EngineError(f"the model gave no finite signal for {line.segment.text!r}")
        gain = np.float32(10 ** (line.segment.prosody.volume / 20))
        return Audio(
            np.clip(signal * gain, -1, 1),
            self.voice.sample_rate,
            timings(line.spelling.symbols, samples),
            tuple(f"the voice has no character {each!r}" for each in line.spelling.missing),
        )


def file(voice: Voice, folder: Path, role: str) -> Path:
    """Return the file that a voice has for a role, or raise `EngineError`."""
    if role not in voice.files:
        has = ", ".join(voice.files) or "none"
        raise EngineError(f"voice {voice.id!r} names no {role!r} file; it has {has}")
    return folder / voice.files[role]


def check_rate(voice: Voice, sample_rate: int) -> None:
    """Raise `EngineError` unless a voice was pinned at its config's rate in Hz."""
    if sample_rate != voice.sample_rate:
        raise EngineError(
            f"voice {voice.id!r} says {voice.sample_rate} Hz but its config {sample_rate} Hz: "
            "pin the voice again"
        )


def cast(
    voice: Voice,
    folder: Path,
    size: int,
    named: Mapping[str, Sequence[float] | DVector],
    embed: Callable[[Samples, int], DVector],
) -> Speakers:
    """Return who a voice can be: the named, and who its `d_vector` or references are.

    A stored `d_vector` is taken as it is; else the mean of what `embed` makes of the references,
    which is made once and then kept in `folder`, under the voice's digest. A process that comes
    while another one makes it waits and takes that.

    Raises:
        EngineError: a d-vector or a reference is not valid.
    """
    known = Speakers(voice.id, size, named, str(voice.parameters.get("speaker", "")))
    recordings = reference.references(voice.files, folder)
    if "d_vector" in voice.files:
        known.become(speakers.read(file(voice, folder, "d_vector")))
    elif recordings:
        kept = folder / f".d_vector-{voice.digest}.npy"
        with _alone(folder):
            with suppress(EngineError):  # not there, or not what was written
                known.become(speakers.read(kept))
                return known
            made = np.mean([embed(*reference.read(path)) for path in recordings], axis=0)
            known.become(made)
            _keep(kept, made)
    return known


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block, where the file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _keep(path: Path, d_vector: DVector) -> None:
    try:
        speakers.write(path, d_vector)
    except OSError as error:
        _LOGGER.warning("a d-vector is not kept in %s: %s", path, error)
