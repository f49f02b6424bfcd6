"""Weights that are random and yet matter: texts differ in sound, symbols in length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import nn

SEED = 1234

#: Spread of the layers that VITS starts at zero (flows, ends of the duration predictor).
SPREAD = 0.05

#: Spread of the duration spline's parameters: wide enough that frames per symbol vary.
SPLINE_SPREAD = 0.15

#: Mean of log(frames per symbol).
LOG_FRAMES = 1.0

#: Standard deviation of the signal that the last layer is scaled to.
LEVEL = 0.1

#: The last layers of the duration predictor's flows, as the three code bases name them.
_SPLINES = re.compile(r"(duration_predictor|dp)\.flows\.\d+\.(conv_)?proj\.")


def enliven(model: nn.Module) -> None:
    """Re-seed what starts at zero, and what the duration flows' splines are made of."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread = SPLINE_SPREAD if _SPLINES.search(name) else 0.0 if weight.any() else SPREAD
            if spread and weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)


def set_tempo(shift: Any) -> None:
    """Set the shift that the last duration flow takes off log(frames)."""
    with torch.no_grad():
        shift.fill_(-LOG_FRAMES)


def set_level(last: Any, run: Callable[[], object]) -> None:
    """Scale the decoder's last convolution so that what it gives in a run has the usual level."""
    given: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _module, _inputs, output: given.append(output))
    with torch.no_grad():
        run()
        last.weight *= LEVEL / given[0].std()
        if last.bias is not None:
            last.bias *= 0.0
    hook.remove()


@contextmanager
def tracing() -> Iterator[None]:
    """Make `torch.onnx.export` trace, as it did when these exporters were written."""
    real = torch.onnx.export

    def export(*args: Any, **kwargs: Any) -> Any:
        return real(*args, **(kwargs | {"dynamo": False}))

    with mock.patch.object(torch.onnx, "export", export), torch.no_grad():
        yield
