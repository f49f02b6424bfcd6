"""Genuine Coqui YourTTS checkpoints with random weights, in Coqui's own layout and portable.

`config.json`, `model_file.pth`, `language_ids.json`, `speakers.json`, `config_se.json` and
`model_se.pth`, written by coqui-tts itself; path fields are empty. Coqui starts flow, durations
and spline heads at zero, where a comparison means nothing: they are seeded anew so that durations
vary from character to character and all parts matter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from TTS.config.shared_configs import BaseAudioConfig
from TTS.encoder.configs.speaker_encoder_config import SpeakerEncoderConfig
from TTS.encoder.utils.generic_utils import setup_encoder_model
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
from TTS.tts.models.vits import Vits

from tests.exports.your_voices import LANGUAGES, SAMPLE_RATE, SPEAKERS

#: The alphabet of the released checkpoint's three languages.
CHARACTERS = CharactersConfig(
    characters_class="TTS.tts.models.vits.VitsCharacters",
    pad="_",
    eos="&",
    bos="*",
    blank=None,
    characters="abcdefghijklmnopqrstuvwxyzàáâãäçèéêëìíîïñòóôõöùúûüœ’",
    punctuations="!'(),-.:;? ",
    phonemes="",
    is_unique=True,
    is_sorted=True,
)

#: What a checkpoint of the released size has beside the defaults.
FULL = {"num_layers_text_encoder": 10}
TINY = {
    "num_layers_text_encoder": 2,
    "hidden_channels": 32,
    "hidden_channels_ffn_text_encoder": 64,
    "upsample_initial_channel_decoder": 32,
    "num_layers_flow": 2,
    "num_layers_posterior_encoder": 2,
}


def make_checkpoint(
    folder: Path, *, full: bool = False, resnet: bool = False, d_vector: int = 512
) -> Path:
    """Write a checkpoint into a folder: tiny (2 M parameters), or of the released size (40 M).

    `resnet`: the released kind of speaker encoder (8 M parameters) in place of a small LSTM.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    config = _config(FULL if full else TINY, d_vector)
    model = Vits(config)
    _seed_anew(model)
    config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict(), "step": 0}, folder / "model_file.pth")
    (folder / "language_ids.json").write_text(json.dumps(LANGUAGES), encoding="utf-8")
    _write_speakers(folder / "speakers.json", d_vector)
    _write_encoder(folder, resnet, d_vector)
    return folder


def _config(size: dict[str, int], d_vector: int) -> VitsConfig:
    args = VitsArgs(
        resblock_type_decoder="2",
        use_d_vector_file=True,
        d_vector_dim=d_vector,
        use_language_embedding=True,
        embedded_language_dim=4,
        init_discriminator=False,
        **size,
    )
    config = VitsConfig(
        model_args=args,
        text_cleaner="multilingual_cleaners",
        characters=CHARACTERS,
        add_blank=True,
        use_phonemes=False,
        languages=list(LANGUAGES),
        use_d_vector_file=True,
        d_vector_dim=d_vector,
    )
    config.audio.sample_rate = SAMPLE_RATE
    return config


def _seed_anew(model: Vits) -> None:
    with torch.no_grad():
        for coupling in model.flow.flows:
            nn.init.normal_(coupling.post.weight, std=0.05)
            nn.init.normal_(coupling.post.bias, std=0.1)
        affine, *splines = model.duration_predictor.flows
        # A few frames for most, and from one to a dozen around them.
        affine.translation.copy_(torch.tensor([[3.2], [0.3]]))
        affine.log_scale.copy_(torch.tensor([[-0.3], [0.1]]))
        for spline in splines:
            nn.init.normal_(spline.proj.weight, std=0.7)
            nn.init.normal_(spline.proj.bias, std=0.7)
        model.waveform_decoder.conv_post.weight.mul_(10.0)


def _write_speakers(path: Path, d_vector: int) -> None:
    generator = np.random.default_rng(5)
    clips = {}
    for name in SPEAKERS:
        for number in range(2):
            vector = generator.standard_normal(d_vector)
            vector /= np.linalg.norm(vector)
            clips[f"{name}/{number}.wav"] = {"name": name, "embedding": vector.tolist()}
    path.write_text(json.dumps(clips), encoding="utf-8")


def _write_encoder(folder: Path, resnet: bool, d_vector: int) -> None:
    mels = 64 if resnet else 40
    config = SpeakerEncoderConfig(
        num_classes_in_batch=1,
        num_utter_per_class=1,
        num_loader_workers=0,
        audio=BaseAudioConfig(
            sample_rate=SAMPLE_RATE,
            fft_size=512,
            win_length=400,
            hop_length=160,
            num_mels=mels,
            preemphasis=0.97,
            do_trim_silence=False,
            do_rms_norm=True,
            db_level=-27.0,
        ),
        model_params={
            "model_name": "resnet" if resnet else "lstm",
            "input_dim": mels,
            "proj_dim": d_vector,
            "lstm_dim": 64,
            "num_lstm_layers": 1,
            "use_torch_spec": True,
            "log_input": True,
        },
    )
    encoder = setup_encoder_model(config)
    config.save_json(str(folder / "config_se.json"))
    torch.save({"model": encoder.state_dict(), "step": 0}, folder / "model_se.pth")


if __name__ == "__main__":
    make_checkpoint(Path(sys.argv[2]))
