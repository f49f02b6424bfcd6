"""What the convolutions of a decoder say of it: its hop, how far it looks, and how to mask it.

A decoder is unmasked: in a padded batch, biases fill the padding and reach back into the last
frames of the shorter items. Zeros in front of every convolution that looks around are what an
item alone has there, so that it comes out of the batch as it does alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from farm.engines.split.graph import attributes, taken
from farm.engines.split.seams import Uncut

#: Input of a masked decoder: float32 [B, 1, F], 1 for each frame that counts.
MASK = "farm_mask"

#: Operators that compute each moment of a signal from that moment alone.
_POINTWISE = {
    *("Add", "Div", "Mul", "Pow", "Sub", "Sum"),
    *("Clip", "Elu", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Sin", "Tanh"),
    *("Cast", "Identity", "Squeeze", "Unsqueeze"),
}
_CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class Reach:
    """How a tensor follows from the latent: its moments per frame, the frames behind each."""

    rate: int = 1
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)

    @property
    def context(self) -> int:
        """Frames needed on each side of those that are kept."""
        return math.ceil(max(self.before, self.after))


def reach(model: ModelProto, latent: str) -> Reach:
    """Return the reach of a decoder's signal; its rate is the hop, in samples per frame.

    Raises:
        Uncut: it holds an operator of which this is not known.
    """
    return reaches(model, latent)[model.graph.output[0].name]


def masked(decoder: bytes, latent: str) -> bytes:
    """Return a decoder's file with an input `MASK` that zeroes what is behind an item's end.

    Raises:
        Uncut: see `reach`.
    """
    model = onnx.load_from_string(decoder)
    known = reaches(model, latent)
    nodes: list[NodeProto] = []
    rates: set[int] = set()
    for node in model.graph.node:
        if node.op_type in _CONVOLUTIONS and node.input[0] in known and _looks_around(node):
            rate = known[node.input[0]].rate
            name = f"{node.output[0]}/masked"
            nodes.append(helper.make_node("Mul", [node.input[0], f"{MASK}/{rate}"], [name]))
            node.input[0] = name
            rates.add(rate)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend([each for rate in sorted(rates) for each in _repeated(rate)] + nodes)
    model.graph.initializer.extend(_shapes(rates))
    model.graph.input.append(helper.make_tensor_value_info(MASK, TensorProto.FLOAT, [None] * 3))
    content: bytes = model.SerializeToString()
    return content


def _repeated(rate: int) -> list[NodeProto]:
    """Nodes that hold each value of the mask for so many moments."""
    name = f"{MASK}/{rate}"
    return [
        helper.make_node("Reshape", [MASK, f"{MASK}/column"], [f"{name}/column"]),
        helper.make_node("Tile", [f"{name}/column", f"{name}/times"], [f"{name}/tiled"]),
        helper.make_node("Reshape", [f"{name}/tiled", f"{MASK}/row"], [name]),
    ]


def _shapes(rates: set[int]) -> list[TensorProto]:
    values = {f"{MASK}/column": [0, 1, -1, 1], f"{MASK}/row": [0, 1, -1]}
    values |= {f"{MASK}/{rate}/times": [1, 1, 1, rate] for rate in rates}
    return [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in values.items()]


def reaches(model: ModelProto, latent: str) -> dict[str, Reach]:
    """Return the reach of every tensor that depends on the latent.

    Raises:
        Uncut: see `reach`.
    """
    found = {latent: Reach()}
    for node in model.graph.node:
        met = [found[name] for name in taken(node) if name in found]
        if met:
            found[node.output[0]] = _behind(node, met)
    return found


def _behind(node: NodeProto, met: Sequence[Reach]) -> Reach:
    first = met[0]
    if any(each.rate != first.rate for each in met):
        raise Uncut(f"its decoder joins signals of different rates in {node.name!r}")
    if node.op_type in _CONVOLUTIONS:
        return _behind_convolution(node, first)
    if node.op_type in _POINTWISE:
        widest = (max(each.before for each in met), max(each.after for each in met))
        return Reach(first.rate, *widest)
    raise Uncut(f"its decoder holds a {node.op_type}, of which it is not known how far it looks")


def _behind_convolution(node: NodeProto, reach: Reach) -> Reach:
    """The reach behind a convolution that keeps the length, or multiplies it by its stride.

    Moment t takes t - begin ... t - begin + width of an ordinary one's input, and of a transposed
    one's (t + begin - width) / stride ... (t + begin) / stride.
    """
    given = attributes(node)
    kernel, dilation, stride = (
        _whole(given, name, 1) for name in ("kernel_shape", "dilations", "strides")
    )
    begin, end = list(given["pads"].ints) if "pads" in given else (0, 0)
    added = sum(given["output_padding"].ints) if "output_padding" in given else 0
    width = (kernel - 1) * dilation
    if node.op_type == "Conv":
        kept = stride == 1 and begin + end == width
        rate, before, after = reach.rate, begin, width - begin
    else:
        kept = width + 1 + added - begin - end == stride
        rate, before, after = reach.rate * stride, width - begin, begin
    if not kept or ("auto_pad" in given and given["auto_pad"].s != b"NOTSET"):
        raise Uncut(f"the convolution {node.name!r} of its decoder changes the length")
    return Reach(rate, reach.before + Fraction(before, rate), reach.after + Fraction(after, rate))


def _whole(given: Mapping[str, AttributeProto], name: str, default: int) -> int:
    """The one value of a convolution's attribute."""
    values = list(given[name].ints) if name in given else [default]
    if len(values) != 1:
        raise Uncut(f"its decoder convolves {len(values)} axes, not time alone")
    return values[0]


def _looks_around(node: NodeProto) -> bool:
    return _whole(attributes(node), "kernel_shape", 1) > 1
