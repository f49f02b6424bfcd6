"""A tiny voice with Piper's graph signature and files, made of a few ONNX nodes, not trained.

Each phoneme id lasts `ceil(2 * length_scale)` frames of 256 samples and sounds as a constant of
its own, plus `noise_scale` times noise; so every sample can be foretold.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from farm.jobs import Voice

SAMPLE_RATE = 16_000
HOP = 256
FRAMES = 2.0


def make_voice(
    folder: Path,
    *,
    timed: bool = True,
    speakers: tuple[str, ...] = (),
    noisy: bool = False,
    broken: bool = False,
) -> Voice:
    """Write `tiny.onnx` and `tiny.onnx.json` into a folder and return the voice.

    `timed`: the graph has one `Ceil` node. `noisy`: it draws noise. `broken`: it gives NaN.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(make_model(timed, bool(speakers), noisy, broken), folder / "tiny.onnx")
    (folder / "tiny.onnx.json").write_text(json.dumps(make_config(speakers)), encoding="utf-8")
    return Voice(
        id="tiny",
        digest="0" * 64,
        engine="piper",
        family="piper",
        language="en",
        sample_rate=SAMPLE_RATE,
        files={"model": "tiny.onnx", "config": "tiny.onnx.json"},
    )


def make_config(speakers: tuple[str, ...] = ()) -> dict[str, object]:
    """Return the content of `.onnx.json`."""
    return {
        "audio": {"sample_rate": SAMPLE_RATE},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US"},
        "inference": {"noise_scale": 0.0, "length_scale": 1, "noise_w": 0.0},
        "phoneme_type": "espeak",
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "num_symbols": 256,
        "num_speakers": max(1, len(speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(speakers)},
    }


def make_model(timed: bool, multi: bool, noisy: bool, broken: bool) -> onnx.ModelProto:
    """Build the graph: ids to frames (Ceil), frames to levels, levels to samples."""
    nodes = [
        helper.make_node("Split", ["scales"], ["noise", "length", "noise_w"], num_outputs=3),
        helper.make_node("Mul", ["length", "frames_each"], ["wide"]),
        helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "wide"], ["each"]),
        helper.make_node("Ceil" if timed else "Round", ["each"], ["frames"]),
        helper.make_node("ReduceMax", ["frames"], ["whole"], keepdims=0),
        helper.make_node("Div", ["ids", "level"], ["levels"]),
    ]
    if multi:
        nodes += [
            helper.make_node("Cast", ["sid"], ["speaker"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["speaker", "tenth"], ["shift"]),
            helper.make_node("Add", ["levels", "shift"], ["voiced"]),
        ]
    return _finish(nodes, "voiced" if multi else "levels", multi, noisy, broken)


def _finish(
    nodes: list[onnx.NodeProto], levels: str, multi: bool, noisy: bool, broken: bool
) -> onnx.ModelProto:
    nodes += [
        helper.make_node("Unsqueeze", [levels, "axis"], ["columns"]),
        helper.make_node("Cast", ["whole"], ["count"], to=TensorProto.INT64),
        helper.make_node("Mul", ["count", "hop"], ["width"]),
        helper.make_node("Concat", ["ones", "width"], ["wanted"], axis=0),
        helper.make_node("Expand", ["columns", "wanted"], ["steps"]),
        helper.make_node("Reshape", ["steps", "shape"], ["signal"]),
    ]
    last = "signal"
    if noisy:
        nodes += [
            helper.make_node("RandomNormalLike", ["signal"], ["drawn"]),
            helper.make_node("Mul", ["drawn", "noise"], ["hiss"]),
            helper.make_node("Add", ["signal", "hiss"], ["noised"]),
        ]
        last = "noised"
    nodes.append(helper.make_node("Mul", [last, "factor"], ["output"]))
    graph = helper.make_graph(
        nodes, "tiny", _inputs(multi), [_value("output", TensorProto.FLOAT, [1, 1, 1, "samples"])]
    )
    graph.initializer.extend(_constants(np.nan if broken else 1.0))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="farm"
    )
    onnx.checker.check_model(model)
    return model


def _inputs(multi: bool) -> list[onnx.ValueInfoProto]:
    inputs = [
        _value("input", TensorProto.INT64, [1, "phonemes"]),
        _value("input_lengths", TensorProto.INT64, [1]),
        _value("scales", TensorProto.FLOAT, [3]),
    ]
    return [*inputs, _value("sid", TensorProto.INT64, [1])] if multi else inputs


def _constants(factor: float) -> list[onnx.TensorProto]:
    floats = {"frames_each": FRAMES, "zero": 0.0, "level": 512.0, "tenth": 0.1, "factor": factor}
    integers = {"hop": [HOP], "axis": [2], "ones": [1, 1], "shape": [1, 1, 1, -1]}
    return [
        *(numpy_helper.from_array(np.array([v], np.float32), k) for k, v in floats.items()),
        *(numpy_helper.from_array(np.array(v, np.int64), k) for k, v in integers.items()),
    ]


def _value(name: str, type_: int, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, type_, shape)
