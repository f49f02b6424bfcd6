"""Write a sentence as it is spoken: numbers, dates, money, units and abbreviations in words."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Protocol, cast

from farm.text import chinese, english, french, portuguese
from farm.text.numerals import in_words

#: Version of the front end as a whole: segments whose text it may change get new digests.
FRONT_END = "+".join(
    ["2", *(f"{name}-{version(name)}" for name in ("wetext", "num2words", "roman", "sentencex"))]
)

#: What a sentence may hold besides letters and still have nothing to normalise.
_PLAIN_MARKS = r"\s,;:!?'’‘“”\"—–…\-()"
_ENGLISH_PLAIN = re.compile(
    rf"(?:[^\W\d_]|[{_PLAIN_MARKS}]|(?<=[a-z][a-z])\.(?=[”’\"')]*\s))+(?:\.[”’\"')]*)?"
)
#: Soft hyphens, joiners, byte order marks: nobody sees them within a word.
INVISIBLE = "\u00ad\u200b\u2060\ufeff"
#: `_word_`, `**word**`, rows of stars, and characters that nobody sees.
_UNSPOKEN = re.compile(
    r"(?<!\w)[*_]+(?=\w)|(?<=[\w.,;:!?…])[*_]+(?!\w)"
    rf"|(?:(?<=\s)|^)[*_~#=•](?:\s?[*_~#=•])+(?=\s|$)|[{INVISIBLE}]"
)
_DIGITS = re.compile(r"\d+")


class _Library(Protocol):
    def normalize(self, text: str) -> str: ...


_loading = threading.Lock()


def normalise(text: str, language: str) -> str:
    """Write a sentence as it is spoken, white space collapsed.

    English, Chinese and Japanese go through wetext, English and Chinese with tables of their own
    before it (`farm.text.english`, `farm.text.chinese`); French and Portuguese are read by
    `farm.text.romance`; other languages that num2words knows get their plain numbers in words;
    text of any further language is returned as it is. A sentence that holds nothing
    to normalise never reaches a library. Letters keep their case, and marks stay.
    """
    return _cached(" ".join(_UNSPOKEN.sub("", text).split()), language.lower().replace("_", "-"))


def _normalise(text: str, language: str) -> str:
    primary = language.split("-")[0]
    if is_plain(text, primary):
        return text
    return (
        _LANGUAGES[primary](text, language) if primary in _LANGUAGES else in_words(text, language)
    )


#: Sentences kept; at 200 bytes each a few megabytes.
_cached = functools.lru_cache(maxsize=16_384)(_normalise)


def is_plain(text: str, language: str) -> bool:
    """Whether a sentence holds nothing that the libraries would write differently."""
    if language == "en":
        numeric = not text.isascii() and any(character.isnumeric() for character in text)
        plain = not numeric and _ENGLISH_PLAIN.fullmatch(text)
        return bool(plain) and not english.TRIGGERS.search(text)
    grammar = _GRAMMARS.get(language)
    return not (_DIGITS.search(text) or (grammar and grammar.triggers.search(text)))


def _english(text: str, _: str) -> str:
    mended = english.before(text)
    unshielded = english.after(mended)
    if is_plain(unshielded, "en"):
        return unshielded
    return english.after(read_by_library(mended, "en"))


def _chinese(text: str, _: str) -> str:
    return chinese.after(read_by_library(chinese.before(text), "zh"))


def read_by_library(text: str, language: str) -> str:
    """Normalise with wetext alone; a word that it cannot read gets its digits in words."""
    words = " ".join(text.split())
    read = _read(words, language)
    if read is not None:
        return read
    parts = ((word, _read(word, language)) for word in words.split(" "))
    return " ".join(in_words(word, language) if part is None else part for word, part in parts)


def _read(text: str, language: str) -> str | None:
    try:
        return _library(language).normalize(text) or None
    except (AssertionError, IndexError, KeyError, RuntimeError, ValueError):
        return None  # How wetext 0.1.8 says that its grammar has no path for the text.


def _library(language: str) -> _Library:
    with _loading:
        return _load(language)


@functools.cache
def _load(language: str) -> _Library:
    # Half a second: only for those who have something to normalise.
    from wetext import Normalizer

    return cast(_Library, Normalizer(lang=language, operator="tn"))


#: Primary subtag to what reads it, given a sentence and its full language tag.
_LANGUAGES: dict[str, Callable[[str, str], str]] = {
    "en": _english,
    "zh": _chinese,
    "ja": lambda text, _: read_by_library(text, "ja"),
    "fr": french.normalise,
    "pt": portuguese.normalise,
}
_GRAMMARS = {"fr": french.GRAMMAR, "pt": portuguese.GRAMMAR}
