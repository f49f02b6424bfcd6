"""Durations, pitch and energy as inputs of graphs that keep them to themselves.

FastSpeech 2 predicts for each symbol its frames, its pitch and its energy, and adds the last two
to what the decoder reads. Exports hide the three. They are found by structure, never by names:

    frames   the one `Round` node (PaddleSpeech, ESPnet): what enters it is multiplied by
             `length_scale`, what leaves it is a new output, `durations`
    pitch,   two convolutions with one input channel, whose outputs are added one after the other:
    energy   the energy's first, then the pitch's (espnet2/tts/fastspeech2, PaddleSpeech); or one
             MatMul with two input rows, pitch and energy, as in the farm's own acoustic model

Each symbol's pitch becomes `pitch * pitch_scale + pitch_shift`, its energy likewise. What a file
has as an input already is left alone. What is not found is not a control.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

#: Nodes through which a value passes without another operand that depends on the text.
_PLAIN = frozenset(("Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast"))


@dataclass(frozen=True)
class Unit:
    """In what unit a model predicts pitch or energy, so that a ratio can be put in."""

    log: bool
    """Whether it is the natural logarithm that was normalised."""
    mean: float
    std: float

    def change(self, ratio: float) -> tuple[float, float]:
        """Return the factor and the summand that multiply the true value by `ratio`.

        As `StyleFastSpeech2Inference` does it (paddlespeech/t2s/models/fastspeech2).
        """
        if self.log:
            return 1.0, math.log(ratio) / self.std
        return ratio, (ratio - 1) * self.mean / self.std


def open_up(model: ModelProto) -> None:
    """Give a graph the inputs and outputs above, as far as it can have them."""
    graph = model.graph
    names = {each.name for each in graph.input}
    if not names & {"length_scale", "scales"}:
        _open_durations(graph)
    if not names & {"pitch_shift"}:
        pair = _one_channel_pair(graph)
        rows = _two_rows(graph)
        if pair:
            _affine(graph, pair[0], "energy")
            _affine(graph, pair[1], "pitch")
        elif rows is not None:
            _shift_rows(graph, rows)


def _open_durations(graph: GraphProto) -> None:
    rounding = [node for node in graph.node if node.op_type == "Round"]
    if len(rounding) != 1:
        return
    node = rounding[0]
    stretched = f"{node.input[0]}/stretched"
    scale = helper.make_node("Mul", [node.input[0], "length_scale"], [stretched])
    _insert(graph, node, [scale])
    node.input[0] = stretched
    graph.input.append(helper.make_tensor_value_info("length_scale", TensorProto.FLOAT, [1]))
    graph.node.append(helper.make_node("Identity", [node.output[0]], ["durations"]))
    graph.output.append(helper.make_tensor_value_info("durations", TensorProto.FLOAT, None))


def _affine(graph: GraphProto, node: NodeProto, what: str) -> None:
    """Put `x * scale + shift` before a node's first input."""
    source, scale, shift = node.input[0], f"{what}_scale", f"{what}_shift"
    nodes = [
        helper.make_node("Mul", [source, scale], [f"{source}/{scale}"]),
        helper.make_node("Add", [f"{source}/{scale}", shift], [f"{source}/{shift}"]),
    ]
    _insert(graph, node, nodes)
    node.input[0] = f"{source}/{shift}"
    for name in (scale, shift):
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]))


def _shift_rows(graph: GraphProto, node: NodeProto) -> None:
    """Add `pitch_shift` and `energy_shift`, both [B], to a [B, T, 2] before a MatMul."""
    source, axes = node.input[0], "farm/row_axes"
    nodes = [
        helper.make_node("Unsqueeze", [name, axes], [f"farm/{name}"])
        for name in ("pitch_shift", "energy_shift")
    ]
    nodes += [
        helper.make_node("Concat", ["farm/pitch_shift", "farm/energy_shift"], ["farm/s"], axis=2),
        helper.make_node("Add", [source, "farm/s"], [f"{source}/shifted"]),
    ]
    _insert(graph, node, nodes)
    node.input[0] = f"{source}/shifted"
    graph.initializer.append(helper.make_tensor(axes, TensorProto.INT64, [2], [1, 2]))
    for name in ("pitch_shift", "energy_shift"):
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]))


def _insert(graph: GraphProto, before: NodeProto, nodes: Iterable[NodeProto]) -> None:
    place = next(i for i, node in enumerate(graph.node) if node is before or node == before)
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)


def _one_channel_pair(graph: GraphProto) -> tuple[NodeProto, NodeProto] | None:
    """The convolutions that embed energy and pitch, in this order."""
    look = _Look(graph)
    found = [node for node in graph.node if node.op_type == "Conv" and look.embeds(node)]
    if len(found) != 2:
        return None
    sums = [look.sum_after(node) for node in found]
    if sums[0] is None or sums[1] is None:
        return None
    if look.depends(sums[1], sums[0].output[0]):
        return found[0], found[1]
    if look.depends(sums[0], sums[1].output[0]):
        return found[1], found[0]
    return None


def _two_rows(graph: GraphProto) -> NodeProto | None:
    """The MatMul with a [2, W] weight whose other operand comes from one with [W, 2]."""
    look = _Look(graph)
    makers = [n for n in graph.node if n.op_type == "MatMul" and look.shape(n.input[1])[1:] == [2]]
    for node in graph.node:
        if node.op_type != "MatMul" or look.shape(node.input[1])[:1] != [2]:
            continue
        if any(look.depends(node, maker.output[0]) for maker in makers):
            return node
    return None


class _Look:
    """Questions about a graph: who makes a value, who reads it, what is constant."""

    def __init__(self, graph: GraphProto) -> None:
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._shapes = {each.name: list(each.dims) for each in graph.initializer}
        for node in graph.node:
            for value in _tensors(node) if node.op_type == "Constant" else ():
                self._shapes[node.output[0]] = list(value.dims)
        self._dynamic: dict[str, bool] = {each.name: True for each in graph.input}
        for node in graph.node:
            moving = any(self._dynamic.get(name, False) for name in node.input)
            self._dynamic |= dict.fromkeys(node.output, moving)

    def shape(self, name: str) -> list[int]:
        """Dimensions of a constant, through whatever only reshapes it; empty if it is none."""
        if name in self._shapes:
            return self._shapes[name]
        if self._dynamic.get(name, True) or name not in self._makers:
            return []
        return self.shape(self._makers[name].input[0])

    def embeds(self, node: NodeProto) -> bool:
        """Whether a convolution maps one channel to several."""
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        shape = self.shape(node.input[1])
        return groups == 1 and len(shape) >= 3 and shape[0] > 1 and shape[1] == 1

    def sum_after(self, node: NodeProto) -> NodeProto | None:
        """The first Add behind a node whose both operands depend on the inputs."""
        while True:
            readers = self._readers.get(node.output[0], [])
            if len(readers) != 1:
                return None
            node = readers[0]
            moving = sum(self._dynamic.get(name, False) for name in node.input)
            if node.op_type == "Add" and moving == 2:
                return node
            if node.op_type not in _PLAIN and not (node.op_type == "Add" and moving == 1):
                return None

    def depends(self, node: NodeProto, name: str) -> bool:
        """Whether a node comes after the value `name`."""
        seen: set[str] = set()
        waiting = list(node.input)
        while waiting:
            each = waiting.pop()
            if each == name:
                return True
            if each not in seen and each in self._makers:
                seen.add(each)
                waiting += self._makers[each].input
        return False


def _tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            yield attribute.t
