"""Registered speakers: a file each, with the d-vector that was computed once from its reference.

    <folder>/<speaker>.json    {"schema": 1, "speaker_id": ..., "d_vector": [...], "reference": ...}

The reference itself is not kept, only its SHA-256: clients that register a speaker again at each of
their starts cost no second embedding. Deleting a file makes the service forget the speaker at once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from farm.errors import Conflict, NotFound, StoreUnavailable
from farm.jobs import check_id
from farm.schema import SCHEMA
from farm.storage.atomic import mapped, write_atomically

#: Speakers that a folder holds at most: nobody fills the disk by registering.
MOST = 10_000
#: Names that an error lists at most.
LISTED = 20

DVector = NDArray[np.float32]


class Speakers:
    """The speakers of one voice, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written before the first speaker."""
        self._folder = folder

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def put(self, name: str, d_vector: DVector, reference: str = "") -> None:
        """Register a speaker, in place of one of that name; it is on the disk when this returns.

        `reference` is the digest of what the d-vector was made of; empty: it was given.

        Raises:
            InvalidInput: the name cannot be a file's.
            Conflict: there are too many.
            StoreUnavailable: the disk is full or read-only.
        """
        path = self._path(name)
        if not path.exists() and len(self.names()) >= MOST:
            raise Conflict(f"{MOST} speakers are registered: delete some in {self._folder.name!r}")
        content = {
            "schema": SCHEMA,
            "speaker_id": name,
            "d_vector": d_vector.tolist(),
            "reference": reference,
        }

        def write(file: BinaryIO) -> None:
            os.fchmod(file.fileno(), 0o600)
            file.write(json.dumps(content).encode())

        write_atomically(path, write)

    def get(self, name: str) -> DVector:
        """Return a speaker's d-vector, shape (d_vector,).

        Raises:
            InvalidInput: the name cannot be a file's.
            NotFound: nobody of that name is registered; the message has the names.
            StoreUnavailable: its file cannot be read.
        """
        return self._read(name)[0]

    def made_of(self, name: str, reference: str) -> DVector | None:
        """Return a speaker's d-vector where it was made of this reference, else None."""
        try:
            d_vector, known = self._read(name)
        except (NotFound, StoreUnavailable):
            return None
        return d_vector if known == reference else None

    def _read(self, name: str) -> tuple[DVector, str]:
        path = self._path(name)
        with mapped("read", path):
            try:
                content = json.loads(path.read_bytes())
                return np.array(content["d_vector"], np.float32), content.get("reference", "")
            except FileNotFoundError as error:
                raise NotFound(f"unknown speaker_id {name!r}: {self._choices()}") from error
            except (ValueError, KeyError, TypeError) as error:
                raise StoreUnavailable(f"{str(path)!r} is no speaker: register it again") from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{check_id(name, 'speaker_id')}.json"

    def _choices(self) -> str:
        names = self.names()
        if not names:
            return "none is registered; POST /register_speaker first"
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        return f"choose one of {', '.join(names[:LISTED])}{more}"
