"""Slots: the places on this host's devices where a worker's children speak, one child each."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from farm import cuda
from farm.errors import InvalidInput, Unavailable

#: Children on a GPU: one prepares its next batch while the other's is computed.
PER_GPU = 2
#: Seconds that a child waits for a slot: that of a dead one is free as soon as it is dead.
TAKE_S = 10.0
#: Families whose children hold no device: those of planning and audio, and clients of services.
WITHOUT_DEVICE = frozenset({"cpu", "http"})

_CUDA = re.compile(r"cuda:(\d{1,3})")


@dataclass(frozen=True)
class Slot:
    """One child's place."""

    name: str = "cpu"
    """For people: `cpu`, or `cuda:1#0` for the first place on the second GPU."""
    device: str = "cpu"
    """What the engines in the child are told; a child sees its own GPU only, as `cuda:0`."""
    visible: str = ""
    """CUDA_VISIBLE_DEVICES of the child; empty: no GPU."""
    card: str = "cpu"
    """The model of the device: what is measured on one holds for all of them."""
    place: int = 0
    """Which of its worker's slots it is: names are not unique on a CPU."""

    def enter(self) -> None:
        """Bind this process to the slot; to be called before any framework is loaded."""
        os.environ["CUDA_VISIBLE_DEVICES"] = self.visible
        os.environ.setdefault("OMP_NUM_THREADS", "1")


CPU = Slot()


def slots(
    family: str,
    devices: str,
    per_device: int,
    cores: int,
    present: Callable[[], Sequence[str]] = cuda.names,
    environment: Mapping[str, str] = os.environ,
) -> list[Slot]:
    """Return the slots of a family's worker; `present` names the CUDA devices that there are.

    `devices` is `cpu`, or some of `cuda:<n>` with commas between; `per_device` may be 0 for
    `cores` slots on the CPU and `PER_GPU` on a GPU.

    Raises:
        InvalidInput: `devices` names none, or one twice, or both kinds.
        Unavailable: a CUDA device is asked for that is not there.
    """
    if family in WITHOUT_DEVICE:
        return [Slot(name=family)] * cores
    wanted = [device.strip() for device in devices.split(",")]
    if wanted == ["cpu"]:
        return [Slot(card=_processor())] * (per_device or cores)
    matches = [_CUDA.fullmatch(device) for device in wanted]
    if not all(matches) or len(set(wanted)) < len(wanted):
        raise InvalidInput(f"devices {devices!r}: give 'cpu', or each GPU once, as 'cuda:0,cuda:1'")
    numbers = [int(match.group(1)) for match in matches if match]
    cards = _cards(numbers, devices, present)
    visible = _visible(len(cards), environment)
    return [
        Slot(f"cuda:{number}#{place}", "cuda:0", visible[number], cards[number])
        for place in range(per_device or PER_GPU)
        for number in numbers
    ]


def card(device: str, present: Callable[[], Sequence[str]] = cuda.names) -> str:
    """Return the model of a device, `cpu` or `cuda:<n>`; raises as `slots` does."""
    return slots("", device, 1, 1, present)[0].card


def _cards(
    numbers: Sequence[int], devices: str, present: Callable[[], Sequence[str]]
) -> Sequence[str]:
    try:
        cards = present()
    except Unavailable as error:
        raise Unavailable(
            f"devices {devices!r} are not there: {error}; check the driver, or use --devices cpu"
        ) from error
    missing = [f"cuda:{number}" for number in numbers if number >= len(cards)]
    if missing:
        there = ", ".join(f"cuda:{number} ({card})" for number, card in enumerate(cards))
        raise Unavailable(f"{', '.join(missing)} is not there: this host has {there}")
    return cards


def _visible(count: int, environment: Mapping[str, str]) -> list[str]:
    """What CUDA_VISIBLE_DEVICES must be for each device, where only some are visible already."""
    given = environment.get("CUDA_VISIBLE_DEVICES", "")
    return (
        [each.strip() for each in given.split(",")]
        if given
        else [str(number) for number in range(count)]
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 (read as it comes)
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


class Table:
    """Which slots of a worker are taken.

    One byte of a file without a name stands for each, locked by the process that has the slot:
    the kernel frees it when that process ends in any way. Children inherit the file by fork.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        """Lay out the slots, all free."""
        self.slots = [replace(slot, place=place) for place, slot in enumerate(slots)]
        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())  # open as long as the worker is

    def take(self, wait_s: float = TAKE_S) -> Slot:
        """Take the first free slot for the life of this process.

        Raises:
            Unavailable: none was free for `wait_s` seconds.
        """
        end = time.monotonic() + wait_s
        while True:
            for number, slot in enumerate(self.slots):
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                except OSError:
                    continue
                return slot
            if time.monotonic() > end:
                raise Unavailable(f"all {len(self.slots)} slots are taken: start no more children")
            time.sleep(0.05)
