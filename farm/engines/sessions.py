"""ONNX Runtime sessions: how they are opened, and what their errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from farm.errors import DeviceLost, EngineError, OutOfMemory, Unavailable

#: Every exception type of the native library, which share no base class of their own, and what
#: its Python layer raises about inputs that are missing.
ERRORS: tuple[type[Exception], ...] = (
    ValueError,
    *(
        value
        for value in vars(native).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ),
)

# The library has no type for a failed allocation or a lost device: the text is all there is.
_MEMORY = re.compile(r"alloc|out of memory", re.IGNORECASE)
_DEVICE = re.compile(r"CUDA failure|CUDNN failure|CUBLAS failure", re.IGNORECASE)

_DEVICE_NAME = re.compile(r"cpu|cuda(?::(\d+))?")


def batches(device: str, parameters: Mapping[str, float | int | str]) -> bool:
    """Return whether a batch is spoken in one pass: off the CPU, or where a voice has `batched: 1`.

    On a CPU padding costs more than batching saves, and what is alone has the same bits each time.
    """
    return device != "cpu" or bool(parameters.get("batched", 0))


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn every error of the runtime into one of the farm's, beginning with `what`.

    Raises:
        OutOfMemory: an allocation failed, on the host or the device.
        DeviceLost: the device failed; a CUDA context does not recover.
        EngineError: anything else: the graph or its input is at fault.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"{what}: out of memory") from error
    except ERRORS as error:
        line = " ".join(str(error).split())[:300]
        if _MEMORY.search(line):
            raise OutOfMemory(f"{what}: {line}") from error
        if _DEVICE.search(line):
            raise DeviceLost(f"{what}: {line}") from error
        raise EngineError(f"{what}: {line}") from error


def open_session(
    model: bytes, what: str, device: str, parameters: Mapping[str, float | int | str]
) -> onnxruntime.InferenceSession:
    """Open a graph on exactly the device asked for; `what` names it in errors.

    One thread per session: a farm runs a process per core, and a segment's samples must not
    depend on how many threads added them up. The parameter `cudnn_conv_algo_search` goes to the
    CUDA provider (HEURISTIC unless given: inputs of ever new lengths are tuned anew otherwise), and
    so does `use_tf32` (0 unless given: products of 10 bits, of which a card takes some or none by
    the shape of a batch, round durations otherwise).

    Raises:
        EngineError: the graph cannot be read.
        Unavailable: the device is not there, or the model does not fit on it.
    """
    provider, options = _provider(device, parameters)
    if provider not in onnxruntime.get_available_providers():
        raise Unavailable(
            f"device {device!r} is not there: this onnxruntime has no {provider}; "
            "install the extra 'farm[onnx-gpu]' or use device 'cpu'"
        )
    if provider == "CUDAExecutionProvider":
        # NVIDIA's packages put their libraries where the system does not look.
        onnxruntime.preload_dlls()
    with mapped(what):
        session = onnxruntime.InferenceSession(
            model, sess_options=_options(), providers=[(provider, options)]
        )
    if session.get_providers()[0] != provider:
        raise Unavailable(
            f"device {device!r} is not there: {provider} did not start, see the log above; "
            "check the driver and the CUDA libraries"
        )
    session.disable_fallback()
    return session


def _provider(
    device: str, parameters: Mapping[str, float | int | str]
) -> tuple[str, dict[str, Any]]:
    match = _DEVICE_NAME.fullmatch(device)
    if not match:
        raise Unavailable(f"unknown device {device!r}: choose 'cpu' or 'cuda:<n>'")
    if device == "cpu":
        return "CPUExecutionProvider", {}
    search = str(parameters.get("cudnn_conv_algo_search", "HEURISTIC"))
    return "CUDAExecutionProvider", {
        "device_id": match.group(1) or "0",
        "cudnn_conv_algo_search": search,
        "use_tf32": str(parameters.get("use_tf32", 0)),
    }


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A pattern per input shape is kept for ever: memory grows with every new length.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return options
