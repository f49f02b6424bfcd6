"""Models that would run code, read what is not theirs, or fill memory: refused before loading."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from farm import voices
from farm.errors import InvalidInput
from tests.engines.tiny_piper import make_voice

BILLION = 10**9
FLOAT = TensorProto.FLOAT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one Piper voice, `tiny/tiny.onnx`."""
    make_voice(tmp_path / "voices" / "tiny")
    return tmp_path / "voices"


def pinned(folder: Path, **changes: Any) -> str:
    """Pin the voice; the reason why it is refused."""
    files = {"model": "tiny/tiny.onnx", "config": "tiny/tiny.onnx.json", **changes.pop("files", {})}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({"engine": "piper", "files": files, **changes}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInput) as caught:
        voices.pin(voices.read(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # 0.1 GB
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def outside(location: str) -> TensorProto:
    """A tensor whose values are in another file."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def graph(
    nodes: list[NodeProto], held: list[TensorProto], shape: tuple[int, ...] = (4,)
) -> GraphProto:
    output = helper.make_tensor_value_info("y", FLOAT, shape)
    return helper.make_graph(nodes, "g", [], [output], held)


def model(found: GraphProto) -> ModelProto:
    return helper.make_model(found, opset_imports=[helper.make_opsetid("", 17)])


def within(found: GraphProto) -> GraphProto:
    """A graph that has another one in a branch of a node."""
    condition = numpy_helper.from_array(np.array(True), "c")
    node = helper.make_node("If", ["c"], ["y"], then_branch=found, else_branch=found)
    return graph([node], [condition])


IDENTITY = helper.make_node("Identity", ["w"], ["y"])
PLACES: dict[str, Any] = {
    "initializer": lambda t: model(graph([IDENTITY], [t])),
    "constant": lambda t: model(graph([helper.make_node("Constant", [], ["y"], value=t)], [])),
    "branch": lambda t: model(within(graph([IDENTITY], [t]))),
    "branch of a branch": lambda t: model(within(within(graph([IDENTITY], [t])))),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "a/../../secret", "other.data"])
def test_weights_outside_the_voices_files_are_refused(
    folder: Path, place: str, location: str
) -> None:
    onnx.save(PLACES[place](outside(location)), folder / "tiny" / "tiny.onnx")
    assert f"keeps weights in [{location!r}]" in pinned(folder)


def test_another_name_hides_no_model(folder: Path) -> None:
    onnx.save(PLACES["initializer"](outside("/etc/passwd")), folder / "tiny" / "tiny.json")
    assert "keeps weights in" in pinned(folder, files={"model": "tiny/tiny.json"})


def empty(dims: list[int]) -> TensorProto:
    """A tensor that says it is large and holds nothing."""
    return TensorProto(name="w", data_type=FLOAT, dims=dims)


def made(operator: str, *inputs: str, **more: Any) -> GraphProto:
    shape = numpy_helper.from_array(np.array([BILLION // 10, 10], np.int64), "s")
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    return graph([helper.make_node(operator, [*inputs], ["y"], **more)], [shape, one])


GIANTS: dict[str, Any] = {
    "output": lambda: graph([IDENTITY], [], (BILLION,)),
    "initializer": lambda: graph([IDENTITY], [empty([1000, 1000, 1000])]),
    "in a branch": lambda: within(graph([IDENTITY], [empty([BILLION])])),
    "ConstantOfShape": lambda: made("ConstantOfShape", "s"),
    "Expand": lambda: made("Expand", "one", "s"),
    "Tile": lambda: made("Tile", "one", "s"),
    "RandomNormal": lambda: made("RandomNormal", shape=[BILLION]),
}


@pytest.mark.parametrize("kind", GIANTS)
def test_a_graph_that_declares_a_billion_elements_is_refused(folder: Path, kind: str) -> None:
    onnx.save(model(GIANTS[kind]()), folder / "tiny" / "tiny.onnx")
    assert re.search(rf"declares a tensor '[wy]' of {BILLION} elements", pinned(folder))


def test_a_model_that_was_changed_since_it_was_pulled_is_refused(folder: Path) -> None:
    message = pinned(folder, sha256={"model": "0" * 64})
    assert f"but {'0' * 64} was pulled" in message


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "loop"])
def test_a_link_in_a_voices_folder_that_leads_out_is_refused(folder: Path, target: str) -> None:
    (folder.parent / "secret").write_bytes((folder / "tiny" / "tiny.onnx").read_bytes())
    link = folder / "tiny" / ("loop" if target == "loop" else "link.onnx")
    link.symlink_to(target)
    message = pinned(folder, files={"model": f"tiny/{link.name}"})
    assert "leads out of the voice's folder" in message or "is no file" in message


@pytest.mark.parametrize("name", ["../secret.onnx", "/etc/passwd", "tiny/../../secret.onnx"])
def test_a_file_outside_the_voices_folder_is_refused(folder: Path, name: str) -> None:
    assert "files.model" in pinned(folder, files={"model": name})
