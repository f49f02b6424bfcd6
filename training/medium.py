"""An untrained voice of Piper's medium size, for benchmarks.

It babbles, but a second of its audio costs what a second of a trained medium voice
costs: same layers, same widths, same 63 MB. Made on demand, never committed.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper.train.vits.models import SynthesizerTrn
from torch import Tensor, nn

from training.settings import SEED, SYMBOLS

#: The architecture of Piper's medium quality: the defaults of `VitsModel`
#: (piper1-gpl, `piper/train/vits/lightning.py`).
MEDIUM: Final[dict[str, Any]] = {
    "n_vocab": SYMBOLS,
    "spec_channels": 513,
    "segment_size": 32,
    "inter_channels": 192,
    "hidden_channels": 192,
    "filter_channels": 768,
    "n_heads": 2,
    "n_layers": 6,
    "kernel_size": 3,
    "p_dropout": 0.1,
    "resblock": "2",
    "resblock_kernel_sizes": (3, 5, 7),
    "resblock_dilation_sizes": ((1, 2), (2, 6), (3, 12)),
    "upsample_rates": (8, 8, 4),
    "upsample_initial_channel": 256,
    "upsample_kernel_sizes": (16, 16, 8),
}

SAMPLE_RATE: Final = 22_050

#: Piper's own export uses this.
OPSET: Final = 15

#: Spread of the weights that VITS starts at zero: large enough that text matters.
SPREAD: Final = 0.01

#: log(frames per id) at zero noise: two frames, about the tempo of a trained voice.
LOG_FRAMES: Final = 0.6

#: Peak of the audio that the last layer is scaled to.
PEAK: Final = 0.5


class Voice(nn.Module):
    """VITS with the inputs and the output of Piper's export."""

    def __init__(self, model: Any) -> None:
        """Wrap a `SynthesizerTrn`."""
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, lengths: Tensor, scales: Tensor) -> Tensor:
        """Map ids (B, T), lengths (B,) and scales (3,) to audio (B, 1, 1, samples)."""
        audio: Tensor = self.model.infer(
            ids,
            lengths,
            noise_scale=scales[0],
            length_scale=scales[1],
            noise_scale_w=scales[2],
        )[0]
        return audio.unsqueeze(1)


def build() -> Voice:
    """Return the untrained voice; the same seed gives the same weights."""
    torch.manual_seed(SEED)
    model: Any = SynthesizerTrn(**MEDIUM).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1 and not weight.any():
                weight.normal_(0.0, SPREAD)
        model.dp.flows[0].m.fill_(-LOG_FRAMES)
        model.dec.remove_weight_norm()
        voice = Voice(model)
        audio = voice(*example())
        model.dec.conv_post.weight *= PEAK / audio.abs().max()
    return voice


def example() -> tuple[Tensor, Tensor, Tensor]:
    """Return 50 random ids, their length and Piper's usual scales."""
    ids = torch.randint(1, 150, (1, 50), generator=torch.Generator().manual_seed(SEED))
    return ids, torch.tensor([50]), torch.tensor([0.667, 1.0, 0.8])


def configuration() -> dict[str, object]:
    """Return the `.onnx.json` that Piper reads beside a voice."""
    return {
        "dataset": "untrained-medium",
        "audio": {"sample_rate": SAMPLE_RATE, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US", "family": "en", "region": "US"},
        "phoneme_type": "espeak",
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "num_symbols": SYMBOLS,
        "num_speakers": 1,
        "speaker_id_map": {},
        "hop_length": 256,
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    }


def write(folder: Path) -> Path:
    """Write `medium.onnx` and `medium.onnx.json`; return the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "medium.onnx"
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of branches that every text takes alike.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            build(),
            example(),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input", "input_lengths", "scales"],
            output_names=["output"],
            dynamic_axes={
                "input": {0: "batch_size", 1: "phonemes"},
                "input_lengths": {0: "batch_size"},
                "output": {0: "batch_size", 3: "time"},
            },
        )
    Path(f"{path}.json").write_text(json.dumps(configuration(), indent=2) + "\n", "utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the voice to the folder named."""
    parser = argparse.ArgumentParser("make-medium-voice", description=__doc__)
    parser.add_argument("folder", type=Path, help="where medium.onnx goes")
    path = write(parser.parse_args(arguments).folder)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
