"""Files that appear whole or not at all: a temporary file beside the target, then link or rename.

Temporary files begin with `TEMPORARY`; a crash leaves nothing else behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from farm.errors import StoreUnavailable

TEMPORARY = ".tmp-"

#: What `link` answers on file systems without hard links (FAT, some network mounts).
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

#: Times a write starts again because someone pruned its folder in between: cheap, and each
#: time another writer or deleter got on.
_ATTEMPTS = 100

Write = Callable[[BinaryIO], object]


@contextmanager
def mapped(action: str, path: Path) -> Iterator[None]:
    """Turn every `OSError` into one `StoreUnavailable` line that names the path and the reason."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"cannot {action} {str(path)!r}: {error.strerror}") from error


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """Give a folder for temporary files, which is gone after the block.

    Raises:
        StoreUnavailable: it cannot be made: where every disk is full, Python finds no place.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise StoreUnavailable(f"cannot make temporary files: {error.strerror}") from error
    with folder as name:
        yield Path(name)


def write_atomically(
    path: Path, write: Write, *, if_absent: bool = False, durable: bool = True
) -> bool:
    """Let `write` fill a file that then appears at `path`; return whether it did.

    `durable`: content and name have reached the disk when this returns.

    Raises:
        StoreUnavailable: full, read-only or forbidden; whatever `write` raises is passed on.
    """
    with mapped("write", path):
        for attempt in range(_ATTEMPTS):
            try:
                make_folder(path.parent, durable=durable)
                return _write_once(path, write, if_absent, durable)
            except FileNotFoundError:
                if attempt + 1 == _ATTEMPTS:
                    raise
    raise AssertionError("unreachable")


def make_folder(folder: Path, *, durable: bool = True) -> None:
    """Create a folder and those above it, each name on the disk before the next."""
    if folder.is_dir():
        return
    make_folder(folder.parent, durable=durable)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        # A folder that was there and is pruned by now is no obstacle, only a reason to begin again.
        reason = errno.ENOTDIR if folder.is_file() else errno.ENOENT
        raise OSError(reason, os.strerror(reason), str(folder)) from error
    if durable:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_once(path: Path, write: Write, if_absent: bool, durable: bool) -> bool:
    temporary = path.with_name(TEMPORARY + secrets.token_hex(8))
    try:
        with temporary.open("xb") as file:
            write(file)
            if durable and file.tell():  # of an empty file its name is all there is
                file.flush()
                os.fsync(file.fileno())
        wrote = _publish_new(temporary, path) if if_absent else _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if wrote and durable:
        with suppress(FileNotFoundError):  # deleted already, and its folder pruned
            sync_folder(path.parent)
    return wrote


def _publish(temporary: Path, path: Path) -> bool:
    temporary.replace(path)
    return True


def _publish_new(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _publish_locked(temporary, path)
    return True


def _publish_locked(temporary: Path, path: Path) -> bool:
    """Publish a new name where there are no hard links: one writer at a time per folder."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        return not path.exists() and _publish(temporary, path)
    finally:
        os.close(descriptor)
