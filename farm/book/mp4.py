"""The MP4 file of an audiobook, written in memory that does not grow with the audio.

FFmpeg's muxer keeps some 70 bytes of every frame until a file is closed. Here the length of the
index is reckoned from the number of frames, the audio is written behind it, and a frame's size
goes to its place in the index as the frame goes by. The boxes are those that FFmpeg writes, so
are their order and values; only the chunks are shorter.

Formats: ISO/IEC 14496-12 (the file), 14496-14 (AAC in it), 3GPP TS 26.245 (the sample entry of
text), Apple's QuickTime File Format (chapter track, tags), and Nero's `chpl`, which no one
published: four bytes of version and flags, four of nothing, a count, then time, length and title.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from farm.book.boxes import (
    MATRIX,
    Parts,
    Table,
    box,
    edit,
    full_box,
    kind,
    length,
    media,
    media_head,
    tags_box,
    track_head,
)

#: Samples in a frame of AAC-LC (ISO/IEC 14496-3); the encoder's delay is one frame.
FRAME = 1024
#: Frames that lie together, 1.5 s at 22,050 Hz: QuickTime's guide asks for about a second.
CHUNK = 32
#: Ticks a second of the film's own clock and of the text track's.
MS = 1000
#: Ticks a second of `chpl`, which counts its chapters in one byte.
NERO_TICKS, NERO_MARKS = 10_000_000, 255
#: Bytes of the head of `mdat`: its long form, or a `free` box and the short form.
DATA_HEAD = 16
#: Languages of tracks: ISO 639's `und`, packed, and the Macintosh's number of English, which FFmpeg
#: gives to titles in any language: players choose chapters by it.
UNDETERMINED, ENGLISH = 0x55C4, 0
#: How QuickTime draws text: dithered (0x40), grey, neither left nor right.
GRAPHICS = struct.pack(">4xHHHHHH", 0x40, 0x8000, 0x8000, 0x8000, 0, 0)
#: What follows a title: the atom that says it is UTF-8.
UTF_8 = struct.pack(">I4sI", 12, b"encd", 0x100)


@dataclass(frozen=True)
class Sound:
    """The audio of a book: one mono track of AAC-LC, its first frame the encoder's priming."""

    sample_rate: int
    frames: int
    config: bytes
    """The decoder's `AudioSpecificConfig`."""
    bit_rate: int = 0
    """The highest that is known of, in bits per second."""

    @property
    def samples(self) -> int:
        """Samples in all frames, the priming included."""
        return self.frames * FRAME

    def ticks(self, samples: int, rate: int) -> int:
        """Return how many ticks of another clock are nearest to so many samples."""
        return (2 * samples * rate + self.sample_rate) // (2 * self.sample_rate)

    def milliseconds(self, samples: int) -> int:
        """Return in how many milliseconds so many samples fit."""
        return -(-samples * MS // self.sample_rate)


@dataclass(frozen=True)
class Mark:
    """A chapter, by the samples that are heard."""

    title: str
    begin: int
    end: int


@dataclass(frozen=True)
class Book:
    """What stands in a book's index."""

    sound: Sound
    marks: Sequence[Mark]
    tags: Mapping[str, str]
    """By FFmpeg's names: the keys of `farm.book.boxes.TAGS`."""
    cover: bytes | None = None
    """A JPEG or PNG."""
    wide: bool = False
    """Whether the file may be longer than 4 GiB: offsets then take eight bytes."""


def write(file: BinaryIO, book: Book, frames: Iterable[bytes]) -> None:
    """Write a book from the start of an empty file: its index, then its titles and its frames.

    There must be exactly `book.sound.frames` frames, which are read once. Memory grows with the
    chapters and the cover only.

    Raises:
        InvalidInput: there is no such tag.
        OSError: the file cannot be written.
    """
    sizes, chunks = _tables(book)
    data = _place(_head(book, sizes, chunks)) + DATA_HEAD
    file.seek(data)
    file.writelines(_samples(book.marks))
    sound_at = at = file.tell()
    for number, frame in enumerate(frames):
        if number % CHUNK == 0:
            chunks.append(file, at)
        at += file.write(frame)
        sizes.append(file, len(frame))
    for table in (sizes, chunks):
        table.flush(file)
    file.seek(0)
    for part in _head(book, sizes, chunks, data, at - sound_at):
        if isinstance(part, Table):
            file.seek(part.size, 1)
        else:
            file.write(part)
    file.write(_data_head(at - data))


def _tables(book: Book) -> tuple[Table, Table]:
    """Return what is filled in as the frames go by: their sizes and their chunks' offsets."""
    chunks = -(-book.sound.frames // CHUNK)
    return Table("I", book.sound.frames), Table("Q" if book.wide else "I", chunks)


def _place(head: Parts) -> int:
    """Tell the tables where in the file they lie; return the head's length."""
    at = 0
    for part in head:
        if isinstance(part, Table):
            part.at = at
        at += length([part])
    return at


def _head(book: Book, sizes: Table, chunks: Table, data: int = 0, audio: int = 0) -> Parts:
    """Return `ftyp` and `moov` for titles at an offset and so many bytes of audio.

    Their length does not depend on either.
    """
    sound, marks = book.sound, book.marks
    text_ms = sound.ticks(marks[-1].end, MS)
    heard_ms = max(sound.milliseconds(sound.samples - FRAME), text_ms)
    movie = struct.pack(">8xIIIH10x36s24xI", MS, heard_ms, 0x10000, 0x100, MATRIX, 3)
    return [
        *box("ftyp", struct.pack(">4sI4s4s4s", b"M4B ", 0x200, b"M4B ", b"iso2", b"mp41")),
        *box(
            "moov",
            *full_box("mvhd", movie),
            *_sound_track(book, sizes, chunks, audio),
            *_text_track(book, data, text_ms),
            *box("udta", *tags_box(book.tags, book.cover), *_nero(book)),
        ),
    ]


def _data_head(size: int) -> bytes:
    """Return the head of so many bytes of `mdat`."""
    if size + 8 < 1 << 32:
        return struct.pack(">I4sI4s", 8, b"free", size + 8, b"mdat")
    return struct.pack(">I4sQ", 1, b"mdat", size + DATA_HEAD)


def _sound_track(book: Book, sizes: Table, chunks: Table, audio: int) -> Parts:
    sound = book.sound
    # Length and priming are rounded up each for itself, as FFmpeg has it.
    shown = sound.milliseconds(sound.samples) - sound.milliseconds(FRAME)
    duration = sound.milliseconds(sound.samples - FRAME)
    return box(
        "trak",
        *track_head(1, 3, duration, group=1, volume=0x100),
        *edit(shown, FRAME),
        *box("tref", *box("chap", struct.pack(">I", 2))),
        *media(
            media_head(sound.sample_rate, sound.samples, UNDETERMINED),
            kind(b"soun", "SoundHandler"),
            full_box("smhd", bytes(4)),
            _sound_samples(book, sizes, chunks, audio),
        ),
    )


def _sound_samples(book: Book, sizes: Table, chunks: Table, audio: int) -> Parts:
    sound = book.sound
    offsets = "co64" if book.wide else "stco"
    return box(
        "stbl",
        *full_box("stsd", struct.pack(">I", 1), *_aac(sound, audio)),
        *full_box("stts", struct.pack(">III", 1, sound.frames, FRAME)),
        *_chunk_lengths(sound.frames),
        *full_box("stsz", struct.pack(">II", 0, sizes.count), sizes),
        *full_box(offsets, struct.pack(">I", chunks.count), chunks),
        *_pre_roll(sound.frames),
    )


def _text_track(book: Book, at: int, duration: int) -> Parts:
    """Return the track of chapter titles, whose samples are one chunk at an offset."""
    return box(
        "trak",
        *track_head(2, 2, duration),
        *edit(duration, 0),
        *media(
            media_head(MS, duration, ENGLISH),
            kind(b"text", "SubtitleHandler"),
            box("gmhd", *box("gmin", GRAPHICS), *box("text", MATRIX)),
            _text_samples(book, at, duration),
        ),
    )


def _text_samples(book: Book, at: int, duration: int) -> Parts:
    begins = [book.sound.ticks(mark.begin, MS) for mark in book.marks]
    spans = [end - begin for begin, end in zip(begins, [*begins[1:], duration], strict=True)]
    sizes = [len(sample) for sample in _samples(book.marks)]
    count = len(sizes)
    bit_rate = sum(sizes) * 8 * MS // max(duration, 1)
    times = b"".join(struct.pack(">II", 1, span) for span in spans)
    return box(
        "stbl",
        *full_box("stsd", struct.pack(">I", 1), *_text(bit_rate)),
        *full_box("stts", struct.pack(">I", count), times),
        *full_box("stsc", struct.pack(">IIII", 1, 1, count, 1)),
        *full_box("stsz", struct.pack(f">II{count}I", 0, count, *sizes)),
        *full_box("stco", struct.pack(">II", 1, at)),
    )


def _aac(sound: Sound, audio: int) -> Parts:
    """Return the sample entry of AAC with its `esds` (ISO/IEC 14496-1, 7.2.6)."""
    mean = audio * 8 * sound.sample_rate // sound.samples
    rates = struct.pack(">II", max(mean, sound.bit_rate), mean)
    decoder = struct.pack(">BB3x", 0x40, 0x15) + rates + _descriptor(5, sound.config)
    stream = struct.pack(">HB", 1, 0) + _descriptor(4, decoder) + _descriptor(6, b"\2")
    entry = struct.pack(">6xH8xHH4xI", 1, 1, 16, sound.sample_rate << 16)
    elementary = full_box("esds", _descriptor(3, stream))
    return box("mp4a", entry, *elementary, *box("btrt", bytes(4), rates))


def _descriptor(tag: int, content: bytes) -> bytes:
    sizes = [len(content) >> shift & 0x7F for shift in (21, 14, 7, 0)]
    return bytes([tag, *(size | 0x80 for size in sizes[:3]), sizes[3]]) + content


def _text(bit_rate: int) -> Parts:
    """Return the sample entry of titles: no style, and a font table of one nameless font."""
    style = struct.pack(">6xHI6x8x4xHxx4x", 1, 1, 1)
    fonts = box("ftab", struct.pack(">HHB", 1, 1, 0))
    return box("text", style, *fonts, *box("btrt", struct.pack(">4xII", bit_rate, bit_rate)))


def _chunk_lengths(frames: int) -> Parts:
    """Return `stsc`: all chunks are full, perhaps but the last."""
    full, rest = divmod(frames, CHUNK)
    runs = [(1, CHUNK, 1)] * bool(full) + [(full + 1, rest, 1)] * bool(rest)
    rows = b"".join(struct.pack(">III", *run) for run in runs)
    return full_box("stsc", struct.pack(">I", len(runs)), rows)


def _pre_roll(frames: int) -> Parts:
    """Say that every frame is heard right only after the one before it was decoded."""
    return [
        *full_box("sgpd", struct.pack(">4sIIh", b"roll", 2, 1, -1), version=1),
        *full_box("sbgp", struct.pack(">4sIII", b"roll", 1, frames, 1)),
    ]


def _samples(marks: Sequence[Mark]) -> list[bytes]:
    """Return the samples of the text track."""
    titles = [_title(mark, 0xFFFF) for mark in marks]
    return [struct.pack(">H", len(title)) + title + UTF_8 for title in titles]


def _nero(book: Book) -> Parts:
    rows = []
    for mark in book.marks[:NERO_MARKS]:
        title = _title(mark, 0xFF)
        begin = book.sound.ticks(mark.begin, NERO_TICKS)
        rows.append(struct.pack(">QB", begin, len(title)) + title)
    return full_box("chpl", bytes(4), bytes([len(rows)]), *rows, version=1)


def _title(mark: Mark, most: int) -> bytes:
    """Return a title in at most so many bytes of UTF-8, no character cut."""
    return mark.title.encode()[:most].decode(errors="ignore").encode()
