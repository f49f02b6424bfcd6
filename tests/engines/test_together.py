"""One pass for many utterances: only of graphs that do not hear what pads a batch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from farm import builtin
from farm.engines import load, together
from farm.engines.cloning.pair import Pair
from farm.engines.piper import Piper
from farm.engines.piper_whole import Whole
from farm.engines.split import Reading, Utterance
from farm.engines.vits import Vits
from farm.engines.yourtts_onnx import YourTtsOnnx
from farm.errors import EngineError
from farm.voices import catalogue, pin
from tests.engines.cloning import tiny_pair
from tests.engines.tiny_piper import HOP, make_model


class Graph:
    """Three frames of four samples an id; `wrong` is what the padding does to the shorter ones."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.passes: list[int] = []

    def speak(self, utterances: Sequence[Utterance]) -> list[Reading]:
        self.passes.append(len(utterances))
        assert len({(each.noise, each.length, each.noise_w) for each in utterances}) == 1
        if self.wrong == "refuses" and len(utterances) > 1:
            raise EngineError("the graph takes one row")
        longest = max(len(each.ids) for each in utterances)
        return [self._reading(each, longest) for each in utterances]

    def _reading(self, each: Utterance, longest: int) -> Reading:
        samples = np.repeat(each.ids, 12).astype(np.float32) * np.float32(0.01 * each.length)
        frames = np.full(len(each.ids), 3)
        if len(each.ids) < longest:
            if self.wrong == "tail":
                samples[-4:] += 0.01
            if self.wrong == "lengths":
                frames[-1] += 1
        if self.wrong == "noise":
            samples += 0.01 * len(self.passes)
        if self.wrong == "silent":
            samples[:] = 0
        return Reading(samples, frames[:0] if self.wrong == "untimed" else frames)


def utterance(count: int, length: float = 1.0) -> Utterance:
    return Utterance(np.arange(1, count + 1), seed=0, length=length)


def test_a_graph_that_masks_its_padding_is_found() -> None:
    assert together.masks(Graph().speak, {})


@pytest.mark.parametrize("wrong", ["refuses", "tail", "lengths", "noise", "silent", "untimed"])
def test_a_graph_that_may_not_is_found_too(wrong: str) -> None:
    assert not together.masks(Graph(wrong).speak, {})


def test_each_three_scales_have_a_pass_and_all_come_in_order() -> None:
    graph = Graph()
    several = [utterance(2), utterance(5, 2.0), utterance(7), utterance(1, 2.0), utterance(3)]
    found = together.spoken(graph.speak, several, together=True)
    assert graph.passes == [3, 2]
    for each, reading in zip(several, found, strict=True):
        np.testing.assert_array_equal(reading.samples, Graph().speak([each])[0].samples)


def test_where_that_is_not_wanted_each_utterance_has_its_own() -> None:
    graph = Graph()
    found = together.spoken(graph.speak, [utterance(2), utterance(5)], together=False)
    assert graph.passes == [1, 1]
    assert [len(reading.frames) for reading in found] == [2, 5]
    assert together.spoken(graph.speak, [], together=True) == []


@pytest.mark.parametrize("name", ["slt", "slt-vits", "flite"])
@pytest.mark.parametrize("batched", [0, 1])
def test_the_voices_of_the_farm_mask_and_are_batched_where_that_pays(
    name: str, batched: int, tmp_path: Path
) -> None:
    file = catalogue([builtin.prepare(tmp_path / "home")])[name]
    for path in file.files.values():
        shutil.copyfile(path, tmp_path / path.name)
    voice = pin(file)
    forced = replace(voice, parameters={**voice.parameters, "batched": batched})
    engine = load(forced, tmp_path, "cpu")
    assert isinstance(engine, Piper | Vits | YourTtsOnnx)
    assert isinstance(engine._model, Whole | Pair)
    assert engine._model.together == bool(batched)


def test_a_pair_that_gives_padding_frames_of_its_own_is_cut_by_its_lengths(tmp_path: Path) -> None:
    voice = tiny_pair.make_voice(tmp_path)
    forced = replace(voice, parameters={**voice.parameters, "batched": 1})
    engine = load(forced, tmp_path, "cpu")
    assert isinstance(engine, YourTtsOnnx)
    assert engine._model.together if isinstance(engine._model, Pair) else False


def test_a_whole_graph_of_one_row_speaks_one_after_another(tmp_path: Path) -> None:
    whole = _whole(tmp_path, make_model(True, False, False, False))
    assert not whole.together
    assert [len(each.frames) for each in whole.speak([utterance(2), utterance(5)])] == [2, 5]


def test_a_whole_graph_that_hears_the_padding_speaks_one_after_another(tmp_path: Path) -> None:
    model = onnx.load(builtin.prepare(tmp_path / "home") / "slt.onnx")
    assert _whole(tmp_path, model).together
    _mix_rows(model)
    assert not _whole(tmp_path, model).together


def _whole(folder: Path, model: onnx.ModelProto) -> Whole:
    onnx.save(model, folder / "model.onnx")
    return Whole(folder / "model.onnx", "tiny", "cpu", {"batched": 1}, HOP)


def _mix_rows(model: onnx.ModelProto) -> None:
    """Have every sample hear the whole of its row, the padding included."""
    name = model.graph.output[0].name
    last = next(node for node in model.graph.node if name in node.output)
    last.output[[*last.output].index(name)] = "unheard"
    model.graph.node.extend(
        [
            helper.make_node("Abs", ["unheard"], ["loud"]),
            helper.make_node("ReduceMean", ["loud"], ["mean"], axes=[-1]),
            helper.make_node("Add", ["unheard", "mean"], [name]),
        ]
    )
