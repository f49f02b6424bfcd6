"""Coqui's exports (`Vits.export_onnx`), with the `config.json` of their training (role `config`).

Inputs `input`, `input_lengths`, `scales` and, where the model has several, `sid` and `langid`.
Speakers are named by speakers.json (role `speakers`), languages by the config or by
language_ids.json (role `languages`). Ids are those of `TTSTokenizer` (coqui-ai-TTS,
`tts/utils/text/tokenizer.py`) for text that is already as spoken: numbers, times and
abbreviations are expanded by the farm's own normalisation, not by Coqui's cleaners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farm.engines.dialects.base import Dialect, Files, Tokens, encode, framed, numbered, spaced
from farm.engines.dialects.cleaning import CLEANERS
from farm.engines.dialects.phonemes import ipa
from farm.errors import EngineError

INPUTS = {"input", "input_lengths", "scales"}

#: Coqui's default sets, in the order of its vocabulary (`characters.py`).
_PAD, _END, _BEGIN, _BLANK = "<PAD>", "<EOS>", "<BOS>", "<BLNK>"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MARKS = "!'(),-.:;? "

#: Languages that Coqui's wrapper of espeak-ng calls otherwise.
_ESPEAK_VOICES = {"en": "en-us", "zh-cn": "cmn"}

_Fields = Mapping[str, Any]


def read(files: Files) -> Dialect:
    """Read a Coqui voice, or raise `EngineError`."""
    config = files.json("config", "Coqui's config.json")
    arguments = config.get("model_args") or {}
    languages = named(files, config)
    return Dialect(
        name="coqui",
        sample_rate=int((config.get("audio") or {}).get("sample_rate", 0)),
        tokenise=_tokeniser(files.what, config),
        languages=languages,
        language_ids="langid" in files.inputs,
        reads_ipa=bool(config.get("use_phonemes")),
        speakers=_speakers(files, arguments) if "sid" in files.inputs else {},
        noise=float(arguments.get("inference_noise_scale", 0.667)),
        length=float(arguments.get("length_scale", 1)),
        noise_w=float(arguments.get("inference_noise_scale_dp", 1)),
    )


def _tokeniser(what: str, config: _Fields) -> Callable[[str, str], Tokens]:
    cleaner = config.get("text_cleaner") or "no_cleaners"
    if cleaner not in CLEANERS:
        raise EngineError(
            f"{what} wants the cleaner {cleaner!r}: known are {', '.join(sorted(CLEANERS))}"
        )
    clean, phonemise = CLEANERS[cleaner], _phonemiser(what, config)
    known, blank, begin, end = _vocabulary(what, config.get("characters"), phonemise is not None)

    def tokenise(text: str, language: str) -> Tokens:
        text = clean(text, language.partition("-")[0])
        tokens = encode(phonemise(text, language) if phonemise else text, known)
        if config.get("add_blank", True):
            tokens = spaced(tokens, blank)
        return framed(tokens, begin, end) if config.get("enable_eos_bos_chars") else tokens

    return tokenise


def _phonemiser(what: str, config: _Fields) -> Callable[[str, str], str] | None:
    """What turns cleaned text into phonemes; None: the model reads characters."""
    if not config.get("use_phonemes"):
        return None
    name = config.get("phonemizer") or "espeak"
    several = name == "multi_phonemizer"
    names = {each.get("phonemizer") for each in config.get("datasets") or ()} if several else {name}
    if others := sorted(str(each or "none") for each in names - {"espeak"}):
        raise EngineError(f"{what} wants the phonemizer {', '.join(others)}: only espeak is known")
    own = str(config.get("phoneme_language") or "")

    def phonemise(text: str, language: str) -> str:
        voice = language if several else own
        return ipa(text.strip(), _ESPEAK_VOICES.get(voice, voice))

    return phonemise


def _vocabulary(
    what: str, characters: _Fields | None, phonemes: bool
) -> tuple[dict[str, int], int, int, int]:
    """The ids of all symbols, and those of blank, begin and end."""
    if not characters:
        raise EngineError(f"{what}: its config.json has no 'characters', which number its symbols")
    kind = str(characters.get("characters_class") or "").rpartition(".")[2]
    kind = kind or ("IPAPhonemes" if phonemes else "Graphemes")
    if characters.get("vocab_dict"):
        symbols = list(characters["vocab_dict"])
    elif kind == "VitsCharacters":
        symbols = _vits(characters)
    elif kind in ("Graphemes", "IPAPhonemes", "BaseCharacters"):
        symbols = _base(characters, kind == "IPAPhonemes")
    else:
        raise EngineError(f"{what} wants the characters {kind!r}, which are not known")
    # Of a symbol that stands twice the later place counts, as in Coqui's own table.
    known = {symbol: number for number, symbol in enumerate(symbols)}
    names = (characters.get("blank") or _BLANK, characters.get("bos"), characters.get("eos"))
    blank, begin, end = (known.get(name or "", len(symbols)) for name in names)
    return known, blank, begin, end


def _vits(characters: _Fields) -> list[str]:
    letters = (characters.get("characters") or "") + (characters.get("phonemes") or "")
    pad = characters.get("pad") or _PAD
    return [pad, *(characters.get("punctuations") or ""), *letters, _BLANK]


def _base(characters: _Fields, phonemes: bool) -> list[str]:
    letters = characters.get("characters", _LETTERS)
    if phonemes and characters.get("phonemes") is not None:
        letters = characters["phonemes"]
    if characters.get("is_unique"):
        letters = "".join(dict.fromkeys(letters))
    ordered = sorted(letters) if characters.get("is_sorted", True) else list(letters)
    special = [characters.get(each) for each in ("pad", "eos", "bos", "blank")]
    return [*filter(None, special), *ordered, *characters.get("punctuations", _MARKS)]


def named(files: Files, config: _Fields) -> tuple[str, ...]:
    """Return the languages of a voice as Coqui's files name them, or raise `EngineError`."""
    if "languages" in files.roles:
        table = files.json("languages", "")
        return tuple(sorted(table, key=lambda name: int(table[name])))
    if config.get("languages"):
        return tuple(config["languages"])
    found = {each.get("language") for each in config.get("datasets") or ()} - {None, ""}
    return tuple(sorted(found)) or tuple(filter(None, [config.get("phoneme_language")]))


def _speakers(files: Files, arguments: _Fields) -> dict[str, int]:
    if "speakers" in files.roles:
        return {name: int(number) for name, number in files.json("speakers", "").items()}
    return numbered(int(arguments.get("num_speakers") or 1))
