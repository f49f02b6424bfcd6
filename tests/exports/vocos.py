"""A small Vocos in the form that sherpa-onnx takes: mel -> magnitude, cosine, sine.

What is genuine: `VocosBackbone` and `ISTFTHead`, with random weights; the head's last steps, which
ONNX has no complex numbers for, are repeated. The metadata's names are sherpa-onnx's
(`offline-tts-vocos`). `golden.npz` holds what Vocos's own head, inverse transform included, gives.
The package's `__init__` is passed over: it loads encodec, which nothing here needs.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

BANDS, WIDTH, N_FFT, HOP, SAMPLE_RATE = 80, 16, 1024, 256, 22_050


def skip_package() -> None:
    """Let vocos's modules be imported without its `__init__`."""
    package = types.ModuleType("vocos")
    spec = importlib.util.find_spec("vocos")
    assert spec is not None
    package.__path__ = [str(Path(str(spec.origin)).parent)]
    sys.modules["vocos"] = package


class Spectrum(nn.Module):
    """Vocos up to its inverse transform."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        """Wrap both halves."""
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map mel [B, bands, F] to magnitude, cosine and sine of the phase."""
        magnitude, phase = self.head.out(self.backbone(mels)).transpose(1, 2).chunk(2, dim=1)
        return torch.clip(torch.exp(magnitude), max=1e2), torch.cos(phase), torch.sin(phase)


def make(out: Path) -> None:
    """Write one graph for each padding that Vocos knows, and what Vocos itself gives."""
    skip_package()
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    torch.manual_seed(20261122)
    golden: dict[str, Any] = {"mel": torch.randn(1, BANDS, 40).numpy() - 3}
    backbone = VocosBackbone(BANDS, WIDTH, 32, 2).eval()
    for padding in ("same", "center"):
        head = ISTFTHead(WIDTH, N_FFT, HOP, padding).eval()
        with torch.no_grad():
            golden[padding] = head(backbone(torch.tensor(golden["mel"])))[0].numpy()
            write(Spectrum(backbone, head), padding, out / f"{padding}.onnx")
    np.savez_compressed(out / "golden.npz", **golden)


def write(model: nn.Module, padding: str, path: Path) -> None:
    """Export one graph with its metadata."""
    names = ["mag", "x", "y"]
    axes = {name: {0: "batch", 2: "frames"} for name in ["mels", *names]}
    torch.onnx.export(
        model,
        (torch.randn(2, BANDS, 20),),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["mels"],
        output_names=names,
        dynamic_axes=axes,
    )
    graph = onnx.load(path)
    metadata = {
        "model_type": "vocos",
        "sample_rate": SAMPLE_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP,
        "win_length": N_FFT,
        "window_type": "hann",
        "center": int(padding == "center"),
    }
    for key, value in metadata.items():
        graph.metadata_props.add(key=key, value=str(value))
    onnx.save(graph, path)


if __name__ == "__main__":
    make(Path(sys.argv[2]))
