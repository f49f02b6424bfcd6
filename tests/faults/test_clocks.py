"""Clocks that jump by hours: nothing is lost, nothing ends before its time, leases recover.

The time of Redis is moved by moving what it has noted: all its times the other way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farm import keys, recovery
from farm.control import LOCK_S
from farm.errors import StoreUnavailable
from farm.jobs import Edit
from farm.ledger.limits import Limits
from farm.ledger.roster import Roster
from farm.revising import retry
from farm.schema import from_json
from farm.storage.local import LocalStore
from farm.submission import accept, find
from farm.webhooks import Delivery
from tests.running import Running, quiet, running
from tests.test_submission import draft

HOURS = 3 * 3600
TEXT = "One is here. Two is there.\n\nThree is nowhere."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm, quiet():
        yield farm


def jump(farm: Running, seconds: float) -> None:
    """Put the clock of Redis on, or back: what it has noted was so much longer ago, or less."""
    shift = int(-seconds * 1000)
    for key in ["farm:leases", *farm.redis.keys("farm:sent:*"), "farm:jobs", "farm:closed"]:
        for member, score in farm.redis.zrange(key, 0, -1, withscores=True):
            farm.redis.zadd(key, {member: score + shift})
    round_ = int(farm.redis.get("farm:round") or 0)
    if round_:
        farm.redis.set("farm:round", round_ + shift)
    for key in farm.redis.keys("farm:*"):
        left = farm.redis.pttl(key)
        if left > 0:
            farm.redis.pexpire(key, max(1, left + shift))


@pytest.mark.parametrize("stage", ["read", "page", "chunk", "items", "package"])
@pytest.mark.parametrize("hours", [HOURS, -HOURS])
def test_a_jump_of_redis_clock_holds_up_no_job_whose_worker_died(
    hours: int, stage: str, farm: Running
) -> None:
    farm.submit(TEXT)
    dead = farm.until(stage)
    assert farm.farm.ledger.claim(dead, "died").verdict == "go"
    farm.farm.ledger.flight(dead, "died", ["d1"])
    farm.control.tick()
    farm.queue.clear()
    jump(farm, hours)
    farm.control.tick()
    left = max(score for _, score in farm.redis.zrange("farm:leases", 0, -1, withscores=True))
    assert left / 1000 - farm.farm.ledger.time() <= 15
    farm.redis.zadd("farm:leases", {str(dead): 1})  # so many seconds later
    farm.control.tick()
    assert [ref for ref, _ in farm.queue] == [dead]
    assert farm.finish() == "completed"


def test_nobody_is_a_suspect_after_the_clock_was_put_on(farm: Running) -> None:
    farm.submit(TEXT)
    alive = farm.until("chunk")
    assert farm.farm.ledger.claim(alive, "alive").verdict == "go"
    farm.farm.ledger.flight(alive, "alive", ["d1"])
    farm.control.tick()
    jump(farm, HOURS)
    farm.control.tick()
    assert farm.farm.ledger.renew(alive, "alive")
    farm.redis.zadd("farm:leases", {str(alive): 1})
    assert farm.farm.ledger.claim(alive, "other").suspects == {}


def test_a_message_that_was_lost_before_the_clock_was_put_back_is_sent_again(
    farm: Running,
) -> None:
    farm.submit(TEXT)
    lost, _ = farm.queue.popleft()
    jump(farm, -HOURS)
    farm.control.tick()
    sent = farm.redis.zscore("farm:sent:control.now", str(lost))
    assert sent / 1000 <= farm.farm.ledger.time()
    farm.hurry()
    farm.control.tick()
    assert [ref for ref, _ in farm.queue] == [lost]


def test_a_lock_from_before_the_clock_was_put_back_keeps_nobody_out(farm: Running) -> None:
    assert farm.farm.ledger.lock("dead", LOCK_S)
    assert not farm.control.tick()
    jump(farm, -HOURS)
    assert farm.control.tick()
    assert farm.redis.pttl("farm:control") <= LOCK_S * 1000


def test_workers_from_before_the_clock_was_put_back_are_not_counted(farm: Running) -> None:
    ledger, roster = farm.farm.ledger, Roster(farm.farm.ledger)
    ledger.beat("tone", "dead", 4)
    roster.worker("dead", {"name": "dead"})
    for key in ("farm:slots:tone", "farm:workers"):
        ((member, score),) = farm.redis.zrange(key, 0, -1, withscores=True)
        farm.redis.zadd(key, {member: score * 2})
    ledger.beat("tone", "alive", 2)
    roster.worker("alive", {"name": "alive"})
    assert ledger.slots("tone") == 2
    assert [about["name"] for about, _ in roster.workers()] == ["alive"]


def test_a_job_that_ended_after_the_clock_was_put_back_is_in_flight_no_more(
    farm: Running,
) -> None:
    limits = Limits(farm.farm.ledger)
    assert limits.enter("key", "j", 1).allowed
    farm.submit(TEXT)
    assert not limits.enter("key", "k", 1).allowed
    farm.redis.zincrby("farm:flight:key", HOURS * 1000, "j")
    assert farm.finish() == "completed"
    assert limits.enter("key", "k", 1).allowed


# Deadlines and lives


@pytest.mark.parametrize("ahead", ["control", "redis"])
def test_one_clock_that_is_ahead_ends_no_job_before_its_time(
    ahead: str, farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.submit(TEXT, deadline=time.time() + 3600)
    farm.submit(TEXT, "kept", ttl_s=3600)
    assert farm.finish("kept") == "completed"
    if ahead == "control":
        monkeypatch.setattr(time, "time", lambda now=time.time: now() + HOURS)
    else:
        ledger = farm.farm.ledger
        monkeypatch.setattr(ledger, "time", lambda now=ledger.time: now() + HOURS)
    for _ in range(6):
        farm.control.tick()
    assert farm.show("kept")["state"] == "completed"
    assert farm.finish() == "completed"


def test_when_both_say_so_it_is_over(farm: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.submit(TEXT, deadline=time.time() + 3600)
    ledger = farm.farm.ledger
    monkeypatch.setattr(ledger, "time", lambda now=ledger.time: now() + HOURS)
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + HOURS)
    for _ in range(6):
        farm.control.tick()
    assert farm.show()["state"] == "expired"


# A job that is being accepted looks given up to a process whose clock is ahead


class Interrupted(LocalStore):
    """A store that lets something else happen after a write."""

    after = 0
    writes = 0
    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def put(self, key: str, data: bytes, *, if_absent: bool = False, durable: bool = True) -> bool:
        wrote = super().put(key, data, if_absent=if_absent, durable=durable)
        self.writes += 1
        if self.writes == self.after:
            self.meanwhile()
        return wrote


@pytest.mark.parametrize("after", range(1, 7))
@pytest.mark.parametrize("name", ["book", ""])
def test_a_job_that_seems_given_up_while_it_is_accepted_is_kept_or_not_accepted(
    name: str, after: int, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "WRITING_S", -1.0)  # as by a clock that is ahead
    store = Interrupted(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        store.after = after
        store.meanwhile = lambda: recovery.recover(farm.farm)
        try:
            spec, _ = accept(farm.farm, draft(farm), "ann", name=name)
        except StoreUnavailable:
            spec, _ = accept(farm.farm, draft(farm), "ann", name=name)
        farm.redis.flushall()
        farm.queue.clear()
        assert farm.finish(spec.id) == "completed"
        assert find(farm.farm, "ann", keys.called(spec.id)) == spec
        specs = [key for key in store.list("jobs/") if key.endswith("/spec.json")]
        assert specs == [keys.spec(spec.id)]


@pytest.mark.parametrize("after", range(1, 4))
def test_a_revision_that_seems_given_up_while_it_is_accepted_is_kept(
    after: int, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "WRITING_S", -1.0)  # as by a clock that is ahead
    store = Interrupted(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        farm.submit(TEXT)
        assert farm.finish() == "completed"
        store.writes, store.after = 0, after
        store.meanwhile = lambda: recovery.recover(farm.farm)
        assert retry(farm.farm, "j", [Edit(0, 0, take=2)]) == 2
        farm.redis.flushall()
        farm.queue.clear()
        assert farm.finish() == "completed"
        assert farm.show()["revision"] == 2


def test_the_end_of_a_job_is_told_at_once_whatever_the_difference_between_two_clocks(
    farm: Running,
) -> None:
    farm.submit(TEXT, webhook="http://127.0.0.1/")
    assert farm.finish() == "completed"
    (key,) = farm.farm.store.list("webhooks/farm/pending/")
    assert from_json(Delivery, farm.farm.store.get(key)).next_at == 0
