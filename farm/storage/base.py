"""The contract of an object store: objects by key, whole or not at all."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from farm.errors import InvalidInput

#: One step of a key. None begins with a dot, so `.`, `..` and temporary files can be no object.
STEP = re.compile(r"[A-Za-z0-9_@+=,~-][A-Za-z0-9_@+=,~. -]{0,199}")

#: Characters of a whole key; S3 takes 1,024 with the store's own prefix.
KEY_LENGTH = 900


def check_key(key: str) -> str:
    """Return a key that is safe on every store, or raise `InvalidInput`."""
    if len(key) > KEY_LENGTH or not all(STEP.fullmatch(step) for step in key.split("/")):
        raise InvalidInput(
            f"key {key!r} is not valid: steps divided by '/', each of letters, digits and "
            f"'_@+=,~-. ', not beginning with '.', 200 characters at most, {KEY_LENGTH} in all"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return a prefix of keys (empty, or ending anywhere within one), or raise `InvalidInput`."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


class Store(ABC):
    """Objects by key (`a/b/c`). Safe to use from several threads and, pickled or not, processes.

    Every write is atomic: a reader sees the old object, the new one or none.

    Raises (all methods):
        StoreUnavailable: the store did not answer, refused or is full.
        InvalidInput: the key is not one that `check_key` takes.
    """

    @abstractmethod
    def put(self, key: str, data: bytes, *, if_absent: bool = False, durable: bool = True) -> bool:
        """Store bytes. With `if_absent` the first one wins; return whether this call wrote.

        `durable=False` may lose the object, or leave it cut short or empty, when the power
        fails within about half a minute; it is for what can be made again and is checked when
        it is read.
        """

    @abstractmethod
    def put_file(
        self, key: str, path: Path, *, if_absent: bool = False, durable: bool = True
    ) -> bool:
        """Store a file's content without holding it in memory; `NotFound` if there is no file."""

    @abstractmethod
    def get(self, key: str) -> bytes:
        """Return an object's bytes; `NotFound` if there is none."""

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Open an object for reading as a stream; `NotFound` if there is none."""

    @abstractmethod
    def get_file(self, key: str, path: Path) -> None:
        """Write an object to a local file, atomically; `NotFound` if there is none."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def size(self, key: str) -> int:
        """Bytes of an object; `NotFound` if there is none."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""

    @abstractmethod
    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with a prefix and follow `after`, sorted.

        For listing, recovery and gc only: a server may be slow to show what was just written.
        """

    @abstractmethod
    def list_older(self, prefix: str, than: float) -> Iterator[str]:
        """Yield the keys of `list` whose objects were last written before a time (Unix seconds).

        By the server's clock, or that of the host with the folder.
        """

    @abstractmethod
    def url(self, key: str, *, seconds: int = 3600) -> str:
        """An address at which a client can read the object for so long."""
