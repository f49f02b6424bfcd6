"""The `export` stage: the two trained models as ONNX files, and Piper's configuration."""

import json
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from torch import Tensor, nn

from training.acoustic import Acoustic, valid
from training.corpus import Corpus
from training.loop import averaged
from training.settings import HOP, MELS, SAMPLE_RATE, SYMBOLS
from training.standins import stand_in
from training.vocoder import Vocoder

#: Frames of silence after every row, more than the vocoder's receptive field (21):
#: what a row sounds like then does not depend on the rows beside it.
REST: Final = 24

OPSET: Final = 17

#: Weights from this many numbers on are rounded to half precision and stored so; the
#: file casts them back to float32 when it is loaded: half the size, the same arithmetic.
HALVE_FROM: Final = 4096


class AcousticGraph(nn.Module):
    """Piper's three inputs to mel, mel lengths and durations."""

    def __init__(self, model: Acoustic) -> None:
        """Wrap a trained model."""
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, lengths: Tensor, scales: Tensor) -> tuple[Tensor, ...]:
        """Map ids (B, T) with pads to mel (B, MELS, F), mel lengths (B,), durations (B, T)."""
        width = ids.shape[1]
        keep = (ids != 0) & (torch.arange(width)[None] < lengths[:, None])
        rank = torch.cumsum(keep.long(), dim=1) - 1
        slot = torch.where(keep, rank, torch.full_like(rank, width))
        symbols = torch.zeros_like(torch.cat([ids, ids[:, :1]], dim=1))
        symbols = symbols.scatter(1, slot, torch.where(keep, ids, torch.zeros_like(ids)))
        counts = keep.long().sum(dim=1)
        hidden, said = self.model.encode(symbols[:, : counts.max().clamp(min=1)], counts)
        frames = self.model.frames(said, counts, scales[1])
        mel_lengths = frames.sum(dim=1)
        size = mel_lengths.max().clamp(min=1)
        mel = self.model.decode(hidden, said.pitch, said.energy, frames, size)
        durations = torch.gather(frames, 1, rank.clamp(min=0)) * keep.long()
        return mel.transpose(1, 2), mel_lengths, durations


class VocoderGraph(nn.Module):
    """Mel and lengths to audio; each row as if it were alone."""

    silence: Tensor

    def __init__(self, model: Vocoder, silence: Tensor) -> None:
        """Wrap a trained model; `silence` (MELS,) is the teacher's own."""
        super().__init__()
        self.model = model
        self.register_buffer("silence", silence[None, :, None])

    def forward(self, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Map mel (B, MELS, F) to audio (B, F * HOP), zero beyond a row's own samples."""
        size = mel.shape[2]
        mask = valid(mel_lengths, size).transpose(1, 2)
        filled = mel * mask + self.silence * (1 - mask)
        rest = self.silence.expand(mel.shape[0], -1, REST)
        audio: Tensor = self.model(torch.cat([filled, rest], dim=2))[:, : size * HOP]
        spoken = audio.reshape(mel.shape[0], -1, HOP) * mask.transpose(1, 2)
        return spoken.reshape(mel.shape[0], -1)


def silence(corpus: Corpus) -> Tensor:
    """Return the mean first frame of all sentences, (MELS,)."""
    first = [corpus[index].mel[0] for index in range(len(corpus))]
    return torch.from_numpy(np.mean(first, axis=0, dtype=np.float64).astype(np.float32))


def rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Round large weights to what half precision can hold."""
    return {k: v.half().float() if v.numel() >= HALVE_FROM else v for k, v in weights.items()}


def load(work: Path) -> tuple[AcousticGraph, VocoderGraph]:
    """Build both graphs from the averaged weights of the checkpoints in `work`, rounded."""
    acoustic, vocoder, corpus = Acoustic(), Vocoder(), Corpus(work / "corpus")
    weights = averaged(work / "acoustic.pt")
    weights["embed.weight"] = stand_in(weights["embed.weight"], corpus.ids())
    acoustic.load_state_dict(rounded(weights))
    vocoder.load_state_dict(rounded(averaged(work / "refined.pt")))
    return (
        AcousticGraph(acoustic).eval(),
        VocoderGraph(vocoder, silence(corpus)).eval(),
    )


def _write_acoustic(graph: AcousticGraph, path: Path) -> None:
    ids = torch.randint(1, 100, (2, 31))
    ids[:, 1::2] = 0
    torch.onnx.export(
        graph,
        (ids, torch.tensor([31, 25]), torch.tensor([0.667, 1.0, 0.8])),
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=["input", "input_lengths", "scales"],
        output_names=["mel", "mel_lengths", "durations"],
        dynamic_axes={
            "input": {0: "batch", 1: "symbols"},
            "input_lengths": {0: "batch"},
            "mel": {0: "batch", 2: "frames"},
            "mel_lengths": {0: "batch"},
            "durations": {0: "batch", 1: "symbols"},
        },
    )


def write_vocoder(graph: VocoderGraph, path: Path) -> None:
    """Write a vocoder: mel and its lengths to audio."""
    torch.onnx.export(
        graph,
        (torch.randn(2, MELS, 40), torch.tensor([40, 33])),
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=["mel", "mel_lengths"],
        output_names=["wav"],
        dynamic_axes={
            "mel": {0: "batch", 2: "frames"},
            "mel_lengths": {0: "batch"},
            "wav": {0: "batch", 1: "samples"},
        },
    )


def halve(path: Path) -> None:
    """Store the large weights of an ONNX file as float16, with a cast for each."""
    model = onnx.load(str(path))
    casts, kept = [], []
    for weight in model.graph.initializer:
        value = numpy_helper.to_array(weight)
        if value.dtype != np.float32 or value.size < HALVE_FROM:
            kept.append(weight)
            continue
        stored = f"{weight.name}.half"
        kept.append(numpy_helper.from_array(value.astype(np.float16), stored))
        name = f"{stored}/Cast"
        casts.append(helper.make_node("Cast", [stored], [weight.name], name, to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def configuration() -> dict[str, object]:
    """Return the `.onnx.json` that Piper reads beside a voice (piper's `config.py`)."""
    return {
        "dataset": "slt",
        "audio": {"sample_rate": SAMPLE_RATE, "quality": "low"},
        "espeak": {"voice": "en-us"},
        "language": {
            "code": "en_US",
            "family": "en",
            "region": "US",
            "name_native": "English",
            "name_english": "English",
            "country_english": "United States",
        },
        "phoneme_type": "espeak",
        "inference": {"noise_scale": 0.0, "length_scale": 1.0, "noise_w": 0.0},
        "num_symbols": SYMBOLS,
        "num_speakers": 1,
        "speaker_id_map": {},
        "hop_length": HOP,
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    }


def export(work: Path, out: Path) -> None:
    """Write `acoustic.onnx`, `vocoder.onnx` and `voice.json` to `out`."""
    torch.manual_seed(0)
    acoustic, vocoder = load(work)
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer says what it does not fold; nothing of it changes the result.
        warnings.simplefilter("ignore")
        _write_acoustic(acoustic, out / "acoustic.onnx")
        write_vocoder(vocoder, out / "vocoder.onnx")
    for name in ("acoustic.onnx", "vocoder.onnx"):
        halve(out / name)
        print(f"{out / name}: {(out / name).stat().st_size / 1e6:.1f} MB")
    text = json.dumps(configuration(), ensure_ascii=False, indent=2)
    (out / "voice.json").write_text(text + "\n", "utf-8")
