"""PyTorch modules to ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

#: ONNX operator set: the first with all that is needed.
OPSET = 17

Axes = Mapping[str, Mapping[int, str]]
"""Input or output to its axes that vary, by place."""


def trace(
    module: Any,
    inputs: tuple[torch.Tensor, ...],
    names: Sequence[str],
    outputs: Sequence[str],
    axes: Axes,
    path: Path,
) -> None:
    """Trace a module into an ONNX file.

    The tracer, not torch's newer exporter: that one writes graphs of decoders and speaker encoders
    that cannot be cut or opened.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # Notes of the tracer on branches: the comparison afterwards is what counts.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=[*names],
            output_names=[*outputs],
            dynamic_axes={name: dict(each) for name, each in axes.items()},
            opset_version=OPSET,
            dynamo=False,
        )
