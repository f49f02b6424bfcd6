"""VITS in sherpa-onnx's form: the inputs, metadata, tokens and lexicon that its exporters write.

The graphs are piper.train's `SynthesizerTrn` (jaywalnut310's VITS, as in sherpa-onnx's
`scripts/vits` and its MMS and icefall exports) under the wrapper and the input names of those
scripts, or Coqui's and Piper's own exports with the metadata that sherpa-onnx adds to them
(`scripts/piper/add_meta_data.py`). icefall's own generator is on no package index; its names are.
`sherpa_onnx.OfflineTts` loads and speaks every one (`tests/engines/test_vits_sherpa.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper.phonemize_espeak import EspeakPhonemizer
from torch import Tensor, nn

from tests.exports import weights

LETTERS = "_abcdefghijklmnopqrstuvwxyzàéèñü' -"

#: jaywalnut310's `text/symbols.py`: pad, punctuation, letters, IPA.
IPA = (
    '_;:,.!?¡¿—…"«»“” ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃ"
    "ˈˌːˑʼʴʰʱʲʷˠˤ˞↓↑→↗↘'̩ᵻ"
)

ENGLISH = (
    "a", "and", "deal", "good", "is", "it", "longer", "no", "not", "on", "one", "other",
    "sentence", "short", "so", "than", "that", "the", "don't", "café",
)  # fmt: skip

#: Characters with initial, final and tone, as in sherpa-onnx's vits-zh-aishell3.
PINYIN = {
    "你": "n i3", "好": "h ao3", "世": "sh iii4", "界": "j ie4", "今": "j in1", "天": "t ian1",
    "气": "q i4", "很": "h en3", "我": "^ uo3", "们": "m en5", "去": "q v4", "银": "^ in2",
    "行": "h ang2", "不": "b u4", "是": "sh iii4",
}  # fmt: skip

#: Words with bopomofo, as in the vits-zh-hf models; the longest match counts.
BOPOMOFO = {
    "你": "ㄋ ㄧ ˇ", "好": "ㄏ ㄠ ˇ", "你好": "ㄋ ㄧ ˊ ㄏ ㄠ ˇ", "世": "ㄕ ˋ",
    "界": "ㄐ ㄧ ㄝ ˋ", "世界": "ㄕ ˋ ㄐ ㄧ ㄝ ˋ", "今": "ㄐ ㄧ ㄣ ˉ", "天": "ㄊ ㄧ ㄢ ˉ",
    "今天": "ㄐ ㄧ ㄣ ˉ ㄊ ㄧ ㄢ ˉ", "气": "ㄑ ㄧ ˋ", "天气": "ㄊ ㄧ ㄢ ˉ ㄑ ㄧ ˋ",
    "很": "ㄏ ㄣ ˇ", "银": "ㄧ ㄣ ˊ", "行": "ㄒ ㄧ ㄥ ˊ", "银行": "ㄧ ㄣ ˊ ㄏ ㄤ ˊ",
    "我": "ㄨ ㄛ ˇ", "们": "ㄇ ㄣ ˙", "去": "ㄑ ㄩ ˋ", "不": "ㄅ ㄨ ˋ", "ok": "ㄛ ㄎ",
}  # fmt: skip

Lexicon = Mapping[str, str]


class Exported(nn.Module):
    """The wrapper of sherpa-onnx's `scripts/vits`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        x: Tensor,
        x_lengths: Tensor,
        noise_scale: Tensor,
        length_scale: Tensor,
        noise_scale_w: Tensor,
        sid: Tensor | None = None,
    ) -> Tensor:
        audio: Tensor = self.model.infer(
            x=x,
            x_lengths=x_lengths,
            sid=sid,
            noise_scale=noise_scale,
            length_scale=length_scale,
            noise_scale_w=noise_scale_w,
        )[0]
        return audio


def write_graph(path: Path, names: Sequence[str], symbols: int, speakers: int = 1) -> None:
    """Write a `SynthesizerTrn` whose inputs have these names, the last a speaker if it has six."""
    # Here and not above: the maker of Coqui's exports needs neither lightning nor these.
    from tests.exports.piper_train import build

    generator: Any = build(symbols, speakers).model_g
    generator.dec.remove_weight_norm()
    scales = [torch.tensor([value]) for value in (0.667, 1.0, 0.8)]
    speaker = [torch.tensor([0])] if len(names) > 5 else []
    with weights.tracing():
        torch.onnx.export(
            Exported(generator),
            (torch.arange(13)[None], torch.tensor([13]), *scales, *speaker),
            str(path),
            opset_version=13,
            input_names=list(names),
            output_names=["y"],
            dynamic_axes={names[0]: {0: "N", 1: "L"}, names[1]: {0: "N"}, "y": {0: "N", 2: "L"}},
        )


def add_metadata(path: Path, content: Mapping[str, object]) -> None:
    """Write metadata into a model, as each of sherpa-onnx's scripts does."""
    model = onnx.load(path)
    for key, value in {"model_type": "vits", **content}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, str(value)
    onnx.save(model, path)


def write_tokens(folder: Path, tokens: Mapping[str, int]) -> None:
    """Write tokens.txt: a symbol and its id a line."""
    lines = (f"{token} {number}\n" for token, number in tokens.items())
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")


def write_lexicon(folder: Path, lexicon: Lexicon) -> None:
    """Write lexicon.txt: a word and its tokens a line."""
    lines = (f"{word} {phones}\n" for word, phones in lexicon.items())
    (folder / "lexicon.txt").write_text("".join(lines), encoding="utf-8")


X = ("x", "x_length", "noise_scale", "length_scale", "noise_scale_w", "sid")
ICEFALL = ("tokens", "tokens_lens", "noise_scale", "alpha", "noise_scale_dur")


def characters(folder: Path) -> None:
    """Write MMS's form: one token a character, in both cases, blanks between."""
    write_graph(folder / "model.onnx", X[:5], len(LETTERS))
    add_metadata(
        folder / "model.onnx",
        {
            "comment": "mms",
            "add_blank": 1,
            "language": "fra",
            "frontend": "characters",
            "n_speakers": 0,
            "sample_rate": 16_000,
        },
    )
    write_tokens(folder, both_cases({each: n for n, each in enumerate(LETTERS)}))


def both_cases(tokens: Mapping[str, int]) -> dict[str, int]:
    """Add the capital of every letter that has one of a single character."""
    upper = {each.upper(): n for each, n in tokens.items() if len(each.upper()) == len(each) == 1}
    return {**upper, **tokens}


def english(folder: Path) -> None:
    """Write the form of vits-ljs: words through a lexicon, blanks between phones."""
    symbols = list(dict.fromkeys(IPA))
    write_graph(folder / "model.onnx", X[:5], len(symbols))
    add_metadata(
        folder / "model.onnx",
        {
            "comment": "ljspeech",
            "language": "English",
            "add_blank": 1,
            "n_speakers": 0,
            "sample_rate": 22_050,
            "punctuation": " ".join(';:,.!?¡¿—…"«»“” '),
        },
    )
    write_tokens(folder, {each: n for n, each in enumerate(symbols)})
    espeak = EspeakPhonemizer()
    phones = {word: espeak.phonemize("en-us", word)[0] for word in ENGLISH}
    write_lexicon(folder, {word: " ".join(each) for word, each in phones.items()})


def speakers(folder: Path) -> None:
    """Write the form of vits-zh-aishell3: characters through a lexicon, four speakers."""
    phones = [phone for each in PINYIN.values() for phone in each.split()]
    symbols = list(dict.fromkeys(["sil", "eos", "sp", "#0", "#1", "#2", "#3", *phones]))
    write_graph(folder / "model.onnx", X, len(symbols), speakers=4)
    add_metadata(
        folder / "model.onnx",
        {
            "comment": "aishell3",
            "language": "Chinese",
            "add_blank": 0,
            "n_speakers": 4,
            "sample_rate": 8_000,
            "punctuation": ", 、 ， . 。 ! ！ ? ？",
        },
    )
    write_tokens(folder, {each: n for n, each in enumerate(symbols)})
    write_lexicon(folder, {word: f"{each} #0" for word, each in PINYIN.items()})


def jieba(folder: Path) -> None:
    """Write the form of vits-zh-hf-fanchen: the longest word of the lexicon counts."""
    phones = [phone for each in BOPOMOFO.values() for phone in each.split()]
    symbols = list(dict.fromkeys(["_", "，", "。", "！", "？", "—", "…", *phones, " "]))
    write_graph(folder / "model.onnx", X, len(symbols), speakers=3)
    add_metadata(
        folder / "model.onnx",
        {
            "comment": "hf-vits-models-fanchen-test",
            "language": "Chinese",
            "jieba": 1,
            "add_blank": 1,
            "n_speakers": 3,
            "sample_rate": 16_000,
            "punctuation": ", . : ; ! ? ， 。 ： ； ！ ？ 、",
        },
    )
    write_tokens(folder, {each: n for n, each in enumerate(symbols)})
    write_lexicon(folder, BOPOMOFO)


def icefall(folder: Path) -> None:
    """Write the form of icefall's vits recipe: espeak-ng's phonemes as Piper numbers them."""
    write_graph(folder / "model.onnx", ICEFALL, 256)
    add_metadata(
        folder / "model.onnx",
        {
            "version": "1",
            "comment": "icefall",
            "language": "English",
            "voice": "en-us",
            "has_espeak": 1,
            "n_speakers": 1,
            "sample_rate": 22_050,
        },
    )
    write_tokens(folder, _piper_tokens())


def _piper_tokens() -> dict[str, int]:
    # sherpa-onnx takes single code points only: most voices have no others.
    return {each: ids[0] for each, ids in DEFAULT_PHONEME_ID_MAP.items() if len(each) == 1}


def piper(folder: Path) -> None:
    """Write a Piper voice with sherpa-onnx's metadata and tokens.txt."""
    from tests.exports.piper_train import SAMPLE_RATE, make

    make("piper_speakers", folder)
    (folder / "model.onnx.json").unlink()
    add_metadata(
        folder / "model.onnx",
        {
            "comment": "piper",
            "language": "English",
            "voice": "en-us",
            "version": 1,
            "has_espeak": 1,
            "has_g2pw": 0,
            "n_speakers": 3,
            "sample_rate": SAMPLE_RATE,
        },
    )
    write_tokens(folder, _piper_tokens())


def coqui(folder: Path) -> None:
    """Write a Coqui voice of characters with sherpa-onnx's metadata and tokens.txt."""
    from tests.exports.coqui import make

    model = make("coqui_speakers", folder)
    for each in ("config.json", "speakers.json"):
        (folder / each).unlink()
    tokenizer, vocabulary = model.tokenizer, model.tokenizer.characters
    add_metadata(
        folder / "model.onnx",
        {
            "comment": "coqui",
            "language": "French",
            "frontend": "characters",
            "add_blank": int(tokenizer.add_blank),
            "blank_id": vocabulary.blank_id,
            "n_speakers": model.num_speakers,
            "use_eos_bos": int(tokenizer.use_eos_bos),
            "bos_id": vocabulary.bos_id,
            "eos_id": vocabulary.eos_id,
            "pad_id": vocabulary.pad_id,
            "sample_rate": int(model.ap.sample_rate),
        },
    )
    write_tokens(folder, dict(vocabulary._char_to_id))


#: Export to what writes it.
KINDS = {
    "sherpa_characters": characters,
    "sherpa_coqui": coqui,
    "sherpa_english": english,
    "sherpa_icefall": icefall,
    "sherpa_jieba": jieba,
    "sherpa_piper": piper,
    "sherpa_speakers": speakers,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](Path(sys.argv[2]))
