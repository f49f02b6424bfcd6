"""Fan-in: whatever the order and however often it is told, each item is ready exactly once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.ledger import Ref, parse
from tests.ledger.desk import Desk, Share, result, share


@dataclass(frozen=True)
class Document:
    """Segments of each item on each of the pages that follow its first."""

    items: tuple[tuple[int, ...], ...]
    first_pages: tuple[int, ...]
    chunk_size: int
    run_size: int

    @property
    def pages(self) -> int:
        ends = [
            first + len(parts) for first, parts in zip(self.first_pages, self.items, strict=True)
        ]
        return max(ends, default=0)

    def segments(self, page: int) -> list[int]:
        """The item of every segment on a page."""
        found = []
        for item, (first, parts) in enumerate(zip(self.first_pages, self.items, strict=True)):
            if first <= page < first + len(parts):
                found += [item] * parts[page - first]
        return found

    def share(self, item: int, page: int, here: int) -> Share:
        number, parts = page - self.first_pages[item], self.items[item]
        return share(item, here, parts[number], number, len(parts))

    def empty(self, page: int) -> list[Share]:
        spans = enumerate(zip(self.first_pages, self.items, strict=True))
        return [
            self.share(item, page, 0)
            for item, (first, parts) in spans
            if first <= page < first + len(parts) and parts[page - first] == 0
        ]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    parts = st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple)
    items = tuple(draw(st.lists(parts, max_size=8)))
    firsts: list[int] = []
    page = 0
    for item in items:
        page += draw(st.integers(0, 1)) if firsts else 0
        firsts.append(page)
        page += len(item) - 1
    return Document(items, tuple(firsts), draw(st.integers(1, 6)), draw(st.integers(1, 4)))


class Run:
    """A whole job, its steps in any order and repeated, and everything that follows from them."""

    def __init__(self, desk: Desk, document: Document, dice: random.Random) -> None:
        self.desk, self.document, self.dice = desk, document, dice
        self.chunks: dict[tuple[int, int, str], list[Share]] = {}
        self.followed: list[Ref] = []
        self.spoken = 0

    def plan(self, page: int) -> None:
        segments = self.document.segments(page)
        self.dice.shuffle(segments)
        lanes: dict[str, list[str]] = {"piper": [], "onnx": []}
        size = self.document.chunk_size
        for start in range(0, len(segments), size):
            here = Counter(segments[start : start + size])
            lane = self.dice.choice(["piper", "onnx"])
            shares = [self.document.share(item, page, n) for item, n in here.items()]
            self.chunks[page, len(lanes[lane]), lane] = shares
            lanes[lane].append("label")
        for _ in range(self.dice.choice([1, 1, 2])):
            self.followed += self.desk.plan("j", lanes, page, self.document.empty(page))

    def read(self) -> None:
        for _ in range(self.dice.choice([1, 1, 2])):
            pages, items = self.document.pages, len(self.document.items)
            self.followed += self.desk.read("j", pages, items)

    def speak(self) -> bool:
        """Finish some of the chunks, one of them twice or with a death before it."""
        taken = self.desk.take(self.dice.randint(1, 4), "piper") + self.desk.take(2, "onnx")
        self.dice.shuffle(taken)
        for ref in taken:
            if self.dice.random() < 0.2:
                self.desk.ledger.claim(ref, "dead")
            shares = self.chunks[ref.page, ref.chunk, ref.lane]
            for _ in range(self.dice.choice([1, 1, 1, 2])):
                self.followed += self.desk.ledger.finish(ref, result(*shares))
            self.spoken += 1
        return bool(taken)

    def assemble(self) -> None:
        """Assemble some runs, perhaps twice; what is packaged stays for later."""
        runs = [ref for ref in self.followed if ref.stage == "items"]
        for ref in self.dice.sample(runs, self.dice.randint(0, len(runs))):
            self.followed += self.desk.ledger.assembled(ref, ref.what)

    def go(self) -> None:
        steps: list[int | None] = [None, *range(self.document.pages)]
        self.dice.shuffle(steps)
        for page in steps:
            if page is None:
                self.read()
            else:
                self.plan(page)
            self.speak()
            self.assemble()
        while self.speak():
            self.assemble()
        for ref in [ref for ref in self.followed if ref.stage == "items"]:
            self.followed += self.desk.ledger.assembled(ref, ref.what)

    def assembled_items(self) -> Iterator[tuple[int, int]]:
        for ref in self.followed:
            if ref.stage == "items":
                assert 0 < len(ref.items) <= self.document.run_size
                yield from ref.items


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(documents(), st.integers(0, 2**32))
def test_every_item_is_ready_once_and_the_package_comes_once_and_last(
    desk: Desk, document: Document, seed: int
) -> None:
    desk.redis.flushall()
    desk.open("j", run_size=document.run_size)
    run = Run(desk, document, random.Random(seed))
    run.go()
    expected = sorted(enumerate(document.first_pages))
    assert sorted(run.assembled_items()) == expected
    assert [ref.stage for ref in run.followed].count("package") == 1
    assert run.followed[-1] == parse("audio/package/j/1/0")
    assert run.spoken == len(run.chunks) == desk.count("chunks_done")
    assert desk.count("items_done") == len(document.items)
    assert Counter(desk.ledger.runs("j")) == Counter(
        ref.what for ref in run.followed if ref.stage == "items"
    )
    assert desk.state() == "finalizing"
    assert not desk.redis.exists("farm:parts:j", "farm:ready:j", "farm:todo:j:piper")
    assert desk.sent("audio") == {"audio/package/j/1/0"}
    assert desk.sent("piper") == desk.sent("onnx") == set()


def test_runs_are_cut_full_and_the_rest_when_all_is_spoken(desk: Desk) -> None:
    desk.begin("j", 5, items=5, run_size=2)
    runs = []
    for item, ref in enumerate(desk.take(5)):
        runs.append([r.what for r in desk.ledger.finish(ref, result(share(item, 1, 1)))])
    assert runs == [[], ["0@0,1@0"], [], ["2@0,3@0"], ["4@0"]]


def test_many_items_of_one_chunk_come_in_several_runs(desk: Desk) -> None:
    desk.begin("j", 1, items=5, run_size=2)
    (ref,) = desk.take()
    refs = desk.ledger.finish(ref, result(*[share(item, 1, 1) for item in range(5)]))
    assert [r.what for r in refs] == ["0@0,1@0", "2@0,3@0", "4@0"]


@pytest.mark.parametrize("size", [0, -3])
def test_a_run_size_of_nothing_is_one(desk: Desk, size: int) -> None:
    desk.begin("j", 1, items=2, run_size=size)
    (ref,) = desk.take()
    refs = desk.ledger.finish(ref, result(share(0, 1, 1), share(1, 1, 1)))
    assert [r.what for r in refs] == ["0@0", "1@0"]


def test_an_item_tells_on_which_page_it_begins(desk: Desk) -> None:
    desk.open("j", run_size=1)
    desk.plan("j", 1, page=7)
    desk.plan("j", 1, page=8)
    first, second = desk.take(2)
    assert desk.ledger.finish(second, result(share(3, 2, 2, number=1, parts=2))) == []
    (run,) = desk.ledger.finish(first, result(share(3, 4, 4, number=0, parts=2)))
    assert run.items == [(3, 7)]


def test_a_job_without_items_is_packaged(desk: Desk) -> None:
    desk.open("j")
    assert desk.read("j", 0, 0) == [parse("audio/package/j/1/0")]
    assert desk.state() == "finalizing"


def test_a_page_without_chunks_brings_its_empty_items(desk: Desk) -> None:
    desk.open("j", run_size=5)
    assert desk.plan("j", {}, shares=[share(0, 0, 0)]) == []
    assert desk.plan("j", {"piper": []}, page=1, shares=[share(1, 0, 0)]) == []
    assert desk.take(9) == []
    (run,) = desk.read("j", 2, 2)
    assert run.items == [(0, 0), (1, 1)]


def test_an_item_may_be_spoken_by_two_families(desk: Desk) -> None:
    desk.open("j", run_size=1)
    desk.plan("j", {"piper": ["a"], "onnx": ["b"]})
    desk.read("j", 1, 1)
    (piper,), (onnx,) = desk.take(1, "piper"), desk.take(1, "onnx")
    assert desk.ledger.finish(piper, result(share(0, 2, 5))) == []
    (run,) = desk.ledger.finish(onnx, result(share(0, 3, 5)))
    assert run.items == [(0, 0)]


def test_runs_that_overlap_count_each_item_once(desk: Desk) -> None:
    desk.begin("j", 1, items=3)
    desk.ledger.assembled(parse("audio/items/j/1/0@0,1@0"), "a")
    desk.ledger.assembled(parse("audio/items/j/1/1@0,2@0"), "b")
    assert desk.count("items_done") == 3


def test_a_failure_of_an_item_is_counted_with_it(desk: Desk) -> None:
    desk.begin("j", 1, items=3)
    first, second = ({"item": n, "text": "", "error": f"e{n}", "digest": ""} for n in (0, 1))
    desk.ledger.assembled(parse("audio/items/j/1/0@0,1@0"), "a", [first])
    desk.ledger.assembled(parse("audio/items/j/1/0@0,1@0"), "a", [first])
    desk.ledger.assembled(parse("audio/items/j/1/1@0,2@0"), "b", [second])
    assert desk.count("failed") == 1
    assert desk.ledger.failures("j") == [first]


def test_a_job_in_planning_is_not_taken_for_spoken(desk: Desk) -> None:
    desk.open("j", run_size=9)
    desk.plan("j", 1)
    (ref,) = desk.take()
    assert desk.ledger.finish(ref, result(share(0, 1, 1))) == []
    assert desk.read("j", 2, 2) == []
    assert [r.stage for r in desk.plan("j", 0, page=1, shares=[share(1, 0, 0)])] == ["items"]


def test_failures_are_listed_and_counted(desk: Desk) -> None:
    desk.begin("j", 1, items=1)
    (ref,) = desk.take()
    failures = [
        {"item": n, "text": f'a "quoted" / 中文 {n}', "error": "e", "digest": f"d{n}"}
        for n in range(3)
    ]
    desk.ledger.finish(ref, result(share(0, 3, 3), failures=failures))
    assert desk.ledger.failures("j") == failures
    assert desk.ledger.failures("j", 1, 1) == failures[1:2]
    assert desk.count("failed") == 3


def test_the_list_of_failures_is_bounded_and_their_count_is_not(desk: Desk) -> None:
    desk.begin("j", 3, items=1)
    many = [{"item": 0, "text": "t", "error": "e", "digest": "d"}] * 6000
    for ref in desk.take(2):
        desk.ledger.finish(ref, result(failures=many))
    assert desk.redis.llen("farm:failures:j") == 10_000
    assert desk.count("failed") == 12_000
