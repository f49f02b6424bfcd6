"""What an ONNX model says of itself, looked through before any runtime loads it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

#: Elements of a tensor that a model may declare: 1 GiB of float32, four times the largest voice.
MOST_ELEMENTS = 1 << 28
#: Operators that make a tensor of a shape: which of their inputs it is.
_SHAPED = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
#: Dimensions that a shape may have.
_DIMENSIONS = 16


@lru_cache(maxsize=256)
def look_through(path: Path, size: int, mtime_ns: int) -> frozenset[str]:  # noqa: ARG001
    """Return the names of the files, beside a model's own, that hold its weights.

    Raises:
        ValueError: it is no ONNX model, or declares a tensor that no voice has.
    """
    # Imported here, because most commands read no model and start sooner without it.
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"it is no ONNX model: {error}") from error
    outside: set[str] = set()
    for graph in _graphs(model):
        _check_values(graph)
        tensors = [*_initializers(graph), *_constants(graph)]
        for tensor in tensors:
            _check(tensor.name, tensor.dims)
            outside.update(each.value for each in tensor.external_data if each.key == "location")
        _check_made(graph, {tensor.name: tensor for tensor in tensors})
    return frozenset(outside)


def _graphs(model: Any) -> Iterator[Any]:
    """Yield a model's graph, its functions, and the graphs within their nodes."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for attribute in _attributes(graph):
            waiting.extend([*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])])


def _attributes(graph: Any) -> Iterator[Any]:
    return (attribute for node in graph.node for attribute in node.attribute)


def _initializers(graph: Any) -> Iterator[Any]:
    yield from getattr(graph, "initializer", ())
    for sparse in getattr(graph, "sparse_initializer", ()):
        _check(sparse.values.name, sparse.dims)
        yield from (sparse.values, sparse.indices)


def _constants(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        for attribute in node.attribute:
            held = [*attribute.tensors, *([attribute.t] if attribute.HasField("t") else [])]
            for tensor in held:
                if node.op_type == "Constant" and node.output:
                    tensor.name = node.output[0]
                yield tensor


def _check_values(graph: Any) -> None:
    """Look at the shapes that a graph declares: of what it takes, gives and computes."""
    for field in ("input", "output", "value_info"):
        for value in getattr(graph, field, ()):
            if isinstance(value, str):  # a function names its inputs only
                continue
            dims = value.type.tensor_type.shape.dim
            _check(value.name, (each.dim_value or 1 for each in dims))


def _check_made(graph: Any, known: dict[str, Any]) -> None:
    """Look at the shapes that nodes make tensors of, where they are written in the graph."""
    from onnx.numpy_helper import to_array

    for node in graph.node:
        place = _SHAPED.get(node.op_type, -1)
        shape = known.get(node.input[place]) if 0 <= place < len(node.input) else None
        if shape is not None and not shape.external_data and math.prod(shape.dims) <= _DIMENSIONS:
            _check(node.output[0], to_array(shape).reshape(-1).tolist())
        for attribute in node.attribute:
            if attribute.name == "shape":
                _check(node.output[0], attribute.ints)


def _check(name: str, dims: Iterable[int]) -> None:
    elements = math.prod(max(1, int(each)) for each in dims)
    if elements > MOST_ELEMENTS:
        raise ValueError(
            f"it declares a tensor {name[:60]!r} of {elements} elements; "
            f"{MOST_ELEMENTS} are the most"
        )
