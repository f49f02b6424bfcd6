"""A worker process: prefork, one child per slot, its queues in order, and its signs of life."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import warnings
from typing import Any

from celery import Celery, signals
from celery.exceptions import SecurityWarning
from celery.worker import state

from farm.config import Settings
from farm.errors import Unavailable
from farm.ledger import Ledger
from farm.processes import die_with_parent
from farm.tasks.app import TASK_NAMES, create_celery, create_farm
from farm.tasks.overlap import Hands

#: Seconds between two signs of life of a worker.
BEAT_S = 5.0


def run_worker(settings: Settings, family: str, slots: int) -> int:
    """Serve a family's queues, or those of `cpu` (control and audio), until told to stop."""
    name = f"{family}-{os.getpid()}"
    _tie_children_to_parent()
    _beat(settings, family, slots, name)
    # In a container everybody is root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Not by way of Celery's own command line, whose import takes half as long as the whole start.
    create_worker(settings).Worker(**worker_options(family, slots, name)).start()
    # Celery counts Ctrl-C as a failure; here only an end that nobody asked for is one.
    return int(state.should_stop is None and state.should_terminate is None)


def worker_options(family: str, slots: int, name: str) -> dict[str, Any]:
    """Return Celery's options of a worker of a family, or of `cpu`: control and audio."""
    lanes = ("control", "audio") if family == "cpu" else (f"tts.{family}",)
    return {
        "hostname": f"{name}@{socket.gethostname()}",
        "pool": "prefork",
        "concurrency": slots,
        "prefetch_multiplier": 1,
        "queues": [f"{lane}{now}" for now in (".now", "") for lane in lanes],
        "without_gossip": True,
        "without_mingle": True,
        "loglevel": "WARNING",
        "quiet": True,
    }


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
    """Make the app with one task per stage; each child has its own hands on the farm."""
    app = create_celery(settings)
    children: dict[int, Hands] = {}

    def hands() -> Hands:
        if os.getpid() not in children:
            children.clear()
            children[os.getpid()] = Hands(create_farm(settings, app))
        return children[os.getpid()]

    def perform(ref: str, **_: str) -> dict[str, Any]:
        return hands().perform(ref)

    for name in TASK_NAMES.values():
        app.task(perform, name=name)
    return app
