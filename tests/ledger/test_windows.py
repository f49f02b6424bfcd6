"""Whose chunk is sent next: deficit round robin within a window."""

from __future__ import annotations

from collections import Counter

import pytest

from farm.ledger import Ref, parse
from tests.ledger.desk import Desk, result


def drain(desk: Desk, count: int) -> list[Ref]:
    """Take chunks one by one, each finished before the next is taken."""
    order = []
    for _ in range(count):
        (ref,) = desk.take()
        desk.ledger.finish(ref, result())
        order.append(ref)
    return order


def test_a_window_is_filled_and_never_exceeded(desk: Desk) -> None:
    desk.begin("j", 10)
    assert len(desk.take(4)) == 4
    assert desk.take(4) == desk.take(3) == desk.take(0) == []
    (first, *_) = [parse(ref) for ref in sorted(desk.sent())]
    desk.ledger.claim(first, "w1")
    assert desk.take(4) == []
    desk.ledger.finish(first, result())
    assert len(desk.take(4)) == 1
    assert len(desk.take(100)) == 5
    assert len(desk.sent()) == 9


def test_labels_go_with_their_chunks_in_order(desk: Desk) -> None:
    desk.open("j")
    labels = ["slt, item 1", "", "中文 items 3-4", "5"]
    desk.plan("j", {"piper": labels}, page=12)
    taken = desk.ledger.take("piper", 9)
    assert taken == [(parse(f"piper/chunk/j/1/12.{n}"), label) for n, label in enumerate(labels)]


def test_pages_are_sent_in_the_order_they_were_planned(desk: Desk) -> None:
    desk.open("j")
    for page in (1, 0, 2):
        desk.plan("j", 2, page=page)
    assert [ref.what for ref in desk.take(9)] == ["1.0", "1.1", "0.0", "0.1", "2.0", "2.1"]


def test_lanes_do_not_share_a_window(desk: Desk) -> None:
    desk.open("j")
    desk.plan("j", {"piper": ["a"] * 3, "onnx.now": ["b"] * 3})
    assert len(desk.take(2, "piper")) == 2
    assert len(desk.take(2, "onnx.now")) == 2
    assert desk.take(9, "tone") == []
    assert desk.ledger.lanes() == ["onnx.now", "piper"]


def test_a_hundred_jobs_of_one_owner_do_not_crowd_out_anothers_one(desk: Desk) -> None:
    for n in range(100):
        desk.begin(f"a{n}", 5, owner="ann")
    desk.begin("b", 20, owner="bob")
    owners = [ref.job[0] for ref in drain(desk, 40)]
    assert Counter(owners) == {"a": 20, "b": 20}
    assert all(Counter(owners[i : i + 8])["b"] == 4 for i in range(0, 40, 8))


def test_a_late_owner_is_served_within_one_turn(desk: Desk) -> None:
    desk.begin("a", 50, owner="ann")
    drain(desk, 17)
    desk.begin("b", 5, owner="bob")
    assert "b" in {ref.job for ref in drain(desk, 5)}


def test_normal_jobs_get_four_chunks_to_one_of_bulk_jobs(desk: Desk) -> None:
    desk.begin("bulk", 100, priority="bulk")
    desk.begin("normal", 100, priority="normal")
    assert Counter(ref.job for ref in drain(desk, 100)) == {"normal": 80, "bulk": 20}


def test_turns_are_the_same_however_large_the_window_is(desk: Desk) -> None:
    for job, owner in (("a1", "ann"), ("a2", "ann"), ("b1", "bob")):
        desk.begin(job, 40, owner=owner)
    assert Counter(ref.job for ref in desk.take(48)) == {"a1": 12, "a2": 12, "b1": 24}


def test_an_idle_owner_saves_no_credit(desk: Desk) -> None:
    desk.begin("a", 1, owner="ann")
    drain(desk, 1)
    assert desk.redis.keys("farm:credit*") == desk.redis.keys("farm:ring*") == []


@pytest.mark.parametrize("end", ["cancel", "pause", "remove"])
def test_a_stopped_job_leaves_the_ring_to_others(desk: Desk, end: str) -> None:
    for job, owner in (("a1", "ann"), ("a2", "ann"), ("b1", "bob"), ("c1", "cid")):
        desk.begin(job, 9, owner=owner)
    drain(desk, 3)
    for job in ("a1", "b1"):
        getattr(desk.ledger, end)(job)
    assert desk.redis.lrange("farm:ring:piper:ann", 0, -1) == ["a2"]
    assert desk.redis.lrange("farm:ring:piper", 0, -1) == ["ann", "cid"]
    assert not {"o:bob", "j:a1", "j:b1"} & desk.redis.hgetall("farm:credit:piper").keys()
    assert {ref.job for ref in desk.take(20)} == {"a2", "c1"}


def test_a_ring_with_a_job_that_redis_lost_does_not_stop_a_lane(desk: Desk) -> None:
    desk.begin("a", 3, owner="ann")
    desk.begin("b", 3, owner="bob")
    desk.redis.delete("farm:job:a")
    desk.redis.delete("farm:ring:piper:bob")
    assert desk.take(9) == []
    desk.begin("c", 3, owner="cid")
    assert {ref.job for ref in desk.take(9)} == {"c"}


def test_five_thousand_chunks_leave_nothing_but_bits(desk: Desk) -> None:
    desk.open("j")
    for page in range(5):
        desk.plan("j", {"piper": ["slt, items 10-20"] * 1000}, page=page)
    desk.read("j", 5, 1)
    planned = desk.redis.memory_usage("farm:todo:j:piper")
    assert planned < 5000 * 40
    while taken := desk.take(50):
        for ref in taken[1:]:
            desk.ledger.finish(ref, result(segments=1))
        desk.ledger.claim(taken[0], "w")
        desk.ledger.finish(taken[0], result(segments=1))
    assert desk.count("segments") == 5000
    left = set(desk.redis.keys("*"))
    names = ("jobs", "lanes", "job:j", "done:j:piper", "pages:j", "events:j")
    assert left == {f"farm:{name}" for name in names}
    assert desk.redis.memory_usage("farm:done:j:piper") < 2000


def test_more_chunks_than_a_page_holds_are_refused(desk: Desk) -> None:
    desk.open("j")
    before = desk.dump()
    with pytest.raises(ValueError, match="1001 chunks for 'piper'; 1000 at most"):
        desk.plan("j", 1001)
    assert desk.dump() == before
