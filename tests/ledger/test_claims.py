"""Claims: who may do a unit of work, for how long, and what a death means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farm.jobs import State
from farm.ledger import Events, parse
from tests.ledger.desk import Desk, result, share, unit


def test_a_chunk_is_held_by_one_and_done_once(desk: Desk) -> None:
    ref = desk.started()
    assert desk.ledger.claim(ref, "w2").verdict == "held"
    assert desk.ledger.finish(ref, result()) == []
    assert desk.ledger.claim(ref, "w2").verdict == "done"


def test_a_claim_lasts_fifteen_seconds_and_tells_the_attempt(desk: Desk) -> None:
    desk.begin("j", 1, attempt="a77")
    (ref,) = desk.take()
    claim = desk.ledger.claim(ref, "w1")
    assert (claim.verdict, claim.attempt, dict(claim.suspects)) == ("go", "a77", {})
    assert 14 < desk.lease_s(ref) <= 15


def test_a_claim_that_ran_out_is_sent_again_once_and_goes_to_the_next(desk: Desk) -> None:
    ref = desk.started()
    desk.expire(ref)
    assert desk.ledger.overdue([]) == [ref]
    assert desk.ledger.overdue([]) == []
    assert desk.ledger.claim(ref, "w2").verdict == "go"
    assert desk.ledger.claim(ref, "w1").verdict == "held"


def test_a_renewed_claim_does_not_run_out(desk: Desk) -> None:
    ref = desk.started()
    desk.expire(ref)
    assert desk.ledger.renew(ref, "w1")
    assert 14 < desk.lease_s(ref) <= 15
    assert desk.ledger.overdue([]) == []


def test_a_late_holder_who_lives_keeps_his_chunk_if_nobody_took_it(desk: Desk) -> None:
    ref = desk.started()
    desk.expire(ref)
    assert desk.ledger.overdue([]) == [ref]
    assert desk.ledger.renew(ref, "w1")
    assert desk.ledger.claim(ref, "w2").verdict == "held"


@pytest.mark.parametrize("holder", ["w2", ""])
def test_somebody_elses_claim_is_neither_renewed_nor_released_nor_flown(
    desk: Desk, holder: str
) -> None:
    ref = desk.started()
    before = desk.dump()
    assert not desk.ledger.renew(ref, holder)
    assert desk.ledger.release(ref, holder, "no reason") == 0
    desk.ledger.flight(ref, holder, ["d"])
    assert desk.dump() == before


def test_a_released_claim_is_nobodys(desk: Desk) -> None:
    ref = desk.started()
    assert desk.ledger.release(ref, "w1", "store away") == 1
    assert not desk.ledger.renew(ref, "w1")
    assert desk.ledger.release(ref, "w1", "store away") == 0


def test_segments_in_flight_at_a_death_are_suspects_and_counted(desk: Desk) -> None:
    ref = desk.started()
    for holder, deaths in (("w2", 1), ("w3", 2)):
        desk.ledger.flight(ref, {"w2": "w1", "w3": "w2"}[holder], ["d1", "d2"])
        desk.expire(ref)
        assert desk.ledger.overdue([]) == [ref]
        suspects = desk.ledger.claim(ref, holder).suspects
        assert suspects == {"d1": deaths, "d2": deaths}


def test_only_the_last_flight_before_a_death_counts(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.flight(ref, "w1", ["d1"])
    desk.ledger.flight(ref, "w1", ["d2"])
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w2").suspects == {"d2": 1}


def test_a_death_between_flights_suspects_nobody(desk: Desk) -> None:
    ref = desk.started()
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w2").suspects == {}
    desk.ledger.flight(ref, "w2", [])
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w3").suspects == {}


def test_a_death_is_counted_once(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.flight(ref, "w1", ["d1"])
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w2").suspects == {"d1": 1}
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w3").suspects == {"d1": 1}


def test_a_suspect_stays_one_though_its_chunk_is_given_back(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.flight(ref, "w1", ["d1"])
    desk.expire(ref)
    desk.ledger.claim(ref, "w2")
    assert desk.ledger.release(ref, "w2", "store away") == 1
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w3").suspects == {"d1": 1}


def test_a_unit_that_was_never_noted_as_sent_fills_the_window_all_the_same(desk: Desk) -> None:
    desk.open("j")
    ref = parse("tone/chunk/j/1/0.0")
    assert desk.ledger.claim(ref, "w1").verdict == "go"
    assert desk.sent("tone") == {str(ref)}
    assert desk.ledger.lanes() == ["tone"]


def test_a_holder_may_claim_again_and_no_claim_outlives_a_week(desk: Desk) -> None:
    ref = desk.started()
    assert desk.ledger.claim(ref, "w1").verdict == "go"
    assert 0 < desk.redis.ttl(f"farm:claim:{ref}") <= 7 * 86400


def test_a_second_delivery_of_a_live_chunk_counts_no_death(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.flight(ref, "w1", ["d1"])
    assert desk.ledger.claim(ref, "w2").verdict == "held"
    assert not desk.redis.exists("farm:attempts:j")


def test_giving_back_is_no_death_and_is_tried_ever_later_up_to_a_cap(desk: Desk) -> None:
    ref = desk.started()
    waits = []
    for tries in range(1, 7):
        desk.ledger.flight(ref, "w1", ["d1"])
        assert desk.ledger.release(ref, "w1", "store away", pause_s=1, max_s=10) == tries
        waits.append(round(desk.lease_s(ref)))
        assert desk.ledger.overdue([]) == []
        desk.expire(ref)
        assert desk.ledger.overdue([]) == [ref]
        assert desk.ledger.claim(ref, "w1").suspects == {}
    assert waits == [1, 2, 4, 8, 10, 10]
    last = [event for event in Events(desk.ledger).of("j") if event[1] == "waiting"][-1]
    assert last[2] == {"reason": "store away", "tries": 6, "unit": str(ref)}


def test_what_was_in_flight_when_its_holder_died_is_suspect_though_given_back(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.flight(ref, "w1", ["d1"])
    assert desk.ledger.release(ref, "w1", "device lost", died=True) == 1
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w2").suspects == {"d1": 1}


def test_segments_are_counted_by_the_device_that_spoke_them(desk: Desk) -> None:
    desk.begin("j", 3)
    spoken = (("cuda:0#0", 2), ("cuda:1#0", 0), ("cuda:0#0", 3))
    for ref, (device, misses) in zip(desk.take(3), spoken, strict=True):
        desk.ledger.finish(ref, result(misses=misses, device=device))
    fields = desk.ledger.job("j")
    assert {name: fields[name] for name in fields if name.startswith("on:")} == {"on:cuda:0#0": "5"}


def test_thousands_of_tries_do_not_overflow_the_pause(desk: Desk) -> None:
    ref = desk.started()
    desk.redis.hset(f"farm:claim:{ref}", "tries", 5000)
    assert desk.ledger.release(ref, "w1", "store away", max_s=60) == 5001
    assert 59 < desk.lease_s(ref) <= 60


def test_a_finish_from_any_holder_counts_once_and_frees_the_window(desk: Desk) -> None:
    ref = desk.started()
    desk.expire(ref)
    assert desk.ledger.claim(ref, "w2").verdict == "go"
    done = result(share(0, 2, 2), segments=2, hits=1, misses=1, audio_ms=10, compute_ms=3)
    desk.ledger.finish(ref, done)
    after = desk.dump()
    desk.ledger.finish(ref, done)
    assert desk.dump() == after
    assert not desk.ledger.renew(ref, "w2")
    counters = ("chunks_done", "segments", "hits", "misses", "audio_ms", "compute_ms")
    assert [desk.count(name) for name in counters] == [1, 2, 1, 1, 10, 3]
    assert desk.sent() == set()
    assert not desk.redis.exists("farm:leases", f"farm:claim:{ref}")


def test_fractions_of_milliseconds_are_rounded_not_refused(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.finish(ref, result(audio_ms=1500.5, compute_ms=2.4))
    assert (desk.count("audio_ms"), desk.count("compute_ms")) == (1501, 2)


def test_a_chunk_of_an_older_revision_is_gone_and_counts_nothing(desk: Desk) -> None:
    old = desk.started()
    desk.open("j", revision=2)
    assert not desk.ledger.renew(old, "w1")
    before = desk.dump()
    assert desk.ledger.claim(old, "w2").verdict == "gone"
    assert desk.ledger.finish(old, result(share(0, 1, 1))) == []
    assert not desk.ledger.send(old)
    assert desk.dump() == before


def test_a_message_that_comes_after_its_finish_leaves_no_trace(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.finish(ref, result())
    before = desk.dump()
    for _ in range(3):
        assert desk.ledger.claim(ref, "w9").verdict == "done"
    assert desk.dump() == before


def test_reading_planning_and_assembling_are_claimed_like_chunks(desk: Desk) -> None:
    desk.open("j")
    read = parse("control/read/j/1/0")
    assert desk.ledger.send(read)
    assert desk.ledger.claim(read, "w1").verdict == "go"
    assert desk.state() == "planning"
    assert desk.ledger.claim(read, "w2").verdict == "held"
    desk.read("j", 1, 1)
    assert desk.ledger.claim(read, "w2").verdict == "done"
    page = unit(read, "page")
    assert desk.ledger.send(page)
    assert desk.ledger.claim(page, "w1").verdict == "go"
    (run,) = desk.plan("j", 0, shares=[share(0, 0, 0)])
    assert desk.ledger.claim(page, "w2").verdict == "done"
    assert not desk.ledger.send(page)
    assert desk.ledger.claim(run, "w1").verdict == "go"
    (package,) = desk.ledger.assembled(run, "r1")
    assert desk.ledger.claim(run, "w2").verdict == "done"
    assert desk.ledger.claim(package, "w1").verdict == "go"
    assert desk.ledger.claim(package, "w2").verdict == "held"
    desk.ledger.close("j", 1, State.COMPLETED, {})
    assert desk.ledger.claim(package, "w2").verdict == "gone"


def test_ids_with_marks_of_patterns_are_plain_text(desk: Desk) -> None:
    for job in ("a.c", "a-c", "a_c", "abc", "1", "chunk"):
        desk.begin(job, 1)
    desk.take(6)
    assert len(desk.sent()) == 6
    desk.ledger.cancel("a.c")
    assert len(desk.sent()) == 5
    desk.ledger.cancel("1")
    desk.ledger.cancel("chunk")
    assert desk.sent() == {f"piper/chunk/{job}/1/0.0" for job in ("a-c", "a_c", "abc")}


def test_claims_of_one_chunk_in_two_lanes_are_two(desk: Desk) -> None:
    desk.open("j")
    desk.plan("j", {"piper": ["a"], "onnx": ["b"]})
    (piper,) = desk.take()
    assert desk.ledger.claim(piper, "w1").verdict == "go"
    desk.ledger.finish(piper, result())
    assert desk.ledger.claim(replace(piper, lane="onnx"), "w1").verdict == "go"
