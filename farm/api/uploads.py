"""Files that clients send: on disk while they are looked at, never whole in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import UploadFile

from farm.storage.atomic import mapped

#: What a form may hold: one file, and a few fields, which are kept in memory (bytes each).
LIMITS: Any = {"max_files": 1, "max_fields": 8, "max_part_size": 1 << 20}


@contextmanager
def on_disk(file: UploadFile) -> Iterator[Path]:
    """Have an uploaded file as a path during the block."""
    with (
        mapped("write", Path(tempfile.gettempdir())),
        tempfile.NamedTemporaryFile(prefix="farm-upload-") as target,
    ):
        shutil.copyfileobj(file.file, target, 1 << 20)
        target.flush()
        yield Path(target.name)
