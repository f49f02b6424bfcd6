from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.jobs import Block, Item
from farm.paging import PAGE_CHARACTERS, pages
from farm.plans import Passage


def item(index: int, *lengths: int, **changes: Any) -> Item:
    return Item(index, f"i{index}", blocks=tuple(Block("x" * n) for n in lengths), **changes)


def whole(passages: Iterable[Passage]) -> dict[int, list[Block]]:
    found: dict[int, list[Block]] = {}
    for passage in passages:
        found.setdefault(passage.item.index, []).extend(passage.item.blocks)
    return found


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.lists(st.integers(0, 30_000), max_size=8), min_size=1, max_size=20))
def test_pages_hold_every_block_of_every_item_once(lengths: list[list[int]]) -> None:
    items = [item(n, *row) for n, row in enumerate(lengths)]
    held = [passage for page in pages(items) for passage in page]
    assert whole(held) == {each.index: list(each.blocks) for each in items}
    assert [p.item.index for p in held] == sorted(p.item.index for p in held)


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.lists(st.integers(0, 30_000), max_size=8), min_size=1, max_size=20))
def test_a_long_item_lies_on_consecutive_pages_and_knows_which_part_it_is(
    lengths: list[list[int]],
) -> None:
    items = [item(n, *row) for n, row in enumerate(lengths)]
    where: dict[int, list[tuple[int, int, int]]] = {}
    for number, page in enumerate(pages(items)):
        assert len({passage.item.index for passage in page}) == len(page)
        for passage in page:
            where.setdefault(passage.item.index, []).append((number, passage.number, passage.parts))
    for rows in where.values():
        first = rows[0][0]
        assert rows == [(first + n, n, len(rows)) for n in range(len(rows))]


def test_the_first_pages_are_small_so_that_speech_begins_early() -> None:
    lines = [item(n, 98) for n in range(2_000)]
    sizes = [sum(len(p.item.blocks[0].text) for p in page) for page in pages(lines)]
    for size, limit in zip(sizes, PAGE_CHARACTERS, strict=False):
        assert 0.7 * limit < size <= limit
    assert max(sizes) <= PAGE_CHARACTERS[-1]
    assert min(sizes[2:-1]) > 0.7 * PAGE_CHARACTERS[-1]


def test_pages_are_cut_as_the_items_come() -> None:
    taken = 0

    def endless() -> Iterable[Item]:
        nonlocal taken
        while True:
            yield item(taken, 100)
            taken += 1

    assert next(iter(pages(endless())))
    assert taken < 50


def test_no_items_make_no_pages_and_an_empty_item_makes_one() -> None:
    assert list(pages([])) == []
    ((passage,),) = pages([item(0)])
    assert passage == Passage(item(0))


def test_only_the_first_passage_of_an_item_carries_its_warnings() -> None:
    long = item(0, *[1_500] * 4, warnings=("odd",))
    held = [passage for page in pages([long]) for passage in page]
    assert [passage.item.warnings for passage in held] == [("odd",)] + [()] * (len(held) - 1)
    assert len(held) > 1
