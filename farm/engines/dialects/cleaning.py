"""What Coqui's cleaners do to text that is already as spoken (coqui-ai-TTS, `cleaners.py`).

Their expansion of numbers, times and abbreviations is left out: text comes to an engine expanded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Cleaner = Callable[[str, str], str]

#: Language to the word for `&`; others keep the sign.
_AND = {"en": " and ", "fr": " et ", "it": " e ", "pt": " e ", "ca": " i "}


def _normalised(text: str, _: str) -> str:
    return unicodedata.normalize("NFC", text)


def _lowered(text: str, _: str) -> str:
    return text.lower()


def _turkish(text: str, _: str) -> str:
    return text.replace("I", "ı").lower()


def _replaced(text: str, language: str) -> str:
    if language != "el":  # Greeks ask with a semicolon
        text = text.replace(";", ",")
    text = text.replace("-", "" if language == "ca" else " ").replace(":", ",")
    text = text.replace("&", _AND.get(language, "&"))
    return text.replace("'", "") if language == "ca" else text


def _bared(text: str, _: str) -> str:
    return re.sub(r'[<>()\[\]"]+', "", text)


def _collapsed(text: str, _: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _unbroken(text: str, _: str) -> str:
    return text.replace("\n", "")


def _chain(*steps: Cleaner) -> Cleaner:
    def clean(text: str, language: str) -> str:
        for step in steps:
            text = step(text, language)
        return text

    return clean


_BASIC = _chain(_normalised, _lowered, _collapsed)
_SYMBOLS = _chain(_normalised, _lowered, _replaced, _bared, _collapsed)
_CASED = _chain(_normalised, _replaced, _bared, _collapsed)

#: Coqui's name of a cleaner to what it does. Cleaners take a text and a primary language.
CLEANERS: dict[str, Cleaner] = {
    "basic_cleaners": _BASIC,
    "basic_german_cleaners": _BASIC,
    "basic_turkish_cleaners": _chain(_normalised, _turkish, _collapsed),
    "chinese_mandarin_cleaners": _normalised,
    "english_cleaners": _SYMBOLS,
    "french_cleaners": _SYMBOLS,
    "italian_cleaners": _SYMBOLS,
    "multilingual_cleaners": _SYMBOLS,
    "multilingual_phoneme_cleaners": _CASED,
    "no_cleaners": _unbroken,
    "phoneme_cleaners": _CASED,
    "portuguese_cleaners": _SYMBOLS,
    "transliteration_cleaners": _BASIC,
}
