from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm import contents, keys, lifecycle
from farm.errors import NotFound
from farm.jobs import Output
from farm.storage.local import LocalStore
from tests.running import Running, running


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def lines(count: int, words: str = "Line {}. And more.") -> str:
    rows = [{"id": f"l{n}", "text": words.format(n)} for n in range(count)]
    return "\n".join(map(json.dumps, rows))


def test_an_owners_jobs_are_listed_newest_first_page_by_page(farm: Running) -> None:
    for number in range(5):
        farm.submit("Hello.", f"j{number}", created=1000.0 + number)
    first, after = contents.page(farm.farm, "ann", 2)
    assert [row["job"] for row in first] == ["j4", "j3"]
    second, after = contents.page(farm.farm, "ann", 2, after)
    assert [row["job"] for row in second] == ["j2", "j1"]
    third, after = contents.page(farm.farm, "ann", 2, after)
    assert ([row["job"] for row in third], after) == (["j0"], "")
    assert contents.page(farm.farm, "bob", 2) == ([], "")


def test_a_full_last_page_says_that_nothing_follows(farm: Running) -> None:
    farm.submit("Hello.")
    rows, after = contents.page(farm.farm, "ann", 1)
    assert len(rows) == 1
    assert contents.page(farm.farm, "ann", 1, after)[0] == []


def test_a_listing_takes_what_is_wanted_and_survives_a_lost_redis(farm: Running) -> None:
    farm.submit("Hello.", "a", created=1.0, labels={"series": "x"})
    farm.submit("Hello.", "b", created=2.0)
    farm.drain()
    farm.redis.flushall()
    rows, _ = contents.page(
        farm.farm, "ann", 9, wanted=lambda row: row.get("labels") == {"series": "x"}
    )
    assert [(row["job"], row["state"]) for row in rows] == [("a", "completed")]


def test_a_removed_job_is_listed_no_more(farm: Running) -> None:
    farm.submit("Hello.")
    farm.drain()
    lifecycle.remove(farm.farm, "j")
    assert contents.page(farm.farm, "ann", 9) == ([], "")


def test_items_tell_how_far_each_is(farm: Running) -> None:
    farm.submit(lines(3), kind="batch")
    assert contents.items(farm.farm, "j", 0, 10) == []
    farm.until("page")
    (first, *_) = contents.items(farm.farm, "j", 0, 10)
    assert (first["id"], first["segments"], first["spoken"]) == ("l0", 0, 0)
    farm.until("chunk")
    rows = contents.items(farm.farm, "j", 0, 10)
    assert [(row["segments"], row["spoken"]) for row in rows] == [(2, 0)] * 3
    farm.until("items")
    rows = contents.items(farm.farm, "j", 0, 10)
    assert [(row["segments"], row["spoken"]) for row in rows] == [(2, 2)] * 3
    assert rows[0]["files"] == {}
    farm.drain()
    rows = contents.items(farm.farm, "j", 1, 1)
    assert [(row["id"], row["spoken"], [*row["files"]]) for row in rows] == [("l1", 2, ["wav"])]


class Noting(LocalStore):
    """A store that notes what is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)


def test_of_what_was_made_only_what_a_page_shows_is_read(redis_url: str, tmp_path: Path) -> None:
    store = Noting(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm:
        farm.submit(lines(300), kind="batch")
        farm.until("package")
        runs = [key for key in store.list("jobs/j/rev/1/attempt") if "/runs/" in key]
        for offset, most in ((0, 2), (100, len(runs) - 2), (295, len(runs) - 2)):
            store.read.clear()
            rows = contents.items(farm.farm, "j", offset, 5)
            assert [[*row["files"]] for row in rows] == [["wav"]] * 5
            assert 1 <= len([key for key in store.read if "/runs/" in key]) <= most


def test_items_on_later_pages_are_found(farm: Running) -> None:
    farm.submit(lines(400, "Line {} " + "has a good many words in it. " * 8), kind="batch")
    farm.until("chunk")
    assert farm.count("pages_total") > 2
    for offset in (0, 7, 120, 399):
        rows = contents.items(farm.farm, "j", offset, 5)
        assert [row["index"] for row in rows] == list(range(offset, min(offset + 5, 400)))
        assert all(row["segments"] for row in rows)
    assert contents.items(farm.farm, "j", 400, 5) == []


def test_segments_of_an_item_that_spans_pages_are_all_there(farm: Running) -> None:
    text = "# One\n\nShort.\n\n# Two\n\n" + "\n\n".join(
        f"Paragraph {n} says nothing much, but it says it at some length." for n in range(260)
    )
    farm.submit(text, kind="book", name="b.md")
    farm.until("chunk")
    assert farm.count("pages_total") > 2
    rows = contents.segments(farm.farm, "j", 1)
    assert len(rows) == contents.items(farm.farm, "j", 1, 1)[0]["segments"] > 260
    assert [row["start"] for row in rows] == sorted(row["start"] for row in rows)
    assert len({row["key"] for row in rows}) == len(rows)
    assert [row["text"] for row in contents.segments(farm.farm, "j", 0)][-1] == "Short."


def test_an_item_that_is_not_there_is_not_found(farm: Running) -> None:
    farm.submit("Hello.")
    with pytest.raises(NotFound, match="no item 0"):
        contents.segments(farm.farm, "j", 0)
    farm.drain()
    assert len(contents.segments(farm.farm, "j", 0)) == 1
    with pytest.raises(NotFound, match="no item 1"):
        contents.segments(farm.farm, "j", 1)


def test_outputs_come_package_first(farm: Running) -> None:
    farm.submit("Hello.")
    farm.drain()
    (row,) = contents.outputs(contents.manifest(farm.farm, "j"))
    assert (row["item"], row["format"]) == ("j", "wav")
    assert farm.farm.store.exists(row["key"])
    assert keys.index("ann", 1.0, "j") == "index/ann/9999999998999-j"


@pytest.fixture
def listed(farm: Running) -> Running:
    """A batch of four whose third line in the manifest nobody can parse."""
    farm.submit(lines(3) + '\n{"id": "l3"}', kind="batch")
    farm.drain()
    key = keys.manifest("j", 1)
    rows = farm.farm.store.get(key).replace(b'"id": "l2"', b'"id": l2')
    farm.farm.store.put(key, rows)
    return farm


def test_only_the_rows_that_are_asked_for_are_read(listed: Running) -> None:
    farm = listed.farm
    assert [row["id"] for row in contents.rows(farm, "j", 0, 2)] == ["l0", "l1"]
    assert [row["id"] for row in contents.rows(farm, "j", 3, 9)] == ["l3"]
    assert [row["id"] for row in contents.items(farm, "j", 1, 1)] == ["l1"]
    assert [row["id"] for row in contents.failures(farm, "j")] == ["l3"]
    with pytest.raises(ValueError, match="Expecting value"):
        list(contents.rows(farm, "j", 2, 1))


def test_outputs_come_a_page_of_items_at_a_time(farm: Running) -> None:
    farm.submit(lines(3), kind="batch")
    assert contents.some_outputs(farm.farm, "j", 0, 2) == ([], False)
    farm.drain()
    first, more = contents.some_outputs(farm.farm, "j", 0, 2)
    assert ([row["item"] for row in first], more) == (["l0", "l1"], True)
    rest, more = contents.some_outputs(farm.farm, "j", 2, 2)
    assert ([row["item"] for row in rest], more) == (["l2"], False)
    assert [*first, *rest] == list(contents.outputs(contents.manifest(farm.farm, "j")))


def test_the_package_is_on_the_first_page_only(farm: Running) -> None:
    output = Output("m4a", package="m4b")
    farm.submit("# One\n\nShort.\n\n# Two\n\nAlso.", kind="book", name="b.md", output=output)
    farm.drain()
    first, _ = contents.some_outputs(farm.farm, "j", 0, 1)
    rest, _ = contents.some_outputs(farm.farm, "j", 1, 1)
    assert [*first, *rest] == list(contents.outputs(contents.manifest(farm.farm, "j")))
    assert [row["format"] for row in first if row["item"] is None] == ["m4b"]
