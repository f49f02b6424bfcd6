"""Cut one paragraph in the sentences that are spoken, each with its span in the source."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from farm.text.cutting import Boundary, clause_spans, halves, sentence_spans
from farm.text.normalise import normalise

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


def sentences(text: str, language: str, limit: int = 400, *, whole: bool = False) -> list[Sentence]:
    """Cut a paragraph in sentences of at most `limit` spoken characters; nothing is cut away.

    A `whole` paragraph is one sentence, whatever marks stand in it.

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
    pieces: list[Sentence] = []
    primary = language.lower().replace("_", "-").split("-")[0]
    for start, end in [(0, len(text))] if whole else sentence_spans(text, primary):
        for first, last, boundary in clause_spans(text, start, end, limit):
            pieces.extend(_pieces(text, first, last, boundary, language, limit))
    return _join_silent(pieces, text)


def _pieces(
    text: str, start: int, end: int, boundary: Boundary, language: str, limit: int
) -> Iterator[Sentence]:
    source = text[start:end]
    start += len(source) - len(source.lstrip())
    end -= len(source) - len(source.rstrip())
    if start >= end:
        return
    spoken = _spoken(text[start:end], language)
    if len(spoken) <= limit:
        yield Sentence(spoken, start, end, boundary)
    elif cut := halves(text, start, end):
        yield from _pieces(text, start, cut[0], cut[1], language, limit)
        yield from _pieces(text, cut[0], end, boundary, language, limit)
    else:
        yield from _share(spoken, Sentence(spoken, start, end, boundary), limit)


def _share(spoken: str, whole: Sentence, limit: int) -> Iterator[Sentence]:
    """Cut one word's long spoken form; the pieces share its span in equal parts."""
    spans = list(clause_spans(spoken, 0, len(spoken), limit))
    length = whole.end - whole.start
    for index, (first, last, boundary) in enumerate(spans):
        start = whole.start + length * index // len(spans)
        end = whole.start + length * (index + 1) // len(spans)
        final = index == len(spans) - 1
        yield Sentence(
            spoken[first:last].strip(), start, end, whole.boundary if final else boundary
        )


def _spoken(source: str, language: str) -> str:
    if not any(character.isalnum() for character in source):
        return ""
    return normalise(source, language)


def _join_silent(pieces: list[Sentence], text: str) -> list[Sentence]:
    """Give the span of what cannot be pronounced to a neighbour."""
    joined: list[Sentence] = []
    for piece in pieces:
        if not piece.spoken:
            piece = replace(piece, lost=_more_than_ornament(text[piece.start : piece.end]))
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


def _more_than_ornament(source: str) -> str:
    """Return a text without words if somebody may have meant it to be read; else nothing."""
    meant = not source.isascii() and any(map(_is_sign, source))
    return source if meant else ""


def _is_sign(character: str) -> bool:
    """Whether a character without a sound is neither punctuation nor drawn between paragraphs."""
    return unicodedata.category(character) in _SIGNS and not _DRAWN.match(character)
