"""Pronunciation lexicons: PLS 1.0 (W3C, 2008), read as plain data, and found again in texts.

A lexeme's graphemes are read by its alias or its phonemes; docs/lexicons.md has the rules.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from lxml import etree

from farm.errors import InvalidInput
from farm.phonemes import ipa
from farm.text.markup import LANG, LANGUAGE, Kind, text_of
from farm.text.normalise import INVISIBLE
from farm.text.readings import Reading

#: Bytes of a lexicon, its tags, and the lexicons of a job.
LARGEST = 2**20
MOST_TAGS = 100_000
MOST_LEXICONS = 10
#: Characters of a grapheme, an alias, or the phonemes of a lexeme.
LONGEST = 200

SPACE = "http://www.w3.org/2005/01/pronunciation-lexicon"
_KIND = Kind("lexicon", LARGEST, MOST_TAGS)
_NAME = 40
#: What PLS has besides, and says nothing of how a word is read.
_SILENT = frozenset(("meta", "metadata", "example"))
#: Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, Chinese, Japanese.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]"
)
_SEEN = re.compile(rf"[^\s{INVISIBLE}]+")
_APOSTROPHES = str.maketrans("’ʼ", "''")


class Entry(NamedTuple):
    """How a grapheme is read."""

    alias: str = ""
    """Words in its place; empty: it has phonemes."""
    ipa: str = ""


@dataclass(frozen=True)
class Lexicon:
    """A lexicon's graphemes in one language."""

    language: str
    """BCP 47."""
    entries: Mapping[str, Entry]
    """By grapheme, white space collapsed."""

    def speaks(self, language: str) -> bool:
        """Whether it is for texts in a language: the same, or one of them without its region."""
        own, other = (tag.lower().replace("_", "-").split("-") for tag in (self.language, language))
        return all(a == b for a, b in zip(own, other, strict=False))


def named(data: bytes) -> str:
    """Name a lexicon's file by its content."""
    return f"{hashlib.sha256(data).hexdigest()[:32]}.pls"


def read(data: str | bytes) -> Lexicon:
    """Read a lexicon.

    Of several pronunciations of a grapheme the first counts that is marked `prefer`, else the
    first; those of lexemes with a `role`, which no text tells, after all others.

    Raises:
        InvalidInput: it is no PLS document, says no language, has phonemes in another alphabet
            than IPA, or is too large.
    """
    root = _KIND.parse(data)
    if _tag(root) != "lexicon":
        raise InvalidInput(f"the root of a lexicon is 'lexicon', not {_tag(root)[:_NAME]!r}")
    language = (root.get(LANG) or "").strip()
    if not LANGUAGE.fullmatch(language):
        raise InvalidInput(f"the lexicon says no language: xml:lang is {language[:_NAME]!r}")
    told = (root.get("alphabet") or "ipa").strip()
    rows = [row for each in _children(root, {"lexeme"}) for row in _lexeme(each, told)]
    entries: dict[str, Entry] = {}
    for row in sorted(rows, key=lambda row: (row.role, not row.preferred)):
        for form in ("NFC", "NFD"):
            entries.setdefault(unicodedata.normalize(form, row.grapheme), row.entry)
    if not entries:
        raise InvalidInput("the lexicon is empty: it has no lexeme")
    return Lexicon(language, entries)


class _Row(NamedTuple):
    """One pronunciation of one grapheme."""

    grapheme: str
    entry: Entry
    preferred: bool
    role: bool


def _tag(element: etree._Element) -> str:
    """An element's name; with its namespace where that is not PLS's."""
    name = etree.QName(element)
    return name.localname if name.namespace in (None, SPACE) else name.text


def _children(element: etree._Element, known: Iterable[str]) -> Iterator[etree._Element]:
    """Yield the children of an element that are of a kind; those that say nothing are left out."""
    for child in element:
        tag = _tag(child)
        if tag in known:
            yield child
        elif tag not in _SILENT and not tag.startswith("{"):
            valid = ", ".join(sorted(known))
            raise _wrong(child, f"<{tag[:_NAME]}> is not known here: use {valid}")


def _wrong(element: etree._Element, why: str) -> InvalidInput:
    return InvalidInput(f"line {element.sourceline} of the lexicon: {why}")


def _lexeme(element: etree._Element, alphabet: str) -> Iterator[_Row]:
    """Yield every pronunciation of every grapheme of a lexeme, in the order of the document."""
    graphemes, found = [], []
    for child in _children(element, ("grapheme", "phoneme", "alias")):
        text = " ".join(text_of(child).split())
        if not 0 < len(text) <= LONGEST:
            what = f"has {len(text)} characters: {LONGEST} at most" if text else "is empty"
            raise _wrong(child, f"a {_tag(child)} {what}")
        if _tag(child) == "grapheme":
            graphemes.append(text.translate(_APOSTROPHES))
        else:
            preferred = (child.get("prefer") or "").strip() in ("true", "1")
            found.append((_entry(child, text, alphabet), preferred))
    if not graphemes or not found:
        lack = "alias and no phoneme" if graphemes else "grapheme"
        raise _wrong(element, f"a lexeme has no {lack}")
    role = bool(element.get("role"))
    for grapheme in graphemes:
        yield from (_Row(grapheme, entry, preferred, role) for entry, preferred in found)


def _entry(element: etree._Element, text: str, alphabet: str) -> Entry:
    if _tag(element) == "alias":
        return Entry(alias=text)
    told = (element.get("alphabet") or alphabet).strip()
    if told != "ipa":
        raise _wrong(element, f"phonemes in {told[:_NAME]!r}: the farm reads 'ipa'")
    try:
        return Entry(ipa=ipa.read(text))
    except InvalidInput as error:
        raise _wrong(element, str(error)) from error


@dataclass(frozen=True, eq=False)
class Lexicons:
    """The lexicons of a job: of several that have a grapheme the first counts."""

    held: Sequence[Lexicon] = ()
    _by_language: dict[str, _Index] = field(default_factory=dict)

    def find(self, text: str, language: str) -> list[Reading]:
        """Find what stands in a text in a language, from its beginning, the longest first.

        Only whole words are found. White space may be any, and apostrophes; letters are as they
        are written, in their case.
        """
        index = self._by_language.get(language)
        if index is None:
            fit = [each.entries for each in self.held if each.speaks(language)]
            entries = {g: entry for part in reversed(fit) for g, entry in part.items()}
            index = self._by_language.setdefault(language, _Index(entries))
        return list(index.find(text)) if index.entries else []

    def unheard(self, languages: Iterable[str]) -> list[str]:
        """Return a warning for every language of a lexicon that is for none of these."""
        spoken = sorted(languages)
        silent = (each.language for each in self.held if not any(map(each.speaks, spoken)))
        here = ", ".join(spoken)
        return [
            f"a lexicon is for {each!r}: nothing in {here} is looked up in it"
            for each in dict.fromkeys(silent)
        ]


class _Index:
    """Graphemes, to be found by their first character."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        lengths: dict[str, set[int]] = {}
        for grapheme in entries:
            lengths.setdefault(grapheme[0], set()).add(len(grapheme))
        self._lengths = {first: sorted(some, reverse=True) for first, some in lengths.items()}

    def find(self, text: str) -> Iterator[Reading]:
        """Yield what is found, in order."""
        shown = _Shown(text)
        at, words = 0, shown.words
        while at < len(words):
            end = self._end(words, at)
            if end:
                start, after = shown.source(at), shown.source(end - 1) + 1
                yield Reading(start, after, *self.entries[words[at:end]])
            at = end or at + 1

    def _end(self, words: str, at: int) -> int:
        """Return where the longest grapheme ends that begins here; 0: there is none."""
        lengths = self._lengths.get(words[at], ())
        if not lengths or _goes_on(words, at):
            return 0
        ends = (at + length for length in lengths if at + length <= len(words))
        fit = (end for end in ends if words[at:end] in self.entries and not _goes_on(words, end))
        return next(fit, 0)


class _Shown:
    """A text as readers see it, with single blanks and no invisible characters in it."""

    def __init__(self, text: str) -> None:
        parts: list[str] = []
        self._starts: list[int] = []
        """Where each part stands in the text."""
        end = 0
        for found in _SEEN.finditer(text):
            if parts and any(each.isspace() for each in text[end : found.start()]):
                parts.append(" ")
                self._starts.append(end)
            parts.append(found[0])
            self._starts.append(found.start())
            end = found.end()
        self.words = "".join(parts).translate(_APOSTROPHES)
        self._places = list(accumulate(map(len, parts), initial=0))[:-1]
        """Where each part stands in the words."""

    def source(self, at: int) -> int:
        """Return where a character stands in the text."""
        part = bisect_right(self._places, at) - 1
        return self._starts[part] + at - self._places[part]


def _goes_on(words: str, at: int) -> bool:
    """Whether a word goes on at a place: the characters before it and after it belong together."""
    before, after = words[at - 1 : at], words[at : at + 1]
    if not before or not after:
        return False
    if unicodedata.category(after).startswith("M"):
        return True
    if after == "'" and before.isalpha():  # "don't" goes on, "Don's" does not
        tail = words[at + 1 : at + 3]
        return tail[:1].isalpha() and not (tail[0] in "sS" and not tail[1:].isalnum())
    if after in ".," and before.isdigit():
        return words[at + 1 : at + 2].isdigit()
    if before in ".," and after.isdigit():
        return words[max(0, at - 2) : at - 1].isdigit()
    if _UNSPACED.match(before) or _UNSPACED.match(after):
        return False
    return after.isalnum() and (before.isalnum() or unicodedata.category(before).startswith("M"))
