"""The ZIP archive of an EPUB, read with care: bounded, and never outside itself."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from pathlib import Path
from types import TracebackType

from lxml import etree

from farm.errors import InvalidInput
from farm.text.xhtml import name, parse

#: Entries an archive may have; the longest books have a few thousand.
MOST_ENTRIES = 20_000
#: Bytes that all entries together may unpack to: pictures included, ten times a large book.
MOST_BYTES = 512 * 2**20
#: Bytes that one entry may unpack to, since it is held in memory.
MOST_ENTRY_BYTES = 64 * 2**20
#: Bytes of an archive's directory, which is parsed before it can be counted.
MOST_DIRECTORY_BYTES = 8 * 2**20

#: Those of the Open Container Format; of others no bound is known before they are unpacked.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Flag of an entry that needs a password (APPNOTE 4.4.4).
_LOCKED = 0x1
#: What the library raises for bytes that are no archive, by what is wrong with them.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError,
    UnicodeError, ValueError,
)  # fmt: skip
#: Of something that is not in the file.
_ENTITY = re.compile(rb"<!ENTITY\s+(?:%\s+)?\S+\s+(?:SYSTEM|PUBLIC)\s")
_ENCRYPTION = "META-INF/encryption.xml"
#: Obfuscated fonts are no obstacle: fonts are not read.
_FONT_ALGORITHMS = frozenset(
    {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
)


class Container:
    """An EPUB's files by name. Use as a context manager.

    Raises:
        InvalidInput: not a ZIP archive, a bomb, names that lead outside, or encrypted content.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Open the archive and check its directory; nothing is unpacked."""
        self.name = name
        try:
            self._file = _Bounded(path)
        except OSError as error:
            raise InvalidInput(f"{name!r} cannot be read: {error.strerror}") from error
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._file.most = MOST_ENTRY_BYTES + 1
            self._check()
        except _BROKEN as error:
            self._file.close()
            raise InvalidInput(f"{name!r} is not an EPUB: {error}") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Container:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the archive."""
        self._zip.close()
        self._file.close()

    def __contains__(self, file: str) -> bool:
        """Whether the archive has such a file."""
        return file in self._names

    @property
    def files(self) -> list[str]:
        """The names of all files, in the archive's order, each once."""
        names = (entry.filename for entry in self._zip.infolist() if not entry.is_dir())
        return list(dict.fromkeys(names))

    def read(self, file: str) -> bytes:
        """Return a file's bytes; `InvalidInput` if it is missing or damaged."""
        if file not in self._names:
            raise InvalidInput(f"{self.name!r} is broken: {file!r} is missing in it")
        entry = self._zip.getinfo(file)
        if entry.flag_bits & _LOCKED:
            raise InvalidInput(
                f"{self.name!r} is encrypted: {file!r} in it needs a password; the farm reads "
                "books without one only"
            )
        try:
            with self._zip.open(entry) as stream:
                # No more than it says: an entry may unpack to more than its directory tells.
                return stream.read(entry.file_size + 1)
        except _BROKEN as error:
            raise InvalidInput(f"{self.name!r} is broken: {file!r} in it: {error}") from error

    def markup(self, file: str) -> bytes:
        """Return the bytes of a file to be parsed; `InvalidInput` if it names files as entities."""
        data = self.read(file)
        if _ENTITY.search(data.replace(b"\0", b"")):  # UTF-16, too
            raise InvalidInput(
                f"{self.name!r} is unsafe: {file!r} in it defines an external entity (DTD)"
            )
        return data

    def xml(self, file: str) -> etree._Element:
        """Return the root of an XML file; `InvalidInput` if it is missing or no XML."""
        root, fault = parse(self.markup(file))
        if root is None:
            raise InvalidInput(f"{self.name!r} is broken: {file!r} in it is not XML: {fault}")
        return root

    def _check(self) -> None:
        entries = self._zip.infolist()
        self._names = {entry.filename for entry in entries}
        size = sum(entry.file_size for entry in entries)
        largest = max((entry.file_size for entry in entries), default=0)
        if len(entries) > MOST_ENTRIES or size > MOST_BYTES or largest > MOST_ENTRY_BYTES:
            raise InvalidInput(
                f"{self.name!r} is too large: {len(entries)} files of {size} bytes unpacked; "
                f"the farm unpacks {MOST_ENTRIES} files, {MOST_BYTES} bytes, "
                f"{MOST_ENTRY_BYTES} bytes each"
            )
        for entry in entries:
            self._check_entry(entry)
        if _ENCRYPTION in self._names:
            self._check_encryption()

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        name = entry.filename
        if name.startswith("/") or ".." in name.split("/"):
            raise InvalidInput(f"{self.name!r} is unsafe: {name!r} in it leads outside")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InvalidInput(f"{self.name!r} is unsafe: {name!r} in it is a link")
        if entry.compress_type not in _METHODS:
            raise InvalidInput(
                f"{self.name!r} is not an EPUB: {name!r} in it is packed by method "
                f"{entry.compress_type}, neither stored nor deflated"
            )

    def _check_encryption(self) -> None:
        for method in self.xml(_ENCRYPTION).iter("{*}EncryptionMethod"):
            algorithm = method.get("Algorithm", "")
            parent = method.getparent()
            data = parent is not None and name(parent) == "encrypteddata"
            if data and algorithm not in _FONT_ALGORITHMS:
                raise InvalidInput(
                    f"{self.name!r} is encrypted (DRM); the farm reads books without it only"
                )


class _Bounded(io.FileIO):
    """An archive's file, of which only so much is read at once."""

    most = MOST_DIRECTORY_BYTES

    def read(self, size: int | None = -1) -> bytes:
        """Read some bytes; `BadZipFile` where that is more than a directory or an entry has."""
        wanted = -1 if size is None else size
        if wanted > self.most:
            raise zipfile.BadZipFile(f"{wanted} bytes at once are too many")
        return super().read(wanted)
