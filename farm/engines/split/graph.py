"""An ONNX graph as the cut sees it: who makes a tensor, who takes it, what depends on what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

#: Nodes that hand a value on with another shape, order or type.
RESHAPES = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})

_BRANCHING = frozenset({"If", "Loop", "Scan", "SequenceMap"})
#: Types of ids and of their counts.
INTEGERS = frozenset({TensorProto.INT64, TensorProto.INT32})


class Graph:
    """The nodes of a model that its outputs need, indexed by tensor name."""

    def __init__(self, model: ModelProto, outputs: Sequence[str] = ()) -> None:
        """Index a model, or what some of its outputs need; it must not change meanwhile."""
        graph = model.graph
        self.initializers = {each.name: each for each in graph.initializer}
        self.inputs = {i.name: i for i in graph.input if i.name not in self.initializers}
        self.outputs = list(outputs) or [each.name for each in graph.output]
        self.types = {n: i.type.tensor_type.elem_type for n, i in self.inputs.items()}
        self._links = [(node, list(taken(node)), list(node.output)) for node in graph.node]
        needed = self.before(self.outputs)
        self._links = [link for link in self._links if not needed.isdisjoint(link[2])]
        self.nodes = [node for node, _, _ in self._links]
        self._makers = {name: node for node, _, made in self._links for name in made if name}
        self._takers: dict[str, list[NodeProto]] = {}
        for node, given, _ in self._links:
            for name in dict.fromkeys(given):
                self._takers.setdefault(name, []).append(node)

    def maker(self, name: str) -> NodeProto | None:
        """Return the node that makes a tensor; None: an input or a weight."""
        return self._makers.get(name)

    def takers(self, name: str) -> list[NodeProto]:
        """Return the nodes that take a tensor, in order."""
        return self._takers.get(name, [])

    def of_type(self, *kinds: str) -> list[NodeProto]:
        """Return the nodes of some operators, in order."""
        return [node for node in self.nodes if node.op_type in kinds]

    def rank(self, name: str) -> int | None:
        """Return how many axes an input has; None: it does not say."""
        type_ = self.inputs[name].type.tensor_type
        return len(type_.shape.dim) if type_.HasField("shape") else None

    def after(self, names: Iterable[str], without: Iterable[str] = ()) -> set[str]:
        """Return the tensors that depend on any of `names`, themselves included.

        Ways that lead through a tensor of `without` do not count.
        """
        barred = set(without)
        found = set(names) - barred
        for _, given, made in self._links:
            if not found.isdisjoint(given):
                found.update(name for name in made if name not in barred)
        return found

    def before(self, names: Iterable[str], stops: Iterable[str] = ()) -> set[str]:
        """Return the tensors that any of `names` need, themselves included.

        It is not looked behind `stops`.
        """
        found, ends = set(names), set(stops)
        for _, given, made in reversed(self._links):
            if any(name in found and name not in ends for name in made):
                found.update(given)
        return found

    def sources(self, names: Iterable[str]) -> set[str]:
        """Return the graph's inputs on which tensors depend."""
        return self.before(names) & set(self.inputs)

    def value(self, name: str) -> NDArray[np.generic] | None:
        """Return what a tensor holds if it is a constant, perhaps cast or handed on."""
        if name in self.initializers:
            return np.asarray(numpy_helper.to_array(self.initializers[name]))
        node = self.maker(name)
        if node is None:
            return None
        if node.op_type in ("Cast", "Identity"):
            return self.value(node.input[0])
        if node.op_type == "Constant":
            return _constant(node.attribute[0])
        return None


def _constant(attribute: AttributeProto) -> NDArray[np.generic] | None:
    if attribute.name == "value":
        return np.asarray(numpy_helper.to_array(attribute.t))
    if attribute.name in ("value_float", "value_int"):
        return np.asarray(attribute.f if attribute.name == "value_float" else attribute.i)
    return None


def taken(node: NodeProto) -> Iterator[str]:
    """Give the tensors that a node takes, those that its subgraphs take from outside included."""
    yield from filter(None, node.input)
    for attribute in node.attribute if node.op_type in _BRANCHING else ():
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            yield from _free(graph)


def _free(graph: GraphProto) -> Iterator[str]:
    own = {each.name for each in graph.input} | {each.name for each in graph.initializer}
    for node in graph.node:
        yield from (name for name in taken(node) if name not in own)
        own.update(node.output)
    yield from (each.name for each in graph.output if each.name not in own)


def attributes(node: NodeProto) -> dict[str, AttributeProto]:
    """Return a node's attributes by name."""
    return {each.name: each for each in node.attribute}
