from __future__ import annotations

import importlib
import tracemalloc
from pathlib import Path

from farm.config import read_settings
from farm.ledger import Ref
from farm.tasks.app import create_celery, create_farm
from farm.tasks.order import NowFirst
from farm.tasks.worker import queues

QUEUES = ["control.now", "audio.now", "control", "audio"]


def test_who_only_sends_keeps_nothing_of_a_message(redis_url: str, tmp_path: Path) -> None:
    settings = read_settings(broker_url=redis_url, home=tmp_path)
    app = create_celery(settings)
    send, unit = create_farm(settings, app).send, Ref("tone", "chunk", "j", 1, "0.0")
    for _ in range(50):
        send(unit, "it is loaded")
    tracemalloc.start()
    for _ in range(2_000):
        send(unit, "here")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    app.close()
    assert held < 2_000 * 100  # with a result to wait for: 350 of each


def test_what_somebody_waits_for_goes_first_and_the_others_take_turns() -> None:
    cycle = NowFirst()
    cycle.update(QUEUES)
    seen = []
    for _ in range(4):
        order = cycle.consume(4)
        assert set(order[:2]) == {"control.now", "audio.now"}
        seen.append(order[2])
        cycle.rotate(order[2])
    assert seen == ["control", "audio", "control", "audio"]


def test_the_app_uses_that_order() -> None:
    app = create_celery(read_settings(broker_url="redis://:secret@127.0.0.1:1/0"))
    module, name = app.conf.broker_transport_options["queue_order_strategy"].split(":")
    assert getattr(importlib.import_module(module), name) is NowFirst


def test_a_worker_of_a_family_serves_its_two_queues() -> None:
    assert queues("piper") == ["tts.piper.now", "tts.piper"]


def test_the_cpu_worker_plans_and_assembles() -> None:
    assert queues("cpu") == QUEUES
