from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.assembly import File, ItemRecord
from farm.jobs import State
from farm.records import Records
from farm.schema import to_json

FILE = File("key", "name.wav", "", 1)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with (tmp_path / "records").open("w+b") as file:
        yield Records(file, 3)


def add(records: Records, *added: ItemRecord) -> None:
    for record in added:
        records.add(record, to_json(record))


def test_records_come_in_the_order_of_the_items_however_often(records: Records) -> None:
    two, zero, one = (ItemRecord(n, f"i{n}", f"ü{n}", files={"wav": FILE}) for n in (2, 0, 1))
    add(records, two, zero)
    assert records.missing == 1
    add(records, one)
    assert records.missing == 0
    assert list(records) == [zero, one, two]
    assert [(a, b) for a in records for b in records][4] == (one, one)


def test_the_first_record_of_an_item_stays(records: Records) -> None:
    add(records, ItemRecord(0, "first"), ItemRecord(0, "second"), ItemRecord(1, "b"))
    assert records.missing == 1
    add(records, ItemRecord(2, "c"))
    assert [record.id for record in records] == ["first", "b", "c"]


def test_a_job_with_some_audio_is_complete(records: Records) -> None:
    spoken = ItemRecord(1, "b", seconds=1.2344, warned=2, files={"wav": FILE})
    add(records, ItemRecord(0, "a", error="bad", warned=1), spoken, ItemRecord(2, "c"))
    assert records.end() == (State.COMPLETED, "", {"seconds": 1.234, "warned": 3})


@pytest.mark.parametrize(
    ("errors", "told"), [(("", "one", "two"), "one"), (("", "", ""), "nothing was spoken")]
)
def test_a_job_without_audio_failed_for_its_first_reason(
    errors: tuple[str, ...], told: str, records: Records
) -> None:
    add(records, *(ItemRecord(n, f"i{n}", error=error) for n, error in enumerate(errors)))
    assert records.end() == (State.FAILED, told, {"seconds": 0.0, "warned": 0})
