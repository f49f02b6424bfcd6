"""What the tests on a card share. Without one they are skipped, and say what is missing.

A further engine takes part with a line in `MAKERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from farm import builtin, cuda
from farm.errors import Unavailable
from farm.voices import VoiceFile, catalogue

#: Engine to what makes a voice of it in a folder.
MAKERS: dict[str, Callable[[Path], VoiceFile]] = {
    "piper": lambda folder: catalogue([builtin.prepare(folder)])["slt"],
}


@pytest.fixture(scope="session")
def card() -> str:
    """The name of the first card; it and a runtime that can use it, or the test is skipped."""
    try:
        name = cuda.names()[0]
    except Unavailable as error:
        pytest.skip(str(error))
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime-gpu is not installed")
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        pytest.skip(f"{name} is there, but onnxruntime-gpu is not installed")
    return name


@pytest.fixture(params=MAKERS)
def file(
    card: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> VoiceFile:
    """A voice of each engine."""
    assert card
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))
