"""A checkpoint of Coqui's ForwardTTS, and one of its HiFi-GAN, become a voice of `fastspeech2`.

What is written:

    acoustic.onnx, vocoder.onnx   as `farm.export.forward_tts` describes
    config.json, vocoder.json     Coqui's own, which say alphabet and mel
    speakers.json                 where there are several
    voice.yaml                    the voice for a catalogue
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import nn
from TTS.config import load_config
from TTS.tts.models.forward_tts import ForwardTTS
from TTS.vocoder.models import setup_generator

from farm.engines.cloning.checkpoint import fill, forget_paths, read_weights, reading
from farm.engines.dialects import coqui, languages
from farm.engines.dialects.base import Files
from farm.engines.sessions import mapped, open_session
from farm.errors import EngineError
from farm.export import TOLERANCE, Exported, Wish
from farm.export.forward_tts import export_acoustic, export_vocoder
from farm.jobs import check_id

#: Names of a checkpoint's files, as Coqui releases them.
CONFIG, WEIGHTS = "config.json", "model_file.pth"
#: Names that the table of speakers may have.
SPEAKERS = ("speakers.json", "speaker_ids.json")
#: Role in the voice to what is written of every checkpoint.
WRITTEN = {
    "acoustic": "acoustic.onnx",
    "vocoder": "vocoder.onnx",
    "config": "config.json",
    "vocoder_config": "vocoder.json",
}
#: Ids of the nonsense that both speak to be compared.
_LENGTHS = (17, 60)

Floats = NDArray[np.float32]


def export(wish: Wish) -> Exported:
    """Export a pair of checkpoints; see `farm.export.export`."""
    check_id(wish.voice, "voice")
    if wish.vocoder is None:
        raise EngineError("ForwardTTS gives a mel spectrogram: name the folder of its vocoder, too")
    for folder in (wish.source, wish.vocoder):
        _check(folder)
    language = _language(wish)
    model, vocoder = _acoustic(wish.source), _vocoder(wish.vocoder)
    # PyTorch's results first: exporting changes what the convolutions hear.
    spoken = [_spoken(model, vocoder, ids) for ids in _nonsense(model)]
    wish.target.mkdir(parents=True, exist_ok=True)
    export_acoustic(model, wish.target / WRITTEN["acoustic"], {})
    export_vocoder(vocoder, int(model.args.out_channels), wish.target / WRITTEN["vocoder"])
    difference = _difference(spoken, [_heard(wish.target, ids) for ids in _nonsense(model)])
    names = (*_described(wish, wish.vocoder, model, language).values(), "voice.yaml")
    return Exported(tuple(wish.target / name for name in names), difference)


def _described(wish: Wish, vocoder: Path, model: Any, language: str) -> dict[str, str]:
    """Write what the graphs do not say; return role to file of the whole voice."""
    files = dict(WRITTEN)
    if hasattr(model, "emb_g"):
        files["speakers"] = SPEAKERS[0]
        shutil.copyfile(_speakers(wish.source), wish.target / SPEAKERS[0])
    forget_paths(model.config)
    model.config.save_json(str(wish.target / files["config"]))
    shutil.copyfile(vocoder / CONFIG, wish.target / files["vocoder_config"])
    fields = {
        "id": wish.voice,
        "engine": "fastspeech2",
        "language": language,
        "licence": wish.licence,
        "files": files,
    }
    told = yaml.safe_dump(fields, sort_keys=False)
    (wish.target / "voice.yaml").write_text(told, encoding="utf-8")
    return files


def _check(folder: Path) -> None:
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise EngineError(f"{str(folder)!r} is no checkpoint of Coqui's: it lacks {missing}")


def _language(wish: Wish) -> str:
    """Return the language asked for, or the checkpoint's; refuse text that no front end reads."""
    roles = {"config": wish.source / CONFIG}
    with reading(roles["config"]):
        own = coqui.read(Files(repr(str(wish.source)), roles, (), {})).languages
    language = wish.language or next(map(languages.tag, own), "")
    if not language:
        raise EngineError(f"{str(wish.source)!r} does not say its language: give it")
    return language


def _acoustic(folder: Path) -> Any:
    path = folder / CONFIG
    with reading(path):
        fields = load_config(path)
        if fields.base_model != "forward_tts" or fields.model_args.use_d_vector_file:
            raise EngineError(f"{str(path)!r} is no ForwardTTS without d-vectors: {fields.model!r}")
        forget_paths(fields)
        if fields.model_args.use_speaker_embedding:
            fields.speakers_file = fields.model_args.speakers_file = str(_speakers(folder))
        model = ForwardTTS(fields)
    fill(model, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return model


def _speakers(folder: Path) -> Path:
    found = [folder / name for name in SPEAKERS if (folder / name).is_file()]
    if not found:
        raise EngineError(f"{str(folder)!r} has speakers but none of {SPEAKERS}, which name them")
    return found[0]


def _vocoder(folder: Path) -> nn.Module:
    path = folder / CONFIG
    with reading(path):
        fields = load_config(path)
        if fields.get("generator_model") != "hifigan_generator":
            raise EngineError(f"{str(path)!r} is no HiFi-GAN: {fields.model!r}")
        generator: nn.Module = setup_generator(fields)
    weights = read_weights(folder / WEIGHTS)
    # A GAN's checkpoint holds its discriminator as well; older ones hold the generator alone.
    own = {name[8:]: each for name, each in weights.items() if name.startswith("model_g.")}
    fill(generator, own or weights, folder / WEIGHTS)
    return generator


def _nonsense(model: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    most = model.args.num_chars
    return [torch.randint(1, most, (1, count), generator=generator) for count in _LENGTHS]


def _spoken(model: Any, vocoder: nn.Module, ids: torch.Tensor) -> Floats:
    """Speak with Coqui's own inference."""
    speaker = torch.zeros(1, dtype=torch.int64) if hasattr(model, "emb_g") else None
    with torch.inference_mode():
        given = model.inference(ids, aux_input={"d_vectors": None, "speaker_ids": speaker})
        sound: Floats = vocoder(given["model_outputs"].transpose(1, 2))[0, 0].numpy()
    return sound


def _heard(folder: Path, ids: torch.Tensor) -> Floats:
    """Speak with what was written."""
    paths = (folder / WRITTEN[role] for role in ("acoustic", "vocoder"))
    acoustic, vocoder = (open_session(each.read_bytes(), str(each), "cpu", {}) for each in paths)
    one: dict[str, NDArray[Any]] = {
        "tensor(int64)": np.zeros(1, np.int64),
        "tensor(float)": np.ones(1, np.float32),
    }
    feeds = {each.name: one[each.type] for each in acoustic.get_inputs()}
    feeds |= {name: 0 * each for name, each in feeds.items() if name.endswith("_shift")}
    feeds |= {"input": ids.numpy(), "input_lengths": np.array([ids.shape[1]])}
    with mapped(str(folder)):
        mel, lengths = acoustic.run(["mel", "mel_lengths"], feeds)
        sound: Floats = vocoder.run(None, {"mel": mel[:, :, : lengths[0]]})[0][0, 0]
    return sound


def _difference(spoken: list[Floats], heard: list[Floats]) -> float:
    """Return the largest difference of a sample, or raise `EngineError` if it is one to hear."""
    pairs = list(zip(spoken, heard, strict=True))
    if any(len(one) != len(other) for one, other in pairs):
        raise EngineError("the graphs give other durations than PyTorch: report it")
    worst = max(float(np.abs(one - other).max()) for one, other in pairs)
    if not worst < TOLERANCE:
        raise EngineError(f"the graphs differ from PyTorch by {worst:.1e}: report it")
    return worst
