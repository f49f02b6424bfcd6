"""Cut a text where a reader would breathe; nothing of it is lost."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

import sentencex

Boundary = Literal["clause", "sentence"]
Span = tuple[int, int, Boundary]

#: Characters that the sentence library sees at once. It is quadratic in a text whose quotes are
#: never closed (1 MB: 63 s); at this size such a window takes 6 ms, an ordinary one 0.1 ms.
WINDOW = 8_000

_CLOSING = r"[\"'”’»)\]」』）】]*"
#: Where an over-long stretch may be cut, best first.
_BREAKS: tuple[tuple[re.Pattern[str], Boundary], ...] = (
    (re.compile(rf"[.!?…]{_CLOSING}\s+|[。！？…]+{_CLOSING}\s*"), "sentence"),
    (re.compile(rf"[;:]{_CLOSING}\s+|[；：—]+{_CLOSING}\s*|\s[–-]+\s+"), "clause"),
    (re.compile(rf"[,)\]]{_CLOSING}\s+|[，、）」』]+\s*"), "clause"),
    (re.compile(r"\s+"), "clause"),
)
#: By language: what ends no sentence, and how what follows it begins.
_UNENDED = {
    "en": (
        re.compile(
            r"\b(?:vols?|nos?|chs?|pp?|figs?|secs?|arts?|pts?|bk|ed|approx|ca|vs)\.\s+$", re.I
        ),
        re.compile(r"\d"),
    ),
    "fr": (re.compile(r"\b(?:M|MM|Mme|Mlle)\.\s+$"), re.compile(r"\w")),
}  # fmt: skip
_LONGEST_ABBREVIATION = 12
#: What closes a quotation or a title; the library lets some of them begin the next sentence.
_CLOSERS = frozenset("」』）】》〉")
_ZERO_WIDTH_JOINER = "\u200d"
#: White space that the library takes for one byte wide: it panics at a no-break space after an
#: initial (`Plan A\u00a0.`).
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")


def sentence_spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences of a paragraph as spans that tile it, in linear time.

    The library is sentencex (Wikimedia); `language` is a primary subtag such as `en`, and one
    that it does not know is cut by its fallback chain, in the end as English.
    """
    started = -1
    for start, end in _library_spans(text, language):
        started = start if started < 0 else started
        tail = text[max(started, end - _LONGEST_ABBREVIATION) : end]
        if not _goes_on(tail, text[end : end + 1], language):
            yield started, end
            started = -1
    if started >= 0:
        yield started, len(text)


def _goes_on(tail: str, after: str, language: str) -> bool:
    """Whether the library took the stop of an abbreviation for the end of a sentence."""
    abbreviation, follows = _UNENDED.get(language, (None, None))
    return bool(abbreviation and follows and follows.match(after) and abbreviation.search(tail))


def _library_spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(text):
        last = position + WINDOW >= len(text)
        ends = _sentence_ends(text[position : position + WINDOW], language)
        if not last:
            # What the window's edge cuts off is read again at the head of the next window.
            ends = ends[:-1] or [_break(text, position, position + WINDOW)[0] - position]
        start = position
        for end in ends:
            yield start, position + end
            start = position + end
        position = start


def clause_spans(text: str, start: int, end: int, limit: int) -> Iterator[Span]:
    """Yield spans of at most `limit` characters that tile `text[start:end]`.

    Cut at sentence marks, else at clause marks, else at spaces, else anywhere but inside a
    combining sequence (unless the sequence alone is longer than `limit`).
    """
    while end - start > limit:
        cut, boundary = _break(text, start, start + limit)
        yield start, cut, boundary
        start = cut
    if start < end:
        yield start, end, "sentence"


def halves(text: str, start: int, end: int) -> tuple[int, Boundary] | None:
    """Return the best place to cut a stretch in two, nearest its middle; None within one word."""
    middle = (start + end) // 2
    for pattern, boundary in _BREAKS:
        cuts = [found.end() for found in pattern.finditer(text, start, end) if found.end() < end]
        cuts = [cut for cut in cuts if text[start:cut].strip()]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - middle)), boundary
    return None


def _sentence_ends(window: str, language: str) -> list[int]:
    seen = _WIDE_SPACE.sub(" ", window)
    ends = [int(found["end_index"]) for found in sentencex.get_sentence_boundaries(language, seen)]
    if not ends or ends[-1] != len(window):
        ends.append(len(window))
    return sorted({_after_closers(window, end) for end in ends})


def _after_closers(window: str, end: int) -> int:
    while end < len(window) and window[end] in _CLOSERS:
        end += 1
    return end


def _break(text: str, start: int, stop: int) -> tuple[int, Boundary]:
    """Where to cut `text[start:stop]`: as late as possible, at the best kind of break."""
    earliest = start + (stop - start) // 3
    for pattern, boundary in _BREAKS:
        cuts = [found.end() for found in pattern.finditer(text, earliest, stop)]
        if cuts:
            return cuts[-1], boundary
    return _between_characters(text, start, stop), "clause"


def _between_characters(text: str, start: int, stop: int) -> int:
    """The last place at or before `stop` that parts no base character from its marks."""
    cut = stop
    while cut > start + 1 and _continues(text[cut - 1], text[cut : cut + 1]):
        cut -= 1
    return cut if cut > start + 1 else stop


def _continues(before: str, after: str) -> bool:
    """Whether two neighbours belong to one character as a reader sees it (UAX 29, in short)."""
    if not after:
        return False
    joined = _ZERO_WIDTH_JOINER in (before, after)
    marks = unicodedata.category(after) in ("Mn", "Me", "Mc", "Sk")
    surrogates = "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"
    return joined or marks or surrogates
