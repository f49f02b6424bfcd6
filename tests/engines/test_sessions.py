"""Sessions: the device asked for, and every error of the runtime mapped."""

from __future__ import annotations

import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as native

from farm.engines.sessions import ERRORS, _provider, mapped, open_session
from farm.errors import DeviceLost, EngineError, OutOfMemory, Unavailable
from tests.engines.tiny_piper import make_model


@pytest.fixture(scope="module")
def model() -> bytes:
    content: bytes = make_model(True, False, False, False).SerializeToString()
    return content


def test_the_errors_of_the_runtime_are_all_found() -> None:
    names = {error.__name__ for error in ERRORS}
    assert {"Fail", "InvalidArgument", "InvalidGraph", "RuntimeException", "NoSuchFile"} <= names


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_runtime_is_mapped(kind: type[Exception]) -> None:
    with (
        pytest.raises(EngineError, match="cannot speak 'x': some reason"),
        mapped("cannot speak 'x'"),
    ):
        raise kind("some\n  reason")


@pytest.mark.parametrize(
    "text",
    [
        "Failed to allocate memory for requested buffer of size 1048576",
        "std::bad_alloc",
        "CUDA failure 2: out of memory ; GPU=0",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ],
)
def test_a_failed_allocation_is_out_of_memory(text: str) -> None:
    with pytest.raises(OutOfMemory, match="here: "), mapped("here"):
        raise native.RuntimeException(text)


def test_memory_that_python_lacks_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory), mapped("here"):
        raise MemoryError


def test_a_device_that_failed_is_not_the_segments_fault() -> None:
    with pytest.raises(DeviceLost, match="CUDA failure 700"), mapped("here"):
        raise native.Fail("CUDA failure 700: an illegal memory access was encountered")


def test_a_session_runs_on_one_thread_of_the_cpu(model: bytes) -> None:
    session = open_session(model, "tiny", "cpu", {})
    assert session.get_providers() == ["CPUExecutionProvider"]
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.enable_mem_pattern is False
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_an_unknown_device_is_refused_with_the_choices(model: bytes, device: str) -> None:
    with pytest.raises(Unavailable, match="choose 'cpu' or 'cuda:<n>'"):
        open_session(model, "tiny", device, {})


def test_a_card_multiplies_with_all_bits_unless_a_voice_says_otherwise() -> None:
    provider, options = _provider("cuda:1", {})
    assert provider == "CUDAExecutionProvider"
    assert options == {"device_id": "1", "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    assert _provider("cuda:0", {"use_tf32": 1})[1]["use_tf32"] == "1"


def test_bytes_that_are_no_graph_are_an_engine_error() -> None:
    with pytest.raises(EngineError, match="tiny: "):
        open_session(b"nothing" * 10, "tiny", "cpu", {})
