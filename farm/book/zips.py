"""Entries of ZIP archives whose bytes are a function of what is put in: no times, no owners."""

from __future__ import annotations

import zipfile

#: What ZIP has for no time at all.
EPOCH = (1980, 1, 1, 0, 0, 0)


def entry(name: str, size: int = 0, *, packed: bool = False) -> zipfile.ZipInfo:
    """Describe a file; `size` tells whether it needs the form of large ones."""
    found = zipfile.ZipInfo(name, EPOCH)
    found.create_system, found.external_attr, found.file_size = 3, 0o644 << 16, size
    found.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    return found
