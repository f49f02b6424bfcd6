"""The boxes of an MP4 file (ISO/IEC 14496-12), tables that are filled in later, and tags."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from farm.errors import InvalidInput

#: A picture neither turned nor moved.
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

#: iTunes's atoms by FFmpeg's names of tags, in the order in which they are written.
TAGS: Mapping[str, str] = {
    "title": "©nam",
    "artist": "©ART",
    "album_artist": "aART",
    "composer": "©wrt",
    "album": "©alb",
    "date": "©day",
    "comment": "©cmt",
    "genre": "©gen",
    "copyright": "cprt",
    "description": "desc",
}
#: What a tag holds, by iTunes's numbers.
_UTF_8, _JPEG, _PNG, _INTEGER = 1, 13, 14, 21
#: The value of `stik` that makes players file it under audiobooks.
_AUDIOBOOK = b"\2"


class Table:
    """A column of integers whose place in the file is kept free, and filled in bit by bit."""

    #: Entries that wait to be written together.
    WAITING = 16_384

    def __init__(self, code: str, count: int) -> None:
        """Make room for `count` integers of 4 (code `I`) or 8 bytes (`Q`)."""
        self.count = count
        self.at = 0
        """Where in the file the next entry to be written belongs."""
        self._waiting = array(code)
        self.size = count * self._waiting.itemsize
        """Bytes."""

    def append(self, file: BinaryIO, value: int) -> None:
        """Set the next entry; it may reach the file later."""
        self._waiting.append(value)
        if len(self._waiting) == self.WAITING:
            self.flush(file)

    def flush(self, file: BinaryIO) -> None:
        """Write what waits, and go back to where the file was."""
        here = file.tell()
        if sys.byteorder == "little":
            self._waiting.byteswap()
        file.seek(self.at)
        self.at += file.write(self._waiting.tobytes())
        file.seek(here)
        del self._waiting[:]


#: What is written one after another; a table stands for its free place.
Parts = list[bytes | Table]


def length(parts: Sequence[bytes | Table]) -> int:
    """Return how many bytes parts take in the file."""
    return sum(part.size if isinstance(part, Table) else len(part) for part in parts)


def box(kind: str, *content: bytes | Table) -> Parts:
    """Return a box: its length, its kind of four letters, its content."""
    head = struct.pack(">I4s", 8 + length(content), kind.encode("latin-1"))
    return [head, *content]


def full_box(kind: str, *content: bytes | Table, version: int = 0, flags: int = 0) -> Parts:
    """Return a box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def track_head(number: int, flags: int, duration: int, group: int = 0, volume: int = 0) -> Parts:
    """Return `tkhd`; the flags are 1, enabled, and 2, part of the film."""
    content = struct.pack(">8xI4xI8xHHHxx36s8x", number, duration, 0, group, volume, MATRIX)
    return full_box("tkhd", content, flags=flags)


def edit(duration: int, begin: int) -> Parts:
    """Return the edit list: the film shows so much of a track, from one of its own ticks on."""
    return box("edts", *full_box("elst", struct.pack(">IIIHH", 1, duration, begin, 1, 0)))


def media(head: Parts, kind: Parts, information: Parts, samples: Parts) -> Parts:
    """Return `mdia`, with the note that the samples are in this same file."""
    here = full_box("url ", flags=1)
    place = box("dinf", *full_box("dref", struct.pack(">I", 1), *here))
    return box("mdia", *head, *kind, *box("minf", *information, *place, *samples))


def media_head(rate: int, duration: int, language: int) -> Parts:
    """Return `mdhd`, in the form that counts to 2^64 where it must."""
    if duration >> 32:
        return full_box("mdhd", struct.pack(">16xIQHxx", rate, duration, language), version=1)
    return full_box("mdhd", struct.pack(">8xIIHxx", rate, duration, language))


def kind(kind: bytes, name: str) -> Parts:
    """Return `hdlr`, which says what a track is."""
    return full_box("hdlr", struct.pack(">4x4s12x", kind), name.encode(), b"\0")


def tags_box(tags: Mapping[str, str], cover: bytes | None) -> Parts:
    """Return `meta` with iTunes's list of tags, that of an audiobook, and the cover.

    Raises:
        InvalidInput: there is no atom for a tag.
    """
    for name in tags:
        if name not in TAGS:
            raise InvalidInput(f"no tag {name!r} in an M4B; choose one of {', '.join(TAGS)}")
    found = {TAGS[name]: tags[name].encode() for name in TAGS if tags.get(name)}
    atoms = [part for atom in found for part in _tag(atom, _UTF_8, found[atom])]
    atoms += _tag("stik", _INTEGER, _AUDIOBOOK)
    if cover is not None:
        atoms += _tag("covr", _PNG if cover.startswith(b"\x89PNG") else _JPEG, cover)
    itunes = full_box("hdlr", struct.pack(">4x4s4s9x", b"mdir", b"appl"))
    return full_box("meta", *itunes, *box("ilst", *atoms))


def _tag(kind: str, holds: int, value: bytes) -> Parts:
    return box(kind, *box("data", struct.pack(">I4x", holds), value))
