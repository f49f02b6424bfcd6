"""What a message holds, and what becomes of one that holds something else.

    {"ref": ..., "job": ..., "what": ..., "version": 1}

`ref` names the unit of work, `job` and `what` are for people. A message of a newer farm is given
back, so that a worker of that farm does it; one without a version is of the first. What is no work
of a farm at all is refused: taken off its queue, told in the worker's log, and listed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from farm.errors import InvalidInput, Unavailable
from farm.ledger import Ledger, Ref, Roster, parse

log = logging.getLogger(__name__)

#: Version of the messages that this farm sends and understands; a larger one is a newer farm's.
VERSION = 1
#: Characters of a reason that are kept: it may hold what a stranger sent.
REASON = 200

Refuse = Callable[[str, str], None]
"""Is told of a refused message: where it was, and why."""


def arguments(ref: Ref, label: str) -> dict[str, Any]:
    """Return the arguments of a unit's message."""
    return {"ref": str(ref), "job": ref.job, "what": label, "version": VERSION}


@dataclass(frozen=True)
class Asked:
    """What a message asks for."""

    ref: Ref
    job: str
    what: str
    version: int

    @property
    def too_new(self) -> str:
        """Why this worker cannot do it, where a newer one can."""
        if self.version <= VERSION:
            return ""
        return f"the message has version {self.version}, and this worker knows {VERSION}"


def read(said: Mapping[str, Any]) -> Asked:
    """Read a message's arguments, or raise `InvalidInput`."""
    ref, version = said.get("ref"), said.get("version", 1)
    if not isinstance(ref, str) or not isinstance(version, int):
        raise InvalidInput(f"a message without a unit of work: it has {', '.join(sorted(said))}")
    return Asked(parse(ref), str(said.get("job", "")), str(said.get("what", "")), version)


def refusing(ledger: Ledger) -> Refuse:
    """Return what logs and lists refused messages."""
    roster = Roster(ledger)

    def refuse(where: str, why: str) -> None:
        short = why if len(why) <= REASON else f"{why[:REASON]}..."
        log.error("a message in %s is refused: %r", where, short)
        try:
            roster.refuse({"where": where, "why": short, "at": time.time()})
        except Unavailable as error:
            log.warning("it could not be listed: %s", error)

    return refuse
