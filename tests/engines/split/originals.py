"""The exports as their makers wrote them, fed noise from outside, to compare the cut ones with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from farm.engines.split import Reading, Split, Utterance
from farm.engines.split.arrays import noise
from tests.exports import export

#: Every kind of graph there is; exports that differ in their tables alone are left out.
GRAPHS = (
    "coqui",
    "coqui_deterministic",
    "coqui_languages",
    "coqui_speakers",
    "mms",
    "mms_deterministic",
    "piper",
    "piper_speakers",
    "sherpa_characters",
    "sherpa_icefall",
    "sherpa_speakers",
)
#: Channels of the prior of all of them.
CHANNELS = 32
#: Ids that all of them know.
KNOWN_IDS = 30
#: What may come between the exports' names of further inputs and how many rows each has.
ROWS = {"sid": 3, "langid": 3}


def model(name: str) -> Path:
    """Return an export's graph, made if need be."""
    return export(name) / "model.onnx"


def opened(name: str, cache: Path, parameters: Mapping[str, int] | None = None) -> Split:
    """Return an export cut in three, on the CPU."""
    return Split(model(name), name, "cpu", parameters or {}, cache)


def utterance(split: Split, count: int, seed: int, **scales: float) -> Utterance:
    """Return one with ids, speaker and language that follow from its seed."""
    draw = np.random.default_rng(seed)
    baked = {"noise": split.baked.noise, "length": split.baked.length}
    baked |= {"noise_w": split.baked.noise_w}
    own = {name: value for name, value in baked.items() if value is not None}
    extra = {name: np.array(draw.integers(ROWS[name])) for name in split.extra}
    return Utterance(draw.integers(1, KNOWN_IDS, count), seed, **(scales | own), extra=extra)


def several(split: Split) -> list[Utterance]:
    """Return eight that differ in everything that may differ within a batch."""
    return [
        utterance(split, count, seed, noise=0.1 * seed, length=0.7 + 0.1 * seed, noise_w=0.5)
        for seed, count in enumerate((3, 40, 17, 1, 60, 25, 8, 33))
    ]


def speak_whole(name: str, utterance: Utterance, reading: Reading) -> NDArray[np.float32]:
    """Speak with an export as it is, but for its noise: that is drawn as a cut one draws it."""
    session, drawn = _open(name)
    noises = {
        "durations": noise(utterance.seed, 0, (len(utterance.ids), 2)).T[np.newaxis],
        "prior": noise(utterance.seed, 1, (int(reading.frames.sum()), CHANNELS)).T[np.newaxis],
    }
    feeds: dict[str, NDArray[Any]] = {tensor: noises[kind] for kind, tensor in drawn.items()}
    scales = [utterance.noise, utterance.length, utterance.noise_w]
    for each in session.get_inputs():
        if each.name in utterance.extra:
            feeds[each.name] = utterance.extra[each.name][np.newaxis].astype(np.int64)
        elif each.type == "tensor(int64)":
            feeds[each.name] = _text(each, utterance.ids)
        elif each.name not in feeds:
            count = 3 if each.shape == [3] else 1
            feeds[each.name] = np.array([scales.pop(0) for _ in range(count)], np.float32)
    signal: NDArray[np.float32] = session.run(None, feeds)[0]
    return signal.reshape(-1)


def _text(wanted: Any, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(wanted.shape) == 1:
        return np.array([len(ids)])
    return np.ones((1, len(ids)), np.int64) if "mask" in wanted.name else ids[np.newaxis]


@cache
def _open(name: str) -> tuple[onnxruntime.InferenceSession, dict[str, str]]:
    """A session whose random nodes are inputs, and what each of them is the noise of."""
    whole = onnx.load(model(name))
    drawn: dict[str, str] = {}
    for node in [each for each in whole.graph.node if each.op_type.startswith("Random")]:
        tensor = node.output[0]
        drawn["durations" if "duration" in tensor or "/dp/" in tensor else "prior"] = tensor
        whole.graph.node.remove(node)
        whole.graph.input.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(whole.SerializeToString(), options), drawn
