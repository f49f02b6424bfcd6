"""Whether the API and what it stands on answer."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.api import health
from farm.api.health import Probes
from tests.api.conftest import Api, serving, wait_for
from tests.redises import redis_server
from tests.running import quiet


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_S", 0.0)
    monkeypatch.setattr(health, "STORE_FRESH_S", 0.0)


def ask(api: Api) -> tuple[int, dict[str, str]]:
    """Status, and the reason of each component (empty: it is ready)."""
    answer = api.anyone.get("/readyz")
    body = answer.json()
    assert body["ready"] is (answer.status_code == 200)
    assert all(each["ready"] is not bool(each["reason"]) for each in body["components"].values())
    return answer.status_code, {n: each["reason"] for n, each in body["components"].items()}


def all_well(api: Api) -> bool:
    return ask(api)[0] == 200


def test_a_process_that_answers_says_so_to_anybody(api: Api) -> None:
    api.key()
    answer = api.anyone.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert api.anyone.get("/readyz").status_code != 401


def test_a_farm_is_ready_when_everything_is_there(api: Api) -> None:
    api.farm.ledger.beat("cpu", "w1", 1)
    wait_for(lambda: all_well(api))
    assert ask(api)[1] == {"redis": "", "store": "", "control": "", "worker:cpu": ""}


def test_what_is_missing_is_named_with_its_mend(api: Api) -> None:
    wait_for(lambda: not ask(api)[1]["control"])
    status, said = ask(api)
    assert status == 503
    assert said["worker:cpu"] == ("no live worker of this family: start `farm worker --family cpu`")


def test_a_farm_without_a_control_process_is_not_ready(api: Api) -> None:
    api.workers.stop()
    wait_for(lambda: "farm control" in ask(api)[1]["control"])


def test_a_family_that_has_work_needs_a_worker(api: Api) -> None:
    api.farm.ledger.beat("cpu", "w1", 1)
    wait_for(lambda: all_well(api))
    api.workers.going.clear()
    api.farm.ledger.redis.sadd("farm:lanes", "tone")
    api.farm.ledger.redis.lpush("tts.tone", "a message")
    status, said = ask(api)
    assert (status, said.pop("worker:tone")[:14]) == (503, "no live worker")
    assert set(said.values()) == {""}
    api.farm.ledger.beat("tone", "w2", 1)
    assert all_well(api)


def test_a_family_that_is_expected_needs_a_worker(redis_url: str, tmp_path: Path) -> None:
    with serving(redis_url, tmp_path, expected_families=["piper"]) as api:
        api.farm.ledger.beat("cpu", "w1", 1)
        wait_for(lambda: not ask(api)[1]["control"])
        assert ask(api)[1]["worker:piper"] != ""


def test_a_store_that_takes_nothing_is_named_without_its_place(api: Api, tmp_path: Path) -> None:
    store = tmp_path / "home" / "store"
    wait_for(lambda: not ask(api)[1]["store"])
    store.rename(tmp_path / "elsewhere")
    store.write_text("in the way")
    with quiet():
        answer = api.anyone.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["components"]["store"] == {
        "ready": False,
        "reason": "StoreUnavailable: it does not answer, or refuses",
    }
    assert str(tmp_path) not in answer.text
    store.unlink()
    (tmp_path / "elsewhere").rename(store)


def test_a_redis_that_is_away_is_named_without_its_address(tmp_path: Path) -> None:
    with redis_server() as own, serving(own.url, tmp_path) as api, quiet():
        own.stop()
        answer = wait_for(lambda: _away(api))
        assert answer.status_code == 503
        assert own.url.removeprefix("unix://") not in answer.text
        own.start()
        wait_for(lambda: not ask(api)[1]["redis"])


def _away(api: Api) -> httpx.Response | None:
    answer = api.anyone.get("/readyz")
    return None if answer.json()["components"]["redis"]["ready"] else answer


def test_a_component_that_hangs_is_waited_for_once_and_not_for_long(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_S", 0.3)
    asked, over = [], threading.Event()

    def hangs(*_: Any, **__: Any) -> bool:
        asked.append(time.monotonic())
        return over.wait(20)

    monkeypatch.setattr(api.farm.store, "put", hangs)
    probes = Probes(api.service.settings, api.farm)
    begun = time.monotonic()
    for _ in range(3):
        assert probes.look().components["store"].reason == "no answer in 0 s"
    assert time.monotonic() - begun < 15
    assert len(asked) == 1
    over.set()


def test_answers_are_kept_for_a_while(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STORE_FRESH_S", 60.0)
    probes = Probes(api.service.settings, api.farm)
    probes.look()
    path = api.service.settings.home / "store" / health.PROBE
    written = path.stat().st_mtime_ns
    os.utime(path, ns=(1, 1))
    probes.look()
    assert path.stat().st_mtime_ns == 1 != written
