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
from typing import TYPE_CHECKING

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from farm.audio.cover import start
from farm.audio.encoders import open_output
from farm.audio.files import open_input
from farm.audio.replacing import replacing
from farm.errors import InvalidInput

if TYPE_CHECKING:  # a TypedDict of the stubs only
    from av.container.core import Chapter as Mark

#: Samples in a frame of AAC-LC (ISO/IEC 14496-3); the encoder's delay is one frame.
FRAME = 1024

#: QuickTime's `stik`: what makes players file it under audiobooks.
_AUDIOBOOK = {"media_type": "2", "genre": "Audiobook"}


@dataclass(frozen=True)
class Chapter:
    """A title and the M4A file, made by `farm.audio.files.Writer`, that it stands for."""

    title: str
    path: Path


@dataclass(frozen=True)
class _Source:
    """What must be known of a chapter's file before the first packet is written."""

    sample_rate: int
    frames: int
    extradata: bytes
    """The decoder's configuration; chapters of one book must share it."""


def write(
    path: Path, chapters: Sequence[Chapter], tags: Mapping[str, str], cover: bytes | None = None
) -> float:
    """Join chapters into one M4B with chapter marks, tags and cover; return its seconds.

    Marks are written twice, as Nero's `chpl` (the first 255) and as QuickTime's text track.
    The bytes are a function of the input; memory does not grow with the audio.

    Raises:
        InvalidInput: no chapters, or one is not AAC or differs from the first in rate or
            profile.
        NotFound: a chapter's file is missing.
        StoreUnavailable: the file cannot be written.
    """
    sources = _sources(chapters)
    rate = sources[0].sample_rate
    with (
        replacing(path) as temporary,
        open_output(temporary, "mp4", {"movflags": "+faststart", "brand": "M4B "}) as book,
    ):
        with open_input(chapters[0].path) as first:
            stream = book.add_stream_from_template(first.streams.audio[0])
        book.metadata.update({**_AUDIOBOOK, **tags})
        book.set_chapters(_marks(chapters, sources))
        start(book, cover)
        _copy(chapters, book, stream, Fraction(1, rate))
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
        if (source.sample_rate, source.extradata) != (sources[0].sample_rate, sources[0].extradata):
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
        return _Source(context.sample_rate, stream.frames, context.extradata or b"")


def _begin(sources: Sequence[_Source], index: int) -> Fraction:
    """Return when a chapter begins, in seconds; past the last one, where its padding ends."""
    frames = sum(source.frames for source in sources[:index])
    return Fraction(frames * FRAME, sources[0].sample_rate)


def _seconds(sources: Sequence[_Source], chapters: int) -> float:
    """Return the presented length of so many chapters: the priming frame is taken off."""
    return float(_begin(sources, chapters) - Fraction(FRAME, sources[0].sample_rate))


def _marks(chapters: Sequence[Chapter], sources: Sequence[_Source]) -> list[Mark]:
    marks: list[Mark] = []
    rate = sources[0].sample_rate
    at = 0
    for number, (chapter, source) in enumerate(zip(chapters, sources, strict=True)):
        end = at + source.frames * FRAME
        last = number == len(chapters) - 1
        marks.append(
            {
                "id": number,
                "start": at,
                "end": end - FRAME if last else end,
                "time_base": Fraction(1, rate),
                "metadata": {"title": chapter.title},
            }
        )
        at = end
    return marks


def _copy(
    chapters: Sequence[Chapter], book: OutputContainer, stream: AudioStream, time_base: Fraction
) -> None:
    """Move all packets, their time stamps running on from one frame before zero."""
    for number, packet in enumerate(_packets(chapters)):
        packet.pts = packet.dts = (number - 1) * FRAME
        packet.duration = FRAME
        packet.time_base = time_base
        packet.stream = stream
        book.mux(packet)


def _packets(chapters: Sequence[Chapter]) -> Iterator[Packet[AudioStream]]:
    for chapter in chapters:
        with open_input(chapter.path) as container:
            for packet in container.demux(container.streams.audio[0]):
                if packet.size:
                    yield packet
