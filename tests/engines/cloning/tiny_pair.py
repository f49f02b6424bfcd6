"""A pair of graphs of a few nodes with the names of the home-made zero-shot voice, not trained.

Each id lasts `ceil(2 x length)` frames whose mel is the id times the first number of the d-vector;
the vocoder repeats a frame's first band 16 times. So every sample can be foretold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from farm.jobs import Voice

HOP = 16
SIZE = 64
CONFIG: dict[str, Any] = {
    "audio": {"sample_rate": 16_000},
    "hop_length": HOP,
    "language": {"code": "en-US"},
    "languages": {"en-us": 0},
    "text": {
        "type": "characters",
        "ids": {" ": 1} | {chr(97 + number): 2 + number for number in range(26)},
        "cleaner": "multilingual_cleaners",
        "blank": None,
        "edges": [],
    },
    "inference": {"noise_scale": 0.0, "length_scale": 1.0, "noise_w": 0.0},
    "d_vector": {"size": SIZE, "sample_rate": 16_000},
    "speakers": {"ann": [0.01, *[0.0] * 63], "bob": [0.02, *[0.0] * 63]},
}


def make_voice(folder: Path, config: dict[str, Any] = CONFIG) -> Voice:
    """Write the pair into a folder and return the voice."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_acoustic(), folder / "acoustic.onnx")
    onnx.save(_vocoder(), folder / "vocoder.onnx")
    onnx.save(_encoder(), folder / "encoder.onnx")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return Voice(
        id="pair",
        digest="2" * 64,
        engine="yourtts_onnx",
        family="onnx",
        language="en",
        sample_rate=16_000,
        files={
            "model": "acoustic.onnx",
            "vocoder": "vocoder.onnx",
            "encoder": "encoder.onnx",
            "config": "config.json",
        },
        parameters={"speaker": "ann"},
    )


def _tensor(name: str, values: Any, kind: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def _info(name: str, kind: int, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _acoustic() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["scales", "one"], ["length"]),
        helper.make_node("Mul", ["length", "two"], ["long"]),
        helper.make_node("Ceil", ["long"], ["each"]),
        helper.make_node("Cast", ["each"], ["count"], to=TensorProto.INT64),
        helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        # [B, T] -> [B, T, count] -> [B, 1, F]
        helper.make_node("Unsqueeze", ["ids", "last"], ["column"]),
        helper.make_node("Concat", ["ones", "count"], ["shape"], axis=0),
        helper.make_node("Expand", ["column", "shape"], ["rows"]),
        helper.make_node("Reshape", ["rows", "flat"], ["repeated"]),
        helper.make_node("Slice", ["d_vector", "zero", "one", "one"], ["loud"]),
        helper.make_node("Unsqueeze", ["loud", "last"], ["gain"]),
        helper.make_node("Mul", ["repeated", "gain"], ["mel"]),
        helper.make_node("Mul", ["input_lengths", "count"], ["mel_lengths"]),
        helper.make_node("Mul", ["input", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "count"], ["durations"]),
    ]
    constants = [
        _tensor("zero", [0]),
        _tensor("one", [1]),
        _tensor("two", [2.0], np.float32),
        _tensor("ones", [1, 1]),
        _tensor("last", [2]),
        _tensor("flat", [0, 1, -1]),
    ]
    inputs = [
        _info("input", TensorProto.INT64, "B", "T"),
        _info("input_lengths", TensorProto.INT64, "B"),
        _info("scales", TensorProto.FLOAT, 3),
        _info("d_vector", TensorProto.FLOAT, "B", SIZE),
    ]
    outputs = [
        _info("mel", TensorProto.FLOAT, "B", 1, "F"),
        _info("mel_lengths", TensorProto.INT64, "B"),
        _info("durations", TensorProto.INT64, "B", "T"),
    ]
    return _model(nodes, inputs, outputs, constants)


def _vocoder() -> onnx.ModelProto:
    nodes = [
        helper.make_node("ConvTranspose", ["mel", "kernel"], ["signal"], strides=[HOP]),
        # Not of use, but a vocoder that takes lengths must be given them.
        helper.make_node("Identity", ["mel_lengths"], ["lengths"]),
    ]
    inputs = [
        _info("mel", TensorProto.FLOAT, "B", 1, "F"),
        _info("mel_lengths", TensorProto.INT64, "B"),
    ]
    outputs = [
        _info("signal", TensorProto.FLOAT, "B", 1, "S"),
        _info("lengths", TensorProto.INT64, "B"),
    ]
    kernel = _tensor("kernel", np.ones((1, 1, HOP)), np.float32)
    return _model(nodes, inputs, outputs, [kernel])


def _encoder() -> onnx.ModelProto:
    """The peak of the recording, in each of the d-vector's numbers."""
    nodes = [
        helper.make_node("ReduceMax", ["wav"], ["peak"], axes=[1], keepdims=1),
        helper.make_node("Expand", ["peak", "shape"], ["vector"]),
    ]
    inputs = [_info("wav", TensorProto.FLOAT, 1, "S")]
    outputs = [_info("vector", TensorProto.FLOAT, 1, SIZE)]
    return _model(nodes, inputs, outputs, [_tensor("shape", [1, SIZE])])


def _model(nodes: Any, inputs: Any, outputs: Any, constants: Any) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="test"
    )
