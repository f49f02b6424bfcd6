"""A job's life: opened, replaced, paused, cancelled, ended, forgotten; and its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from farm.errors import NotFound
from farm.jobs import State
from farm.ledger import Ref, parse
from tests.ledger.desk import Desk, result, share, unit

WEEK_S = 7 * 86400
FIELDS: dict[str, str | int | float] = {
    "attempt": "a2",
    "owner": "ann",
    "priority": "normal",
    "created": 1.5,
    "suffix": "",
    "run_size": 1,
}


def keys_of(desk: Desk, job: str) -> set[str]:
    """Keys that name a job."""
    names = desk.redis.keys("*")
    return {name for name in names if job in name.replace("/", ":").split(":")}


def mentions(desk: Desk, job: str) -> list[str]:
    """Keys whose content names a job."""
    readers: dict[str, Callable[[str], Any]] = {
        "zset": lambda key: desk.redis.zrange(key, 0, -1),
        "list": lambda key: desk.redis.lrange(key, 0, -1),
        "set": desk.redis.smembers,
        "hash": desk.redis.hgetall,
        "string": desk.redis.strlen,
        "stream": desk.redis.xrange,
    }
    found = {key: readers[desk.redis.type(key)](key) for key in desk.redis.keys("*")}
    return sorted(key for key, value in found.items() if job in str(value))


def busy(desk: Desk, job: str) -> Ref:
    """A job with something under every key."""
    desk.open(job, run_size=1)
    read = parse(f"control/read/{job}/1/0")
    desk.ledger.send(read)
    desk.ledger.claim(read, "r")
    page = unit(read, "page", "1")
    desk.ledger.send(page)
    desk.ledger.claim(page, "p")
    desk.plan(job, {"piper": ["a"] * 5, "onnx": ["b"]})
    first, second, third, _ = desk.take(4)
    desk.take(1, "onnx")
    failure = {"item": 0, "text": "x", "error": "e", "digest": "d"}
    for ref in (first, second, third):
        desk.ledger.claim(ref, "w1")
    desk.ledger.flight(second, "w1", ["d1"])
    desk.expire(second)
    desk.ledger.claim(second, "w2")
    desk.ledger.release(third, "w1", "store away")
    done = result(share(0, 1, 1), share(1, 1, 2), failures=[failure])
    (run,) = desk.ledger.finish(first, done)
    desk.ledger.claim(run, "a")
    desk.ledger.assembled(run, "runs/0")
    return second


def test_a_revision_opens_once_and_a_newer_one_replaces_it(desk: Desk) -> None:
    desk.open("j", revision=2, title="two")
    for revision in (1, 2):
        assert not desk.ledger.open("j", revision, FIELDS)
        assert desk.ledger.job("j")["title"] == "two"
    assert desk.ledger.open("j", 3, FIELDS)
    job = desk.ledger.job("j")
    assert float(job.pop("begun")) > 1.7e9
    assert job == {
        **{name: str(value) for name, value in FIELDS.items()},
        "rev": "3",
        "state": "queued",
    }


def test_a_replaced_revision_leaves_no_work_behind(desk: Desk) -> None:
    busy(desk, "j")
    assert "farm:sent:piper" in mentions(desk, "piper/chunk/j")
    desk.open("j", revision=2)
    assert keys_of(desk, "j") == {"farm:job:j", "farm:events:j"}
    assert mentions(desk, "chunk/j") == []
    assert [desk.sent(lane) for lane in ("piper", "onnx", "control", "audio")] == [set()] * 4
    assert desk.redis.ttl("farm:events:j") == -1


def test_an_ended_job_that_is_opened_anew_does_not_expire(desk: Desk) -> None:
    desk.open("j")
    desk.ledger.close("j", 1, State.FAILED, {})
    desk.open("j", revision=2)
    assert {desk.redis.ttl(key) for key in keys_of(desk, "j")} == {-1}


def test_a_revision_may_start_again_from_its_beginning(desk: Desk) -> None:
    ref = busy(desk, "j")
    assert desk.ledger.open("j", 1, FIELDS, again=True)
    assert not desk.ledger.renew(ref, "w2")
    assert desk.state() == "queued"
    assert desk.ledger.job("j").keys() == {*FIELDS, "rev", "state", "begun"}
    desk.begin("k", 1)
    assert desk.take(5) == [parse("piper/chunk/k/1/0.0")]


@pytest.mark.parametrize(
    ("end", "again"), [("pause", "paused"), ("cancel", "cancelling"), ("close", "failed")]
)
def test_starting_again_does_not_undo_what_was_asked_for(desk: Desk, end: str, again: str) -> None:
    desk.begin("j", 1)
    if end == "close":
        desk.ledger.close("j", 1, State.FAILED, {})
    else:
        getattr(desk.ledger, end)("j")
    assert desk.ledger.open("j", 1, FIELDS, again=True) == (end == "pause")
    assert desk.state() == again


def test_a_job_without_its_fields_is_refused_before_redis_is_asked(desk: Desk) -> None:
    with pytest.raises(ValueError, match="lacks created, run_size"):
        desk.ledger.open("j", 1, dict.fromkeys(("attempt", "owner", "priority", "suffix"), "x"))
    assert desk.dump() == {}


def test_jobs_are_listed_newest_first(desk: Desk) -> None:
    for job, created in (("b", 2), ("c", 3.25), ("a", 1)):
        desk.open(job, created=created)
    assert desk.ledger.jobs() == ["c", "b", "a"]
    assert desk.ledger.jobs(1, 1) == ["b"]
    assert desk.ledger.job("c")["created"] == "3.25"
    assert desk.ledger.knows("c")
    assert not desk.ledger.knows("d")
    with pytest.raises(NotFound, match="'d'"):
        desk.ledger.job("d")


def test_a_paused_job_sends_nothing_and_resumes_where_it_was(desk: Desk) -> None:
    desk.begin("j", 4)
    first, second = desk.take(2)
    assert desk.ledger.claim(first, "w1").verdict == "go"
    assert desk.ledger.pause("j") == "paused"
    assert desk.take(9) == []
    assert desk.ledger.renew(first, "w1")
    assert desk.ledger.claim(second, "w2").verdict == "gone"
    assert desk.ledger.claim(second, "w2").verdict == "gone"
    desk.ledger.finish(first, result())
    assert desk.sent() == set()
    assert desk.ledger.resume("j") == "running"
    assert [ref.what for ref in desk.take(9)] == ["0.1", "0.2", "0.3"]
    assert desk.ledger.claim(second, "w2").verdict == "go"


def test_a_second_message_does_not_take_a_chunk_from_its_holder_in_a_pause(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.pause("j")
    assert desk.ledger.claim(ref, "w2").verdict == "held"
    assert desk.ledger.renew(ref, "w1")


def test_a_death_is_remembered_over_a_pause(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.flight(ref, "w1", ["d1"])
    desk.ledger.pause("j")
    desk.expire(ref)
    assert desk.ledger.overdue([]) == [ref]
    assert desk.ledger.claim(ref, "w2").verdict == "gone"
    desk.ledger.resume("j")
    assert desk.take() == [ref]
    assert desk.ledger.claim(ref, "w2").suspects == {"d1": 1}


def test_a_paused_job_is_planned_on_but_not_spoken(desk: Desk) -> None:
    desk.open("j")
    desk.ledger.pause("j")
    read = parse("control/read/j/1/0")
    assert desk.ledger.claim(read, "w1").verdict == "go"
    assert desk.plan("j", 2) == []
    assert desk.read("j", 1, 1) == []
    assert desk.state() == "paused"
    assert desk.take(9) == []
    assert desk.ledger.resume("j") == "running"
    assert len(desk.take(9)) == 2


def test_a_job_paused_before_its_planning_goes_on_planning(desk: Desk) -> None:
    desk.open("j")
    assert desk.ledger.pause("j") == "paused"
    assert desk.ledger.resume("j") == "planning"
    desk.plan("j", 1)
    assert desk.state() == "running"


def test_a_cancelled_job_stops_at_once_and_frees_the_window(desk: Desk) -> None:
    held = busy(desk, "j")
    desk.begin("k", 3)
    assert desk.ledger.cancel("j") == "cancelling"
    assert not desk.ledger.renew(held, "w2")
    assert desk.ledger.release(held, "w2", "why") == 0
    assert not desk.ledger.send(parse("control/page/j/1/5"))
    assert {ref.job for ref in desk.take(3)} == {"k"}
    assert {ref.split("/")[2] for ref in desk.sent()} == {"k"}
    assert desk.ledger.claim(held, "w3").verdict == "gone"
    assert desk.ledger.overdue(["piper", "control", "audio"], lost_s=-1) == [
        parse(f"piper/chunk/k/1/0.{n}") for n in range(3)
    ]


def test_what_ends_after_a_cancel_starts_nothing_new(desk: Desk) -> None:
    desk.begin("j", 1)
    (ref,) = desk.take()
    desk.ledger.cancel("j")
    assert desk.ledger.finish(ref, result(share(0, 1, 1))) == []
    assert desk.plan("j", 3, page=1) == []
    assert desk.ledger.follow("j") == []
    assert desk.state() == "cancelling"
    assert desk.take(9) == []
    desk.open("e")
    desk.ledger.cancel("e")
    assert desk.read("e", 0, 0) == []
    assert desk.state("e") == "cancelling"
    assert desk.ledger.pause("e") == desk.ledger.resume("e") == "cancelling"


def test_the_first_end_stands(desk: Desk) -> None:
    ref = desk.started()
    assert desk.ledger.close("j", 2, State.FAILED, {}) is None
    assert desk.ledger.close("j", 1, State.COMPLETED, {"seconds": 1.25}) == "completed"
    assert desk.ledger.close("j", 1, State.FAILED, {"seconds": 9}) == "completed"
    assert desk.ledger.job("j")["seconds"] == "1.25"
    before = desk.dump()
    assert desk.ledger.finish(ref, result(share(0, 1, 1), segments=4)) == []
    assert desk.ledger.cancel("j") == desk.ledger.pause("j") == "completed"
    assert desk.ledger.resume("j") == "completed"
    assert not desk.ledger.renew(ref, "w1")
    assert desk.ledger.release(ref, "w1", "why") == 0
    assert desk.ledger.follow("j") == desk.plan("j", 1, page=3) == desk.read("j", 9, 9) == []
    assert desk.dump() == before


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED])
def test_what_an_ended_job_leaves_expires_in_a_week(desk: Desk, state: State) -> None:
    busy(desk, "j")
    desk.ledger.close("j", 1, state, {})
    left = {key: desk.redis.ttl(key) for key in keys_of(desk, "j")}
    assert left.keys() == {"farm:job:j", "farm:events:j", "farm:failures:j"}
    assert all(WEEK_S - 5 < seconds <= WEEK_S for seconds in left.values())
    assert mentions(desk, "chunk/j") == []
    assert desk.redis.keys("farm:ring*") == desk.redis.keys("farm:credit*") == []
    assert len(desk.ledger.failures("j")) == 1


def test_an_ended_job_leaves_the_list_when_it_is_forgotten(desk: Desk) -> None:
    for job in ("j", "k"):
        desk.open(job)
        desk.ledger.close(job, 1, State.COMPLETED, {})
    desk.open("k", revision=2)
    desk.redis.delete("farm:job:j", "farm:events:j")
    desk.redis.zadd("farm:closed", {"j": 1})
    desk.ledger.overdue([])
    assert desk.ledger.jobs() == ["k"]
    assert desk.redis.zcard("farm:closed") == 0
    assert desk.redis.ttl("farm:job:k") == -1


def test_a_removed_job_is_gone_with_all_its_work(desk: Desk) -> None:
    busy(desk, "j")
    assert desk.ledger.remove("j")
    assert not desk.ledger.remove("j")
    assert keys_of(desk, "j") == set()
    assert set(desk.redis.keys("*")) == {"farm:lanes"}
