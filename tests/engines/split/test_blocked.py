"""A rewritten decoder against itself as it was."""

from __future__ import annotations

import platform
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from farm.engines.split.blocked import blocked
from farm.engines.split.surgery import split
from tests.engines.split.originals import GRAPHS, model

HOP = 32


class Decoder:
    """Writes a decoder; every method adds a node and returns the name of what it gives."""

    def __init__(self) -> None:
        self._draw = np.random.default_rng(0)
        self._names = (f"t{number}" for number in count())
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    def node(self, kind: str, *inputs: str, **how: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [next(self._names)], **how))
        return self.nodes[-1].output[0]

    def constant(self, value: Any) -> str:
        name = next(self._names)
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def convolution(self, name: str, shape: tuple[int, int, int], dilation: int = 1) -> str:
        pad = dilation * (shape[2] - 1) // 2
        weights = [self.constant(self._normal(shape)), self.constant(self._normal(shape[:1]))]
        how = {"kernel_shape": shape[2:], "pads": [pad, pad], "dilations": [dilation]}
        return self.node("Conv", name, *weights, **how)

    def stretched(self, name: str, shape: tuple[int, int, int], stride: int) -> str:
        over = shape[2] - stride
        pads = [over // 2, over - over // 2]
        weight = self.constant(self._normal(shape))
        how = {"kernel_shape": shape[2:], "pads": pads, "strides": [stride]}
        return self.node("ConvTranspose", name, weight, **how)

    def _normal(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        size = int(np.prod(shape[1:]))
        return self._draw.standard_normal(shape, np.float32) * np.float32(0.5 * size**-0.5)

    def model(self, signal: str) -> ModelProto:
        self.nodes[-1].output[0] = "signal"
        assert self.nodes[-1].input[0] == signal
        given = helper.make_tensor_value_info("latent", TensorProto.FLOAT, [None] * 3)
        made = helper.make_tensor_value_info("signal", TensorProto.FLOAT, [None] * 3)
        graph = helper.make_graph(self.nodes, "decoder", [given], [made], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def hifigan(kernels: tuple[int, ...], dilations: tuple[int, ...]) -> bytes:
    """A small generator as VITS has it: 32 moments per frame, 48 channels, then 32 and 16."""
    made = Decoder()
    name = made.convolution("latent", (48, 16, 7))
    for channels, stride, width in ((32, 8, 16), (16, 4, 7)):
        name = made.node("LeakyRelu", name, alpha=0.1)
        name = made.stretched(name, (channels + 16, channels, width), stride)
        blocks = []
        for kernel in kernels:
            inner = name
            for dilation in dilations:
                shape = (channels, channels, kernel)
                once = made.convolution(made.node("LeakyRelu", inner, alpha=0.1), shape, dilation)
                twice = made.convolution(made.node("LeakyRelu", once, alpha=0.1), shape)
                inner = made.node("Add", twice, inner)
            blocks.append(inner)
        total = blocks[0]
        for block in blocks[1:]:
            total = made.node("Add", total, block)
        name = made.node("Div", total, made.constant(len(blocks)))
    name = made.convolution(made.node("LeakyRelu", name), (1, 16, 7))
    made.node("Tanh", name)
    return made.model(name).SerializeToString()


def session(decoder: bytes, **options: Any) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    for name, value in options.items():
        setattr(settings, name, value)
    return onnxruntime.InferenceSession(decoder, settings, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", GRAPHS)
def test_every_kind_of_export_is_rewritten(name: str) -> None:
    parts = split(onnx.load(model(name)))
    rewritten = onnx.load_from_string(blocked(parts.decoder, parts.seams.cut.latent))
    kinds = Counter(node.op_type for node in rewritten.graph.node)
    assert kinds["Conv"] > 0
    assert kinds["ConvTranspose"] == kinds["Div"] == 0
    onnx.checker.check_model(rewritten)


@pytest.mark.parametrize(
    ("kernels", "dilations"), [((3, 7, 11), (1, 3)), ((3, 5, 7), (2, 6)), ((11,), (1, 2, 5))]
)
def test_it_gives_what_it_gave_whatever_the_length(
    kernels: tuple[int, ...], dilations: tuple[int, ...]
) -> None:
    plain = hifigan(kernels, dilations)
    before, after = session(plain), session(blocked(plain, "latent"))
    for frames in (1, 2, 3, 5, 8, 17):
        feeds = {"latent": np.random.default_rng(frames).standard_normal((2, 16, frames), "f")}
        wanted = before.run(None, feeds)[0]
        assert wanted.shape == (2, 1, frames * HOP)
        assert np.abs(wanted).max() > 0.05
        np.testing.assert_allclose(after.run(None, feeds)[0], wanted, atol=1e-6)


def test_phases_are_used_where_they_pay_alone() -> None:
    def sizes(kernels: tuple[int, ...], dilations: tuple[int, ...]) -> set[int]:
        made = onnx.load_from_string(blocked(hifigan(kernels, dilations), "latent"))
        steps = [n.input[4] for n in made.graph.node if n.op_type == "Slice"]
        values = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
        return {int(values[step][0]) for step in steps}

    assert sizes((7, 11), (1, 3)) == {2}
    assert sizes((1,), (1,)) == {1}


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="blocks are those of x86-64"
)
def test_the_runtime_leaves_everything_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "optimized.onnx"
    made = blocked(hifigan((3, 7, 11), (1, 3)), "latent")
    session(made, optimized_model_filepath=str(path))
    kinds = Counter((node.domain, node.op_type) for node in onnx.load(path).graph.node)
    of = Counter({kind: number for (_, kind), number in kinds.items()})
    assert kinds["com.microsoft.nchwc", "Conv"] == of["Conv"] > 50
    assert of["LeakyRelu"] == 0
    # Two stages: each gives its moments, and its two phases, with channels behind time; the end.
    assert of["ReorderOutput"] <= 2 + 2 + 1
    assert of["ReorderInput"] <= 1 + 4 + 1


def chain(made: Decoder, name: str) -> bytes:
    made.node("Tanh", made.convolution(name, (1, 16, 7)))
    return made.model(made.nodes[-1].input[0]).SerializeToString()


def test_what_is_not_known_stays_as_it_is() -> None:
    wave, grouped, product, inverse = Decoder(), Decoder(), Decoder(), Decoder()
    assert blocked(chain(Decoder(), "latent"), "latent") != chain(Decoder(), "latent")
    sine = wave.node("Sin", wave.convolution("latent", (16, 16, 3)))
    apart = grouped.node("Conv", "latent", grouped.constant(np.ones((16, 1, 1))), group=16)
    squared = product.node("Mul", "latent", "latent")
    turned = inverse.node("Div", inverse.constant(1.0), "latent")
    made = ((wave, sine), (grouped, apart), (product, squared), (inverse, turned))
    for decoder in (chain(each, name) for each, name in made):
        assert blocked(decoder, "latent") == decoder


def test_a_factor_is_taken_from_either_side() -> None:
    made = Decoder()
    name = made.node("Mul", made.constant([0.5]), made.convolution("latent", (16, 16, 3)))
    plain = chain(made, made.node("Identity", name))
    feeds = {"latent": np.random.default_rng(1).standard_normal((1, 16, 32), "f")}
    wanted = session(plain).run(None, feeds)[0]
    rewritten = blocked(plain, "latent")
    assert rewritten != plain
    np.testing.assert_allclose(session(rewritten).run(None, feeds)[0], wanted, atol=1e-6)
