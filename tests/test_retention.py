from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm import keys, retention, revising, standing
from farm.control import Control
from farm.errors import Conflict, NotFound
from tests.running import Running, quiet, running

TEXT = "One is here. Two is there."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def due(farm: Running) -> list[str]:
    return list(farm.farm.store.list(keys.DUE))


def test_a_job_past_its_deadline_expires_and_does_nothing_more(farm: Running) -> None:
    now = time.time()
    farm.submit(TEXT, deadline=now + 60)
    assert retention.act(farm.farm, now + 59) == 0
    assert farm.show()["state"] == "queued"
    assert retention.act(farm.farm, now + 61) == 1
    assert farm.show()["state"] == "expired"
    farm.drain()
    assert farm.segments() == []
    assert due(farm) == []


def test_a_job_that_redis_lost_expires_too(farm: Running) -> None:
    farm.submit(TEXT, deadline=time.time() + 60)
    farm.redis.flushall()
    assert retention.act(farm.farm, time.time() + 61) == 1
    assert farm.show()["state"] == "expired"


def test_a_job_that_ended_before_its_deadline_stays_as_it_is(farm: Running) -> None:
    farm.submit(TEXT, deadline=time.time() + 60)
    farm.drain()
    assert retention.act(farm.farm, time.time() + 61) == 0
    assert farm.show()["state"] == "completed"
    assert due(farm) == []


def test_a_job_is_deleted_with_its_outputs_after_its_time(farm: Running) -> None:
    farm.submit(TEXT, ttl_s=100)
    farm.drain()
    ended = farm.show()["ended"]
    assert retention.act(farm.farm, ended + 98) == 0
    assert farm.outputs()
    assert retention.act(farm.farm, ended + 101) == 1
    assert list(farm.farm.store.list("jobs/")) == []
    assert list(farm.farm.store.list("index/")) == []
    assert len(farm.segments()) == 2
    with pytest.raises(NotFound):
        farm.show()


def test_a_retry_begins_the_time_again(farm: Running) -> None:
    farm.submit(TEXT, ttl_s=100)
    farm.drain()
    first = farm.show()["ended"]
    time.sleep(1.1)  # markers have whole seconds
    revising.retry(farm.farm, "j")
    assert retention.act(farm.farm, first + 101) == 0
    farm.drain()
    assert len(due(farm)) == 1
    assert retention.act(farm.farm, farm.show()["ended"] + 101) == 1


def test_a_job_without_a_time_to_live_is_kept(farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    assert retention.act(farm.farm, time.time() + 10**9) == 0
    assert farm.outputs()


def test_the_marker_of_another_farm_is_left_alone(farm: Running) -> None:
    farm.submit(TEXT, deadline=time.time() + 60)
    farm.farm.id = "other"
    assert retention.act(farm.farm, time.time() + 61) == 0
    assert len(due(farm)) == 1


def test_a_purge_leaves_the_segments_that_another_job_of_the_owner_refers_to(
    farm: Running,
) -> None:
    farm.submit(TEXT)
    farm.submit("Two is there. Three is nowhere.", "k")
    farm.drain()
    assert len(farm.segments()) == 3
    assert retention.purge(farm.farm, "j") == 1
    assert len(farm.segments()) == 2
    assert revising.retry(farm.farm, "k") == 2
    farm.drain()
    assert farm.count("misses", "k") == 0
    assert retention.purge(farm.farm, "k") == 2
    assert farm.segments() == []


def test_a_running_job_is_not_purged(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("items")
    with pytest.raises(Conflict):
        retention.purge(farm.farm, "j")
    assert len(farm.segments()) == 2
    assert standing.current(farm.farm, "j") == 1


def test_a_marker_that_is_none_stops_nothing(
    farm: Running, caplog: pytest.LogCaptureFixture
) -> None:
    farm.farm.store.put(f"{keys.DUE}_-odd", b"")
    farm.submit(TEXT, deadline=time.time() + 60)
    assert retention.act(farm.farm, time.time() + 62) == 1
    assert farm.show()["state"] == "expired"
    assert "no marker of a job" in caplog.text


def test_old_segments_are_swept_and_young_ones_are_kept(farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    before = farm.outputs()
    assert retention.sweep(farm.farm, time.time() - 60) == 0
    assert retention.sweep(farm.farm, time.time() + 60) == 2
    assert (farm.segments(), farm.outputs()) == ([], before)
    farm.submit(TEXT, "again")
    farm.drain()
    assert farm.count("misses", "again") == 2


def test_a_job_whose_segments_are_swept_in_the_midst_of_it_speaks_them_again(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("items")
    assert retention.sweep(farm.farm, time.time() + 60) == 2
    with quiet():
        assert farm.finish() == "completed"
    assert len(farm.segments()) == 2


def test_the_control_process_sweeps_when_it_is_told_how_long_segments_last(farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    kept = Control(farm.farm)
    kept.tick()
    assert len(farm.segments()) == 2
    sweeping = Control(farm.farm, kept.holder, segment_s=0.001)
    time.sleep(0.05)
    with quiet():
        sweeping.tick()
    assert farm.segments() == []
