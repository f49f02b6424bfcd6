"""Cutting an ONNX model in three at the tensors that `cut.find` names. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from farm.engines.split.cut import find
from farm.engines.split.decoder import reach
from farm.engines.split.graph import Graph
from farm.engines.split.products import RANDOM
from farm.engines.split.seams import Cut, Seams, Uncut


@dataclass(frozen=True)
class Parts:
    """A model in three, each an ONNX file's content; all floats are float32."""

    seams: Seams
    encoder: bytes
    """Text, extra inputs, noise [B, 2, T] -> durations [B, 1, T], mean, spread (see `Table`)."""
    flow: bytes
    """Prior [B, C, F], frame mask [B, 1, F], extra inputs -> latent [B, C, F]."""
    decoder: bytes
    """Latent, extra inputs -> signal [B, ..., samples]."""


def split(model: ModelProto) -> Parts:
    """Cut a model in three; it is used up by it.

    Raises:
        Uncut: it has not the structure of VITS, a part would need what is not its to know, or
            it is not known how far the decoder looks.
    """
    cut = find(model)
    _check_types(model, cut)
    for node in model.graph.node:
        name = node.output[0]
        if name in cut.bypassed:
            node.CopyFrom(helper.make_node("Identity", [cut.bypassed[name]], [name]))
    barred = cut.text.names + cut.scales
    drawn = (cut.duration_noise.name,) if cut.duration_noise else ()
    tables = (cut.durations.name, cut.mean.name, cut.spread.name)
    encoder = _part(model, "encoder", drawn, tables, barred=cut.scales)
    flow = _part(model, "flow", (cut.prior.name, cut.frame_mask), (cut.latent,), barred)
    decoder = _part(model, "decoder", (cut.latent,), (cut.signal,), barred)
    seen = reach(decoder, cut.latent)
    seams = Seams(cut, _extra((encoder, flow, decoder), cut), seen.rate, seen.context)
    return Parts(seams, *(each.SerializeToString() for each in (encoder, flow, decoder)))


def _extra(parts: Sequence[ModelProto], cut: Cut) -> tuple[str, ...]:
    inputs = dict.fromkeys(each.name for part in parts for each in part.graph.input)
    drawn = (cut.duration_noise.name,) if cut.duration_noise else ()
    known = {*cut.text.names, *drawn, cut.prior.name, cut.frame_mask, cut.latent}
    return tuple(name for name in inputs if name not in known)


def _check_types(model: ModelProto, cut: Cut) -> None:
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    types = {each.name: each.type.tensor_type for each in inferred}
    tables = (cut.durations.name, cut.mean.name, cut.spread.name)
    for name in filter(types.get, (*tables, cut.prior.name, cut.frame_mask, cut.latent)):
        kind, axes = types[name].elem_type, types[name].shape.dim
        if kind not in (TensorProto.FLOAT, TensorProto.UNDEFINED):
            raise Uncut(f"{name!r} holds {TensorProto.DataType.Name(kind)}, not FLOAT")
        if types[name].HasField("shape") and len(axes) != 3:
            raise Uncut(f"{name!r} has {len(axes)} axes, not 3")


def _part(
    model: ModelProto,
    what: str,
    given: Sequence[str],
    wanted: Sequence[str],
    barred: Collection[str],
) -> ModelProto:
    """Take out what makes `wanted` of `given` and of the graph's inputs but the `barred` ones."""
    whole = model.graph
    indexed = Graph(model, wanted)
    names = indexed.before(wanted, stops=given)
    nodes = [node for node in indexed.nodes if names.intersection(set(node.output) - {*given})]
    weights = [each for each in whole.initializer if each.name in names]
    inner = {each.name for each in weights}.union(given)
    inputs = [each for each in whole.input if each.name in names - inner]
    wrong = [each.name for each in inputs if each.name in barred]
    wrong += [node.op_type for node in nodes if node.op_type in RANDOM]
    if wrong:
        raise Uncut(f"its {what} still depends on {', '.join(sorted(set(wrong)))}")
    axes = {each.name: len(each.type.tensor_type.shape.dim) for each in whole.output}
    graph = helper.make_graph(
        nodes,
        what,
        [*map(_any_batch, inputs), *map(_tensor, given)],
        [_tensor(name, axes.get(name, 3)) for name in wanted],
        initializer=weights,
    )
    return helper.make_model(
        graph,
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        functions=model.functions,
    )


def _any_batch(given: ValueInfoProto) -> ValueInfoProto:
    """Let an input take any number of items, and ids of any number."""
    value = ValueInfoProto()
    value.CopyFrom(given)
    dims = value.type.tensor_type.shape.dim
    whole = value.type.tensor_type.elem_type != TensorProto.FLOAT
    for axis, name in enumerate(("batch", "ids")[: len(dims)]):
        if axis == 0 or whole:
            dims[axis].dim_param = name
    return value


def _tensor(name: str, axes: int = 3) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * axes)
