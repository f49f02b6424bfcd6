"""Products on the way of noise and durations, and which of their factors are scales."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from onnx import NodeProto

from farm.engines.split.graph import INTEGERS, Graph, attributes
from farm.engines.split.seams import Scaled, Uncut

#: Operators that draw noise; what VITS draws is normal.
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial")
_NORMAL = RANDOM[:2]
_UNCHANGED = ("Cast", "Identity")


def only(nodes: Sequence[NodeProto], what: str) -> NodeProto:
    """Return the one node there is, or raise `Uncut`."""
    if len(nodes) != 1:
        raise Uncut(f"it has {len(nodes)} {what}, not one")
    return nodes[0]


class Products:
    """Follows products, and keeps which of their factors are scales."""

    def __init__(self, graph: Graph, text: Collection[str]) -> None:
        """Search a graph in which `text` are the tensors that depend on the text."""
        self.bypassed: dict[str, str] = {}
        """Product of durations and a scale to its other factor."""
        self.scales: set[str] = set()
        """Inputs that were met as scales."""
        self._graph = graph
        self._text = text

    def durations(self, name: str) -> Scaled:
        """Go back from what the `Ceil` takes and note each product with a scale."""
        found: list[float | None] = []
        ahead = [name]
        while ahead:
            node = self._graph.maker(ahead.pop())
            if node is not None and node.op_type in _UNCHANGED:
                ahead.append(node.input[0])
            elif node is not None and node.op_type == "Mul":
                factors = {one: other for one, other in _pairs(node) if self._is_scale(one)}
                for scale, kept in factors.items():
                    self.bypassed[node.output[0]] = kept
                    found.append(self._note(scale))
                ahead += list(factors.values()) or list(node.input)
        return Scaled(name, _product(found))

    def noise(self, node: NodeProto) -> Scaled:
        """Go on from a random node to its last product with a scale alone."""
        name, found = node.output[0], _drawn_scale(node)
        while True:
            name, takers = self._handed_on(name)
            other = _other(takers[0], name) if len(takers) == 1 else ""
            if takers[0].op_type != "Mul" or not other or not self._is_scale(other):
                return Scaled(name, _product(found))
            found.append(self._note(other))
            name = takers[0].output[0]

    def prior(self, node: NodeProto, timed: Collection[str]) -> tuple[Scaled, str, str]:
        """Go on from a random node, through the product with its spread, to the sum with its mean.

        Returns the sum and its scale, the mean, and the factor that holds the spread.
        """
        name, found, spread = node.output[0], _drawn_scale(node), ""
        while True:
            name, takers = self._handed_on(name)
            taker = only(takers, f"nodes that take its noise {name!r}")
            other = _other(taker, name) if taker.op_type in ("Add", "Mul") else ""
            if taker.op_type == "Add" and spread and other in timed:
                return Scaled(taker.output[0], _product(found)), other, spread
            if taker.op_type == "Mul" and not spread and other in timed:
                spread = other
            elif taker.op_type == "Mul" and self._is_scale(other):
                found.append(self._note(other))
            else:
                raise Uncut(
                    f"noise {name!r} meets a {taker.op_type}, not the prior's spread or mean"
                )
            name = taker.output[0]

    def _handed_on(self, name: str) -> tuple[str, list[NodeProto]]:
        """Go on through nodes that change nothing; return the last tensor and who takes it."""
        takers = self._graph.takers(name)
        while len(takers) == 1 and takers[0].op_type in _UNCHANGED:
            name = takers[0].output[0]
            takers = self._graph.takers(name)
        return name, takers

    def _is_scale(self, name: str) -> bool:
        """Whether a factor is one number, constant or from inputs other than the text."""
        value = self._graph.value(name)
        if value is not None:
            return value.size == 1
        sources = self._graph.sources([name])
        return bool(sources) and name not in self._text and all(map(self._is_number, sources))

    def _is_number(self, source: str) -> bool:
        rank = self._graph.rank(source)
        return self._graph.types[source] not in INTEGERS and rank is not None and rank < 2

    def _note(self, scale: str) -> float | None:
        value = self._graph.value(scale)
        self.scales |= self._graph.sources([scale])
        return None if value is None else float(value.reshape(()))


def _pairs(node: NodeProto) -> tuple[tuple[str, str], tuple[str, str]]:
    one, other = node.input
    return (one, other), (other, one)


def _other(node: NodeProto, name: str) -> str:
    others = [each for each in node.input if each != name]
    return others[0] if len(others) == 1 else ""


def _product(values: Sequence[float | None]) -> float | None:
    return None if None in values else math.prod(each for each in values if each is not None)


def _drawn_scale(node: NodeProto) -> list[float | None]:
    given = attributes(node)
    if node.op_type not in _NORMAL or ("mean" in given and given["mean"].f != 0):
        raise Uncut(f"its {node.op_type} draws something else than normal noise around 0")
    return [given["scale"].f if "scale" in given else 1.0]
