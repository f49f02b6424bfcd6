"""Stretches of an XHTML document put into `<span>`s, and nothing else of it changed.

A stretch may begin and end anywhere in the tree. It becomes one span where that can be, elements
that lie in it whole and all; where it begins within `<em>` and ends outside it becomes several,
each as long as the tree allows. What a span may not hold, or not stand in, stays as it is.

All spots of a document are found first and then made from its end to its beginning: a span moves
only what comes after its own beginning, so the spots before it stay true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lxml import etree

from farm.text.xhtml import BLOCKS, CELL, Page, Run, name, words

XHTML = "http://www.w3.org/1999/xhtml"
#: What no span holds, beside what is a block.
_FLOW = BLOCKS | words("dialog hr menu search style")
#: What holds no span: lists, tables and the like have children of their own kinds.
_CLOSED = words(
    "audio colgroup datalist dl hgroup menu object ol optgroup option picture rp rt rtc select "
    "table tbody textarea tfoot thead title tr ul video"
)


Edge = tuple[etree._Element | None, int]
"""A child of an element, or None for its head, and characters behind that."""


class Piece(NamedTuple):
    """Characters of a run."""

    run: int
    """Number in the document."""
    begin: int
    end: int
    at: int
    """Where the first of them stands in the text of its block."""
    until: int
    """One past where the last of them stands there."""


@dataclass(frozen=True)
class Spot:
    """Where a span goes: from a character behind one child of an element to one behind another."""

    parent: etree._Element
    before: etree._Element | None
    """The child before it; None: it begins in the parent's first text."""
    begin: int
    """Characters between that child and the span."""
    last: etree._Element | None
    """The last child before its end; None as above."""
    end: int
    """Characters between that child and the end."""
    at: int
    """Where it begins in the text of its block."""
    until: int
    """And where it ends there."""


class Text:
    """The text of a document, as runs in order."""

    def __init__(self, page: Page) -> None:
        """Number the runs of all blocks."""
        self._runs: list[Run] = []
        self._first: list[int] = []
        """Of each block."""
        for runs in page.runs:
            self._first.append(len(self._runs))
            self._runs += runs

    def places(self, block: int, text: str) -> list[tuple[int, int] | None] | None:
        """Find each character of a block's text: the run and the character there.

        White space, and the commas between the cells of a row, are nowhere. None where the
        document has another text there.
        """
        found: list[tuple[int, int] | None] = [None] * len(text)
        at = 0
        ends = [*self._first[1:], len(self._runs)]
        for number in range(self._first[block], ends[block]):
            for place, character in enumerate(self._runs[number].text):
                if character.isspace():
                    continue
                while text[at : at + 1].isspace():
                    at += 1
                if text[at : at + 1] != ("," if character == CELL else character):
                    return None
                if character != CELL:
                    found[at] = (number, place)
                at += 1
        return None if text[at:].strip() else found

    def pieces(
        self, places: Sequence[tuple[int, int] | None], start: int, end: int
    ) -> Iterator[Piece]:
        """Yield what characters of a block's text are made of, without the blanks around each."""
        piece: Piece | None = None
        for at, place in enumerate(places[start:end], start):
            if place is None or self._runs[place[0]].node is None:
                continue
            if piece and piece.run == place[0]:
                piece = piece._replace(end=place[1] + 1, until=at + 1)
            else:
                if piece:
                    yield piece
                piece = Piece(place[0], place[1], place[1] + 1, at, at + 1)
        if piece:
            yield piece

    def spots(self, pieces: Sequence[Piece]) -> Iterator[Spot]:
        """Yield where the spans of a stretch go: as few as can be."""
        rest = list(pieces)
        while rest:
            for count in range(len(rest), 0, -1):
                if spot := self._spot(rest[0], rest[count - 1]):
                    yield spot
                    break
            rest = rest[count:]

    def _spot(self, first: Piece, last: Piece) -> Spot | None:
        """The place of one span from one piece to another; None: there can be none."""
        parent = _common(self._parent(first), self._parent(last))
        if parent is None or name(parent) in _CLOSED or not _is_xhtml(parent):
            return None
        begins, ends = self._begin(first, parent), self._end(last, parent)
        if begins is None or ends is None:
            return None
        spot = Spot(parent, *begins, *ends, first.at, last.until)
        return spot if all(map(_fits, children(spot))) else None

    def _parent(self, piece: Piece) -> etree._Element | None:
        run = self._runs[piece.run]
        return run.node if run.place == "text" or run.node is None else run.node.getparent()

    def _begin(self, piece: Piece, parent: etree._Element) -> Edge | None:
        """Where in its parent a span begins: at the piece, or before the child that it begins."""
        run = self._runs[piece.run]
        if self._parent(piece) is parent and run.place != "node":
            return (run.node if run.place == "tail" else None), piece.begin
        child = self._child(piece, parent)
        if run.text[: piece.begin].strip() or self._has_text(child, range(piece.run - 1, -1, -1)):
            return None
        before = child.getprevious()
        return before, len(after(parent, before))

    def _end(self, piece: Piece, parent: etree._Element) -> Edge | None:
        """Where in its parent a span ends: at the piece, or behind the child that it ends."""
        run = self._runs[piece.run]
        if self._parent(piece) is parent and run.place != "node":
            return (run.node if run.place == "tail" else None), piece.end
        child = self._child(piece, parent)
        rest = range(piece.run + 1, len(self._runs))
        if run.text[piece.end :].strip() or self._has_text(child, rest):
            return None
        return child, 0

    def _child(self, piece: Piece, parent: etree._Element) -> etree._Element:
        """The child of the parent in which a piece lies."""
        run = self._runs[piece.run]
        node = run.node if run.place == "node" else self._parent(piece)
        assert node is not None
        while (above := node.getparent()) is not parent:
            assert above is not None
            node = above
        return node

    def _has_text(self, element: etree._Element, numbers: range) -> bool:
        """Whether one of these runs, as far as they lie in an element, has any text."""
        for number in numbers:
            run = self._runs[number]
            if run.node is None:
                continue
            holder = run.node if run.place == "text" else run.node.getparent()
            if holder is None or (holder is not element and element not in holder.iterancestors()):
                return False
            if run.text.strip():
                return True
        return False


def make(spot: Spot, key: str) -> None:
    """Put what is at a spot into a span with an id."""
    parent, before, last = spot.parent, spot.before, spot.last
    span = parent.makeelement(f"{{{XHTML}}}span", {"id": key})
    held = list(children(spot))
    text = after(parent, before)
    if held:
        assert last is not None
        rest = last.tail or ""
        span.text, last.tail, span.tail = text[spot.begin :], rest[: spot.end], rest[spot.end :]
        span.extend(held)
    else:
        span.text, span.tail = text[spot.begin : spot.end], text[spot.end :]
    if before is None:
        parent.text = text[: spot.begin]
    else:
        before.tail = text[: spot.begin]
    parent.insert(0 if before is None else parent.index(before) + 1, span)


def children(spot: Spot) -> Iterator[etree._Element]:
    """Yield the children of the parent that come into a span."""
    if spot.last is spot.before:
        return
    child = spot.parent[0] if spot.before is None else spot.before.getnext()
    while child is not None:
        yield child
        if child is spot.last:
            return
        child = child.getnext()


def after(parent: etree._Element, child: etree._Element | None) -> str:
    """The text behind a child; None: before all of them."""
    return (parent.text if child is None else child.tail) or ""


def _common(one: etree._Element | None, other: etree._Element | None) -> etree._Element | None:
    """The innermost element that holds both, or is one of them."""
    if one is None or other is None:
        return None
    above = [other, *other.iterancestors()]
    return next((each for each in (one, *one.iterancestors()) if each in above), None)


def _is_xhtml(element: etree._Element) -> bool:
    return str(element.tag).startswith(f"{{{XHTML}}}")


def _fits(element: etree._Element) -> bool:
    """Whether a span may hold an element."""
    inside = (each for each in element.iter(etree.Element) if _is_xhtml(each))
    return all(name(each) not in _FLOW for each in inside)
