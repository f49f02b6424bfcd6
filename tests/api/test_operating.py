"""What an operator sees: workers and queues."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.api.operating import backlog_s
from farm.ledger import Lane, Roster
from tests.api.conftest import Api
from tests.ledger.desk import Desk

ABOUT = {"name": "piper-1@host", "family": "piper", "slots": ["cpu", "cpu"], "since": 5.5}
CHILD = {"pid": 7, "slot": "cpu", "device": "a chip", "voices": ["slt"]}


@pytest.mark.parametrize("path", ["/v1/workers", "/v1/queues"])
def test_only_an_admin_sees_them(api: Api, path: str) -> None:
    assert api.client("ann").get(path).status_code == 403
    assert api.anyone.get(path).status_code == 401
    assert api.client("root", "admin").get(path).json()["data"] == []


def test_a_worker_is_shown_with_what_its_children_do(api: Api) -> None:
    roster = Roster(api.farm.ledger)
    roster.worker("host/1", ABOUT)
    doing = {"job": "ann~j", "what": "slt, item 3", "since": 9.5}
    roster.child("host/1", "7", {**CHILD, "doing": doing})
    roster.child("host/1", "8", {**CHILD, "pid": 8, "voices": [], "doing": None})
    (worker,) = api.client("root", "admin").get("/v1/workers").json()["data"]
    children = [{**CHILD, "doing": doing}, {**CHILD, "pid": 8, "voices": [], "doing": None}]
    assert worker == {**ABOUT, "children": children}


def test_messages_that_were_no_work_of_the_farm_are_listed_the_last_hundred(api: Api) -> None:
    roster = Roster(api.farm.ledger)
    for at in range(103):
        roster.refuse({"where": "tts.piper", "why": "it is no task", "at": float(at)})
    refused = api.client("root", "admin").get("/v1/queues").json()["refused"]
    assert refused[0] == {"where": "tts.piper", "why": "it is no task", "at": 102.0}
    assert [row["at"] for row in refused] == [float(at) for at in range(102, 2, -1)]


def test_queues_are_shown_with_their_backlog_in_seconds(redis_url: str, api: Api) -> None:
    api.workers.stop()  # nobody is to fill windows meanwhile
    desk = Desk(redis_url)
    desk.ledger.beat("piper", "w1", 2)
    desk.begin("j", 5)
    (first,) = desk.take(1)
    desk.ledger.claim(first, "w1")
    desk.redis.lpush("tts.piper", "a message")
    found = api.client("root", "admin").get("/v1/queues").json()["data"]
    rows = {row.pop("lane"): row for row in found}
    assert rows["piper"] == {
        "queue": "tts.piper",
        "slots": 2,
        "waiting": 1,
        "under_way": 1,
        "todo": 4,
        "backlog_s": 3.8,
    }
    desk.close()


def test_a_backlog_is_chunks_by_slots() -> None:
    assert backlog_s(Lane("piper", 0, 2, 1, 8), 4) == 3.8
    assert backlog_s(Lane("piper.now", 0, 0, 0, 0), 0) == 0.0
    assert backlog_s(Lane("piper", 0, 1, 0, 0), 0) is None
    assert backlog_s(Lane("control.now", 5, 5, 0, 0), 3) is None
