"""The `export` stage: the zero-shot pair, its speaker encoder and its config.

Files as `farm.engines.yourtts_onnx` reads them: `acoustic.onnx` (with `d_vector` [B, 64]),
`vocoder.onnx`, `encoder.onnx` (`wav` [1, S] -> d-vector [1, 64]) and `config.json`.
"""

import json
import warnings
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from training.corpus import Corpus
from training.export import (
    OPSET,
    VocoderGraph,
    configuration,
    halve,
    rounded,
    silence,
    write_vocoder,
)
from training.loop import averaged
from training.settings import SAMPLE_RATE
from training.standins import stand_in
from training.zeroshot.models import SIZE, SpeakerEncoder, WideVocoder, ZeroShot
from training.zeroshot.speakers import Speaker
from training.zeroshot.train import Cloner

#: Speakers that the voice has by name, and what they say to be known.
NAMED: Final = ("slt", "rms", "awb", "kal16")
REFERENCE: Final = (
    "The birch canoe slid on the smooth planks, and nobody in the small house near the river "
    "heard it. Glue the sheet to the dark blue background, then read the letter once again."
)

YAML: Final = """\
engine: yourtts_onnx
licence: "{licence}"
files:
  model: acoustic.onnx
  vocoder: vocoder.onnx
  encoder: encoder.onnx
  config: config.json
parameters: {{speaker: slt}}
rtf: 0.02
"""


class ClonerGraph(nn.Module):
    """Ids with pads, lengths, scales and d-vectors to mel, mel lengths and durations."""

    def __init__(self, model: ZeroShot) -> None:
        """Wrap a trained model."""
        super().__init__()
        self.model = model

    def forward(
        self, ids: Tensor, lengths: Tensor, scales: Tensor, d_vector: Tensor
    ) -> tuple[Tensor, ...]:
        """Do as `training.export.AcousticGraph`, as whom the d-vectors (B, SIZE) tell."""
        width = ids.shape[1]
        keep = (ids != 0) & (torch.arange(width)[None] < lengths[:, None])
        rank = torch.cumsum(keep.long(), dim=1) - 1
        slot = torch.where(keep, rank, torch.full_like(rank, width))
        symbols = torch.zeros_like(torch.cat([ids, ids[:, :1]], dim=1))
        symbols = symbols.scatter(1, slot, torch.where(keep, ids, torch.zeros_like(ids)))
        counts = keep.long().sum(dim=1)
        symbols = symbols[:, : counts.max().clamp(min=1)]
        hidden, said = self.model.encode_as(symbols, counts, d_vector)
        frames = self.model.frames(said, counts, scales[1])
        mel_lengths = frames.sum(dim=1)
        size = mel_lengths.max().clamp(min=1)
        mel = self.model.decode(hidden, said.pitch, said.energy, frames, size)
        durations = torch.gather(frames, 1, rank.clamp(min=0)) * keep.long()
        return mel.transpose(1, 2), mel_lengths, durations


def load(work: Path) -> tuple[ClonerGraph, VocoderGraph, SpeakerEncoder]:
    """Build the graphs from the averaged weights of the checkpoints in `work`, rounded."""
    corpus, both, vocoder = Corpus(work / "corpus"), Cloner(), WideVocoder()
    weights = averaged(work / "cloner.pt")
    name = "acoustic.embed.weight"
    weights[name] = stand_in(weights[name], corpus.ids())
    both.load_state_dict(rounded(weights))
    vocoder.load_state_dict(rounded(averaged(work / "vocoder.pt")))
    return (
        ClonerGraph(both.acoustic).eval(),
        VocoderGraph(vocoder, silence(corpus)).eval(),
        both.listener.eval(),
    )


def _write_acoustic(graph: ClonerGraph, path: Path) -> None:
    ids = torch.randint(1, 100, (2, 31))
    ids[:, 1::2] = 0
    given = (ids, torch.tensor([31, 25]), torch.tensor([0.0, 1.0, 0.0]), torch.randn(2, SIZE))
    torch.onnx.export(
        graph,
        given,
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=["input", "input_lengths", "scales", "d_vector"],
        output_names=["mel", "mel_lengths", "durations"],
        dynamic_axes={
            "input": {0: "batch", 1: "symbols"},
            "input_lengths": {0: "batch"},
            "d_vector": {0: "batch"},
            "mel": {0: "batch", 2: "frames"},
            "mel_lengths": {0: "batch"},
            "durations": {0: "batch", 1: "symbols"},
        },
    )


def _write_encoder(graph: SpeakerEncoder, path: Path) -> None:
    torch.onnx.export(
        graph,
        (torch.randn(1, 2 * SAMPLE_RATE),),
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=["wav"],
        output_names=["d_vector"],
        dynamic_axes={"wav": {0: "batch", 1: "samples"}, "d_vector": {0: "batch"}},
    )


def config(encoder: SpeakerEncoder) -> dict[str, object]:
    """Return the config: Piper's fields, the languages, and the named speakers' d-vectors."""
    speakers = {}
    for name in NAMED:
        signal, _ = Speaker(name).speak(REFERENCE)
        with torch.no_grad():
            vector = encoder(torch.from_numpy(signal.copy())[None])[0].numpy()
        speakers[name] = [round(float(each), 6) for each in vector]
    own = {
        "dataset": "flite",
        "languages": {"en-us": 0},
        "d_vector": {"size": SIZE, "sample_rate": SAMPLE_RATE},
        "speakers": speakers,
        "num_speakers": 1,
    }
    return configuration() | own


def export(work: Path, out: Path) -> None:
    """Write the graphs, `config.json` and `flite.yaml` to `out`."""
    torch.manual_seed(0)
    acoustic, vocoder, encoder = load(work)
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer says what it does not fold; nothing of it changes the result.
        warnings.simplefilter("ignore")
        _write_acoustic(acoustic, out / "acoustic.onnx")
        write_vocoder(vocoder, out / "vocoder.onnx")
        _write_encoder(encoder, out / "encoder.onnx")
    for name in ("acoustic.onnx", "vocoder.onnx", "encoder.onnx"):
        halve(out / name)
        print(f"{out / name}: {(out / name).stat().st_size / 1e6:.1f} MB")
    text = json.dumps(config(encoder), ensure_ascii=False, indent=1)
    (out / "config.json").write_text(text + "\n", "utf-8")
    licence = "Apache-2.0 (models); trained on CMU Flite's slt, rms, awb, kal16: see NOTICE"
    (out / "flite.yaml").write_text(YAML.format(licence=licence), "utf-8")
