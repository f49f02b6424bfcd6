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
from farm.calibration import (
    FEWER,
    LARGEST,
    SHORTEST,
    Budgets,
    Pass,
    Setting,
    choose,
    compare,
    measure,
    unequal,
)
from farm.engines import load
from farm.engines.base import Decoding
from farm.engines.tone import Tone
from farm.errors import OutOfMemory
from farm.jobs import Phones, Segment
from farm.processes import locked
from tests.running import tone

TEXT = "x" * 100


class Timed(Tone):
    """An engine of known cost on a clock of its own: each pass, and each padded character."""

    def __init__(self, per_pass: float, per_character: float, **parameters: int) -> None:
        super().__init__(tone(parameters=parameters), Path("none"), "cpu")
        self.now = 0.0
        self.batches: list[int] = []
        self._costs = per_pass, per_character

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        spoken = super().speak(segments)
        self.batches.append(len(segments))
        longest = max(len(segment.text) for segment in segments)
        self.now += self._costs[0] + self._costs[1] * longest * len(segments)
        return spoken

    def measured(self, text: str = TEXT) -> list[Pass]:
        return measure(self.speak, segment(text), lambda: self.now)


class Windowed(Timed):
    """One whose windows may have one shape; a character then costs so many times as much."""

    def __init__(self, fixed_costs: float, fits_fixed: int = LARGEST) -> None:
        super().__init__(per_pass=1.0, per_character=0.01)
        self.decoding = Decoding()
        self._fixed_costs, self._fits = 0.01 * fixed_costs, fits_fixed

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        fixed = self.decoding is not None and self.decoding.fixed
        if fixed and len(segments) > self._fits:
            raise OutOfMemory(f"{len(segments)} windows of one shape")
        self._costs = 1.0, self._fixed_costs if fixed else 0.01
        return super().speak(segments)


def segment(text: str) -> Segment:
    return Segment(text, text, "tone", phones=(Phones(0, 1, "a"),))


def test_batches_double_until_the_throughput_stops_growing() -> None:
    engine = Timed(per_pass=1.0, per_character=0.01)
    passes = engine.measured()
    assert [each.segments for each in passes] == [1, 2, 4, 8, 16, 32]
    assert [each.characters for each in passes] == [100, 200, 400, 800, 1600, 3200]
    for each in passes:
        timed = [len(beginning.text) for beginning in unequal(segment(TEXT), each.segments, FEWER)]
        seconds = 0.06 * sum(timed) / (1 + 0.01 * max(timed) * len(timed))
        assert each.throughput == pytest.approx(seconds, rel=1e-3)
    assert choose(passes) == Setting(1600)


def test_a_batch_holds_beginnings_of_different_lengths_as_chunks_do() -> None:
    beginnings = unequal(segment("0123456789" * 10), 4)
    assert [len(each.text) for each in beginnings] == [100, 94, 88, 81]
    assert [each.text for each in unequal(segment("ab" * 50), 1, FEWER)] == ["ab" * 48]
    assert all(not each.phones for each in beginnings), "they stand for characters that may be cut"


def test_what_is_timed_has_lengths_that_did_not_warm_up() -> None:
    met: list[set[int]] = []
    engine = Timed(per_pass=1.0, per_character=0.0)

    def speak(segments: Sequence[Segment]) -> list[Audio]:
        met.append({len(each.text) for each in segments})
        return engine.speak(segments)

    measure(speak, segment(TEXT), lambda: engine.now)
    for warm, timed in zip(met[::2], met[1::2], strict=True):
        assert max(warm) == len(TEXT) > max(timed)


@pytest.mark.parametrize(("costs", "faster"), [(0.5, True), (2.0, False), (0.99, False)])
def test_windows_of_one_shape_are_chosen_where_they_are_faster(costs: float, faster: bool) -> None:
    engine = Windowed(costs)
    passes = compare(engine, segment(TEXT), lambda: engine.now)
    assert {each.fixed_windows for each in passes} == {False, True}, "both were tried"
    assert engine.decoding == Decoding(False), "as before"
    setting = choose(passes)
    assert setting.fixed_windows is faster
    assert setting.budget > len(TEXT)
    setting.apply(engine)
    assert engine.decoding == Decoding(faster)


def test_a_way_that_does_not_fit_at_all_is_not_chosen() -> None:
    engine = Windowed(0.5, fits_fixed=0)
    passes = compare(engine, segment(TEXT), lambda: engine.now)
    assert choose(passes) == Setting(1600, False)
    assert engine.decoding == Decoding(False)


def test_an_engine_without_a_choice_is_measured_once_and_set_to_nothing() -> None:
    engine = Timed(per_pass=1.0, per_character=0.01)
    setting = choose(compare(engine, segment(TEXT), lambda: engine.now))
    assert setting == Setting(1600, None)
    setting.apply(engine)
    assert engine.decoding is None


def test_each_size_is_warmed_up_before_it_is_timed() -> None:
    engine = Timed(per_pass=0.0, per_character=1.0)
    engine.measured()
    assert engine.batches == [1, 1, 2, 2]


def test_where_batching_gains_nothing_a_pass_holds_one_segment() -> None:
    engine = Timed(per_pass=0.0, per_character=1.0)
    budget = choose(engine.measured()).budget
    assert budget == 1
    assert [len(batch) for batch in cut([segment(text) for text in ("aa", "b", "c")], budget)] == [
        1,
        1,
        1,
    ]


def test_batches_grow_no_further_than_the_memory() -> None:
    engine = Timed(per_pass=100.0, per_character=0.001, most_characters=450)
    passes = engine.measured()
    assert choose(passes).budget == 400
    with pytest.raises(OutOfMemory):
        engine.measured("x" * 500)


def test_batches_grow_to_a_largest_one() -> None:
    engine = Timed(per_pass=1.0, per_character=0.0)
    assert choose(engine.measured()).budget == LARGEST * len(TEXT)


def test_a_small_gain_is_none() -> None:
    assert choose([Pass(1, 50, 10.0), Pass(2, 100, 10.4)]) == Setting(1)
    passes = [Pass(1, 50, 10.0), Pass(2, 100, 12.0), Pass(4, 200, 11.0)]
    assert choose(passes) == Setting(100)


def test_a_setting_is_measured_once_and_stored_with_what_it_holds_for(tmp_path: Path) -> None:
    voice, engine = tone(), Windowed(1.0)
    budgets = Budgets(tmp_path / "budgets", "Pretend A")
    assert budgets.known(voice) is None
    setting = budgets.find(voice, engine, segment(TEXT))
    assert setting.fixed_windows is not None
    assert budgets.known(voice) == budgets.find(voice, engine, segment(TEXT)) == setting
    assert engine.batches.count(1) == 4, "twice in both ways"
    (file,) = (tmp_path / "budgets").glob("*.json")
    stored = json.loads(file.read_text())
    assert (stored["digest"], stored["card"]) == (voice.digest, "Pretend A")
    assert stored["runtimes"].startswith("farm-")
    assert {each["fixed_windows"] for each in stored["passes"]} == {False, True}
    assert stored["passes"][0]["segments"] == 1


def test_a_budget_holds_for_one_voice_one_kind_of_device_and_one_set_of_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(tone(), tmp_path, "cpu")
    budgets = Budgets(tmp_path, "Pretend A")
    budgets.find(tone(), engine, segment(TEXT))
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
    assert budgets.find(tone(), engine, segment("x" * (SHORTEST - 1))) == Setting()
    with caplog.at_level(logging.WARNING):
        assert budgets.find(tone(), engine, segment("x" * 300)) == Setting()
        assert budgets.find(tone(), engine, segment(f"{TEXT} [[fail]]")) == Setting()
    assert caplog.text.count("no budget could be measured") == 2
    assert budgets.known(tone()) is None


def test_one_process_measures_and_the_others_go_on(tmp_path: Path) -> None:
    budgets = Budgets(tmp_path, "Pretend A")
    engine = load(tone(), tmp_path, "cpu")
    lock = budgets._path(tone()).with_suffix(".lock")
    with locked(lock, fcntl.LOCK_EX):
        assert budgets.find(tone(), engine, segment(TEXT)) == Setting()
    assert budgets.known(tone()) is None


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    budgets = Budgets(tmp_path, "Pretend A")
    engine = load(tone(), tmp_path, "cpu")
    budgets.find(tone(), engine, segment(TEXT))
    (file,) = tmp_path.glob("*.json")
    for damaged in ('{"budget": ', '{"budget": 400}'):
        file.write_text(damaged)
        assert budgets.known(tone()) is None
    budgets.find(tone(), engine, segment(TEXT))
    assert budgets.known(tone()) is not None
