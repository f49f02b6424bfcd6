"""How large a batch should be: measured with a tone engine whose cost is known."""

from __future__ import annotations

import fcntl
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from farm import calibration
from farm.audio import Audio
from farm.batching import cut
from farm.calibration import LARGEST, SHORTEST, Budgets, Pass, choose, measure
from farm.engines import Engine, load
from farm.errors import OutOfMemory
from farm.jobs import Segment
from farm.processes import locked
from tests.running import tone

TEXT = "x" * 100


class Timed:
    """An engine of known cost on a clock of its own: each pass, and each padded character."""

    def __init__(self, per_pass: float, per_character: float, **parameters: int) -> None:
        self.now = 0.0
        self.batches: list[int] = []
        self._costs = per_pass, per_character
        self._tone: Engine = load(tone(parameters=parameters), Path("none"), "cpu")

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        spoken = self._tone.speak(segments)
        self.batches.append(len(segments))
        longest = max(len(segment.text) for segment in segments)
        self.now += self._costs[0] + self._costs[1] * longest * len(segments)
        return spoken

    def measured(self, text: str = TEXT) -> list[Pass]:
        return measure(self.speak, segment(text), lambda: self.now)


def segment(text: str) -> Segment:
    return Segment(text, text, "tone")


def test_batches_double_until_the_throughput_stops_growing() -> None:
    engine = Timed(per_pass=1.0, per_character=0.01)
    passes = engine.measured()
    assert [each.segments for each in passes] == [1, 2, 4, 8, 16, 32]
    assert [each.characters for each in passes] == [100, 200, 400, 800, 1600, 3200]
    assert passes[0].throughput == pytest.approx(6 / 2)
    assert passes[-1].throughput == pytest.approx(32 * 6 / 33)
    assert choose(passes) == 1600


def test_each_size_is_warmed_up_before_it_is_timed() -> None:
    engine = Timed(per_pass=0.0, per_character=1.0)
    engine.measured()
    assert engine.batches == [1, 1, 2, 2]


def test_where_batching_gains_nothing_a_pass_holds_one_segment() -> None:
    engine = Timed(per_pass=0.0, per_character=1.0)
    budget = choose(engine.measured())
    assert budget == 1
    assert [len(batch) for batch in cut([segment(text) for text in ("aa", "b", "c")], budget)] == [
        1,
        1,
        1,
    ]


def test_batches_grow_no_further_than_the_memory() -> None:
    engine = Timed(per_pass=100.0, per_character=0.001, most_characters=450)
    passes = engine.measured()
    assert choose(passes) == 400
    with pytest.raises(OutOfMemory):
        engine.measured("x" * 500)


def test_batches_grow_to_a_largest_one() -> None:
    engine = Timed(per_pass=1.0, per_character=0.0)
    assert choose(engine.measured()) == LARGEST * len(TEXT)


def test_a_small_gain_is_none() -> None:
    assert choose([Pass(1, 50, 10.0), Pass(2, 100, 10.4)]) == 1
    assert choose([Pass(1, 50, 10.0), Pass(2, 100, 12.0), Pass(4, 200, 11.0)]) == 100


def test_a_budget_is_measured_once_and_stored_with_what_it_holds_for(tmp_path: Path) -> None:
    voice = tone()
    engine = load(tone(parameters={"seconds_per_pass": 0.01}), tmp_path, "cpu")
    asked: list[int] = []

    def speak(batch: Sequence[Segment]) -> list[Audio]:
        asked.append(len(batch))
        return engine.speak(batch)

    budgets = Budgets(tmp_path / "budgets", "Pretend A")
    assert budgets.known(voice) is None
    budget = budgets.find(voice, speak, segment(TEXT))
    assert budget >= 2 * len(TEXT)
    assert budgets.known(voice) == budgets.find(voice, speak, segment(TEXT)) == budget
    assert asked.count(1) == 2
    (file,) = (tmp_path / "budgets").glob("*.json")
    stored = json.loads(file.read_text())
    assert (stored["digest"], stored["card"]) == (voice.digest, "Pretend A")
    assert stored["runtimes"].startswith("farm-")
    assert stored["passes"][0]["segments"] == 1


def test_a_budget_holds_for_one_voice_one_kind_of_device_and_one_set_of_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(tone(), tmp_path, "cpu")
    budgets = Budgets(tmp_path, "Pretend A")
    budgets.find(tone(), engine.speak, segment(TEXT))
    assert budgets.known(tone()) is not None
    assert budgets.known(tone(digest="f" * 64)) is None
    assert Budgets(tmp_path, "Pretend B").known(tone()) is None
    monkeypatch.setattr(calibration, "runtimes", lambda: "farm-99")
    assert budgets.known(tone()) is None


def test_what_cannot_be_measured_is_left_for_a_better_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    budgets = Budgets(tmp_path, "Pretend A")
    engine = load(tone(parameters={"most_characters": 200}), tmp_path, "cpu")
    assert budgets.find(tone(), engine.speak, segment("x" * (SHORTEST - 1))) == 1
    with caplog.at_level(logging.WARNING):
        assert budgets.find(tone(), engine.speak, segment("x" * 300)) == 1
        assert budgets.find(tone(), engine.speak, segment(f"{TEXT} [[fail]]")) == 1
    assert caplog.text.count("no budget could be measured") == 2
    assert budgets.known(tone()) is None


def test_one_process_measures_and_the_others_go_on(tmp_path: Path) -> None:
    budgets = Budgets(tmp_path, "Pretend A")
    engine = load(tone(), tmp_path, "cpu")
    lock = budgets._path(tone()).with_suffix(".lock")
    with locked(lock, fcntl.LOCK_EX):
        assert budgets.find(tone(), engine.speak, segment(TEXT)) == 1
    assert budgets.known(tone()) is None


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    budgets = Budgets(tmp_path, "Pretend A")
    engine = load(tone(), tmp_path, "cpu")
    budgets.find(tone(), engine.speak, segment(TEXT))
    (file,) = tmp_path.glob("*.json")
    file.write_text('{"budget": ')
    assert budgets.known(tone()) is None
    budgets.find(tone(), engine.speak, segment(TEXT))
    assert budgets.known(tone()) is not None
