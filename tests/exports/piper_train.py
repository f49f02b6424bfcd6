"""piper.train's `VitsModel`, saved by Lightning and exported by `piper.train.export_onnx`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import lightning
import torch
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper.train import export_onnx
from piper.train.vits.lightning import VitsModel

from tests.exports import weights

SAMPLE_RATE = 22_050

SMALL: dict[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "inter_channels": 32,
    "hidden_channels": 32,
    "filter_channels": 64,
    "n_layers": 2,
    "upsample_initial_channel": 64,
    "resblock_kernel_sizes": (3, 5),
    "resblock_dilation_sizes": ((1, 2), (2, 6)),
    "mos_metric": None,
    "vocoder_warmstart_ckpt": None,
}

#: Export to its speakers.
KINDS: dict[str, tuple[str, ...]] = {"piper": (), "piper_speakers": ("alice", "bob", "carol")}


def build(symbols: int = 256, speakers: int = 1) -> VitsModel:
    """Return the Lightning module; the same arguments give the same weights."""
    torch.manual_seed(weights.SEED)
    model: VitsModel = VitsModel(
        num_symbols=symbols,
        num_speakers=speakers,
        gin_channels=16 if speakers > 1 else 0,
        **SMALL,
    )
    model.eval()
    generator: Any = model.model_g
    weights.enliven(generator)
    weights.set_tempo(generator.dp.flows[0].m)
    ids = torch.arange(min(symbols, 100))[None]
    lengths, speaker = torch.tensor([ids.shape[1]]), torch.zeros(1, dtype=torch.long)
    last = generator.dec.conv_post
    weights.set_level(last, lambda: generator.infer(ids, lengths, sid=speaker))
    return model


def make(name: str, folder: Path) -> None:
    """Write `model.onnx` and the `model.onnx.json` that Piper reads beside it."""
    speakers = KINDS[name]
    trainer = lightning.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(build(speakers=max(1, len(speakers))))
    checkpoint = folder / "voice.ckpt"
    trainer.save_checkpoint(checkpoint, weights_only=True)
    model = folder / "model.onnx"
    arguments = ["export_onnx", "--checkpoint", str(checkpoint), "--output-file", str(model)]
    with mock.patch.object(sys, "argv", arguments), weights.tracing():
        export_onnx.main()
    checkpoint.unlink()
    Path(f"{model}.json").write_text(json.dumps(configuration(speakers), indent=2), "utf-8")


def configuration(speakers: tuple[str, ...]) -> dict[str, object]:
    """Return the fields that `piper.train` writes into a voice's `.onnx.json`."""
    return {
        "audio": {"sample_rate": SAMPLE_RATE, "quality": "test"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US", "family": "en", "region": "US"},
        "phoneme_type": "espeak",
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "num_symbols": 256,
        "num_speakers": max(1, len(speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(speakers)},
        "hop_length": 256,
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    }


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
