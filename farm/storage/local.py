"""The object store in a folder: a key is a path below it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from farm.errors import InvalidInput, NotFound, StoreUnavailable
from farm.storage.atomic import TEMPORARY, mapped, write_atomically
from farm.storage.base import Store, check_key, check_prefix

_COPY_BYTES = 1 << 20


class LocalStore(Store):
    """Objects as files below a folder, which the first write creates."""

    def __init__(self, root: Path) -> None:
        """Take the folder; nothing is touched yet."""
        self.root = Path(root).absolute()

    def put(self, key: str, data: bytes, *, if_absent: bool = False, durable: bool = True) -> bool:
        """Store bytes; see `Store.put`."""
        path = self._path(key)
        if if_absent and path.is_file():
            return False
        _refuse_folder(path, key)
        return write_atomically(
            path, lambda file: file.write(data), if_absent=if_absent, durable=durable
        )

    def put_file(
        self, key: str, path: Path, *, if_absent: bool = False, durable: bool = True
    ) -> bool:
        """Store a file's content in pieces of a megabyte; see `Store.put_file`."""
        target = self._path(key)
        if if_absent and target.is_file():
            return False
        _refuse_folder(target, key)
        with open_source(path) as source:
            return write_atomically(
                target,
                lambda file: shutil.copyfileobj(_rewound(source), file, _COPY_BYTES),
                if_absent=if_absent,
                durable=durable,
            )

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self.open(key) as file, mapped("read", self._path(key)):
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        path = self._path(key)
        with mapped("read", path):
            try:
                return path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise _missing(key) from None

    def get_file(self, key: str, path: Path) -> None:
        """Copy an object to a local file."""
        with self.open(key) as source:
            write_atomically(
                path, lambda file: shutil.copyfileobj(_rewound(source), file, _COPY_BYTES)
            )

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        path = self._path(key)
        with mapped("read", path):
            return path.is_file()

    def size(self, key: str) -> int:
        """Bytes of an object."""
        if not self.exists(key):
            raise _missing(key)
        with mapped("read", self._path(key)):
            return self._path(key).stat().st_size

    def delete(self, key: str) -> None:
        """Remove an object, and the folders that it leaves empty."""
        path = self._path(key)
        with mapped("delete", path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
        self._prune(path.parent)

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with a prefix, one folder in memory at a time."""
        folder, _, name = check_prefix(prefix).rpartition("/")
        yield from _walk(self.root / folder, f"{folder}/" if folder else "", name, after)

    def list_older(self, prefix: str, than: float) -> Iterator[str]:
        """Yield old keys; see `Store.list_older`."""
        for key in self.list(prefix):
            path = self._path(key)
            with mapped("read", path), suppress(FileNotFoundError):  # deleted meanwhile
                if path.stat().st_mtime < than:
                    yield key

    def url(self, key: str, *, seconds: int = 3600) -> str:  # noqa: ARG002
        """The file's own address (RFC 8089); it does not expire."""
        return self._path(key).as_uri()

    def sweep(self, older_than_s: float = 86_400) -> int:
        """Remove temporary files that a crash left so many seconds ago; return how many."""
        before, swept = time.time() - older_than_s, 0
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder, name) for name in names if name.startswith(TEMPORARY)):
                with mapped("delete", path):
                    if path.exists() and path.stat().st_mtime < before:
                        path.unlink(missing_ok=True)
                        swept += 1
        return swept

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _prune(self, folder: Path) -> None:
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def open_source(path: Path) -> BinaryIO:
    """Open a local file that is to be stored.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"no such file: {str(path)!r}") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {error.strerror}") from error


def _rewound(source: BinaryIO) -> BinaryIO:
    source.seek(0)
    return source


def _refuse_folder(path: Path, key: str) -> None:
    if path.is_dir():
        raise InvalidInput(f"key {key!r} is not valid: other objects lie below it")


def _missing(key: str) -> NotFound:
    # Not where: clients of the API are told this.
    return NotFound(f"no object {key!r} in the store")


def _walk(folder: Path, prefix: str, begins: str, after: str) -> Iterator[str]:
    """Yield files below a folder in the order that S3 lists them: `/` sorts as a character."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                entry.name + ("/" if entry.is_dir() else "")
                for entry in entries
                if entry.name.startswith(begins) and not entry.name.startswith(".")
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StoreUnavailable(f"cannot list {str(folder)!r}: {error.strerror}") from error
    for name in found:
        key = prefix + name
        if name.endswith("/"):
            if key > after or after.startswith(key):
                yield from _walk(folder / name, key, "", after)
        elif key > after:
            yield key
