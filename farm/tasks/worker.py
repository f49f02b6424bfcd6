"""A worker process: prefork, one child per slot, its queues in order, and its signs of life."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from typing import Any

from celery import Celery, signals
from celery.exceptions import SecurityWarning

from farm import dispatch
from farm.config import Settings
from farm.errors import Unavailable
from farm.farm import Farm
from farm.ledger import Ledger
from farm.processes import die_with_parent
from farm.tasks.app import TASK_NAMES, create_celery, create_farm

#: Seconds between two signs of life of a worker.
BEAT_S = 5.0


def run_worker(settings: Settings, family: str, slots: int) -> int:
    """Serve a family's queues, or those of `cpu` (control and audio), until told to stop."""
    name = f"{family}-{os.getpid()}"
    _tie_children_to_parent()
    if family != "cpu":
        _beat(settings, family, slots, name)
    # In a container everybody is root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    create_worker(settings).worker_main(worker_arguments(family, slots, name))
    return 0


def worker_arguments(family: str, slots: int, name: str) -> list[str]:
    """Return Celery's arguments for a worker of a family, or of `cpu`: control and audio."""
    lanes = ("control", "audio") if family == "cpu" else (f"tts.{family}",)
    queues = [f"{lane}{now}" for now in (".now", "") for lane in lanes]
    return [
        *("--quiet", "worker"),
        *("--pool", "prefork", "--concurrency", str(slots), "--prefetch-multiplier", "1"),
        *("--queues", ",".join(queues), "--hostname", f"{name}@%h"),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
    ]


def _tie_children_to_parent() -> None:
    """End a worker's children, whatever they do, when their parent ends in any way."""

    def tie(**_: Any) -> None:
        die_with_parent(signal.SIGKILL)

    signals.worker_process_init.connect(tie, weak=False)


def _beat(settings: Settings, family: str, slots: int, name: str) -> None:
    """Tell the ledger, from a thread of the worker's parent, that the slots are alive."""
    over = threading.Event()

    def signs_of_life() -> None:
        ledger = Ledger(settings.broker_url.get_secret_value())
        while not over.is_set():
            with contextlib.suppress(Unavailable):  # Celery itself reports a lost broker
                ledger.beat(family, name, slots)
            over.wait(BEAT_S)

    def start(**_: Any) -> None:
        threading.Thread(target=signs_of_life, daemon=True, name="beat").start()

    def stop(**_: Any) -> None:
        over.set()

    signals.worker_ready.connect(start, weak=False)
    signals.worker_shutting_down.connect(stop, weak=False)


def create_worker(settings: Settings) -> Celery:
    """Make the app with one task per stage; each child has a hold on the farm of its own."""
    app = create_celery(settings)
    farms: dict[int, Farm] = {}

    def farm() -> Farm:
        if os.getpid() not in farms:
            farms.clear()
            farms[os.getpid()] = create_farm(settings, app)
        return farms[os.getpid()]

    def perform(ref: str, **_: str) -> dict[str, Any]:
        return dispatch.perform(farm(), ref)

    for name in TASK_NAMES.values():
        app.task(perform, name=name)
    return app
