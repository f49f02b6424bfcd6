"""Cut one paragraph in the sentences that are spoken, each with its span in the source."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from farm.jobs import Phones
from farm.text.cutting import Boundary, Span, clause_spans, halves, sentence_spans
from farm.text.readings import Reading, Spoken, spoken

#: Categories of characters that mean something without being a letter or a digit.
_SIGNS = frozenset({"Mc", "Me", "Mn", "Sc", "Sm", "So", "Co", "Cn", "Cs"})
#: Arrows, lines, shapes, stars and flowers, with which a book parts its scenes, and their variants.
_DRAWN = re.compile(r"[\x00-\x7f\u2190-\u21ff\u2500-\u27bf\u2b00-\u2bff\ufe00-\ufe0f]")
#: The least that a limit may be: room for a long word.
LEAST_LIMIT = 20


@dataclass(frozen=True)
class Sentence:
    """A piece of a paragraph: what is spoken, where it stands, and what ends it."""

    spoken: str
    """Normalised text; empty where nothing can be pronounced (`* * *`)."""
    start: int
    """First character in the paragraph."""
    end: int
    """One past the last character."""
    boundary: Boundary
    """`clause`: the sentence goes on in the next piece."""
    lost: str = ""
    """What in its span has no words but is no ornament either: the first that is not spoken."""
    phones: tuple[Phones, ...] = ()
    """Sounds of parts of what is spoken."""


def sentences(
    text: str,
    language: str,
    limit: int = 400,
    *,
    whole: bool = False,
    readings: Sequence[Reading] = (),
) -> list[Sentence]:
    """Cut a paragraph in sentences of at most `limit` spoken characters; nothing is cut away.

    A `whole` paragraph is one sentence, whatever marks stand in it. Of `readings`, stretches in
    order and apart from each other that are read otherwise, none is cut by the end of a sentence.

    The spans tile the paragraph in order; between two of them is nothing but white space. The
    source is cut first, then each sentence is normalised, and cut again where its spoken form is
    longer than the limit. What cannot be pronounced (dashes, asterisks, quotes) joins the piece
    before it, else the one after it; a paragraph of nothing else is one piece with nothing to
    speak. Of both, what is more than an ornament is told in `lost`. A blank paragraph has no
    sentences.

    Raises:
        ValueError: the limit is below 20 characters.
    """
    if limit < LEAST_LIMIT:
        raise ValueError(f"limit {limit!r} is too small: {LEAST_LIMIT} characters at least")
    source = _Source(text, language, limit, readings)
    pieces: list[Sentence] = []
    primary = language.lower().replace("_", "-").split("-")[0]
    tiles: Iterable[tuple[int, int]] = [(0, len(text))] if whole else sentence_spans(text, primary)
    for start, end, _ in source.unbroken((first, last, "sentence") for first, last in tiles):
        for span in source.unbroken(clause_spans(text, start, end, limit)):
            pieces.extend(source.pieces(*span))
    return _join_silent(pieces, text)


@dataclass(frozen=True)
class _Source:
    """A paragraph that is being cut."""

    text: str
    language: str
    limit: int
    readings: Sequence[Reading]

    @cached_property
    def starts(self) -> list[int]:
        """Where each reading begins."""
        return [each.start for each in self.readings]

    def unbroken(self, spans: Iterable[Span]) -> Iterator[Span]:
        """Join spans between which something stands that is read as one, while they are short."""
        begun = None
        for start, end, boundary in spans:
            begun = start if begun is None else begun
            before = bisect_left(self.starts, end) - 1
            whole = before < 0 or self.readings[before].end <= end
            if whole or end - begun > self.limit:
                yield begun, end, boundary
                begun = None

    def pieces(self, start: int, end: int, boundary: Boundary) -> Iterator[Sentence]:
        """Yield what is spoken of a stretch, within the limit."""
        source = self.text[start:end]
        start += len(source) - len(source.lstrip())
        end -= len(source) - len(source.rstrip())
        if start >= end:
            return
        read = self._spoken(start, end)
        if len(read.text) <= self.limit:
            yield Sentence(read.text, start, end, boundary, phones=read.phones)
        elif cut := halves(self.text, start, end):
            yield from self.pieces(start, cut[0], cut[1])
            yield from self.pieces(cut[0], end, boundary)
        else:
            yield from _share(read, Sentence("", start, end, boundary), self.limit)

    def _spoken(self, start: int, end: int) -> Spoken:
        first, last = (bisect_left(self.starts, at) for at in (start, end))
        held = [
            Reading(each.start - start, each.end - start, each.alias, each.ipa)
            for each in self.readings[first:last]
            if each.end <= end
        ]
        return spoken(self.text[start:end], self.language, held)


def _share(read: Spoken, whole: Sentence, limit: int) -> Iterator[Sentence]:
    """Cut one word's long spoken form; the pieces share its span in equal parts."""
    spans = list(clause_spans(read.text, 0, len(read.text), limit))
    length = whole.end - whole.start
    for index, (first, last, boundary) in enumerate(spans):
        start = whole.start + length * index // len(spans)
        end = whole.start + length * (index + 1) // len(spans)
        part = read.part(first, last)
        usual = whole.boundary if index == len(spans) - 1 else boundary
        yield Sentence(part.text, start, end, usual, phones=part.phones)


def _join_silent(pieces: list[Sentence], text: str) -> list[Sentence]:
    """Give the span of what cannot be pronounced to a neighbour."""
    joined: list[Sentence] = []
    for piece in pieces:
        if not piece.spoken:
            piece = replace(piece, lost=more_than_ornament(text[piece.start : piece.end]))
        if not joined:
            joined.append(piece)
            continue
        last = joined[-1]
        lost = last.lost or piece.lost
        if not piece.spoken:
            joined[-1] = replace(last, end=piece.end, boundary=piece.boundary, lost=lost)
        elif not last.spoken:
            joined[-1] = replace(piece, start=last.start, lost=lost)
        else:
            joined.append(piece)
    return joined


def more_than_ornament(source: str) -> str:
    """Return a text without words if somebody may have meant it to be read; else nothing."""
    meant = not source.isascii() and any(map(_is_sign, source))
    return source if meant else ""


def _is_sign(character: str) -> bool:
    """Whether a character without a sound is neither punctuation nor drawn between paragraphs."""
    return unicodedata.category(character) in _SIGNS and not _DRAWN.match(character)
