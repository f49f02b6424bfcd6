"""The contract of an engine: segments in, signals out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from farm.audio import Audio
from farm.jobs import Segment, Voice


@dataclass
class Decoding:
    """How an engine decodes a batch, where only a measurement can tell which way is faster."""

    fixed: bool = False
    """Whether all windows have one shape, so that a GPU sees few; else that of their longest."""


class Engine(ABC):
    """One loaded voice on one device."""

    sample_rate: int
    reads_ipa: bool = False
    """Whether it speaks a segment's phones. Where it does not, the text is read as written, and
    the job's report says so."""
    decoding: Decoding | None = None
    """What `farm.calibration` may choose; None: there is no choice, or the voice has made it."""

    @abstractmethod
    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        """Load a voice from its folder (files as `voice.files` names them) on a device.

        `device` is `cpu` or `cuda:<n>`.

        Raises:
            EngineError: the files are not what the voice says.
            Unavailable: the device is not there or the model does not fit on it.
        """

    @abstractmethod
    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak all segments in one forward pass, in the order given.

        Returns one `Audio` per segment at `self.sample_rate` Hz, cut to its own length (no
        padding of the batch). The samples are a function of the segment's digest. What the voice
        has no sound for is left out with one of the signal's warnings, never in silence.

        Raises:
            OutOfMemory: the batch did not fit; the caller may halve it.
            EngineError: these segments cannot be spoken.
        """

    def stream(self, segment: Segment) -> Iterator[Audio]:
        """Speak a segment, piece after piece as its sound is there; raises as `speak` does.

        Each piece has the warnings; timings are there only where one piece is all, as here. The
        samples together are `speak`'s within 1e-5.
        """
        yield from self.speak([segment])
