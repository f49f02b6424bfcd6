"""What a job tells those who watch it."""

from __future__ import annotations

from farm.ledger import Events
from tests.ledger.desk import Desk, result


def test_events_are_told_in_order_and_resumed_after_an_id(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.finish(ref, result(segments=3, audio_ms=900))
    events = Events(desk.ledger)
    told = events.of("j")
    assert [(type_, data) for _, type_, data in told] == [
        ("state", {"state": "queued", "rev": 1}),
        ("state", {"state": "running"}),
        ("chunk", {"segments": 3, "audio_ms": 900}),
    ]
    assert events.of("j", after=told[1][0]) == told[2:]
    assert events.of("j", after=told[2][0], wait_ms=10) == []


def test_events_are_bounded_and_say_when_some_are_missing(desk: Desk) -> None:
    events, ref = Events(desk.ledger), desk.started()
    first = events.of("j")[0][0]
    assert events.remembers("j", first)
    for _ in range(1300):
        desk.ledger.claim(ref, "w1")
        desk.ledger.release(ref, "w1", "why")
    assert 1000 <= desk.redis.xlen("farm:events:j") <= 1100
    assert not events.remembers("j", first)
    assert events.remembers("j", events.of("j")[-1][0])
