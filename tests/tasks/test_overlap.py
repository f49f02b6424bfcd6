"""A child goes on to its next unit while the last objects of a chunk are being stored."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farm.errors import DeviceLost, StoreUnavailable
from farm.farm import Farm
from farm.ledger import Events, Ledger
from farm.storage.local import LocalStore
from farm.tasks.overlap import LOST, Hands
from tests.running import running


class Slow(LocalStore):
    """A store that keeps segments only when the gate is open, or not at all."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()
        self.broken = False

    def put(self, key: str, data: bytes, **how: Any) -> bool:
        if key.startswith("segments/"):
            assert self.gate.wait(10)
            if self.broken:
                raise StoreUnavailable("the store is down")
        return super().put(key, data, **how)


def until(condition: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() < begin + 30
        time.sleep(0.01)


def test_the_next_unit_is_taken_while_a_chunk_is_being_stored(
    redis_url: str, tmp_path: Path
) -> None:
    store = Slow(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm:
        farm.submit("One sentence. Another.")
        farm.submit("Something else.", "k")
        hands, chunks = Hands(farm.farm), []
        while farm.queue:
            ref, _ = farm.queue.popleft()
            numbers = hands.perform(str(ref))
            if ref.stage == "chunk":
                chunks.append(numbers)
        assert [(n["segments"], n["misses"], n["failed"]) for n in chunks] == [(2, 2, 0), (1, 1, 0)]
        assert farm.segments() == []
        assert farm.count("segments") == 0, "counted before it was stored"
        store.gate.set()
        until(lambda: len(farm.queue) == 2)
        assert (farm.count("segments"), farm.count("segments", "k")) == (2, 1)
        assert (farm.finish(), farm.finish("k")) == ("completed", "completed")


def test_a_chunk_that_cannot_be_stored_is_done_again(redis_url: str, tmp_path: Path) -> None:
    store = Slow(tmp_path / "store")
    store.broken = True
    store.gate.set()
    with running(redis_url, tmp_path, store) as farm:
        farm.submit("One sentence.")
        ref = farm.until("chunk")
        farm.queue.clear()
        Hands(farm.farm).perform(str(ref))
        until(lambda: any(type_ == "waiting" for _, type_, _ in Events(farm.farm.ledger).of("j")))
        store.broken = False
        assert farm.finish() == "completed"
        assert farm.count("failed") == 0


def test_a_child_whose_device_is_lost_ends_when_the_chunk_before_is_stored(
    redis_url: str, tmp_path: Path
) -> None:
    store, ended = Slow(tmp_path / "store"), []
    with running(redis_url, tmp_path, store) as farm:
        farm.submit("One sentence.")
        farm.submit("It is [[poison]] now.", "k")
        hands = Hands(farm.farm, lambda code: ended.append((code, len(farm.segments()))))
        threading.Timer(0.5, store.gate.set).start()
        first = farm.until("chunk")
        farm.queue.popleft()
        second = farm.until("chunk")
        hands.perform(str(first))
        with pytest.raises(DeviceLost):
            hands.perform(str(second))
        assert ended == [(LOST, 1)]


def test_a_child_that_ends_in_good_order_stores_what_it_has_spoken(
    redis_url: str, tmp_path: Path
) -> None:
    store = Slow(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm:
        farm.submit("One sentence.")
        hands = Hands(farm.farm)
        hands.perform(str(farm.until("chunk")))
        threading.Timer(0.3, store.gate.set).start()
        assert farm.segments() == []
        hands.close()
        assert (len(farm.segments()), farm.count("segments")) == (1, 1)


def test_a_unit_that_is_not_spoken_is_returned_when_it_is_done(
    redis_url: str, tmp_path: Path
) -> None:
    with running(redis_url, tmp_path) as farm:
        farm.submit("One sentence.")
        ref, _ = farm.queue.popleft()
        assert Hands(farm.farm).perform(str(ref)) == {"pages": 1, "items": 1}
        assert Hands(farm.farm).perform(str(ref)) == {"skipped": "done"}


def test_what_goes_wrong_behind_a_childs_back_is_logged(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Lost(Ledger):
        def finish(self, *_: Any) -> Any:
            raise RuntimeError("Redis is gone")

        def release(self, *_: Any, **__: Any) -> int:
            raise RuntimeError("Redis is gone")

    with running(redis_url, tmp_path) as farm, caplog.at_level(logging.ERROR):
        farm.submit("One sentence.")
        ref = farm.until("chunk")
        broken: Farm = farm.farm
        broken.ledger = Lost(redis_url)
        assert Hands(broken).perform(str(ref))["segments"] == 1
        until(lambda: "could not be finished: Redis is gone" in caplog.text)
        broken.ledger.redis.close()
