"""What a job tells those who watch it."""

from __future__ import annotations

from tests.ledger.desk import Desk, result


def test_events_are_told_in_order_and_resumed_after_an_id(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.finish(ref, result(segments=3, audio_ms=900))
    events = desk.ledger.events("j")
    assert [(type_, data) for _, type_, data in events] == [
        ("state", {"state": "queued", "rev": 1}),
        ("state", {"state": "running"}),
        ("chunk", {"segments": 3, "audio_ms": 900}),
    ]
    assert desk.ledger.events("j", after=events[1][0]) == events[2:]
    assert desk.ledger.events("j", after=events[2][0], wait_ms=10) == []


def test_events_are_bounded_and_say_when_some_are_missing(desk: Desk) -> None:
    ref = desk.started()
    first = desk.ledger.events("j")[0][0]
    assert desk.ledger.remembers("j", first)
    for _ in range(1300):
        desk.ledger.claim(ref, "w1")
        desk.ledger.release(ref, "w1", "why")
    assert 1000 <= desk.redis.xlen("farm:events:j") <= 1100
    assert not desk.ledger.remembers("j", first)
    assert desk.ledger.remembers("j", desk.ledger.events("j")[-1][0])
