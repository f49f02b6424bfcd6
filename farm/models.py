"""Loaded voices: each once, as many as fit, those used last."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

from farm.engines import Engine
from farm.errors import OutOfMemory

log = logging.getLogger(__name__)


class Models:
    """Engines by voice digest; the ones used least recently make room, measured in bytes."""

    def __init__(self, limit: int = 1 << 30) -> None:
        """Begin with none; `limit` bounds the bytes of the voices' files together."""
        self.limit = limit
        self._kept: OrderedDict[str, tuple[Engine, int]] = OrderedDict()

    def __contains__(self, digest: object) -> bool:
        return digest in self._kept

    def __getitem__(self, digest: str) -> Engine:
        """Return an engine, and count it as used; KeyError if it is not loaded."""
        self._kept.move_to_end(digest)
        return self._kept[digest][0]

    def __setitem__(self, digest: str, engine: Engine) -> None:
        """Keep an engine that was loaded elsewhere and needs no room."""
        self._kept[digest] = engine, 0

    @property
    def bytes(self) -> int:
        """Size of all voices that are kept."""
        return sum(size for _, size in self._kept.values())

    def add(self, digest: str, size: int, load: Callable[[], Engine]) -> Engine:
        """Load an engine of so many bytes, after what has to make room for it.

        One that is larger than the limit is kept alone. One that does not fit on the device
        beside others is tried once more without them.

        Raises:
            OutOfMemory: it does not fit alone.
        """
        while self._kept and self.bytes + size > self.limit:
            self._drop()
        try:
            engine = load()
        except OutOfMemory:
            if not self._kept:
                raise
            self.keep_only("")
            engine = load()
        self._kept[digest] = engine, size
        return engine

    def drop(self, digest: str) -> None:
        """Let go of a voice, if it is there."""
        self._kept.pop(digest, None)

    def keep_only(self, digest: str) -> None:
        """Let go of all voices but one."""
        self._kept = OrderedDict((d, kept) for d, kept in self._kept.items() if d == digest)

    def _drop(self) -> None:
        digest, (_, size) = self._kept.popitem(last=False)
        log.info("voice %s makes room: %d bytes", digest[:12], size)
