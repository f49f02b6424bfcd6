"""A worker process: prefork, one child per slot, its queues in order, and its signs of life."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals
from celery.exceptions import SecurityWarning
from celery.worker import state

from farm.config import Settings
from farm.errors import Unavailable
from farm.ledger import Ledger
from farm.processes import die_with_parent
from farm.slots import Slot, Table, slots
from farm.tasks.app import TASK_NAMES, create_celery, create_farm
from farm.tasks.overlap import Hands
from farm.warming import warm

log = logging.getLogger(__name__)

#: Seconds between two signs of life of a worker.
BEAT_S = 5.0
#: Seconds that a child may take to load its voices before it counts as hanging.
WARM_UP_S = 600.0
#: Voices that a child on a GPU loads before it takes work.
WARM_ON_GPU = 1


def run_worker(settings: Settings, family: str, slots: Sequence[Slot]) -> int:
    """Serve a family's queues, or those of `cpu` (control and audio), until told to stop."""
    app = create_worker(settings, family, slots)
    # In a container everybody is root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Not by way of Celery's own command line, whose import takes half as long as the whole start.
    app.Worker(**worker_options(family, slots)).start()
    # Celery counts Ctrl-C as a failure; here only an end that nobody asked for is one.
    return int(state.should_stop is None and state.should_terminate is None)


def worker_options(family: str, slots: Sequence[Slot]) -> dict[str, Any]:
    """Return Celery's options of a worker that are not in its app's settings."""
    gpus = sorted({slot.name.partition("#")[0] for slot in slots if slot.visible})
    name = "-".join([family, *(["+".join(gpus)] if gpus else []), str(os.getpid())])
    return {
        "hostname": f"{name}@{socket.gethostname()}",
        "pool": "prefork",
        "without_gossip": True,
        "without_mingle": True,
        "loglevel": "WARNING",
        "quiet": True,
    }


def queues(family: str) -> list[str]:
    """Return the queues of a worker of a family, or of `cpu`: control and audio."""
    lanes = ("control", "audio") if family == "cpu" else (f"tts.{family}",)
    return [f"{lane}{now}" for now in (".now", "") for lane in lanes]


def create_worker(settings: Settings, family: str, slots: Sequence[Slot]) -> Celery:
    """Make the app of one worker of this process: its queues, its children, a task per stage."""
    app = create_celery(settings)
    app.conf.update(worker_concurrency=len(slots), worker_proc_alive_timeout=WARM_UP_S)
    app.amqp.queues.select(queues(family))
    child = Child(settings, app, family, Table(slots))
    signals.worker_process_init.connect(child.begin, weak=False)
    _refuse_more_than(len(slots))
    _beat(settings, family, len(slots))
    for name in TASK_NAMES.values():
        app.task(child.perform, name=name)
    return app


def create_family(settings: Settings, family: str) -> Celery:
    """Make the app of a family's worker on the devices of the settings.

    Raises:
        Unavailable: a CUDA device is set that is not there.
    """
    places = slots(family, settings.devices, settings.per_device, settings.cores)
    return create_worker(settings, family, places)


class Child:
    """What a worker's child has: a slot, and its hands on the farm. One object, one per process."""

    def __init__(self, settings: Settings, app: Celery, family: str, table: Table) -> None:
        """Begin with nothing, in the parent."""
        self._settings, self._app, self._family, self._table = settings, app, family, table
        self._hands: Hands | None = None
        self._slot = Slot()

    def begin(self, **_: Any) -> None:
        """Take a slot, tie this process to its parent, and load what was used last."""
        # Whatever it does, it ends when its parent ends in any way.
        die_with_parent(signal.SIGKILL)
        try:
            self._slot = self._table.take()
        except Unavailable as error:
            log.critical("a child ends: %s", error)
            os._exit(1)
        self._slot.enter()
        on_gpu = WARM_ON_GPU if self._slot.visible else 0
        count = on_gpu if self._settings.warm is None else self._settings.warm
        if count:
            farm = create_farm(self._settings, self._app, self._slot)
            warm(farm, self._family, count)
            self._hands = Hands(farm)

    def perform(self, ref: str, **_: str) -> dict[str, Any]:
        """Do one unit of work."""
        if self._hands is None:
            self._hands = Hands(create_farm(self._settings, self._app, self._slot))
        return self._hands.perform(ref)


def _refuse_more_than(children: int) -> None:
    """End a worker at its start when Celery's own command line asks for another number."""

    def refuse(options: dict[str, Any], **_: Any) -> None:
        asked = options.get("concurrency") or children
        if asked != children:
            sys.exit(
                f"farm: {children} slots and {asked} children: leave -c out, and set FARM_DEVICES, "
                "FARM_PER_DEVICE or FARM_CHILDREN"
            )

    signals.celeryd_init.connect(refuse, weak=False)


def _beat(settings: Settings, family: str, slots: int) -> None:
    """Tell the ledger, from a thread of the worker's parent, that the slots are alive."""
    over = threading.Event()

    def signs_of_life(name: str) -> None:
        ledger = Ledger(settings.broker_url.get_secret_value())
        while not over.is_set():
            with contextlib.suppress(Unavailable):  # Celery itself reports a lost broker
                ledger.beat(family, name, slots)
            over.wait(BEAT_S)

    def start(sender: Any, **_: Any) -> None:
        name = (sender.hostname,)
        threading.Thread(target=signs_of_life, args=name, daemon=True, name="beat").start()

    def stop(**_: Any) -> None:
        over.set()

    signals.worker_ready.connect(start, weak=False)
    signals.worker_shutting_down.connect(stop, weak=False)
