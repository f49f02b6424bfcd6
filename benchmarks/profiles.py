"""Where an engine's time goes: its ONNX graphs by kind of node, beside what the core can do."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from benchmarks.contenders import OURS, Contender, setup
from benchmarks.material import sentences
from benchmarks.probe import Setup, engine
from farm.engines import sessions

#: Characters that are spoken under the profiler.
CHARACTERS = 500
#: Kinds of nodes that are named.
NAMED = 6
#: Side of the square matrices whose product shows what a core can do.
SIDE = 1024
#: Kinds of nodes whose multiplications are counted.
CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose")
PRODUCTS = ("MatMul", "Gemm", "FusedMatMul", "FusedGemm")


@dataclass(frozen=True)
class Profile:
    """Seconds of one thread, and what was done in them."""

    seconds: dict[str, float]
    """By kind of node."""
    operations: float
    """Of convolutions and matrix products: two for each number that is multiplied and added."""
    audio: float
    """Seconds of audio that were made."""
    peak: float
    """Operations a second of a product of large matrices on one core."""

    def text(self, title: str) -> str:
        """Say it in a paragraph."""
        total = sum(self.seconds.values())
        usual = Counter(self.seconds).most_common(NAMED)
        shares = ", ".join(f"{kind} {spent / total:.0%}" for kind, spent in usual)
        spent = sum(self.seconds.get(kind, 0) for kind in CONVOLUTIONS + PRODUCTS)
        rate, size = self.operations / spent, self.operations / self.audio
        share = f"{rate / self.peak:.0%}"
        return (
            f"Profile of {title}, one thread, {total / self.audio:.3g} s in nodes per second of "
            f"audio: {shares}. Convolutions and matrix products take {spent / total:.0%}: "
            f"{size / 1e9:.1f} G operations per second of audio at {rate / 1e9:.0f} G a "
            f"second, {share} of the {self.peak / 1e9:.0f} G that a large product reaches here."
        )


def of(contender: Contender, cache: Path) -> str:
    """Speak under the profiler in a process of its own; return a paragraph.

    Raises:
        CalledProcessError: the engine could not be profiled.
    """
    loaded = setup(contender, OURS[0], cache, "", 1)
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.profiles", json.dumps(asdict(loaded))],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Profile(**json.loads(run.stdout.splitlines()[-1])).text(contender.title)


def profile(loaded: Setup) -> Profile:
    """Speak under the profiler, in a process that does nothing else.

    Every session of the process that an engine opens writes a trace, read here.
    """
    opened: list[onnxruntime.InferenceSession] = []
    product, rates, audio = _product(), [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        _trace(Path(folder), opened)
        speak, _ = engine(loaded)
        # In turns: a shared machine is not as fast in one second as in the next.
        for line in sentences(CHARACTERS):
            rates.append(product())
            audio += sum(speak([line]))
        events = [event for each in opened for event in _events(each)]
    return summed(events, audio, max(rates))


def _trace(folder: Path, opened: list[onnxruntime.InferenceSession]) -> None:
    """Let every session of this process, which ends after it, write a trace."""
    usual = onnxruntime.InferenceSession

    def open_session(model: bytes, sess_options: Any, **given: Any) -> Any:
        sess_options.enable_profiling = True
        sess_options.profile_file_prefix = str(folder / "trace")
        opened.append(usual(model, sess_options=sess_options, **given))
        return opened[-1]

    onnxruntime.InferenceSession = open_session


def _events(session: onnxruntime.InferenceSession) -> list[dict[str, Any]]:
    trace: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    return [event for event in trace if event["name"].endswith("_kernel_time")]


def summed(events: Sequence[dict[str, Any]], audio: float, peak: float) -> Profile:
    """Add up the nodes of ONNX Runtime's traces; their times are in microseconds."""
    seconds: Counter[str] = Counter()
    operations = 0.0
    for event in events:
        kind = event["args"]["op_name"]
        seconds[kind] += event["dur"] / 1e6
        if kind in CONVOLUTIONS + PRODUCTS:
            operations += _operations(kind, event["args"])
    return Profile(dict(seconds), operations, audio, peak)


def _operations(kind: str, args: dict[str, Any]) -> float:
    """Count two for each number of the output times what is added up for it.

    A transposed convolution is counted from its input, each number of which is multiplied with a
    kernel's weights.
    """
    given, *others = (next(iter(shape.values())) for shape in args["input_type_shape"])
    made = next(iter(args["output_type_shape"][0].values()))
    if kind in PRODUCTS:
        return 2.0 * float(math.prod(made) * given[-1])
    each = given if kind == "ConvTranspose" else made
    return 2.0 * float(math.prod(each) * math.prod(others[0][1:]))


def _product() -> Callable[[], float]:
    """Return what multiplies two large matrices in one thread and says operations a second."""
    shape, kind = [SIDE, SIDE], onnx.TensorProto.FLOAT
    one, two, out = (onnx.helper.make_tensor_value_info(name, kind, shape) for name in "abc")
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = onnx.helper.make_graph([node], "product", [one, two], [out])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    session = sessions.open_session(model.SerializeToString(), "a product", "cpu", {})
    feeds = {name: np.ones((SIDE, SIDE), np.float32) for name in "ab"}

    def measure() -> float:
        begin = time.perf_counter()
        session.run(None, feeds)
        operations: float = 2 * SIDE**3
        return operations / (time.perf_counter() - begin)

    return measure


if __name__ == "__main__":
    print(json.dumps(asdict(profile(Setup(**json.loads(sys.argv[1]))))))
