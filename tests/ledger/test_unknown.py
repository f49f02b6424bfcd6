"""Lua on an unknown job writes nothing: what Redis lost is recovered from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from farm.jobs import State
from farm.ledger import Events, parse
from tests.ledger.desk import Desk, result, share

CHUNK = parse("piper/chunk/j/1/0.0")
UNKNOWN: dict[str, Callable[[Desk], Any]] = {
    "send": lambda d: d.ledger.send(CHUNK),
    "claim": lambda d: d.ledger.claim(CHUNK, "w").verdict == "go",
    "renew": lambda d: d.ledger.renew(CHUNK, "w"),
    "flight": lambda d: d.ledger.flight(CHUNK, "w", ["d"]),
    "release": lambda d: d.ledger.release(CHUNK, "w", "why"),
    "read_done": lambda d: d.read("j", 1, 1),
    "planned": lambda d: d.plan("j", 3, shares=[share(0, 0, 0)]),
    "take": lambda d: d.take(9),
    "finish": lambda d: d.ledger.finish(CHUNK, result(share(0, 1, 1))),
    "assembled": lambda d: d.ledger.assembled(parse("audio/items/j/1/0@0"), "r"),
    "follow": lambda d: d.ledger.follow("j"),
    "close": lambda d: d.ledger.close("j", 1, State.FAILED, {"error": "e"}),
    "cancel": lambda d: d.ledger.cancel("j"),
    "pause": lambda d: d.ledger.pause("j"),
    "resume": lambda d: d.ledger.resume("j"),
    "remove": lambda d: d.ledger.remove("j"),
    "events": lambda d: Events(d.ledger).of("j"),
    "remembers": lambda d: Events(d.ledger).remembers("j", "1-1"),
    "failures": lambda d: d.ledger.failures("j"),
    "runs": lambda d: d.ledger.runs("j"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_nothing_is_written_for_an_unknown_job(desk: Desk, name: str) -> None:
    desk.begin("other", 0)
    before = desk.dump()
    assert not UNKNOWN[name](desk)
    assert desk.dump() == before
