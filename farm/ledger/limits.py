"""What API keys have used of what they may, counted in Redis; keys are in limits.lua."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from farm.ledger.ledger import Ledger

_LUA = "".join(Path(__file__).with_name(name).read_text() for name in ("ledger.lua", "limits.lua"))


@dataclass(frozen=True)
class Verdict:
    """Whether a key may do what it asks for, and what a client is told about its limit."""

    allowed: bool = True
    limit: int = 0
    """0: there is none, and the other numbers say nothing."""
    remaining: int = 0
    """How much of the limit is left after this."""
    reset_s: int = 0
    """Seconds until all of the limit is there again; 0: it is, or that hangs on jobs."""
    retry_after_s: int = 0
    """Seconds after which it is worth asking again; 0: it was allowed, or that hangs on jobs."""
    day: int = 0
    """The day since 1970 (UTC) on which characters were counted: what a refund needs."""


class Limits:
    """Counts requests, characters and jobs in flight by API key, by the clock of Redis.

    A limit of 0 is none: nothing is counted, and Redis is not asked. Where an answer of Redis was
    lost on its way, a request or its characters may be counted twice. A Redis that was lost has
    forgotten everything.

    Raises (all methods):
        LedgerUnavailable: Redis did not answer, or refused to write.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Count in the Redis of a ledger."""
        self._step = ledger.scripted(_LUA)

    def request(self, key: str, per_minute: int) -> Verdict:
        """Count a request if the key has one left: a token bucket that holds a minute's worth."""
        if not per_minute:
            return Verdict()
        return Verdict(limit=per_minute, **self._step("request", key, per_minute))

    def spend(self, key: str, characters: int, per_day: int) -> Verdict:
        """Count characters against those of today (UTC): all of them or, if too many, none.

        More than `per_day` at once are refused on every day; then `retry_after_s` is no help.
        """
        if characters < 0:
            raise ValueError(f"{characters} characters: give 0 or more")
        if not per_day:
            return Verdict()
        reply = self._step("spend", key, characters, per_day)
        # Lua's JSON rounds large numbers, so this one comes as text.
        return Verdict(limit=per_day, **reply | {"remaining": int(reply["remaining"])})

    def refund(self, key: str, characters: int, spent: Verdict) -> None:
        """Give back what `spend` counted, for work that was not accepted after all."""
        if spent.limit and spent.allowed:
            self._step("refund", key, characters, spent.day)

    def enter(self, key: str, job: str, most: int) -> Verdict:
        """Count a job as in flight if the key has room; to be called before the job is opened.

        A job counts until `leave`, or until there is no more room and the ledger says that it has
        ended, or ten minutes later still does not know it. Entering again counts once.
        """
        if not most:
            return Verdict()
        return Verdict(limit=most, **self._step("enter", key, job, most))

    def leave(self, key: str, job: str) -> bool:
        """Count a job no more; false when it was not counted."""
        return bool(self._step("leave", key, job))
