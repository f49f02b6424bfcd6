"""What assembly recorded of a job's items, in their order; on disk, as a batch has many."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import BinaryIO

from farm import keys
from farm.assembly import ItemRecord
from farm.errors import LedgerUnavailable
from farm.jobs import State
from farm.plans import Head
from farm.schema import from_json
from farm.storage import ahead
from farm.work import REQUESTS, Work, parsed, stored


class Records:
    """The records of a job's items, added in any order and iterated in theirs, as often as wanted.

    Eight bytes of memory are kept of each item.
    """

    def __init__(self, file: BinaryIO, items: int) -> None:
        """Begin without any, for so many items; `file` is empty, and read and written here only."""
        self._file, self._end = file, 0
        self._places = array("q", [-1]) * items
        self.missing = items
        """Items without a record."""

    def add(self, record: ItemRecord, row: bytes) -> None:
        """Keep a record, which is written as `row`; the first of an item stays."""
        if self._places[record.index] >= 0:
            return
        self._file.seek(self._end)
        self._places[record.index] = self._end
        self._end += self._file.write(row + b"\n")
        self.missing -= 1

    def __iter__(self) -> Iterator[ItemRecord]:
        """Yield every item's record; none must be missing."""
        for place in self._places:
            self._file.seek(place)
            yield from_json(ItemRecord, self._file.readline())

    def end(self) -> tuple[State, str, dict[str, int | float]]:
        """Say how the job ended: its state, why it failed, and what there is to count."""
        seconds, warned, spoken, error = 0.0, 0, False, ""
        for record in self:
            seconds += record.seconds
            warned += record.warned
            spoken = spoken or bool(record.files)
            error = error or record.error
        numbers = {"seconds": round(seconds, 3), "warned": warned}
        if spoken:
            return State.COMPLETED, "", numbers
        return State.FAILED, error or "nothing was spoken", numbers


def gather(work: Work, file: BinaryIO) -> Records:
    """Gather in a file what was recorded of a job's items.

    Raises:
        LedgerUnavailable: some are missing.
    """
    store, job = work.farm.store, work.ref.job
    key = keys.head(job, work.ref.revision)
    records = Records(file, parsed(Head, key, stored(store, key)).items)
    runs = work.farm.ledger.runs(job)
    found = ahead(lambda key: stored(store, key), runs, REQUESTS)
    for key, run in zip(runs, found, strict=True):
        for row in run.splitlines():  # an earlier life may have assembled some, too
            records.add(parsed(ItemRecord, key, row), row)
    if records.missing:
        raise LedgerUnavailable(f"no records of {records.missing} items: Redis was lost")
    return records
