"""Slots: which devices a worker's children get, and who has one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from farm import cuda
from farm.errors import InvalidInput, Unavailable
from farm.slots import PER_GPU, Slot, Table, card, slots


def two() -> list[str]:
    """Pretend that there are two GPUs."""
    return ["Pretend A", "Pretend B"]


def none() -> list[str]:
    """Say as `cuda.names` does that there is none."""
    raise Unavailable("there is no CUDA device here: no driver")


def never() -> list[str]:
    """The driver must not be asked."""
    raise AssertionError("asked")


def places(
    family: str = "onnx", present: Callable[[], list[str]] = two, **changes: object
) -> list[Slot]:
    wanted = {"devices": "cuda:0,cuda:1", "per_device": 2, "cores": 8, "environment": {}}
    return slots(family, present=present, **{**wanted, **changes})  # type: ignore[arg-type]


def test_a_device_is_known_by_its_model() -> None:
    assert [card(f"cuda:{number}", two) for number in range(2)] == two()
    assert card("cpu", never) == places("onnx", never, devices="cpu")[0].card
    with pytest.raises(Unavailable, match="cuda:2 is not there"):
        card("cuda:2", two)


def test_the_slots_of_two_devices_take_turns() -> None:
    found = places()
    assert [slot.name for slot in found] == ["cuda:0#0", "cuda:1#0", "cuda:0#1", "cuda:1#1"]
    assert [slot.visible for slot in found] == ["0", "1", "0", "1"]
    assert {slot.device for slot in found} == {"cuda:0"}
    assert [slot.card for slot in found[:2]] == ["Pretend A", "Pretend B"]


def test_a_gpu_has_two_slots_unless_told() -> None:
    assert len(places(devices="cuda:1", per_device=0)) == PER_GPU
    assert [slot.name for slot in places(devices="cuda:1", per_device=1)] == ["cuda:1#0"]


def test_devices_that_are_hidden_already_stay_hidden() -> None:
    found = places(per_device=1, environment={"CUDA_VISIBLE_DEVICES": "5, GPU-8a"})
    assert [slot.visible for slot in found] == ["5", "GPU-8a"]


def test_on_a_cpu_there_is_a_slot_for_each_core_and_no_driver_is_asked() -> None:
    found = places(devices="cpu", per_device=0, present=never)
    assert [(slot.name, slot.device, slot.visible) for slot in found] == [("cpu", "cpu", "")] * 8
    assert len(places(devices="cpu", per_device=3, present=never)) == 3


@pytest.mark.parametrize("family", ["cpu", "http"])
def test_families_that_need_no_device_hold_none(family: str) -> None:
    found = places(family, present=never)
    assert [(slot.name, slot.visible) for slot in found] == [(family, "")] * 8


def test_a_gpu_that_is_not_there_is_an_error_that_says_so() -> None:
    with pytest.raises(Unavailable, match=r"no CUDA device here: no driver; .* --devices cpu"):
        places(present=none)
    with pytest.raises(Unavailable, match=r"cuda:2 is not there: this host has cuda:0 \(Pretend"):
        places(devices="cuda:0,cuda:2")


@pytest.mark.parametrize("devices", ["", "gpu", "cuda", "cuda:x", "cpu,cuda:0", "cuda:0,cuda:0"])
def test_devices_that_are_none_are_refused_with_the_choices(devices: str) -> None:
    with pytest.raises(InvalidInput, match="give 'cpu', or each GPU once"):
        places(devices=devices)


def test_what_the_driver_says_is_heard() -> None:
    """With a GPU its name, without one the reason; either way in a process of its own."""
    asked = subprocess.run(
        [sys.executable, "-m", "farm.cuda"], capture_output=True, text=True, check=True
    )
    told = json.loads(asked.stdout)
    if told["names"]:
        assert cuda.names() == told["names"]
    else:
        with pytest.raises(Unavailable) as refused:
            cuda.names()
        assert told["error"] in str(refused.value)
        assert told["error"]


def test_a_slot_is_entered_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    places()[1].enter()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    Slot().enter()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_the_next_child_takes_the_slot_of_a_killed_one() -> None:
    table = Table(places(per_device=1))
    fork = multiprocessing.get_context("fork")
    taken = fork.SimpleQueue()

    def child() -> None:
        try:
            taken.put(table.take(0).name)
        except Unavailable as error:
            taken.put(str(error))
            return
        signal.pause()

    def start() -> multiprocessing.process.BaseProcess:
        process = fork.Process(target=child)
        process.start()
        return process

    children = []
    try:
        for expected in ("cuda:0#0", "cuda:1#0"):
            children.append(start())
            assert taken.get() == expected
        children.append(start())
        assert taken.get() == "all 2 slots are taken: start no more children"
        children[0].kill()
        children[0].join()
        children.append(start())
        assert taken.get() == "cuda:0#0"
    finally:
        for process in children:
            process.kill()
            process.join()
