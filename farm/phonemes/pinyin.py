"""Mandarin in pinyin syllables as they are spoken: `ni2 hao3 ，`.

Words are found by jieba's dictionary (rjieba, the Rust port with wheels), readings of words are
pypinyin's, those of single characters follow `farm.phonemes.polyphones`, tones
`farm.phonemes.sandhi`. Latin letters stay as words for whoever knows their symbols.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import rjieba
from pypinyin import Style
from pypinyin import pinyin as read
from pypinyin.constants import PHRASES_DICT
from pypinyin.seg.mmseg import seg as longest_matches

from farm.phonemes import Pronunciation, sandhi
from farm.phonemes.mandarin import CHILDREN, DIGITS, LETTERS, WORDS
from farm.phonemes.polyphones import Word, depends, resolve
from farm.phonemes.sandhi import Syllable

#: CJK ideographs, their extensions, and the zero that is written like one.
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PARTS = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<latin>[^\W\d_{_HAN}](?:['’]?[^\W\d_{_HAN}])*)|(?P<other>\S)"
)
#: What a voice may pause at, in its Chinese form.
MARKS = {
    "，": "，", ",": "，", "、": "、", "；": "；", ";": "；", "：": "：", ":": "：",
    "。": "。", ".": "。", "．": "。", "？": "？", "?": "？", "！": "！", "!": "！",
    "…": "…", "—": "—", "–": "—", "～": "—",
}  # fmt: skip
#: Quotes, brackets, hyphens and the like: seen, not heard.
_SILENT_CLASSES = frozenset(("Ps", "Pe", "Pi", "Pf", "Pd", "Po", "Pc", "Cf", "Mn", "Sk"))
_SYLLABLE = re.compile(r"^(?:[a-zê]+)[1-5]$")


@dataclass(frozen=True)
class Token:
    """One thing of a sentence: a syllable, a mark, a Latin word, or what nobody can read."""

    kind: Literal["syllable", "mark", "latin", "unknown"]
    text: str
    """`hao3`, `，`, `Python` or the character."""


def tokens(text: str) -> list[Token]:
    """Read a sentence: its syllables after sandhi, marks and Latin words, in order.

    Erhua is a last `r` before the tone: `dianr3`. Digits beside letters are read one by one.
    """
    found: list[Token] = []
    for part in _PARTS.finditer("".join(map(_plain, unicodedata.normalize("NFC", text)))):
        if part["han"]:
            found += _syllables(part["han"])
        elif part["latin"]:
            found.append(Token("latin", part["latin"]))
        else:
            found += _mark(part["other"])
    return found


def syllables(text: str) -> Pronunciation:
    """Read a sentence as plain pinyin; Latin words are spelled with the letters' Mandarin names.

    Marks are `，、；：。？！…—`, each once where it is repeated.
    """
    symbols: list[str] = []
    missing: dict[str, None] = {}
    spelled: dict[str, None] = {}
    for token in tokens(text):
        if token.kind == "unknown":
            missing[token.text] = None
        elif token.kind == "latin":
            names, lost = spell(token.text)
            symbols += names
            missing |= dict.fromkeys(lost)
            spelled |= dict.fromkeys([token.text] if names and not is_initials(token.text) else [])
        elif token.kind == "syllable" or symbols[-1:] != [token.text]:
            symbols.append(token.text)
    return Pronunciation(tuple(symbols), tuple(missing), tuple(spelled))


def spell(word: str) -> tuple[list[str], list[str]]:
    """Return the names of a Latin word's letters in Mandarin, and the letters without a name."""
    plain = unicodedata.normalize("NFKD", word).lower()
    letters = [each for each in plain if each.isalpha()]
    names = [name for each in letters for name in LETTERS.get(each, "").split()]
    return names, [each for each in letters if each not in LETTERS]


def is_initials(word: str) -> bool:
    """Whether a Latin word is said by its letters anyway: `GPU`, `B`."""
    return word.isupper() and len(word) <= 5


def _plain(character: str) -> str:
    """Full-width letters and the like in their usual form, digits in words; marks as they are."""
    plain = unicodedata.normalize("NFKC", character) if character.isalnum() else character
    return "".join(DIGITS.get(each, each) for each in plain)


def _mark(character: str) -> list[Token]:
    if character in MARKS:
        return [Token("mark", MARKS[character])]
    if unicodedata.category(character) in _SILENT_CLASSES:
        return []
    return [Token("unknown", character)]


def _syllables(text: str) -> Iterator[Token]:
    words: list[Word] = rjieba.tag(text)
    spoken: list[Syllable] = []
    unknown: list[str] = []
    pieces = list(_pieces(words))
    readings = resolve([(piece, kind) for piece, kind, _ in pieces])
    for (piece, _, number), reading in zip(pieces, readings, strict=True):
        for character, sound in zip(piece, _sounds(piece, reading), strict=True):
            if sound:
                spoken.append(Syllable(character, sound[:-1], int(sound[-1]), number))
            else:
                unknown.append(character)
    for each in sandhi.apply(_erhua(spoken, words), [kind for _, kind in words]):
        yield Token("syllable", f"{each.sound}{each.tone}")
    yield from (Token("unknown", character) for character in unknown)


def _pieces(words: Sequence[Word]) -> Iterator[tuple[str, str, int]]:
    """Words, cut where no dictionary has them and a character's reading depends on its neighbours.

    The number is that of the word which a piece is of.
    """
    for number, (word, kind) in enumerate(words):
        if word in WORDS or word in PHRASES_DICT or not any(map(depends, word)):
            yield word, kind, number
        else:
            yield from ((piece, kind, number) for piece in longest_matches.cut(word))


def _sounds(word: str, reading: str) -> list[str]:
    """The syllable of each character of a word; "" where there is none."""
    known = reading or WORDS.get(word, "")
    if known:
        return known.split()
    sounds = [each[0] for each in _read(word)]
    if len(sounds) != len(word):
        sounds = [_read(character)[0][0] for character in word]
    return [sound if _SYLLABLE.match(sound) else "" for sound in sounds]


def _read(word: str) -> list[list[str]]:
    return read(word, style=Style.TONE3, neutral_tone_with_five=True, v_to_u=False)


def _erhua(spoken: Sequence[Syllable], words: Sequence[Word]) -> list[Syllable]:
    """Merge a 儿 that ends a word into the syllable before it."""
    merged: list[Syllable] = []
    for index, each in enumerate(spoken):
        last = index + 1 == len(spoken) or spoken[index + 1].word != each.word
        word = words[each.word][0]
        closes = each.text in "儿兒" and last and word not in CHILDREN and word[-2:] not in CHILDREN
        if (
            closes
            and merged
            and merged[-1].sound != "er"
            and (len(word) > 1 or _follows(words, each))
        ):
            base = merged[-1]
            merged[-1] = Syllable(base.text + "儿", base.sound + "r", base.tone, base.word)
        else:
            tone = 2 if each.text in "儿兒" and each.tone == 5 else each.tone
            merged.append(Syllable(each.text, each.sound, tone, each.word))
    return merged


def _follows(words: Sequence[Word], each: Syllable) -> bool:
    """Whether a 儿 that stands alone follows a noun, a place or a pronoun."""
    return each.word > 0 and words[each.word - 1][1][:1] in ("n", "s", "r", "f", "a", "q", "m", "v")
