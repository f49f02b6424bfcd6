"""A job's text in pages: items to passages that are planned at once. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from farm import text
from farm.jobs import Block, Item
from farm.plans import Passage

#: Characters of a job's first pages, then of all others: the first speech should not wait for
#: the planning of much else.
PAGE_CHARACTERS = (2_000, 10_000, 40_000)
#: What an item counts for besides its text, so that a page of tiny lines stays small.
ITEM_CHARACTERS = 20


def _page_limits() -> Iterator[int]:
    yield from PAGE_CHARACTERS
    while True:
        yield PAGE_CHARACTERS[-1]


def _size(block: Block) -> int:
    return len(block.text) + 2


def _fitting(block: Block) -> Iterator[Block]:
    """Cut a block that alone is more than a page, where a sentence ends if it can be."""
    most, source = PAGE_CHARACTERS[-1], block.text
    if len(source) <= most:
        yield block
        return
    for start, end, boundary in text.clause_spans(source, 0, len(source), most):
        piece = replace(
            block,
            text=source[start:end],
            start=block.in_source(start),
            anchors=block.anchors_from(start, end),
            phones=block.phones_from(start, end),
        )
        yield piece if end == len(source) else replace(piece, pause_ms=None, ends=boundary)


def _runs(item: Item, room: int, limit: int) -> Iterator[tuple[Block, ...]]:
    """Cut an item's blocks in runs: the first fits in `room`, the others in `limit`."""
    run: list[Block] = []
    left = room - ITEM_CHARACTERS
    for block in itertools.chain.from_iterable(map(_fitting, item.blocks)):
        if run and _size(block) > left:
            yield tuple(run)
            run, left = [], limit
        run.append(block)
        left -= _size(block)
    yield tuple(run)


def pages(items: Iterable[Item]) -> Iterator[list[Passage]]:
    """Cut items in pages of about `PAGE_CHARACTERS`, as they come; a long item spans several."""
    limits = _page_limits()
    page: list[Passage] = []
    limit = room = next(limits)
    for item in items:
        if page and room <= ITEM_CHARACTERS:
            yield page
            page, limit = [], next(limits)
            room = limit
        runs = list(_runs(item, room, limit))
        for number, run in enumerate(runs):
            if number > 0:
                yield page
                page, limit = [], next(limits)
                room = limit
            warnings = () if number else item.warnings
            held = replace(item, blocks=run, warnings=warnings)
            page.append(Passage(held, number, len(runs)))
            room -= ITEM_CHARACTERS + sum(map(_size, run))
    if page:
        yield page
