"""Coqui checkpoints of YourTTS: a d-vector VITS, its tables, and its speaker encoder.

Only weights are read (`torch.load(weights_only=True)`), and only the voice's own files: what the
configs say of other paths is passed over.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize
from TTS.config import load_config
from TTS.encoder.utils.generic_utils import setup_encoder_model
from TTS.tts.models.vits import Vits
from TTS.utils.audio import AudioProcessor

from farm.audio import Samples
from farm.engines.cloning.characters import Characters, checked
from farm.engines.cloning.reference import resampled
from farm.engines.cloning.speakers import DVector
from farm.errors import EngineError

#: Fields of a config that hold paths of the machine where the model was trained.
_PATHS = (
    "d_vector_file",
    "language_ids_file",
    "speaker_encoder_config_path",
    "speaker_encoder_model_path",
    "speakers_file",
)

#: Weights that a checkpoint may hold and speaking does not use.
_UNUSED = ("disc.", "speaker_encoder.", "audio_transform.")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded acoustic model."""

    model: Any
    """coqui-tts's `Vits`, in evaluation mode, weight normalisation folded in."""
    characters: Characters
    languages: Mapping[str, int]
    """Coqui's name of a language to its id."""
    speakers: Mapping[str, DVector]
    """Built-in speakers, the mean of their clips."""
    sample_rate: int
    hop: int
    d_vector: int
    """Numbers in a d-vector."""


class SpeakerEncoder:
    """A loaded speaker encoder: a recording becomes a d-vector."""

    def __init__(self, weights: Path, config: Path, device: str) -> None:
        """Load it.

        Raises:
            EngineError: the files are not a speaker encoder of Coqui's.
        """
        with reading(config):
            self.config = load_config(config)
            self.model = setup_encoder_model(self.config)
            self.processor = AudioProcessor(self.config.audio)
        fill(self.model, read_weights(weights), weights)
        self.sample_rate = int(self.config.audio.sample_rate)
        self._device = device
        self.model.to(device)

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        """Return the d-vector (size,) of one recording: ten windows' mean, as Coqui's.

        Raises:
            EngineError: the recording is too short or silent.
        """
        wave = self._levelled(resampled(samples, sample_rate, self.sample_rate))
        if not self.config.model_params.get("use_torch_spec", False):
            wave = self.processor.melspectrogram(wave)
        features = torch.from_numpy(np.asarray(wave, np.float32)).unsqueeze(0).to(self._device)
        vector: DVector = self.model.compute_embedding(features)[0].cpu().numpy()
        return vector

    def _levelled(self, wave: Samples) -> Samples:
        """Do what Coqui does to a file that it has just read (`AudioProcessor.load_wav`)."""
        audio = self.config.audio
        if audio.do_trim_silence:
            wave = self.processor.trim_silence(wave)
        if audio.do_sound_norm:
            wave = self.processor.sound_norm(wave)
        if audio.do_rms_norm:
            level = 10 ** (audio.db_level / 20)
            wave = wave * np.sqrt(len(wave) * level**2 / np.sum(wave**2))
        return wave


def load_checkpoint(
    weights: Path, config: Path, languages: Path | None, speakers: Path | None, device: str
) -> Checkpoint:
    """Load an acoustic model with its tables.

    Raises:
        EngineError: the files are not a YourTTS checkpoint.
    """
    with reading(config):
        fields = load_config(config)
    _check(fields, config)
    with reading(languages or config):
        table = _languages(languages, fields)
    with reading(config):
        fields.languages = [*table]
        model = Vits(fields)
    fill(model, read_weights(weights), weights)
    model.to(device)
    return Checkpoint(
        model=model,
        characters=_characters(model.tokenizer, fields.text_cleaner),
        languages=table,
        speakers=_speakers(speakers),
        sample_rate=int(fields.audio.sample_rate),
        hop=int(np.prod(fields.model_args.upsample_rates_decoder)),
        d_vector=int(fields.model_args.d_vector_dim),
    )


def _check(fields: Any, config: Path) -> None:
    """Refuse what is not YourTTS, and empty what speaking must not depend on."""
    if fields.model != "vits" or not fields.model_args.use_d_vector_file:
        raise EngineError(f"{str(config)!r} is no YourTTS: it takes no d-vectors")
    if fields.use_phonemes:
        raise EngineError(f"{str(config)!r} speaks phonemes, engine 'yourtts' characters")
    if fields.model_args.encoder_sample_rate:
        raise EngineError(f"{str(config)!r} has an encoder of another sample rate than its decoder")
    forget_paths(fields)
    fields.model_args.init_discriminator = False
    fields.model_args.use_speaker_encoder_as_loss = False


def forget_paths(fields: Any) -> None:
    """Empty what a config says of other files of the machine where its model was trained."""
    for place in (fields, fields.model_args):
        for name in _PATHS:
            if name in place:
                place[name] = None


def _languages(path: Path | None, fields: Any) -> dict[str, int]:
    if not fields.model_args.use_language_embedding:
        return dict.fromkeys(fields.languages or ["en"], 0)
    if path is None:
        return {name: number for number, name in enumerate(fields.languages)}
    table = {str(name): int(number) for name, number in json.loads(path.read_text("utf-8")).items()}
    if sorted(table.values()) != list(range(len(table))):
        raise EngineError(f"{str(path)!r}: ids {sorted(table.values())} are not 0, 1, 2, ...")
    return dict(sorted(table.items(), key=lambda entry: entry[1]))


def _characters(tokenizer: Any, cleaner: str) -> Characters:
    alphabet = tokenizer.characters
    ids = {each: alphabet.char_to_id(each) for each in alphabet.vocab if len(each) == 1}
    edges = (alphabet.bos_id, alphabet.eos_id) if tokenizer.use_eos_bos else ()
    if tokenizer.add_blank and tokenizer.blank_id is None:
        raise EngineError("the checkpoint wants blanks between characters but has no blank")
    blank = tokenizer.blank_id if tokenizer.add_blank else None
    return Characters(ids, checked(cleaner), blank, edges)


def _speakers(path: Path | None) -> dict[str, DVector]:
    """Read clips with their speaker's name and d-vector (`speakers.json`, or the same as .pth)."""
    if path is None:
        return {}
    with reading(path):
        clips = json.loads(path.read_text("utf-8")) if path.suffix == ".json" else _load(path)
        named: dict[str, list[Any]] = {}
        for clip in clips.values():
            named.setdefault(str(clip["name"]), []).append(clip["embedding"])
        return {name: np.mean(each, axis=0, dtype=np.float32) for name, each in named.items()}


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def read_weights(path: Path) -> dict[str, Any]:
    """Read the weights that speaking uses, and nothing else, of a checkpoint of Coqui's."""
    with reading(path):
        weights = _load(path)["model"]
        return {name: each for name, each in weights.items() if not name.startswith(_UNUSED)}


def fill(model: nn.Module, weights: dict[str, Any], path: Path) -> None:
    """Put weights into a model and make it ready to speak; `path` names them in errors."""
    with reading(path):
        model.load_state_dict(weights)
    model.eval().requires_grad_(False)
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what torch and coqui-tts raise about a file into an `EngineError` that names it."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise EngineError(
            f"{str(path)!r} holds more than weights, which is not loaded: keep its "
            "{'model': weights} alone, where you trust it"
        ) from error
    except (
        OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, AssertionError,
        ImportError,
    ) as error:  # fmt: skip
        line = " ".join(str(error).split())[:300]
        raise EngineError(f"{str(path)!r}: {type(error).__name__}: {line}") from error
