"""In which scripts languages are written: a text in none of them is read by the wrong voice."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import islice
from typing import Final

#: Scripts, by how Unicode's names of their letters begin, and languages that are written in them.
_SCRIPTS: Final = {
    "ARABIC": "ar fa ps ur",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "BOPOMOFO": "cmn yue zh",
    "CJK": "cmn ja ko yue zh",
    "CYRILLIC": "be bg kk ky mk mn ru sr tg tt uk",
    "DEVANAGARI": "hi mr ne",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he yi",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "LATIN": "af bs ca cs cy da de en es et eu fi fr ga gl hr hu id is it la lb lt lv ms mt nb nl "
    "nn no pl pt ro sk sl sq sv sw tr vi",
    "MALAYALAM": "ml",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}
_KNOWN: Final = frozenset(" ".join(_SCRIPTS.values()).split())
#: Letters of a text that are looked at: what it is written in shows early.
_LOOKED_AT: Final = 400


def foreign(text: str, language: str) -> bool:
    """Whether a text begins with letters most of which its language is not written in.

    False for languages of which nothing is known here.
    """
    if text.isascii():
        return False
    own = re.split("[-_]", language.lower())[0]
    if own not in _KNOWN:
        return False
    letters = Counter(map(_script, islice(filter(str.isalpha, text), _LOOKED_AT)))
    strange = sum(number for script, number in letters.items() if _strange(script, own))
    return 2 * strange > letters.total()


def _strange(script: str, language: str) -> bool:
    """Whether a language is written otherwise; Latin letters are no wonder in any text."""
    return script != "LATIN" and language not in _SCRIPTS.get(script, language).split()


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
