"""A chunk on a device: one that is lost or full, and how much a forward pass holds there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from farm import dispatch
from farm.calibration import Budgets
from farm.engines import Engine, load
from farm.engines.base import Decoding
from farm.errors import DeviceLost, OutOfMemory
from farm.jobs import Segment
from farm.ledger import Events
from farm.tasks.watch import watching
from tests.running import LOW, Running, acting, quiet, running, tone

#: Times that a device is lost: more than a segment may be in flight at.
TIMES = 12
TEXT = "One is here. Two is there.\n\nThree is nowhere."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def test_a_lost_device_gives_the_chunk_back_and_makes_suspects_of_what_was_in_flight(
    farm: Running,
) -> None:
    batches: list[list[str]] = []

    def poisoned(segments: Sequence[Segment]) -> None:
        batches.append([segment.text for segment in segments])
        if "Two" in segments[0].text:
            raise DeviceLost("CUDA failure 700")

    acting(farm, poisoned)
    farm.submit(TEXT)
    ref = farm.until("chunk")
    with quiet():
        with pytest.raises(DeviceLost):
            dispatch.perform(farm.farm, str(ref))
        waiting = [data for _, kind, data in Events(farm.farm.ledger).of("j") if kind == "waiting"]
        assert [each["reason"] for each in waiting] == ["CUDA failure 700"]
        farm.queue.clear()
        farm.hurry()
        farm.control.tick()
        assert [unit for unit, _ in farm.queue] == [ref]
        assert farm.finish() == "completed"
    # The suspect was spoken elsewhere, where nothing is wrong with the device.
    assert [texts for texts in batches if "Two" in texts[0]] == [["Two is there."]]
    assert (farm.count("segments"), farm.count("failed")) == (3, 0)


def test_a_device_that_is_lost_while_a_voice_is_loaded_costs_only_time(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.submit(TEXT)
    ref = farm.until("chunk")
    engine, left = farm.farm.engines[tone().digest], [TIMES]

    def lost(*_: Any) -> Engine:
        if left[0]:
            left[0] -= 1
            raise DeviceLost("CUDA failure 100")
        return engine

    farm.farm.engines.drop(tone().digest)
    monkeypatch.setattr(farm.farm, "engine", lost)
    with quiet():
        for _ in range(TIMES):
            with pytest.raises(DeviceLost):
                dispatch.perform(farm.farm, str(ref))
            farm.hurry()
            farm.control.tick()
        assert farm.finish() == "completed"
    assert (farm.count("segments"), farm.count("failed")) == (3, 0)


def test_other_voices_make_room_for_one_that_ran_out_of_memory(farm: Running) -> None:
    left = [1]

    def full(_: Sequence[Segment]) -> None:
        if left[0]:
            left[0] -= 1
            raise OutOfMemory("full")

    acting(farm, full)
    other = LOW.digest
    assert other in farm.farm.engines
    farm.submit(TEXT)
    assert farm.finish() == "completed"
    assert other not in farm.farm.engines
    assert tone().digest in farm.farm.engines


def sizes(farm: Running) -> list[int]:
    """Have every batch that the test's voice speaks counted."""
    found: list[int] = []
    acting(farm, lambda segments: found.append(len(segments)))
    return found


def submit_lines(farm: Running, count: int, job: str) -> None:
    texts = (
        f"Line {n} of {job} goes on for more than sixty characters, {n}." for n in range(count)
    )
    lines = (json.dumps({"id": f"l{n}", "text": text}) for n, text in enumerate(texts))
    farm.submit("\n".join(lines), job, kind="batch")


def test_a_batch_is_as_large_as_was_measured_and_measured_once(
    farm: Running, tmp_path: Path
) -> None:
    voice = tone(parameters={"most_characters": 300})
    farm.farm.engines[voice.digest] = load(voice, tmp_path, "cpu")
    # A pass takes a second whatever is in it: batches pay as long as they fit.
    clock = itertools.count().__next__
    farm.farm.budgets = Budgets(tmp_path / "budgets", "Pretend A", clock)
    found = sizes(farm)
    submit_lines(farm, 4, "j")
    assert farm.finish() == "completed"
    assert found[:4] == [1, 1, 2, 2], "measured"
    setting = farm.farm.budgets.known(voice)
    assert setting
    assert setting.budget in range(4 * 60, 301)
    found.clear()
    submit_lines(farm, 4, "k")
    assert farm.finish("k") == "completed"
    assert (sum(found), max(found) > 1) == (4, True)
    assert farm.count("failed", "k") == 0


@pytest.mark.parametrize("fixed", [True, False])
def test_an_engine_decodes_as_was_measured_on_this_host(
    fixed: bool, farm: Running, tmp_path: Path
) -> None:
    """Measured by another process, after this one had loaded the voice; under a watch, too."""
    engine = load(tone(), tmp_path, "cpu")
    engine.decoding = Decoding(not fixed)
    farm.farm.engines[tone().digest] = watching(60)(engine)
    farm.farm.budgets = Budgets(tmp_path / "budgets", "Pretend A")
    path = farm.farm.budgets._path(tone())
    path.parent.mkdir()
    path.write_text(json.dumps({"budget": 100, "fixed_windows": fixed}))
    farm.submit(TEXT)
    assert farm.finish() == "completed"
    assert engine.decoding == Decoding(fixed)


def test_a_watch_changes_nothing_of_an_engine(tmp_path: Path) -> None:
    engine = load(tone(), tmp_path, "cpu")
    engine.reads_ipa, engine.decoding = True, Decoding()
    watched = watching(60)(engine)
    assert (watched.sample_rate, watched.reads_ipa) == (engine.sample_rate, True)
    assert watched.decoding is engine.decoding


def test_nobody_who_waits_waits_for_a_measurement(farm: Running, tmp_path: Path) -> None:
    farm.farm.budgets = Budgets(tmp_path / "budgets", "Pretend A")
    found = sizes(farm)
    farm.submit("A sentence of some forty characters, yes. " * 5)
    assert farm.finish() == "completed"
    assert set(found) == {1}
    assert farm.farm.budgets.known(tone()) is None


def test_on_a_cpu_a_pass_holds_one_segment_unless_asked(farm: Running) -> None:
    assert farm.farm.budgets is None
    found = sizes(farm)
    submit_lines(farm, 4, "j")
    assert farm.finish() == "completed"
    assert found == [1] * 4
