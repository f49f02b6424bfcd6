"""A worker process: prefork, one child per slot, its queues in order, and its signs of life."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from billiard import active_children
from celery import Celery, signals
from celery.exceptions import SecurityWarning
from celery.worker import state

from farm.config import Settings
from farm.errors import InvalidInput, Unavailable
from farm.farm import Farm
from farm.ledger import Ledger
from farm.processes import compute_in_long_slices, die_with_parent, keep_freed_memory
from farm.revocation import begin_sweep
from farm.slots import WITHOUT_DEVICE, Slot, Table, slots
from farm.tasks import messages, signs
from farm.tasks.app import TASK_NAMES, create_celery, create_farm
from farm.tasks.overlap import Hands
from farm.tasks.strict import read_strictly, strict
from farm.tasks.watch import watching
from farm.warming import acquit, warm

log = logging.getLogger(__name__)

#: Seconds that a child may take to load its voices before it counts as hanging.
WARM_UP_S = 600.0
#: Seconds that a child takes no message after one of a newer version, or whose job is of a newer
#: schema. The unit is sent again before that, to a newer worker: a child that did not rest took the
#: same unit again and again.
REST_S = 5.0
#: Ends a child that warms up, whatever it is in the midst of; one that takes work ignores it.
_NOT_NEEDED = signal.SIGUSR2
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
    return int(not _stopping())


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
    app = create_celery(settings, results=True)
    refuse = messages.refusing(Ledger(settings.broker_url.get_secret_value()))
    read_strictly(refuse)
    app.conf.update(
        worker_concurrency=len(slots),
        worker_proc_alive_timeout=WARM_UP_S,
        worker_consumer=strict(refuse),
    )
    app.amqp.queues.select(queues(family))
    table = Table(slots)
    child = Child(settings, app, family, table, refuse)
    signals.worker_process_init.connect(child.begin, weak=False)
    signals.worker_process_shutdown.connect(child.end, weak=False)
    signals.worker_shutting_down.connect(_end_warming, weak=False)
    signals.worker_shutdown.connect(
        lambda **_: acquit(settings.cache, family, table.slots), weak=False
    )
    _refuse_more_than(len(slots))
    signs.keep_alive(settings, family, slots)
    signals.worker_ready.connect(lambda **_: begin_sweep(create_farm(settings, app)), weak=False)
    app.finalize()
    for name in list(app.tasks):
        app.tasks.unregister(name)  # Celery's own: a worker does nothing but the farm's work
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

    def __init__(
        self,
        settings: Settings,
        app: Celery,
        family: str,
        table: Table,
        refuse: messages.Refuse,
    ) -> None:
        """Begin with nothing, in the parent; `refuse` is told of what is no work of the farm's."""
        self._refuse = refuse
        self._settings, self._app, self._family, self._table = settings, app, family, table
        self._hands: Hands | None = None
        self._slot = Slot()
        self._signs = signs.Child(settings, family)

    def begin(self, **_: Any) -> None:
        """Take a slot, tie this process to its parent, and load what was used last."""
        # Whatever it does, it ends when its parent ends in any way.
        die_with_parent(signal.SIGKILL)
        signal.signal(_NOT_NEEDED, signal.SIG_DFL)
        try:
            self._prepare()
        finally:  # Celery logs what goes wrong here, and has the child take work all the same
            signal.signal(_NOT_NEEDED, signal.SIG_IGN)

    def _prepare(self) -> None:
        keep_freed_memory()
        compute_in_long_slices()
        try:
            self._slot = self._table.take()
        except Unavailable as error:
            log.critical("a child ends: %s", error)
            os._exit(1)
        self._slot.enter()
        self._signs.begin(self._slot)
        on_gpu = WARM_ON_GPU if self._slot.visible else 0
        count = on_gpu if self._settings.warm is None else self._settings.warm
        if count and not _stopping():
            farm = self._create_farm()
            warm(farm, self._family, count)
            self._hands = Hands(farm)

    def end(self, **_: Any) -> None:
        """Finish what is in hand, before this process ends in good order."""
        if self._hands is not None:
            self._hands.close()

    def _create_farm(self) -> Farm:
        farm = create_farm(self._settings, self._app, self._slot)
        # Clients of services count the time themselves, and wait longer for one that rests.
        farm.pass_s = 0.0 if self._family in WITHOUT_DEVICE else self._settings.pass_s
        farm.watch = watching(farm.pass_s)
        self._signs.farm = farm
        return farm

    def perform(self, *_: Any, **said: Any) -> dict[str, Any]:
        """Do the unit of work that a message names; return a few numbers for people."""
        try:
            asked = messages.read(said)
        except InvalidInput as error:
            self._refuse(f"{self._family} worker", str(error))
            return {"refused": str(error)}
        if self._hands is None:
            self._hands = Hands(self._create_farm())
        if asked.too_new:
            done = self._hands.postpone(asked.ref, asked.too_new)
        else:
            with self._signs.doing(asked.job, asked.what):
                done = legible(self._hands.perform(str(asked.ref)))
        if "too_new" in done:
            time.sleep(REST_S)
        return done


def _stopping() -> bool:
    """Whether the worker was told to stop before this child of it began."""
    return state.should_stop is not None or state.should_terminate is not None


def _end_warming(**_: Any) -> None:
    """End the children that warm up: nobody need wait for a voice that will not speak."""
    for child in active_children():
        os.kill(child.pid, _NOT_NEEDED)


def legible(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Put what a person looks for first at the front: the slot, and seconds for milliseconds."""
    seconds = {
        f"{name.removesuffix('_ms')}_s": round(value / 1000, 2)
        for name, value in numbers.items()
        if name.endswith("_ms")
    }
    rest = {name: value for name, value in numbers.items() if not name.endswith("_ms")}
    device = {"device": rest.pop("device")} if "device" in rest else {}
    return device | seconds | rest


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
