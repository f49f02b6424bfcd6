"""An engine whose forward passes end their process when they hang."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from farm.audio import Audio
from farm.engines import Engine
from farm.jobs import Segment
from farm.processes import ends_if_hanging


class Watched(Engine):
    """Another engine, with so many seconds for each pass."""

    def __init__(self, inner: Engine, seconds: float) -> None:
        """Watch an engine; 0 seconds: it may take for ever."""
        self.sample_rate, self.reads_ipa = inner.sample_rate, inner.reads_ipa
        self.decoding = inner.decoding
        self._inner, self._seconds = inner, seconds

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Do as the engine does, or end this process."""
        with ends_if_hanging(self._seconds):
            return self._inner.speak(segments)


def watching(seconds: float) -> Callable[[Engine], Engine]:
    """Return what puts a watch on an engine."""
    return lambda engine: Watched(engine, seconds)
