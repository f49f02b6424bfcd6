"""Random faults, replayable by their seed: a few here, fifty in `make faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import schedule
from tests.faults.__main__ import headline
from tests.faults.campaign import perform, table
from tests.faults.rig import SMALL, rig
from tests.faults.work import CALM, orders, sentences
from tests.storage.servers import Server

SEED = 5


def test_a_seed_gives_the_same_schedule_and_the_same_jobs_each_time(tmp_path: Path) -> None:
    once = schedule.schedule(3)
    assert once == schedule.schedule(3)
    assert once != schedule.schedule(4)
    assert orders(3, 4, 10, 60) == orders(3, 4, 10, 60)
    schedule.write(tmp_path / "schedule", once)
    assert schedule.read(tmp_path / "schedule") == once


def test_the_headline_has_fifty_faults_and_each_kind_at_least_once() -> None:
    made = schedule.schedule(SEED)
    assert len(made) >= 50
    assert {(fault.act, fault.who) for fault in made} == set(schedule.DECK)


def test_no_two_sentences_are_alike() -> None:
    assert len(set(sentences(1, 2000))) == 2000


def test_a_few_faults_lose_nothing_and_double_nothing(server: Server, tmp_path: Path) -> None:
    faults = schedule.schedule(SEED, schedule.FEW, (0.3, 1.5), (0.5, 1.5))
    wanted = orders(SEED, 4, 12, faults[-1].at * 0.7)
    with rig(tmp_path / "few", server, "few", SMALL) as farm:
        calm = perform(farm, orders(SEED, 4, 12, 0), owner=CALM)
        assert calm.verdict.complaints == []
        run = perform(farm, wanted, faults, reference=farm.store)
    print(table(run))
    assert run.verdict.complaints == []
    assert (run.verdict.lost, run.verdict.duplicated) == (0, 0)
    assert run.verdict.jobs == len(wanted)
    assert len(run.record["struck"]) == len(faults)


@pytest.mark.faults
@pytest.mark.timeout(2400)
def test_five_hundred_chunks_under_fifty_faults(tmp_path: Path) -> None:
    run = headline(tmp_path, SEED, schedule.schedule(SEED))
    print(table(run))
    assert run.verdict.complaints == []
    assert run.verdict.chunks >= 500
    assert len(run.record["struck"]) >= 50
    assert (run.verdict.lost, run.verdict.duplicated) == (0, 0)
