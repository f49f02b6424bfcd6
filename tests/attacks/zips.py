"""ZIP archives that no tool would make."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from tests.text.epubs import page, write_epub

CHAPTERS = {"one.xhtml": page("<p>First chapter.</p>"), "two.xhtml": page("<p>Second.</p>")}


def crowded(path: Path, entries: int) -> Path:
    """An archive whose directory names so many empty files, all at one place."""
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"x"
    with path.open("wb") as file:
        file.write(local)
        size = 0
        for number in range(entries):
            name = f"{number:x}".encode()
            fields = (20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0)
            size += file.write(struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields) + name)
        end64 = (44, 45, 45, 0, 0, entries, entries, size, len(local))
        place = file.tell()
        file.write(struct.pack("<4sQ2H2I4Q", b"PK\6\6", *end64))
        file.write(struct.pack("<4sIQI", b"PK\6\7", 0, place, 1))
        last = (0, 0, 0xFFFF, 0xFFFF, size, len(local), 0)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", *last))
    return path


def lying(path: Path, file: str, size: int) -> Path:
    """An EPUB one file of which unpacks to `size` zeros and says that it has ten bytes."""
    written = write_epub(path, CHAPTERS, files={file: b"0123456789"})
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = megabyte * (size >> 20) + packer.flush()
    with zipfile.ZipFile(written) as archive:
        kept = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in kept.items():
            archive.writestr(name, data)
        entry = archive.getinfo(file)
        archive.fp.seek(entry.header_offset + 30 + len(file))  # type: ignore[union-attr]
        archive.fp.write(packed)  # type: ignore[union-attr]
        entry.compress_size = len(packed)
        archive.start_dir = archive.fp.tell()  # type: ignore[union-attr]
    return path


def with_link(path: Path, name: str, target: str) -> Path:
    """An EPUB in which a file is a symbolic link."""
    write_epub(path, CHAPTERS)
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, target)
    return path


def packed_by(path: Path, method: int) -> Path:
    """An EPUB with a file that is packed by a method of ZIP's that EPUB does not know."""
    write_epub(path, CHAPTERS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("OEBPS/more", bytes(1 << 20), compress_type=method)
    return path


def secret_by_zip(path: Path) -> Path:
    """An EPUB whose chapters are encrypted by ZIP's own means."""
    data = bytearray(write_epub(path, CHAPTERS).read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + flags] |= 1
    path.write_bytes(data)
    return path
