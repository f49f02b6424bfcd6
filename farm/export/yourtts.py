"""YourTTS to ONNX: a Coqui checkpoint becomes a voice of the engine `yourtts_onnx`.

What is written:

    model.onnx            input int64 [B, T], input_lengths int64 [B], scales float32 [3],
                          d_vector float32 [B, D], langid int64 [B] (several languages)
                          -> output float32 [B, 1, S], output_lengths [B], durations [B, T]
    speaker_encoder.onnx  wav float32 [1, S] at its rate -> d_vector float32 [1, D]
    config.json           rates, alphabet, languages, speakers' d-vectors, licence of the weights
    voice.yaml            the voice for a catalogue

No official release has such an export: Coqui's own takes no d-vector. Weights keep their licence
in every form: the released YourTTS weights may be used, not shared, when converted.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from TTS.config import load_config

from farm.audio import Samples
from farm.engines.cloning.checkpoint import (
    Checkpoint,
    SpeakerEncoder,
    load_checkpoint,
    reading,
)
from farm.engines.sessions import mapped, open_session
from farm.errors import EngineError
from farm.export import TOLERANCE, Exported, Wish, graphs
from farm.export.tracing import Axes, trace
from farm.jobs import check_id

#: Names of a checkpoint's files, as Coqui releases them; and of those it may lack.
SOURCES = {
    "config": "config.json",
    "model": "model_file.pth",
    "encoder_config": "config_se.json",
    "encoder": "model_se.pth",
}
OPTIONAL_SOURCES = {"languages": "language_ids.json", "speakers": "speakers.json"}

#: Names of what is written.
WRITTEN = ("model.onnx", "speaker_encoder.onnx", "config.json", "voice.yaml")


def export(wish: Wish) -> Exported:
    """Export a checkpoint; see `farm.export.export`."""
    check_id(wish.voice, "voice")
    files = _sources(wish.source)
    _check_encoder(files["encoder_config"])
    model = load_checkpoint(
        files["model"], files["config"], files.get("languages"), files.get("speakers"), "cpu"
    )
    encoder = SpeakerEncoder(files["encoder"], files["encoder_config"], "cpu")
    target = wish.target
    target.mkdir(parents=True, exist_ok=True)
    difference = _export_speech(model, target / "model.onnx")
    similarity = _export_encoder(encoder, target / "speaker_encoder.onnx")
    config = _config(model, encoder.sample_rate, wish.licence)
    (target / "config.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    (target / "voice.yaml").write_text(_catalogued(model, wish), encoding="utf-8")
    return Exported(tuple(target / name for name in WRITTEN), difference, similarity)


def _sources(folder: Path) -> dict[str, Path]:
    files = {role: folder / name for role, name in SOURCES.items()}
    missing = sorted(path.name for path in files.values() if not path.is_file())
    if missing:
        raise EngineError(f"{str(folder)!r} is no YourTTS checkpoint: it lacks {missing}")
    further = {role: folder / name for role, name in OPTIONAL_SOURCES.items()}
    return files | {role: path for role, path in further.items() if path.is_file()}


def _check_encoder(path: Path) -> None:
    """Refuse speaker encoders whose front end is not all in their graph."""
    with reading(path):
        config = load_config(path)
        outside = not config.model_params.get("use_torch_spec", False)
        trimmed = config.audio.do_trim_silence or config.audio.do_sound_norm
    if outside:
        raise EngineError(
            f"{str(path)!r} has no `use_torch_spec`: such an encoder cannot be exported"
        )
    if trimmed:
        raise EngineError(
            f"{str(path)!r} has `do_trim_silence` or `do_sound_norm`: such an encoder cannot be "
            "exported; set them to false and cut the references yourself"
        )


def _export_speech(loaded: Checkpoint, path: Path) -> float:
    """Write the graph of the acoustic model; return how far from PyTorch's it speaks."""
    model = loaded.model
    graphs.free_lengths(model)
    model.forward = partial(graphs.speech, model)
    inputs = _utterances(loaded, [40, 23])
    names = ["input", "input_lengths", "scales", "d_vector", "langid"]
    outputs = ["output", "output_lengths", "durations"]
    trace(model, tuple(inputs[name] for name in names), names, outputs, _AXES, path)
    session = open_session(path.read_bytes(), str(path), "cpu", {})
    taken = {each.name for each in session.get_inputs()}
    worst = 0.0
    for lengths in ([1], [3, 90, 17]):
        feeds = _utterances(loaded, lengths)
        with torch.inference_mode():
            expected = [each.numpy() for each in model(*(feeds[name] for name in names))]
        with mapped(str(path)):
            found = session.run(
                None, {name: each.numpy() for name, each in feeds.items() if name in taken}
            )
        if not np.array_equal(expected[2], found[2]):
            raise EngineError(f"{str(path)!r} gives other durations than PyTorch: report it")
        worst = max(worst, float(np.abs(expected[0] - found[0]).max()))
    if not worst < TOLERANCE:
        raise EngineError(f"{str(path)!r} differs from PyTorch by {worst:.1e}: report it")
    return worst


#: Axes that vary, by input and output.
_AXES: Axes = {
    "input": {0: "batch", 1: "ids"},
    "input_lengths": {0: "batch"},
    "d_vector": {0: "batch"},
    "langid": {0: "batch"},
    "output": {0: "batch", 2: "samples"},
    "output_lengths": {0: "batch"},
    "durations": {0: "batch", 1: "ids"},
}


def _utterances(loaded: Checkpoint, lengths: list[int]) -> dict[str, torch.Tensor]:
    """Make a batch of nonsense of these lengths, without noise, speakers and languages mixed."""
    generator = torch.Generator().manual_seed(len(lengths))
    count = len(lengths)
    ids = torch.randint(0, loaded.model.args.num_chars, (count, max(lengths)), generator=generator)
    return {
        "input": ids,
        "input_lengths": torch.tensor(lengths),
        "scales": torch.tensor([0.0, 1.0, 0.0]),
        "d_vector": torch.randn(count, loaded.d_vector, generator=generator),
        "langid": torch.arange(count) % len(loaded.languages),
    }


def _export_encoder(encoder: SpeakerEncoder, path: Path) -> float:
    """Write the graph of the speaker encoder; return its likeness to PyTorch's."""
    clips = [_clip(encoder.sample_rate, seconds) for seconds in (1.3, 4.1)]
    expected = [encoder.embed(clip, encoder.sample_rate) for clip in clips]
    encoder.model.forward = graphs.embedding(encoder)
    clip = torch.from_numpy(clips[1][None])
    trace(encoder.model, (clip,), ["wav"], ["d_vector"], {"wav": {1: "samples"}}, path)
    session = open_session(path.read_bytes(), str(path), "cpu", {})
    with mapped(str(path)):
        found = [session.run(None, {"wav": clip[None]})[0][0] for clip in clips]
    least = min(_cosine(a, b) for a, b in zip(expected, found, strict=True))
    if not least > 1 - TOLERANCE:
        raise EngineError(f"{str(path)!r} is alike to PyTorch by {least:.6f} only: report it")
    return least


def _clip(rate: int, seconds: float) -> Samples:
    """Make something like a voice: a buzz that glides, in noise."""
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(3).standard_normal(len(time))
    buzz = np.sign(np.sin(2 * np.pi * (120 * time + 20 * np.sin(3 * time))))
    clip: Samples = (0.1 * buzz + 0.02 * noise).astype(np.float32)
    return clip


def _cosine(a: Any, b: Any) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _config(loaded: Checkpoint, encoder_rate: int, licence: str) -> dict[str, Any]:
    args = loaded.model.args
    return {
        "schema": 1,
        "audio": {"sample_rate": loaded.sample_rate},
        "hop_length": loaded.hop,
        "language": {"code": next(iter(loaded.languages))},
        "languages": loaded.languages,
        "text": {"type": "characters"} | asdict(loaded.characters),
        "inference": {
            "noise_scale": args.inference_noise_scale,
            "length_scale": args.length_scale,
            "noise_w": args.inference_noise_scale_dp,
        },
        "d_vector": {"size": loaded.d_vector, "sample_rate": encoder_rate},
        "speakers": {name: each.tolist() for name, each in loaded.speakers.items()},
        "licence": licence,
    }


def _catalogued(loaded: Checkpoint, wish: Wish) -> str:
    fields: dict[str, Any] = {
        "id": wish.voice,
        "engine": "yourtts_onnx",
        "language": next(iter(loaded.languages)),
        "licence": wish.licence,
        "files": {
            "model": "model.onnx",
            "encoder": "speaker_encoder.onnx",
            "config": "config.json",
        },
        # Of a checkpoint of the released size, on one thread of a CPU.
        "rtf": 0.25,
    }
    if loaded.speakers:
        fields["parameters"] = {"speaker": next(iter(loaded.speakers))}
    return yaml.safe_dump(fields, sort_keys=False)
