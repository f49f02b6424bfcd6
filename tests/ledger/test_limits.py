"""What a key may use: requests by the minute, characters by the day, jobs in flight."""

from __future__ import annotations

import threading

import pytest

from farm.errors import LedgerUnavailable
from farm.jobs import State
from farm.ledger import Ledger, Limits, Verdict
from tests.ledger.desk import Desk

DAY_S = 86_400
OPEN_S = 600


@pytest.fixture
def limits(desk: Desk) -> Limits:
    return Limits(desk.ledger)


def now_ms(desk: Desk) -> int:
    """The clock as the ledger's steps read it."""
    seconds, micros = desk.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def refill(desk: Desk, seconds: float, key: str = "k") -> None:
    """Let so much time pass for a key's bucket."""
    name = f"farm:bucket:{key}"
    desk.redis.set(name, float(desk.redis.get(name)) - seconds * 1000, keepttl=True)


def age_flight(desk: Desk, job: str, seconds: float, key: str = "k") -> None:
    """Pretend that a job was submitted so long before it was."""
    desk.redis.zincrby(f"farm:flight:{key}", -seconds * 1000, job)


def flight(desk: Desk, key: str = "k") -> list[str]:
    return sorted(desk.redis.zrange(f"farm:flight:{key}", 0, -1))


def at_once(url: str, calls: int, call: str, *arguments: object) -> list[Verdict]:
    """What four processes' worth of clients are told."""
    found: list[Verdict] = []

    def ask() -> None:
        ledger = Ledger(url)
        limits = Limits(ledger)
        for n in range(calls):
            found.append(getattr(limits, call)("k", *(n if a is int else a for a in arguments)))
        ledger.redis.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_without_limits_nothing_is_counted_and_redis_is_not_asked() -> None:
    limits = Limits(Ledger("unix:///nowhere/redis.sock"))
    assert limits.request("k", 0) == Verdict(allowed=True, limit=0)
    assert limits.spend("k", 10**9, 0) == limits.enter("k", "j", 0) == Verdict()
    limits.refund("k", 10**9, Verdict())


def test_a_lost_redis_is_told_as_such() -> None:
    limits = Limits(Ledger("unix:///nowhere/redis.sock"))
    with pytest.raises(LedgerUnavailable):
        limits.request("k", 1)


# Requests


def test_a_minute_of_requests_may_come_at_once_and_no_more(limits: Limits) -> None:
    told = [limits.request("k", 3) for _ in range(4)]
    assert [each.allowed for each in told] == [True, True, True, False]
    assert [each.remaining for each in told] == [2, 1, 0, 0]
    assert {each.limit for each in told} == {3}
    assert told[0].retry_after_s == told[2].retry_after_s == 0
    assert 19 <= told[3].retry_after_s <= 20
    assert told[0].reset_s == 20
    assert 59 <= told[3].reset_s <= 60


def test_a_token_comes_back_after_its_share_of_a_minute(desk: Desk, limits: Limits) -> None:
    for _ in range(4):
        limits.request("k", 3)
    refill(desk, 19)
    assert not limits.request("k", 3).allowed
    refill(desk, 1)
    assert limits.request("k", 3).allowed
    assert not limits.request("k", 3).allowed


@pytest.mark.parametrize("per_minute", [1, 6, 60, 999, 100_000])
def test_asking_again_after_the_seconds_named_is_allowed(
    desk: Desk, limits: Limits, per_minute: int
) -> None:
    # Long after the minute that a bucket can lack at most, so that no time passes for it.
    desk.redis.set("farm:bucket:k", now_ms(desk) + 3_600_000)
    refused = limits.request("k", per_minute)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert refused.retry_after_s == max(1, 60 // per_minute)
    desk.redis.set("farm:bucket:k", now_ms(desk) + 60_000 - refused.retry_after_s * 1000)
    assert limits.request("k", per_minute).allowed


def test_an_unused_bucket_is_full_and_leaves_nothing_behind(desk: Desk, limits: Limits) -> None:
    limits.request("k", 60)
    assert 0 < desk.redis.pttl("farm:bucket:k") <= 1_000
    refill(desk, 3600)
    assert limits.request("k", 60).remaining == 59


def test_a_refused_request_costs_nothing(desk: Desk, limits: Limits) -> None:
    for _ in range(50):
        limits.request("k", 2)
    refill(desk, 30)
    assert limits.request("k", 2).allowed


def test_a_changed_limit_holds_from_the_next_request(desk: Desk, limits: Limits) -> None:
    assert [limits.request("k", 1).allowed for _ in range(2)] == [True, False]
    refill(desk, 2)
    assert not limits.request("k", 1).allowed
    assert limits.request("k", 60).allowed
    assert limits.request("k", 0).allowed


def test_a_key_uses_only_its_own(limits: Limits) -> None:
    for key in ("k", "other"):
        assert limits.request(key, 1).allowed
        assert limits.spend(key, 1, 1).allowed
        assert limits.enter(key, "j", 1).allowed


def test_a_clock_that_was_set_back_locks_nobody_out(desk: Desk, limits: Limits) -> None:
    desk.redis.set("farm:bucket:k", now_ms(desk) + 10 * 3_600_000)
    told = limits.request("k", 60)
    assert (told.allowed, told.retry_after_s) == (False, 1)


def test_many_who_ask_at_once_get_no_more_than_there_is(desk: Desk) -> None:
    told = at_once(desk.url, 30, "request", 20)
    assert len(told) == 120
    # A token comes back every 3 s.
    assert 20 <= sum(each.allowed for each in told) <= 22


# Characters


def test_characters_are_spent_whole_or_not_at_all(limits: Limits) -> None:
    assert limits.spend("k", 60, 100).remaining == 40
    refused = limits.spend("k", 41, 100)
    assert (refused.allowed, refused.remaining) == (False, 40)
    last = limits.spend("k", 40, 100)
    assert (last.allowed, last.remaining) == (True, 0)
    assert limits.spend("k", 0, 100).allowed
    assert not limits.spend("k", 1, 100).allowed


def test_a_day_ends_at_midnight_of_utc(desk: Desk, limits: Limits) -> None:
    told = limits.spend("k", 100, 100)
    seconds = int(now_ms(desk) / 1000)
    assert told.day in ((seconds - 1) // DAY_S, seconds // DAY_S)
    assert 0 <= (told.day + 1) * DAY_S - told.reset_s - (seconds - 1) <= 1
    refused = limits.spend("k", 1, 100)
    assert refused.retry_after_s == refused.reset_s > 0 == told.retry_after_s


def test_what_was_spent_yesterday_does_not_count_and_is_forgotten(
    desk: Desk, limits: Limits
) -> None:
    day = limits.spend("k", 1, 100).day
    assert DAY_S < desk.redis.ttl(f"farm:spent:k:{day}") <= 2 * DAY_S
    desk.redis.rename(f"farm:spent:k:{day}", f"farm:spent:k:{day - 1}")
    assert limits.spend("k", 100, 100).allowed


def test_a_refund_gives_back_what_was_spent_and_keeps_the_day(desk: Desk, limits: Limits) -> None:
    spent = limits.spend("k", 70, 100)
    limits.refund("k", 70, spent)
    assert desk.redis.ttl(f"farm:spent:k:{spent.day}") > DAY_S
    assert limits.spend("k", 100, 100).allowed


def test_a_refund_after_midnight_gives_nothing_to_the_new_day(desk: Desk, limits: Limits) -> None:
    spent = limits.spend("k", 70, 100)
    desk.redis.rename(f"farm:spent:k:{spent.day}", f"farm:spent:k:{spent.day - 1}")
    limits.spend("k", 100, 100)
    limits.refund("k", 70, Verdict(**vars(spent) | {"day": spent.day - 1}))
    assert desk.redis.get(f"farm:spent:k:{spent.day - 1}") == "0"
    assert not limits.spend("k", 1, 100).allowed


def test_what_was_refused_cannot_be_given_back(limits: Limits) -> None:
    limits.spend("k", 100, 100)
    limits.refund("k", 70, limits.spend("k", 70, 100))
    assert not limits.spend("k", 1, 100).allowed


def test_a_refund_never_gives_more_than_was_spent(desk: Desk, limits: Limits) -> None:
    spent = limits.spend("k", 70, 100)
    limits.refund("k", 70, spent)
    limits.refund("k", 70, spent)
    assert limits.spend("k", 100, 100).remaining == 0
    desk.redis.flushall()
    limits.refund("k", 70, spent)
    assert desk.redis.keys("*") == []


def test_large_counts_are_exact(limits: Limits) -> None:
    most = (1 << 50) - 1
    assert limits.spend("k", most - 7, most).remaining == 7
    assert not limits.spend("k", 8, most).allowed
    assert limits.spend("k", 7, most).remaining == 0


def test_less_than_nothing_cannot_be_spent(limits: Limits) -> None:
    with pytest.raises(ValueError, match="-1 characters"):
        limits.spend("k", -1, 100)


def test_many_who_spend_at_once_spend_no_more_than_there_is(desk: Desk) -> None:
    told = at_once(desk.url, 30, "spend", 3, 100)
    assert sum(each.allowed for each in told) == 33


# Jobs in flight


def test_a_key_has_no_more_jobs_in_flight_than_it_may(desk: Desk, limits: Limits) -> None:
    told = [limits.enter("k", job, 2) for job in ("a", "b", "c")]
    assert [each.allowed for each in told] == [True, True, False]
    assert [each.remaining for each in told] == [1, 0, 0]
    assert flight(desk) == ["a", "b"]


def test_an_ended_job_makes_room(limits: Limits) -> None:
    limits.enter("k", "a", 1)
    assert limits.leave("k", "a")
    assert not limits.leave("k", "a")
    assert limits.enter("k", "b", 1).allowed


def test_a_job_that_enters_again_counts_once(desk: Desk, limits: Limits) -> None:
    assert [limits.enter("k", "a", 2).remaining for _ in range(3)] == [1, 1, 1]
    limits.enter("k", "b", 2)
    assert limits.enter("k", "a", 2).allowed
    assert flight(desk) == ["a", "b"]


@pytest.mark.parametrize("end", [State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED])
def test_a_job_whose_end_was_missed_is_dropped_when_room_is_wanted(
    desk: Desk, limits: Limits, end: State
) -> None:
    for job in ("a", "b"):
        limits.enter("k", job, 2)
        desk.open(job)
    assert not limits.enter("k", "c", 2).allowed
    desk.ledger.close("a", 1, end, {})
    assert limits.enter("k", "c", 2).allowed
    assert flight(desk) == ["b", "c"]


def test_a_job_that_waits_is_paused_or_is_being_cancelled_is_in_flight(
    desk: Desk, limits: Limits
) -> None:
    for job in ("a", "b", "c"):
        limits.enter("k", job, 3)
        desk.open(job)
        age_flight(desk, job, 10 * DAY_S)
    desk.ledger.pause("b")
    desk.ledger.cancel("c")
    assert not limits.enter("k", "d", 3).allowed
    assert flight(desk) == ["a", "b", "c"]


def test_a_job_that_nobody_opens_counts_for_ten_minutes(desk: Desk, limits: Limits) -> None:
    limits.enter("k", "a", 1)
    age_flight(desk, "a", OPEN_S - 5)
    assert not limits.enter("k", "b", 1).allowed
    age_flight(desk, "a", 10)
    assert limits.enter("k", "b", 1).allowed
    assert flight(desk) == ["b"]


def test_a_job_that_is_about_to_run_again_counts_though_its_last_run_ended(
    desk: Desk, limits: Limits
) -> None:
    desk.open("a")
    desk.ledger.close("a", 1, State.FAILED, {})
    desk.redis.hincrbyfloat("farm:job:a", "ended", -1)
    limits.enter("k", "a", 1)
    assert not limits.enter("k", "b", 1).allowed
    age_flight(desk, "a", OPEN_S + 5)
    assert limits.enter("k", "b", 1).allowed


def test_a_removed_job_makes_room(desk: Desk, limits: Limits) -> None:
    limits.enter("k", "a", 1)
    desk.open("a")
    age_flight(desk, "a", OPEN_S + 5)
    assert not limits.enter("k", "b", 1).allowed
    desk.ledger.remove("a")
    assert limits.enter("k", "b", 1).allowed


def test_a_lowered_limit_holds_at_once(limits: Limits) -> None:
    for job in ("a", "b", "c"):
        limits.enter("k", job, 3)
    told = limits.enter("k", "d", 1)
    assert (told.allowed, told.remaining) == (False, 0)


def test_a_redis_that_was_lost_has_forgotten(desk: Desk, limits: Limits) -> None:
    limits.enter("k", "a", 1)
    limits.spend("k", 1, 1)
    limits.request("k", 1)
    desk.redis.flushall()
    assert limits.enter("k", "b", 1).allowed
    assert limits.spend("k", 1, 1).allowed
    assert limits.request("k", 1).allowed


def test_everything_that_is_counted_expires(desk: Desk, limits: Limits) -> None:
    limits.enter("k", "a", 1)
    limits.spend("k", 1, 1)
    limits.request("k", 1)
    keys = desk.redis.keys("*")
    assert len(keys) == 3
    assert [key for key in keys if desk.redis.ttl(key) < 0] == []


def test_many_who_submit_at_once_get_no_more_room_than_there_is(desk: Desk) -> None:
    told = at_once(desk.url, 30, "enter", int, 20)
    # Four times the same thirty jobs: those that were let in may come again.
    assert len(flight(desk)) == 20
    assert sum(each.allowed for each in told) == 80
