"""Media overlays: which audio is heard while which element is shown (EPUB 3.3, chapter 9).

No silence is lost: the audio of a sentence lasts until the next one begins, that of the first
begins with its chapter's audio, and that of the last ends with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from lxml import etree

from farm.jobs import Mark

SMIL = "http://www.w3.org/ns/SMIL"
OPS = "http://www.idpf.org/2007/ops"
MEDIA_TYPE = "application/smil+xml"


@dataclass(frozen=True)
class Sentence:
    """A sentence's mark and those of its words, and the audio that belongs to it."""

    mark: Mark
    begin_ms: int
    end_ms: int
    words: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Clip:
    """An element and what is heard for it."""

    id: str
    audio: str
    """File, as seen from the overlay; so is that of the text."""
    begin_ms: int
    end_ms: int


def sentences(marks: Iterable[Mark], length_ms: int) -> Iterator[Sentence]:
    """Yield a chapter's sentences, the whole length of its audio shared out among them."""
    held: Sentence | None = None
    for mark in marks:
        if mark.type == "word":
            if held:
                held.words.append(mark)
            continue
        if held:
            yield replace(held, end_ms=mark.start_ms)
        held = Sentence(mark, mark.start_ms if held else 0, length_ms)
    if held:
        yield replace(held, end_ms=max(length_ms, held.mark.end_ms))


def begins(sentence: Sentence, starts: Sequence[int]) -> list[int]:
    """Return when each part of a sentence is heard that begins at such a character of the source.

    By its words, where there are any, else by its characters.
    """
    mark = sentence.mark
    size = max(mark.source_end - mark.source_start, 1)
    length = mark.end_ms - mark.start_ms
    found = [sentence.begin_ms]
    for start in starts[1:]:
        even = mark.start_ms + length * (start - mark.source_start) // size
        heard = (word.start_ms for word in sentence.words if word.source_start >= start)
        found.append(min(max(next(heard, even), found[-1]), sentence.end_ms))
    return found


def milliseconds(clips: Iterable[Clip]) -> int:
    """How long an overlay lasts."""
    return sum(clip.end_ms - clip.begin_ms for clip in clips)


def clock(milliseconds: int) -> str:
    """Write a time as SMIL's full clock value."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}.{rest:03}"


def smil(text: str, clips: Sequence[Clip]) -> bytes:
    """Return the overlay of a content document: a `seq` for each audio file, a `par` a clip."""
    root = etree.Element(f"{{{SMIL}}}smil", {"version": "3.0"}, {None: SMIL, "epub": OPS})  # type: ignore[dict-item]
    body = etree.SubElement(root, f"{{{SMIL}}}body", {f"{{{OPS}}}textref": text})
    for _, run in groupby(clips, key=lambda clip: clip.audio):
        held = list(run)
        where = {"id": f"of-{held[0].id}", f"{{{OPS}}}textref": f"{text}#{held[0].id}"}
        seq = etree.SubElement(body, f"{{{SMIL}}}seq", where)
        for clip in held:
            par = etree.SubElement(seq, f"{{{SMIL}}}par", {"id": f"par-{clip.id}"})
            etree.SubElement(par, f"{{{SMIL}}}text", {"src": f"{text}#{clip.id}"})
            times = {"clipBegin": clock(clip.begin_ms), "clipEnd": clock(clip.end_ms)}
            etree.SubElement(par, f"{{{SMIL}}}audio", {"src": clip.audio, **times})
    etree.indent(root, " ")
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")
