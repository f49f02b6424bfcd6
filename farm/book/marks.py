"""When each word is spoken: the words of a text aligned with an engine's phoneme timings.

Engines give the phonemes of a sentence with a space between spoken words. Those need not be the
words of the text: espeak joins "of the" and speaks "1984" as three. Words and groups of phonemes
are therefore aligned by length, by dynamic programming after Gale and Church, "A Program for
Aligning Sentences in Bilingual Corpora" (1993), with 1-1, 1-n and n-1 as the only matches.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import regex

from farm.audio import Timing

#: What stands between spoken words: a space, Piper's ends of a sentence, and pauses.
SEPARATORS = frozenset(" ^$,;:!?—–…。，、；：！？")

#: Stress marks of the IPA; they stand before what they stress.
STRESS = frozenset("ˈˌ")

#: A word: letters with their marks and digits, with what may stand inside one; a Chinese or
#: Japanese character. (To `re` the vowel signs of Hindi end a word.)
WORD = regex.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
    r"(?:['’.,:&-][^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+)*"
)

#: What is not part of a changed stretch of the source, at its ends.
_AROUND = " \t\n\r\u00a0.,;:!?'\"()[]“”‘’«»—–…"

Range = tuple[int, int]
"""First character, and the one after the last."""

#: How many words may share a group, or groups a word, unless the counts ask for more.
REACH = 8

#: What a match costs for each word or group beyond one on each side. Of 153 English sentences
#: in espeak's phonemes, spaces taken out and put in at random, 92 % of the words were found to
#: within a phoneme; with half the cost or twice that 92 and 91 %.
_MERGE_COST = 2.0

#: A digit is spoken as about so many letters ("seven", "hundred").
_LETTERS_PER_DIGIT = 5


class Word(NamedTuple):
    """A word of a text and when it is spoken."""

    start: int
    """Its first character."""
    end: int
    """The character after its last."""
    start_s: float
    """Seconds from the segment's start."""
    end_s: float


@dataclass(frozen=True)
class _Group:
    """The phonemes between two separators."""

    edges: tuple[int, ...]
    """Sample at which each phoneme begins, and at which the last one ends."""

    @property
    def phonemes(self) -> int:
        return len(self.edges) - 1

    def at(self, part: float) -> float:
        """Return the sample that lies after such a part (0-1) of the phonemes."""
        whole, rest = divmod(part * self.phonemes, 1)
        left = self.edges[int(whole)]
        right = self.edges[min(int(whole) + 1, self.phonemes)]
        return left + rest * (right - left)


def words(text: str, timings: Sequence[Timing], sample_rate: int) -> list[Word]:
    """Return when each word of a segment is spoken.

    In order; no word begins before its predecessor ends, or lies outside the timings. Words
    that are spoken as one share its time by their letters. Empty where the text has no words;
    without a sounding phoneme they share the whole time.
    """
    found = [match.span() for match in WORD.finditer(text)]
    total = sum(timing.samples for timing in timings)
    if not found or not total:
        return []
    groups = list(_groups(timings)) or [_Group((0, total))]
    weights = [_weight(text[start:end]) for start, end in found]
    times: list[tuple[float, float]] = []
    for word_range, group_range in _align(weights, [group.phonemes for group in groups]):
        times += _share(weights[slice(*word_range)], groups[slice(*group_range)])
    return [
        Word(*span, start / sample_rate, end / sample_rate)
        for span, (start, end) in zip(found, times, strict=True)
    ]


def in_source(source: str, spoken: str, start: int, end: int) -> tuple[int, int]:
    """Return which characters of the source a stretch of its normalised text stands for.

    Words that normalising left alone map to themselves; of a changed stretch ("$5", "five
    dollars") every spoken word maps to the whole, unless the number of words is the same. What
    has no counterpart maps to an empty range between its neighbours.
    """
    if source == spoken:
        return start, end
    pairs = _pairs(source, spoken)
    touched = [there for here, there in pairs if here[0] < end and start < here[1]]
    if not touched:
        at = max((there[1] for here, there in pairs if here[1] <= start), default=0)
        return at, at
    return min(left for left, _ in touched), max(right for _, right in touched)


@functools.lru_cache(maxsize=16)
def _pairs(source: str, spoken: str) -> tuple[tuple[Range, Range], ...]:
    """Pair each word of the spoken text with a range of the source."""
    here = [match.span() for match in WORD.finditer(spoken)]
    there = [match.span() for match in WORD.finditer(source)]
    matcher = difflib.SequenceMatcher(
        None,
        [spoken[start:end].casefold() for start, end in here],
        [source[start:end].casefold() for start, end in there],
        autojunk=False,
    )
    pairs: list[tuple[Range, Range]] = []
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        if i_end - i == j_end - j:
            pairs += zip(here[i:i_end], there[j:j_end], strict=True)
        else:
            left = there[j - 1][1] if j else 0
            right = there[j_end][0] if j_end < len(there) else len(source)
            pairs += [(word, _stripped(source, left, right)) for word in here[i:i_end]]
    return tuple(pairs)


def _stripped(text: str, start: int, end: int) -> Range:
    """Narrow a range by the spaces and punctuation at its ends; a sign such as `$` stays."""
    piece = text[start:end]
    head = len(piece) - len(piece.lstrip(_AROUND))
    tail = len(piece.rstrip(_AROUND))
    return (start + head, start + tail) if tail > head else (start, start)


def _weight(word: str) -> float:
    return sum(_LETTERS_PER_DIGIT if char.isdigit() else 1 for char in word)


def _groups(timings: Sequence[Timing]) -> Iterator[_Group]:
    """Yield the groups: stress belongs to the phoneme after it, length and pads to that before."""
    edges: list[int] = []
    at = end = 0
    stress: int | None = None
    for timing in timings:
        symbol = timing.symbol
        if symbol in SEPARATORS:
            if edges:
                yield _Group((*edges, end))
            edges, stress = [], None
        elif symbol in STRESS:
            stress = at
        elif _sounds(symbol):
            edges.append(at if stress is None else stress)
            stress = None
        # A full stop ends the last phoneme where no other follows: it marks a retroflex too.
        closed = symbol in SEPARATORS or symbol == "." or (end < at and not symbol.isalnum())
        at += timing.samples
        if not closed:
            end = at
    if edges:
        yield _Group((*edges, end))


def _sounds(symbol: str) -> bool:
    """Whether a symbol is a phoneme, not a stress or length mark, a tone or a pad."""
    return any(unicodedata.category(char) in ("Ll", "Lu", "Lo") for char in symbol)


def _share(weights: Sequence[float], groups: Sequence[_Group]) -> Iterator[tuple[float, float]]:
    """Yield the start and end, in samples, of the words of one match."""
    if len(weights) == 1:
        yield groups[0].at(0), groups[-1].at(1)
        return
    parts = [part / sum(weights) for part in accumulate(weights, initial=0.0)]
    for left, right in pairwise(parts):
        yield groups[0].at(left), groups[0].at(min(right, 1.0))


Match = tuple[Range, Range]
"""A range of words and the range of groups that speak them."""

Table = dict[tuple[int, int], tuple[float, tuple[int, int]]]
"""So many words and groups to the least cost of matching them, and the last match's counts."""


def _align(words: Sequence[float], groups: Sequence[float]) -> list[Match]:
    """Match ranges of words with ranges of groups, in order, leaving out none, most cheaply."""
    pace = sum(groups) / sum(words)
    if len(words) == len(groups) and all(
        _cost(pace * word, group) < 2 * _MERGE_COST
        for word, group in zip(words, groups, strict=True)
    ):
        return [((i, i + 1), (i, i + 1)) for i in range(len(words))]
    reach = max(REACH, -(-len(words) // len(groups)), -(-len(groups) // len(words)))
    shapes = [(1, n) for n in range(1, reach + 1)] + [(n, 1) for n in range(2, reach + 1)]
    expected = [pace * letters for letters in accumulate(words, initial=0.0)]
    phonemes = list(accumulate(groups, initial=0.0))
    best: Table = {(0, 0): (0.0, (0, 0))}
    for i, j in itertools.product(range(1, len(words) + 1), range(1, len(groups) + 1)):
        options = (
            (
                best[i - m, j - n][0]
                + _cost(expected[i] - expected[i - m], phonemes[j] - phonemes[j - n])
                + _MERGE_COST * (m + n - 2),
                (m, n),
            )
            for m, n in shapes
            if (i - m, j - n) in best
        )
        if found := min(options, default=None):
            best[i, j] = found
    return _trace(best, (len(words), len(groups)))


def _cost(expected: float, phonemes: float) -> float:
    """Return how unlikely so many phonemes are: the squared error over its variance."""
    return (phonemes - expected) ** 2 / (expected + 1)


def _trace(best: Table, end: tuple[int, int]) -> list[Match]:
    """Walk back along the cheapest way."""
    matches: list[Match] = []
    i, j = end
    while (i, j) != (0, 0):
        m, n = best[i, j][1]
        matches.append(((i - m, i), (j - n, j)))
        i, j = i - m, j - n
    return matches[::-1]
