"""Coqui's ForwardTTS as FastPitch with energy, and its HiFi-GAN, by `farm.export.forward_tts`.

Coqui has no exporter of its own for either; the networks, configs and goldens are Coqui's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from TTS.tts.configs.fast_pitch_config import FastPitchConfig
from TTS.tts.configs.forward_tts_config import ForwardTTSArgs
from TTS.tts.configs.shared_configs import BaseAudioConfig, CharactersConfig
from TTS.tts.models.forward_tts import ForwardTTS
from TTS.vocoder.configs.hifigan_config import HifiganConfig
from TTS.vocoder.models.hifigan_generator import HifiganGenerator

from farm.export.forward_tts import export_acoustic, export_vocoder
from tests.exports import weights

LETTERS = CharactersConfig(
    characters_class="TTS.tts.utils.text.characters.Graphemes",
    characters="abcdefghijklmnopqrstuvwxyz",
    punctuations="!'(),-.:;? ",
    pad="<PAD>",
    eos="<EOS>",
    bos="<BOS>",
    blank="<BLNK>",
)
AUDIO = BaseAudioConfig(
    sample_rate=22_050,
    hop_length=256,
    win_length=1024,
    fft_size=1024,
    num_mels=80,
    mel_fmin=0,
    mel_fmax=8000,
    log_func="np.log",
    spec_gain=1,
    signal_norm=False,
    do_trim_silence=False,
    preemphasis=0,
    power=1.5,
    ref_level_db=0,
)
LAYERS = {"hidden_channels_ffn": 48, "num_heads": 2, "num_layers": 2, "dropout_p": 0.1}
SMALL: dict[str, Any] = {
    "hidden_channels": 32,
    "use_aligner": False,
    "use_energy": True,
    "duration_predictor_hidden_channels": 24,
    "pitch_predictor_hidden_channels": 24,
    "energy_predictor_hidden_channels": 24,
    "encoder_type": "fftransformer",
    "encoder_params": LAYERS,
    "decoder_type": "fftransformer",
    "decoder_params": LAYERS,
}
CONVOLUTIONS: dict[str, Any] = {
    "encoder_type": "residual_conv_bn",
    "encoder_params": {
        "kernel_size": 4,
        "dilations": [1, 2],
        "num_conv_blocks": 2,
        "num_res_blocks": 2,
    },
    "decoder_type": "residual_conv_bn",
    "decoder_params": {
        "kernel_size": 4,
        "dilations": [1, 2, 4, 1],
        "num_conv_blocks": 2,
        "num_res_blocks": 4,
    },
    "use_pitch": False,
    "use_energy": False,
}
#: Texts whose ids, mels and signals Coqui itself gives, kept beside the export.
TEXTS = ("hello, world.", "a rather longer sentence, is it not?")


def config(kind: str) -> FastPitchConfig:
    """Return what training would have left as config.json."""
    arguments = SMALL | (CONVOLUTIONS if kind == "forward_tts_convolutions" else {})
    return FastPitchConfig(
        audio=AUDIO,
        characters=LETTERS,
        text_cleaner="basic_cleaners",
        use_phonemes=False,
        compute_f0=False,
        model_args=ForwardTTSArgs(**arguments),
    )


GENERATOR: dict[str, Any] = {
    "in_channels": 80,
    "resblock_type": "1",
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "resblock_kernel_sizes": [3, 7],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "upsample_initial_channel": 64,
    "upsample_factors": [8, 8, 2, 2],
}


def generator() -> HifiganGenerator:
    """Return a small HiFi-GAN."""
    model = HifiganGenerator(out_channels=1, **GENERATOR)
    model.eval()
    return model


def louder(sound: HifiganGenerator) -> None:
    """Give the signal the usual level, by the scale of the last layer's weights."""
    given: list[torch.Tensor] = []
    hook = sound.conv_post.register_forward_hook(lambda *each: given.append(each[2]))
    with torch.no_grad():
        sound(torch.randn(1, 80, 60) - 3)
        last: Any = sound.conv_post.parametrizations
        last.weight.original0 *= weights.LEVEL / given[0].std()
        sound.conv_post.bias.zero_()
    hook.remove()


def save(model: ForwardTTS, sound: HifiganGenerator, folder: Path) -> None:
    """Write both checkpoints as Coqui's training leaves them, the vocoder's with its rival."""
    (folder / "vocoder").mkdir()
    model.config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict(), "step": 0}, folder / "model_file.pth")
    told = HifiganConfig(audio=AUDIO, generator_model_params=GENERATOR)
    told.save_json(str(folder / "vocoder" / "config.json"))
    kept = {f"model_g.{name}": each for name, each in sound.state_dict().items()}
    content = {"model": kept | {"model_d.weight": torch.zeros(1)}, "step": 0}
    torch.save(content, folder / "vocoder" / "model_file.pth")


def build(kind: str, settings: FastPitchConfig, out: Path) -> ForwardTTS:
    """Return the model; one with speakers leaves their names in speakers.json, twice."""
    (out / "checkpoint").mkdir()
    if kind == "forward_tts_speakers":
        names = {"ann": 0, "bob": 1, "eve": 2}
        for folder in (out, out / "checkpoint"):
            (folder / "speakers.json").write_text(json.dumps(names), "utf-8")
        settings.use_speaker_embedding = True
        settings.model_args.use_speaker_embedding = True
        settings.speakers_file = settings.model_args.speakers_file = str(out / "speakers.json")
    return ForwardTTS(settings)


def livelier(model: nn.Module) -> None:
    """Spread what the predictors say, so that symbols differ in length."""
    with torch.no_grad():
        last: Any = cast(Any, model).duration_predictor.proj
        last.weight *= 6
        last.bias.fill_(1.5)


def golden(model: ForwardTTS, sound: HifiganGenerator, speakers: bool) -> dict[str, Any]:
    """Return ids, mel and signal of each text, from Coqui's own tokenizer and `inference`."""
    found: dict[str, Any] = {}
    for number, text in enumerate(TEXTS):
        ids = model.tokenizer.text_to_ids(text)
        extra = {"d_vectors": None, "speaker_ids": torch.tensor([1]) if speakers else None}
        mel = model.inference(torch.tensor([ids]), aux_input=extra)["model_outputs"]
        found[f"ids_{number}"] = np.array(ids)
        found[f"mel_{number}"] = mel[0].numpy()
        found[f"wav_{number}"] = sound.inference(mel.transpose(1, 2))[0, 0].numpy()
    return found


def main(kind: str, out: Path) -> None:
    """Write both checkpoints, both graphs, both configs and Coqui's own results."""
    torch.manual_seed(weights.SEED)
    settings, sound = config(kind), generator()
    model = build(kind, settings, out)
    model.eval()
    weights.enliven(model)
    livelier(model)
    louder(sound)
    save(model, sound, out / "checkpoint")
    sound.remove_weight_norm()
    # Coqui's own results first: exporting changes what the convolutions hear.
    np.savez(out / "golden.npz", **golden(model, sound, kind == "forward_tts_speakers"))
    units = {"pitch_mean": "200", "pitch_std": "40", "energy_mean": "60", "energy_std": "30"}
    export_acoustic(model, out / "acoustic.onnx", units)
    export_vocoder(sound, 80, out / "vocoder.onnx")
    settings.speakers_file = settings.model_args.speakers_file = None
    settings.save_json(str(out / "config.json"))
    vocoder = {"audio": json.loads((out / "config.json").read_text("utf-8"))["audio"]}
    (out / "vocoder.json").write_text(json.dumps(vocoder), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
