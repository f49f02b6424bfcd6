"""Texts cut in words as sherpa-onnx cuts them (`csrc/text-utils.cc`, `phrase-matcher.cc`)."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator, Sequence

#: Marks of ASCII that end a word; the apostrophe belongs to it.
_MARKS = frozenset(string.punctuation) - {"'"}

#: Letters beyond ASCII that are part of a word; every other character is a word of its own.
_LETTERS = frozenset("äöüÄÖÜßáéíóúüñÁÉÍÓÚÑàèùçâêîôûëïÀÈÙÇÂÊÎÔÛËÏ")

#: Words that a phrase of the lexicon may be made of.
_LONGEST = 10


def split(text: str) -> list[str]:
    """Cut a text in words of Latin letters and single other characters; spaces are dropped."""
    words: list[str] = []
    within = False
    for character in text:
        if character.isspace():
            within = False
            continue
        joins = character not in _MARKS if character.isascii() else character in _LETTERS
        if joins and within:
            words[-1] += character
        else:
            words.append(character)
        within = joins
    return words


def phrases(words: Sequence[str], known: Collection[str]) -> Iterator[str]:
    """Join words to the longest that are known, from the left."""
    start = 0
    while start < len(words):
        end = _end(words, start, known)
        yield "".join(words[start:end])
        start = end


def _end(words: Sequence[str], start: int, known: Collection[str]) -> int:
    if not _plain(words[start][0]):
        for end in range(min(start + _LONGEST, len(words)), start + 1, -1):
            if not _plain(words[end - 1][-1]) and "".join(words[start:end]) in known:
                return end
    return start + 1


def _plain(character: str) -> bool:
    """Whether it is a letter or a mark of ASCII, which no phrase begins or ends with."""
    return character.isascii() and (character.isalpha() or character in string.punctuation)
