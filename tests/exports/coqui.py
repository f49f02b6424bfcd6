"""Coqui's `Vits`, exported by its own `export_onnx`, with the config.json that training leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from TTS.tts.configs.shared_configs import BaseAudioConfig, CharactersConfig
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
from TTS.tts.models.vits import Vits
from TTS.tts.utils.text.characters import _phonemes

from tests.exports import weights

SAMPLE_RATE = 16_000

SMALL: dict[str, Any] = {
    "hidden_channels": 32,
    "hidden_channels_ffn_text_encoder": 64,
    "num_layers_text_encoder": 2,
    "num_layers_posterior_encoder": 1,
    "num_layers_flow": 2,
    "upsample_initial_channel_decoder": 64,
    "resblock_kernel_sizes_decoder": [3, 5],
    "resblock_dilation_sizes_decoder": [[1, 3, 5], [1, 3, 5]],
    "init_discriminator": False,
}

SPEAKERS = ("alice", "bob", "carol", "dave")
LANGUAGES = ("en", "fr-fr", "pt-br")

LETTERS = CharactersConfig(
    characters_class="TTS.tts.models.vits.VitsCharacters",
    characters="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzàâãçèéêíóôõú",
    punctuations="!'(),-.:;? ",
    phonemes="",
    pad="<PAD>",
)
IPA = CharactersConfig(
    characters_class="TTS.tts.models.vits.VitsCharacters",
    characters="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    punctuations="!'(),-.:;? ",
    phonemes=_phonemes,
    pad="<PAD>",
)

#: Export to the settings of its config, and of its `model_args`.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "coqui": ({"text_cleaner": "english_cleaners", "characters": LETTERS}, {}),
    "coqui_deterministic": (
        {"text_cleaner": "basic_cleaners", "characters": LETTERS, "add_blank": False},
        {"use_sdp": False, "resblock_type_decoder": "2"},
    ),
    "coqui_phonemes": (
        {
            "text_cleaner": "phoneme_cleaners",
            "characters": IPA,
            "use_phonemes": True,
            "phonemizer": "espeak",
            "phoneme_language": "en-us",
        },
        {},
    ),
    "coqui_speakers": (
        {"text_cleaner": "multilingual_cleaners", "characters": LETTERS},
        {"use_speaker_embedding": True, "speaker_embedding_channels": 16},
    ),
    "coqui_languages": (
        {"text_cleaner": "multilingual_cleaners", "characters": LETTERS},
        {
            "use_speaker_embedding": True,
            "speaker_embedding_channels": 16,
            "use_language_embedding": True,
        },
    ),
}


def build(name: str, folder: Path) -> Vits:
    """Return the model of an export; the same name gives the same weights."""
    settings, arguments = KINDS[name]
    config = VitsConfig(
        model_args=VitsArgs(**(SMALL | arguments)),
        audio=BaseAudioConfig(sample_rate=SAMPLE_RATE),
        languages=list(LANGUAGES) if "use_language_embedding" in arguments else [],
        test_sentences=[],
        **settings,
    )
    if "use_speaker_embedding" in arguments:
        path = folder / "speakers.json"
        path.write_text(json.dumps({each: n for n, each in enumerate(SPEAKERS)}), "utf-8")
        config.model_args.speakers_file = str(path)
    torch.manual_seed(weights.SEED)
    model = Vits(config).eval()
    weights.enliven(model)
    _pace(model)
    return model


def _pace(model: Vits) -> None:
    predictor = model.duration_predictor
    with torch.no_grad():
        if model.args.use_sdp:
            weights.set_tempo(predictor.flows[0].translation)
        else:
            predictor.proj.weight.normal_(0.0, 0.3)
            predictor.proj.bias.fill_(weights.LOG_FRAMES)
    ids = torch.arange(model.args.num_chars)[None]
    first = torch.zeros(1, dtype=torch.long)
    extra = {
        "x_lengths": None,
        "d_vectors": None,
        "speaker_ids": first if model.args.use_speaker_embedding else None,
        "language_ids": first if model.args.use_language_embedding else None,
        "durations": None,
    }
    weights.set_level(model.waveform_decoder.conv_post, lambda: model.inference(ids, extra))


def make(name: str, folder: Path) -> Vits:
    """Write `model.onnx`, `config.json` and the tables of speakers and languages."""
    model = build(name, folder)
    with weights.tracing():
        model.export_onnx(str(folder / "model.onnx"), verbose=False)
    # Published configs name these files by the paths of the machine that trained them.
    config = json.loads(model.config.to_json())
    config["model_args"]["speakers_file"] = None
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2), "utf-8")
    if model.args.use_language_embedding:
        model.language_manager.save_ids_to_file(folder / "language_ids.json")
    return model


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
