"""transformers' `VitsModel`, exported with optimum's inputs and outputs (`VitsOnnxConfig`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import VitsConfig, VitsModel

from tests.exports import weights

#: As facebook/mms-tts-eng: single characters in no order, the first of them the blank.
LETTERS = "k'zypgvw8aq1oxmtluerfnjscbdih65432-_0 –"

#: As kakao-enterprise/vits-ljs: pad, punctuation, letters, IPA.
PHONEMES = (
    '_;:,.!?¡¿—…"«»“” ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃ"
    "ˈˌːˑʼʴʰʱʲʷˠˤ˞↓↑→↗↘'̩ᵻ"
)

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "ffn_dim": 64,
    "flow_size": 32,
    "upsample_initial_channel": 64,
    "resblock_kernel_sizes": (3, 5),
    "resblock_dilation_sizes": ((1, 3), (1, 3)),
    "duration_predictor_filter_channels": 32,
    "prior_encoder_num_wavenet_layers": 2,
    "posterior_encoder_num_wavenet_layers": 1,
}

#: Export to vocabulary, tokenizer settings and model settings.
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mms": (LETTERS, {"language": "eng", "phonemize": False, "is_uroman": False}, {}),
    "mms_deterministic": (
        "_abcdefghijklmnopqrstuvwxyzăâîşţ -",
        {"language": "ron", "phonemize": False, "is_uroman": False},
        {"use_stochastic_duration_prediction": False, "speaking_rate": 0.8},
    ),
    "mms_phonemes": (PHONEMES, {"language": None, "phonemize": True, "is_uroman": False}, {}),
    "mms_uroman": (LETTERS, {"language": "kor", "phonemize": False, "is_uroman": True}, {}),
}


class Exported(nn.Module):
    """The model with the outputs that optimum names."""

    def __init__(self, model: VitsModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return out.waveform, out.spectrogram


def build(symbols: int, **settings: Any) -> Any:
    """Return the model; the same settings give the same weights."""
    torch.manual_seed(weights.SEED)
    model: Any = VitsModel(VitsConfig(vocab_size=symbols, **SMALL, **settings))
    model.eval()
    weights.enliven(model)
    with torch.no_grad():
        model.text_encoder.embed_tokens.weight.normal_(0.0, 32**-0.5)
        if model.config.use_stochastic_duration_prediction:
            weights.set_tempo(model.duration_predictor.flows[0].translate)
        else:
            model.duration_predictor.proj.weight.normal_(0.0, 0.1)
            model.duration_predictor.proj.bias.fill_(weights.LOG_FRAMES)
        model.text_encoder.project.weight.normal_(0.0, 32**-0.5)
        ids = torch.arange(symbols)[None]
        weights.set_level(model.decoder.conv_post, lambda: model(input_ids=ids))
    return model


def make(name: str, folder: Path) -> None:
    """Write `model.onnx`, `config.json`, `vocab.json` and `tokenizer_config.json`."""
    symbols, tokenizer, settings = KINDS[name]
    model = build(len(symbols), **settings)
    ids = torch.arange(len(symbols))[None]
    with weights.tracing():
        torch.onnx.export(
            Exported(model),
            (ids, torch.ones_like(ids)),
            str(folder / "model.onnx"),
            opset_version=17,
            input_names=["input_ids", "attention_mask"],
            output_names=["waveform", "spectrogram"],
            dynamic_axes={
                "input_ids": {0: "text_batch_size", 1: "sequence_length"},
                "attention_mask": {0: "text_batch_size", 1: "sequence_length"},
                "waveform": {0: "text_batch_size", 1: "n_samples"},
                "spectrogram": {0: "text_batch_size", 2: "num_bins"},
            },
        )
    model.config.save_pretrained(folder)
    vocabulary = {symbol: number for number, symbol in enumerate(symbols)}
    settings = {"add_blank": True, "normalize": True, "tokenizer_class": "VitsTokenizer"}
    settings |= {"pad_token": symbols[0], "unk_token": "<unk>"}
    _write(folder / "vocab.json", vocabulary)
    _write(folder / "tokenizer_config.json", settings | tokenizer)


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
