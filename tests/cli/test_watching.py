"""A command that waits in vain says for which worker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from farm.cli import watching
from tests.homes import until
from tests.running import Running

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and look for workers soon."""
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    monkeypatch.setattr(watching, "ALONE_S", 0.2)


def watched(farm: Running, said: Said, worker: str) -> str:
    """Watch a job until a line about a worker is said; finish it; return all that was said."""
    heard = ""

    def told() -> bool:
        nonlocal heard
        heard += said.readouterr().err
        return worker in heard

    with ThreadPoolExecutor() as pool:
        record = pool.submit(watching.follow, farm.farm, "job-1")
        until(told, 10)
        time.sleep(0.6)  # long enough to say it again
        assert farm.finish("job-1") == "completed"
        assert record.result()["state"] == "completed"
    told()
    return heard


def test_a_family_without_a_worker_is_named_once(farm: Running, capsys: Said) -> None:
    farm.submit("Hello.", "job-1")
    farm.farm.ledger.beat("cpu", "planner", 2)
    heard = watched(farm, capsys, "'tone'")
    assert heard.startswith("waiting: no worker of family 'tone' is running; start one with ")
    assert "'farm worker --family tone'" in heard
    assert heard.count("\n") == 1


def test_a_worker_that_plans_is_missed_first(farm: Running, capsys: Said) -> None:
    farm.submit("Hello.", "job-1")
    assert "farm worker --family cpu" in watched(farm, capsys, "'cpu'")


def test_workers_that_are_there_are_not_missed(farm: Running, capsys: Said) -> None:
    farm.submit("Hello.", "job-1")
    for family in ("cpu", "tone", "piper"):
        farm.farm.ledger.beat(family, "worker", 1)
    with ThreadPoolExecutor() as pool:
        record = pool.submit(watching.follow, farm.farm, "job-1")
        time.sleep(0.8)
        assert farm.finish("job-1") == "completed"
        record.result()
    assert capsys.readouterr().err == ""
