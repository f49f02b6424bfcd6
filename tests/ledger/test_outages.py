"""Lost messages, lost processes, outages; and what the control processes share."""

from __future__ import annotations

import threading
import time

from farm.jobs import State
from farm.ledger import LOST_S, Ledger, Ref, parse
from tests.ledger.desk import Desk, result, share


def all_lost(desk: Desk, idle: list[str]) -> list[Ref]:
    """What is sent again when everything was sent long enough ago."""
    for lane in idle:
        for ref in desk.sent(lane):
            desk.age(parse(ref), LOST_S + 1)
    return desk.ledger.overdue(idle)


def test_chunks_taken_by_a_process_that_died_are_sent_again(desk: Desk) -> None:
    desk.begin("j", 3)
    taken = desk.take(2)
    assert desk.ledger.overdue(["piper"]) == []
    assert sorted(map(str, all_lost(desk, ["piper"]))) == sorted(map(str, taken))
    assert desk.ledger.overdue(["piper"]) == []
    assert len(desk.sent()) == 2


def test_a_message_in_a_busy_queue_is_lost_much_later(desk: Desk) -> None:
    desk.begin("j", 1)
    (ref,) = desk.take()
    desk.age(ref, 10 * LOST_S)
    assert desk.ledger.overdue([]) == []
    desk.age(ref, 11 * LOST_S)
    assert desk.ledger.overdue([]) == [ref]


def test_a_claimed_chunk_is_not_lost_however_long_it_takes(desk: Desk) -> None:
    ref = desk.started()
    desk.age(ref, 1000)
    assert desk.ledger.overdue(["piper"]) == []


def test_a_released_chunk_waits_for_its_time_even_in_an_idle_lane(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.release(ref, "w1", "why", pause_s=30)
    desk.age(ref, 1000)
    assert desk.ledger.overdue(["piper"]) == []


def test_runs_and_packages_handed_to_a_process_that_died_are_sent_again(desk: Desk) -> None:
    desk.begin("j", 1)
    (ref,) = desk.take()
    (run,) = desk.ledger.finish(ref, result(share(0, 1, 1)))
    assert all_lost(desk, ["audio"]) == [run]
    (package,) = desk.ledger.assembled(run, "r")
    assert all_lost(desk, ["audio"]) == [package]
    desk.ledger.close("j", 1, State.COMPLETED, {})
    assert desk.ledger.overdue(["audio"], lost_s=-1) == []


def test_a_package_under_way_is_not_sent_by_anybody_else(desk: Desk) -> None:
    desk.open("j")
    (package,) = desk.read("j", 0, 0)
    assert desk.ledger.follow("j") == []
    assert desk.ledger.claim(package, "w1").verdict == "go"
    assert desk.ledger.follow("j") == []
    desk.expire(package)
    assert desk.ledger.overdue([]) == [package]
    assert desk.ledger.follow("j") == []


def test_a_package_whose_message_left_no_trace_is_found_by_following(desk: Desk) -> None:
    desk.open("j")
    (package,) = desk.read("j", 0, 0)
    desk.redis.delete("farm:sent:audio")
    assert desk.ledger.follow("j") == [package]
    assert desk.ledger.follow("j") == []


def test_a_job_whose_first_message_was_never_sent_is_found_by_following(desk: Desk) -> None:
    desk.open("j", suffix=".now")
    read = parse("control.now/read/j/1/0")
    assert desk.ledger.follow("j") == [read]
    assert desk.ledger.follow("j") == []
    desk.ledger.claim(read, "w1")
    assert desk.ledger.follow("j") == []
    desk.plan("j", 1)
    assert desk.ledger.read_done(read, 1, 1, {}) == []
    assert desk.ledger.follow("j") == []


def test_two_who_follow_at_once_get_each_unit_once(desk: Desk) -> None:
    for n in range(30):
        desk.open(f"j{n}")
    found: list[Ref] = []

    def follow() -> None:
        ledger = Ledger(desk.url)
        for n in range(30):
            found.extend(ledger.follow(f"j{n}"))
        ledger.redis.close()

    threads = [threading.Thread(target=follow) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ref.job for ref in found) == sorted(f"j{n}" for n in range(30))


def test_two_who_top_up_at_once_do_not_exceed_the_window(desk: Desk) -> None:
    desk.begin("j", 200)
    found: list[Ref] = []

    def take() -> None:
        ledger = Ledger(desk.url)
        for window in range(1, 61):
            found.extend(ref for ref, _ in ledger.take("piper", window))
        ledger.redis.close()

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len({str(ref) for ref in found}) == len(desk.sent()) == 60


def test_nobody_is_a_suspect_after_an_outage(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.overdue([])
    desk.ledger.flight(ref, "w1", ["d1"])
    desk.expire(ref)
    desk.age_round(60)
    assert desk.ledger.overdue([]) == []
    assert 6 < desk.lease_s(ref) <= 7.5
    assert desk.ledger.renew(ref, "w1")
    desk.expire(ref)
    assert desk.ledger.overdue([]) == [ref]
    assert desk.ledger.claim(ref, "w2").suspects == {}


def test_rounds_that_are_always_late_find_the_dead_all_the_same(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.overdue([])
    desk.expire(ref)
    desk.age_round(60)
    assert desk.ledger.overdue([]) == []
    desk.expire(ref)
    assert desk.ledger.overdue([]) == [ref]


def test_a_pause_of_a_released_chunk_is_not_cut_by_an_outage(desk: Desk) -> None:
    ref = desk.started()
    desk.ledger.overdue([])
    desk.ledger.release(ref, "w1", "why", pause_s=40)
    desk.age_round(60)
    assert desk.ledger.overdue([]) == []
    assert 39 < desk.lease_s(ref) <= 40


def test_the_first_to_set_an_epoch_learns_that_it_is_new(desk: Desk) -> None:
    assert desk.ledger.epoch("e1") == ("e1", True)
    assert desk.ledger.epoch("e2") == ("e1", False)
    desk.redis.flushall()
    assert desk.ledger.epoch("e3") == ("e3", True)


def test_the_lock_has_one_holder_who_can_keep_it(desk: Desk) -> None:
    assert desk.ledger.lock("a", 30)
    assert not desk.ledger.lock("b", 30)
    assert desk.redis.ttl("farm:control") == 30
    assert desk.ledger.lock("a", 60)
    assert desk.redis.ttl("farm:control") == 60
    desk.redis.delete("farm:control")
    assert desk.ledger.lock("b", 30)
    assert not desk.ledger.lock("a", 30)


def test_a_lock_that_nobody_keeps_falls_to_the_next(desk: Desk) -> None:
    assert desk.ledger.lock("a", 1)
    for _ in range(150):
        if desk.ledger.lock("b", 30):
            break
        time.sleep(0.01)
    assert not desk.ledger.lock("a", 30)


def test_slots_are_counted_until_they_fall_silent(desk: Desk) -> None:
    assert desk.ledger.slots("piper") == 0
    desk.ledger.beat("piper", "host-1/a", 4)
    desk.ledger.beat("piper", "host-2", 2)
    desk.ledger.beat("onnx", "host-2", 8)
    desk.ledger.beat("piper", "host-2", 2)
    assert desk.ledger.slots("piper") == 6
    desk.redis.zincrby("farm:slots:piper", -20, "host-2/2")
    assert desk.ledger.slots("piper") == 4
    assert desk.redis.zcard("farm:slots:piper") == 1


def test_messages_in_a_queue_are_counted(desk: Desk) -> None:
    desk.redis.rpush("tts.piper", "m1", "m2")
    assert desk.ledger.queued("tts.piper") == 2
    assert desk.ledger.queued("tts.onnx") == 0
    assert desk.ledger.ping().split(".")[0].isdigit()


def test_two_farms_of_other_prefixes_do_not_meet(desk: Desk) -> None:
    other = Ledger(desk.url, prefix="other:")
    desk.begin("j", 3)
    assert not other.knows("j")
    assert other.take("piper", 9) == []
    assert other.lock("b", 30)
    assert desk.ledger.lock("a", 30)
    other.redis.close()
