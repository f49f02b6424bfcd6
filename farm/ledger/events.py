"""What jobs tell of themselves as they go on. The steps write it; here it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from farm.ledger.connection import Connection, mapped_errors

#: Milliseconds for which one read waits at most; below the socket's timeout.
WAIT_MS = 5_000


class Events:
    """The events of jobs, one bounded stream each.

    Whoever goes on from an id that a stream no longer holds (`remembers`) must take a snapshot
    (`Ledger.job`) first. A wait is cut to 5 s.

    Raises (all methods):
        LedgerUnavailable: Redis did not answer.
    """

    def __init__(self, ledger: Connection) -> None:
        """Read in the Redis of a ledger."""
        self._redis, self._key = ledger.redis, ledger.key

    def of(self, job: str, after: str = "0", wait_ms: int = 0) -> list[tuple[str, str, Any]]:
        """Return events (id, type, data) after an id, waiting up to `wait_ms` for the first."""
        return [event[1:] for event in self.of_several({job: after}, wait_ms, count=None)]

    def of_several(
        self, after: Mapping[str, str], wait_ms: int = 0, count: int | None = 100
    ) -> list[tuple[str, str, str, Any]]:
        """Return events (job, id, type, data) of several jobs, each after its id, as `of`.

        Of each job `count` at most.
        """
        streams = {self._key("events", job): id_ for job, id_ in after.items()}
        begins = len(self._key("events", ""))
        with mapped_errors():
            reply = self._redis.xread(streams, count=count, block=min(wait_ms, WAIT_MS) or None)
        return [
            (stream[begins:], id_, entry["type"], json.loads(entry["data"]))
            for stream, entries in reply or []
            for id_, entry in entries
        ]

    def newest(self, job: str) -> str:
        """Return the id of a job's newest event; `0-0`, which comes before all, if it has none."""
        with mapped_errors():
            found = self._redis.xrevrange(self._key("events", job), count=1)
        return str(found[0][0]) if found else "0-0"

    def remembers(self, job: str, event: str) -> bool:
        """Whether the events after this one are all still there."""
        with mapped_errors():
            return bool(self._redis.xrange(self._key("events", job), event, event, 1))
