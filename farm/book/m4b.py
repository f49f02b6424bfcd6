"""An audiobook of its chapters' M4A files, packet by packet: nothing is encoded again.

Each chapter's AAC stream begins with one frame of priming. Left in place, with time stamps
running on, every chapter's first sample is presented exactly at its first packet's time less
one frame, which the edit list of the file takes off. Between chapters there is therefore up to
two frames of silence (under 0.1 s at 22,050 Hz), and no chapter mark is off by a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from farm.audio.cover import is_picture
from farm.audio.files import open_input
from farm.audio.replacing import replacing
from farm.book import mp4
from farm.book.mp4 import FRAME
from farm.errors import InvalidInput

#: Bytes of audio beyond which offsets in the file may not fit into 32 bits.
LONG = (1 << 32) - (1 << 28)


@dataclass(frozen=True)
class Chapter:
    """A title and the M4A file, made by `farm.audio.files.Writer`, that it stands for."""

    title: str
    path: Path


@dataclass(frozen=True)
class _Source:
    """What must be known of a chapter's file before the first frame is written."""

    sample_rate: int
    frames: int
    config: bytes
    """The decoder's configuration; chapters of one book must share it."""
    bit_rate: int
    size: int
    """Bytes of the file."""


def write(
    path: Path, chapters: Sequence[Chapter], tags: Mapping[str, str], cover: bytes | None = None
) -> float:
    """Join chapters into one M4B with chapter marks, tags and cover; return its seconds.

    Marks are written twice, as Nero's `chpl` (the first 255) and as QuickTime's text track.
    The bytes are a function of the input; memory grows with the longest chapter, not with the
    book.

    Raises:
        InvalidInput: no chapters; one is not AAC, differs from the first in rate or profile, or
            is not whole; no such tag; the cover is not a JPEG or PNG.
        NotFound: a chapter's file is missing.
        StoreUnavailable: the file cannot be written.
    """
    sources = _sources(chapters)
    if cover is not None and not is_picture(cover):
        raise InvalidInput(f"the cover ({len(cover)} bytes) is no whole JPEG or PNG")
    sound = mp4.Sound(
        sources[0].sample_rate,
        sum(source.frames for source in sources),
        sources[0].config,
        max(source.bit_rate for source in sources),
    )
    wide = sum(source.size for source in sources) > LONG
    tags = {"genre": "Audiobook", **tags}
    book = mp4.Book(sound, _marks(chapters, sources), tags, cover, wide)
    with replacing(path) as temporary, temporary.open("wb") as file:
        mp4.write(file, book, _frames(chapters, sources))
    return _seconds(sources, len(sources))


def starts(chapters: Sequence[Chapter]) -> list[float]:
    """Return at which second of the book `write` makes each chapter begins. Raises as it does."""
    sources = _sources(chapters)
    return [float(_begin(sources, index)) for index in range(len(sources))]


def _sources(chapters: Sequence[Chapter]) -> list[_Source]:
    if not chapters:
        raise InvalidInput("a book needs at least one chapter")
    sources = [_source(chapter.path) for chapter in chapters]
    for chapter, source in zip(chapters, sources, strict=True):
        if (source.sample_rate, source.config) != (sources[0].sample_rate, sources[0].config):
            raise InvalidInput(
                f"{str(chapter.path)!r} has {source.sample_rate} Hz and another AAC configuration "
                f"than the first chapter ({sources[0].sample_rate} Hz); encode all chapters alike"
            )
    return sources


def _source(path: Path) -> _Source:
    with open_input(path) as container:
        stream = container.streams.audio[0]
        context = stream.codec_context
        if context.codec.canonical_name != "aac" or not stream.frames:
            raise InvalidInput(f"{str(path)!r} is {context.codec.canonical_name}, not AAC in MP4")
        return _Source(
            context.sample_rate,
            stream.frames,
            context.extradata or b"",
            context.bit_rate or 0,
            path.stat().st_size,
        )


def _begin(sources: Sequence[_Source], index: int) -> Fraction:
    """Return when a chapter begins, in seconds; past the last one, where its padding ends."""
    frames = sum(source.frames for source in sources[:index])
    return Fraction(frames * FRAME, sources[0].sample_rate)


def _seconds(sources: Sequence[_Source], chapters: int) -> float:
    """Return the presented length of so many chapters: the priming frame is taken off."""
    return float(_begin(sources, chapters) - Fraction(FRAME, sources[0].sample_rate))


def _marks(chapters: Sequence[Chapter], sources: Sequence[_Source]) -> list[mp4.Mark]:
    marks = []
    at = 0
    for number, (chapter, source) in enumerate(zip(chapters, sources, strict=True)):
        end = at + source.frames * FRAME
        last = number == len(chapters) - 1
        marks.append(mp4.Mark(chapter.title, at, end - FRAME if last else end))
        at = end
    return marks


def _frames(chapters: Sequence[Chapter], sources: Sequence[_Source]) -> Iterator[bytes]:
    """Yield all frames; refuse a file that is shorter than its own index says."""
    for chapter, source in zip(chapters, sources, strict=True):
        whole = 0
        with open_input(chapter.path) as container:
            for packet in container.demux(container.streams.audio[0]):
                if packet.size and not packet.is_corrupt:
                    whole += 1
                    yield bytes(packet)
        if whole != source.frames:
            raise InvalidInput(
                f"{str(chapter.path)!r} is cut off: {whole} of {source.frames} frames are whole; "
                "make it again"
            )
