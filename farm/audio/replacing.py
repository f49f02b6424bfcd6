"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farm.errors import StoreUnavailable


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside a file; it takes the file's place when the block ends well.

    Otherwise it is removed and what stood there stays. The temporary name keeps the suffix.

    Raises:
        StoreUnavailable: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{os.urandom(4).hex()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {str(path)!r}: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
