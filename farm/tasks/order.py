"""In which order a worker looks at its queues (a cycle as in kombu.utils.scheduling)."""

from __future__ import annotations

from collections.abc import Iterable


class NowFirst:
    """Queues that somebody waits for go first, the others take turns."""

    def __init__(self) -> None:
        """Begin with no queues."""
        self._queues: list[str] = []

    def update(self, queues: Iterable[str]) -> None:
        """Take the queues of a worker."""
        self._queues = list(queues)

    def consume(self, n: int) -> list[str]:
        """Return the first n queues, `.now` before all others."""
        return sorted(self._queues[:n], key=lambda queue: not queue.endswith(".now"))

    def rotate(self, last_used: str) -> str:
        """Put the queue that gave a message behind all others."""
        if last_used in self._queues:
            self._queues.remove(last_used)
            self._queues.append(last_used)
        return last_used
