"""Who works, and how much waits."""

from __future__ import annotations

import time

from farm.ledger import Lane, Roster
from tests.ledger.desk import Desk, result


def test_workers_tell_of_themselves_and_their_children(desk: Desk) -> None:
    roster = Roster(desk.ledger)
    assert roster.workers() == []
    roster.worker("b/2", {"name": "two"})
    roster.worker("a/1", {"name": "önė"})
    roster.child("a/1", "12", {"slot": "cpu"})
    roster.child("a/1", "11", {"slot": "cuda:0#1", "voices": []})
    assert roster.workers() == [
        ({"name": "önė"}, [{"slot": "cuda:0#1", "voices": []}, {"slot": "cpu"}]),
        ({"name": "two"}, []),
    ]


def test_the_last_word_of_each_is_what_is_shown(desk: Desk) -> None:
    roster = Roster(desk.ledger)
    for number in range(2):
        roster.worker("a/1", {"name": number})
        roster.child("a/1", "11", {"slot": number})
    assert roster.workers() == [({"name": 1}, [{"slot": 1}])]


def test_a_child_that_is_silent_is_forgotten_while_its_worker_lives(desk: Desk) -> None:
    roster = Roster(desk.ledger)
    roster.worker("a/1", {})
    roster.child("a/1", "11", {})
    long_ago = int(time.time() * 1000) - 21_000
    desk.redis.hset("farm:worker:a/1", "11", f"{long_ago} {{}}")
    assert roster.workers() == [({}, [])]
    assert desk.redis.hkeys("farm:worker:a/1") == ["about"]


def test_a_worker_that_is_silent_is_forgotten_with_all_its_keys(desk: Desk) -> None:
    roster = Roster(desk.ledger)
    roster.worker("a/1", {})
    assert 0 < desk.redis.pttl("farm:worker:a/1") <= 20_000
    desk.redis.zadd("farm:workers", {"a/1": 1})
    assert roster.workers() == []
    roster.worker("b/2", {})
    assert desk.redis.zrange("farm:workers", 0, -1) == ["b/2"]


def test_a_child_alone_is_no_worker(desk: Desk) -> None:
    roster = Roster(desk.ledger)
    roster.child("a/1", "11", {})
    assert roster.workers() == []


def test_a_lane_tells_what_it_holds(desk: Desk) -> None:
    roster = Roster(desk.ledger)
    desk.begin("j", 5)
    desk.begin("other", 2, owner="bob")
    first, _, _ = desk.take(3)
    desk.ledger.claim(first, "w1")
    desk.redis.lpush("tts.piper", "a message", "another")
    (lane,) = [lane for lane in roster.lanes() if lane.name == "piper"]
    assert lane == Lane("piper", queued=2, sent=3, claimed=1, todo=4)
    assert lane.busy
    desk.ledger.finish(first, result())
    desk.ledger.pause("j")
    (lane,) = [lane for lane in roster.lanes() if lane.name == "piper"]
    assert (lane.sent, lane.claimed) == (2, 0)
    assert lane.todo == 4 - desk.redis.llen("farm:todo:j:piper")


def test_a_lane_that_had_work_once_is_not_busy(desk: Desk) -> None:
    desk.redis.sadd("farm:lanes", "onnx.now")
    assert Roster(desk.ledger).lanes() == [Lane("onnx.now", 0, 0, 0, 0)]
    assert not Roster(desk.ledger).lanes()[0].busy
