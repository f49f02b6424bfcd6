"""Two ONNX files of a voice, acoustic model and vocoder, joined to one that Piper speaks.

    input, input_lengths, scales -> acoustic -> durations -> Ceil -> lengths
                                            \\-> mel ---------------> vocoder -> output

The merged graph has the signature of Piper's own exports (piper1-gpl, `export_onnx.py`),
and its only `Ceil` holds the frames of each symbol, which is where
`PiperVoice.load(..., include_alignments=True)` looks for them.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, compose, helper

#: What each file must take and give, in this order.
ACOUSTIC: Final = (("input", "input_lengths", "scales"), ("mel", "mel_lengths", "durations"))
VOCODER: Final = (("mel", "mel_lengths"), ("wav",))

#: Where Piper's alignment patch finds the frames of each symbol, float32 [B, 1, T].
DURATIONS: Final = "/Ceil_output_0"

#: The version of ONNX's file layout that is written; readers since 2022 know it.
_IR_VERSION: Final = 8


def merge(acoustic: Path, vocoder: Path, out: Path) -> None:
    """Write the voice made of both files to `out`, atomically.

    The result maps `input` int64 [B, T], `input_lengths` int64 [B] and `scales` float32
    [3] (noise, length, noise_w) to `output` float32 [B, 1, 1, S]. The same two files
    give the same bytes.

    Raises:
        ValueError: a file has other inputs or outputs, a `Ceil` of its own, or the two
            were written for different operator sets.
    """
    first = _load(acoustic, *ACOUSTIC, prefix="acoustic/")
    second = _load(vocoder, *VOCODER, prefix="vocoder/")
    if list(first.opset_import) != list(second.opset_import):
        raise ValueError(f"{acoustic} and {vocoder} use different operator sets; export them alike")
    model = helper.make_model(
        _join(first.graph, second.graph),
        opset_imports=list(first.opset_import),
        producer_name="farm",
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    _write(out, model.SerializeToString(deterministic=True))


def _load(path: Path, inputs: Sequence[str], outputs: Sequence[str], prefix: str) -> ModelProto:
    """Read one file, check its signature and put `prefix` before all its names."""
    model = onnx.load(str(path))
    found = [value.name for value in model.graph.input], [v.name for v in model.graph.output]
    if found != (list(inputs), list(outputs)):
        raise ValueError(
            f"{path} maps {found[0]} to {found[1]}; expected {list(inputs)} to {list(outputs)}"
        )
    if any(node.op_type == "Ceil" for node in model.graph.node):
        raise ValueError(f"{path} holds a Ceil, which Piper would take for durations; export again")
    return compose.add_prefix(model, prefix)


def _join(first: GraphProto, second: GraphProto) -> GraphProto:
    """Return one graph of both, with Piper's names at its edges."""
    nodes = [
        *(_same(name, f"acoustic/{name}") for name in ACOUSTIC[0]),
        *first.node,
        *_lengths(),
        _same("acoustic/mel", "vocoder/mel"),
        *second.node,
        helper.make_node("Unsqueeze", ["vocoder/wav", "/wav_axes"], ["output"], "/output"),
    ]
    axes = {"/duration_axes": [1], "/sum_axes": [1, 2], "/wav_axes": [1, 2]}
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in axes.items()
    ]
    weights = [*first.initializer, *second.initializer, *constants]
    return helper.make_graph(nodes, "voice", *_signature(), initializer=weights)


def _same(source: str, target: str) -> NodeProto:
    """Give a tensor a second name."""
    return helper.make_node("Identity", [source], [target], f"/{target}")


def _lengths() -> list[NodeProto]:
    """Turn durations [B, T] into `DURATIONS` and the vocoder's mel lengths [B]."""
    node = helper.make_node
    return [
        node("Cast", ["acoustic/durations"], ["/frames"], "/Cast", to=TensorProto.FLOAT),
        node("Unsqueeze", ["/frames", "/duration_axes"], ["/frames_3d"], "/Unsqueeze"),
        node("Ceil", ["/frames_3d"], [DURATIONS], "/Ceil"),
        node("ReduceSum", [DURATIONS, "/sum_axes"], ["/sum"], "/ReduceSum", keepdims=0),
        node("Cast", ["/sum"], ["vocoder/mel_lengths"], "/Cast_1", to=TensorProto.INT64),
    ]


def _signature() -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Return the inputs and outputs of Piper's own exports."""
    value = helper.make_tensor_value_info
    inputs = [
        value("input", TensorProto.INT64, ["batch_size", "phonemes"]),
        value("input_lengths", TensorProto.INT64, ["batch_size"]),
        value("scales", TensorProto.FLOAT, [3]),
    ]
    return inputs, [value("output", TensorProto.FLOAT, ["batch_size", 1, 1, "time"])]


def _write(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except BaseException:
        beside.unlink()
        raise
