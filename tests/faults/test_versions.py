"""Workers of an older version beside newer ones, as while a farm is updated."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from farm.ledger import Events, Ledger
from farm.tasks.messages import VERSION
from tests.faults import notes
from tests.faults.campaign import perform, table
from tests.faults.rig import START_S, Process, Rig, Size, rig
from tests.faults.work import CALM, OWNER, orders
from tests.homes import until
from tests.storage.servers import Server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(500)]

#: Two of each worker, of which one becomes older.
SIZE = Size({"tone": 2, "cpu": 2}, 1, 1)
REASON = f"the message has version {VERSION + 1}, and this worker knows {VERSION}"
WANTED = orders(31, 3, 8, 0, voices=["tone"])


def make_older(process: Process) -> None:
    """Have a process be one of the version before, once it has been started again."""
    process.environment = {**process.environment, "FAULTS_VERSION": str(VERSION)}
    process.end()


def given_back(farm: Rig) -> Counter[str]:
    """Count the units that were given back for their version, by stage."""
    ledger = Ledger(farm.redis.url)
    jobs = [farm.store.get(f"names/{OWNER}/{order.name}").decode() for order in WANTED]
    told = [data for job in jobs for _, type_, data in Events(ledger).of(job) if type_ == "waiting"]
    ledger.redis.close()
    return Counter(data["unit"].split("/")[1] for data in told if data["reason"] == REASON)


def test_an_older_worker_gives_back_what_a_newer_one_then_does(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS_VERSION", str(VERSION + 1))
    with rig(tmp_path / "versions", server, "versions", SIZE) as farm:
        calm = perform(farm, WANTED, owner=CALM)
        assert calm.verdict.complaints == []
        older = [farm.of(family)[0] for family in SIZE.workers]
        for process in older:
            make_older(process)
        until(farm.ready, START_S)
        pids = [process.children() for process in older]
        run = perform(farm, WANTED, reference=farm.store)
        assert pids == [process.children() for process in older], "older children did not live on"
        back = given_back(farm)
    print(table(run), f"units given back: {dict(back)}", sep="\n")
    assert run.verdict.complaints == []
    assert run.verdict.jobs == len(WANTED)
    assert back, "the older workers took no message"
    assert not {turn.pid for turn in notes.turns(run.noted)} & set(chain.from_iterable(pids))
