"""Who works and how much waits, for people: no job hangs on it. Keys are in roster.lua."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.ledger.ledger import Ledger
from farm.ledger.refs import queue

_LUA = "".join(Path(__file__).with_name(name).read_text() for name in ("ledger.lua", "roster.lua"))

Told = Mapping[str, Any]


@dataclass(frozen=True)
class Lane:
    """What a lane holds."""

    name: str
    queued: int
    """Messages in its Celery queue."""
    sent: int
    """Units sent and not finished: those queued, and those under way."""
    claimed: int
    """Units that somebody is at, or was until his lease runs out."""
    todo: int
    """Chunks that are planned and not sent yet; those of paused jobs are not counted."""

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.queued or self.sent or self.todo)


class Roster:
    """What workers and their children tell of themselves; forgotten 20 s after the last word.

    Raises (all methods):
        LedgerUnavailable: Redis did not answer, or refused to write.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Use the Redis of a ledger."""
        self._ledger = ledger
        self._step = ledger.scripted(_LUA)

    def worker(self, worker: str, about: Told) -> None:
        """Note what a worker tells of itself."""
        self._step("worker", worker, _text(about))

    def child(self, worker: str, child: str, about: Told) -> None:
        """Note what a child of a worker tells of itself."""
        self._step("child", worker, child, _text(about))

    def workers(self) -> list[tuple[Told, list[Told]]]:
        """Return what each live worker told, and each of its children."""
        rows = [[json.loads(text) for text in row] for row in self._step("workers")]
        return [(about, children) for about, *children in rows]

    def refuse(self, about: Told) -> None:
        """List a message that was no work of the farm; the last 100 are kept."""
        self._step("refuse", _text(about))

    def refused(self) -> list[Told]:
        """Return what was told of refused messages, the last first."""
        return [json.loads(text) for text in self._step("refused")]

    def lanes(self) -> list[Lane]:
        """Return every lane that ever had work."""
        names = self._ledger.lanes()
        return [Lane(name, **self._step("lane", name, queue(name))) for name in names]


def _text(about: Told) -> str:
    return json.dumps(about, ensure_ascii=False)
