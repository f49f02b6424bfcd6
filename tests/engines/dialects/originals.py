"""Write golden.json: the ids that the original tokenizers give for some texts.

    python -m tests.engines.dialects.originals

Needs transformers, phonemizer, uroman, coqui-tts, sherpa-onnx, piper-tts and Debian's espeak-ng;
the tests read only what it wrote.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.exports import EXPORTS, export

GOLDEN = Path(__file__).with_name("golden.json")

ENGLISH = (
    "A short one.",
    "A sentence that is a good deal longer than the other, is it not?",
    "no",
    "Kick the thick book back, Jack!",
    '  Don\'t   stop -- (really) "now" ',
    "Wait; what: who & why?",
    "naïve café ☃ 日本",
)
#: Words that every version of espeak-ng pronounces alike.
PHONEMES = (
    "A short one.",
    "Kick the thick book back, Jack!",
    "no",
    '  Don\'t   stop -- really "now" ',
    "Hello: who & why?",
)
CHINESE = (
    "你好世界。",
    "今天天气很好，我们去银行！",
    "你好, 世界. 好",
    "不是龘字；你好：好？",
    "“你好”、“世界”……OK 你好 ok",
    "我们　去 abc 银行行不行",
)

#: Export to texts and their language, where it takes one.
TEXTS: dict[str, tuple[Iterable[str], str]] = {
    "mms": (ENGLISH, ""),
    "mms_deterministic": ((*ENGLISH, "Țara și ţara", "Mă cheamă Ion Ș."), ""),
    "mms_phonemes": (PHONEMES, ""),
    "mms_uroman": (("안녕하세요 세계", "plain words", "Привет, kick"), ""),
    "coqui": (ENGLISH, ""),
    "coqui_deterministic": (ENGLISH, ""),
    "coqui_languages": ((*ENGLISH, "Où êtes-vous ? Là-bas !", "Não há pão."), "pt-br"),
    "coqui_phonemes": (PHONEMES, ""),
    "coqui_speakers": (ENGLISH, ""),
    "piper": (ENGLISH[:5], ""),
    "sherpa_characters": ((*ENGLISH, "Où êtes-vous ? Là-bas ! À"), ""),
    "sherpa_coqui": (ENGLISH, ""),
    "sherpa_english": ((*ENGLISH, "A café... no! Don't"), ""),
    "sherpa_icefall": (ENGLISH[:5], ""),
    "sherpa_jieba": (CHINESE, ""),
    "sherpa_piper": (ENGLISH[:5], ""),
    "sherpa_speakers": (CHINESE, ""),
}

Tokenise = Callable[[str], list[int]]


def mms(folder: Path, _: str) -> Tokenise:
    """Return transformers' tokenizer."""
    from transformers import VitsTokenizer

    tokenizer = VitsTokenizer.from_pretrained(folder)
    return lambda text: list(tokenizer(text).input_ids)


def coqui(folder: Path, language: str) -> Tokenise:
    """Return Coqui's tokenizer."""
    from TTS.config import load_config
    from TTS.tts.models.vits import Vits

    config = load_config(folder / "config.json")
    config.model_args.use_speaker_embedding = False
    model = Vits(config)
    own = language or model.language_manager.language_names[0]
    return lambda text: list(model.tokenizer.text_to_ids(text, language=own))


def piper(folder: Path, _: str) -> Tokenise:
    """Return Piper's own phonemes and ids."""
    from piper import PiperVoice

    voice = PiperVoice.load(folder / "model.onnx")
    return lambda text: voice.phonemes_to_ids(voice.phonemize(text)[0])


def sherpa(folder: Path, _: str) -> Tokenise:
    """Return what sherpa-onnx feeds a model: one that gives its ids back as the signal."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "echo.onnx"
        onnx.save(echo(onnx.load(folder / "model.onnx")), path)
        tts = spoken(folder, path)
    said = request(folder)
    return lambda text: [round(value) for value in tts.generate(text, said(text)).samples]


def request(folder: Path) -> Callable[[str], Any]:
    """Return what asks sherpa-onnx for a text: from version 2 on it wants phonemes from outside."""
    import sherpa_onnx
    from piper.phonemize_espeak import EspeakPhonemizer

    says = {each.key: each.value for each in onnx.load(folder / "model.onnx").metadata_props}

    def ask(text: str) -> Any:
        config = sherpa_onnx.GenerationConfig()
        config.silence_scale = 1.0
        if "voice" in says:
            sentences = EspeakPhonemizer().phonemize(says["voice"], text)
            config.phoneme_codepoints = [[ord(each) for each in one] for one in sentences]
        return config

    return ask


def echo(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph of the same inputs and metadata whose signal is its ids."""
    inputs = list(model.graph.input)
    nodes = [helper.make_node("Cast", [inputs[0].name], ["y"], to=TensorProto.FLOAT)]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "echo", inputs, [output])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    made.metadata_props.extend(model.metadata_props)
    return made


def spoken(folder: Path, model: Path, **settings: Any) -> Any:
    """Load a voice into `sherpa_onnx.OfflineTts`, one thread, all sentences in one run."""
    import sherpa_onnx

    lexicon = folder / "lexicon.txt"
    config = sherpa_onnx.OfflineTtsConfig(
        model=sherpa_onnx.OfflineTtsModelConfig(
            vits=sherpa_onnx.OfflineTtsVitsModelConfig(
                model=str(model),
                tokens=str(folder / "tokens.txt"),
                lexicon=str(lexicon) if lexicon.exists() else "",
                **settings,
            ),
            num_threads=1,
        ),
        max_num_sentences=-1,
        silence_scale=1.0,
    )
    if not config.validate():
        raise RuntimeError(f"sherpa-onnx refuses {folder}")
    return sherpa_onnx.OfflineTts(config)


MAKERS = {"mms": mms, "coqui": coqui, "piper_train": piper, "sherpa": sherpa}


def main() -> None:
    """Write golden.json."""
    golden: dict[str, Any] = {}
    for name, (texts, language) in TEXTS.items():
        tokenise = MAKERS[EXPORTS[name][0]](export(name), language)
        golden[name] = {"language": language, "ids": {text: tokenise(text) for text in texts}}
        print(name)
    lines = json.dumps(golden, ensure_ascii=False, indent=1)
    GOLDEN.write_text(lines.replace(",\n    ", ", ") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
