"""What planning makes of a job: passages to parts of segments, and the chunks that travel.

The text of an item is cut in `Passage`s; of each one a `Part` is planned, and a page of them is a
`Page`. Its segments travel as `Chunk`s. As plain as `farm.jobs`, and like it JSON both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farm.jobs import Item, Segment

#: Characters that a message quotes of a text.
QUOTED = 40


def wordless(item: Item) -> str:
    """Say of an item that there is nothing to speak in it, with what it begins with."""
    held = " ".join(" ".join(block.text for block in item.blocks).split())
    return f"nothing to speak in {held[:QUOTED]!r}" if held else "nothing to speak"


def counted(message: str, texts: Sequence[str]) -> str:
    """Say something of texts: of how many, and what the first begins with."""
    times = f"{len(texts)} times, first " if len(texts) > 1 else ""
    return f"{message}: {times}{texts[0][:QUOTED]!r}"


@dataclass(frozen=True)
class Passage:
    """The text that one page holds of one item; a long item is spread over consecutive pages."""

    item: Item
    """With the blocks of this passage only."""
    number: int = 0
    """Which of the item's passages this is, from 0."""
    parts: int = 1
    """How many there are."""


@dataclass(frozen=True)
class Part:
    """The segments, in order, of one passage."""

    item: int
    segments: tuple[Segment, ...]
    number: int = 0
    parts: int = 1
    error: str = ""
    """Why there are no segments, where the passage could not be planned."""
    warnings: tuple[str, ...] = ()
    """What of the passage is in no segment."""


@dataclass(frozen=True)
class Share:
    """How many of a part's segments a chunk holds: what its end means for the item."""

    item: int
    here: int
    total: int
    number: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Chunk:
    """What travels through the queue: segments of one voice and of similar length."""

    voice: str
    segments: tuple[Segment, ...]
    items: tuple[int, ...]
    """The item of each segment."""
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Failure:
    """One segment or item that could not be spoken."""

    item: int
    text: str
    """Of the segment; empty for an item."""
    error: str
    digest: str = ""


@dataclass(frozen=True)
class Page:
    """What planning makes of a page's passages."""

    parts: tuple[Part, ...]
    chunks: Mapping[str, tuple[Chunk, ...]]
    """By family."""
    failures: tuple[Failure, ...] = ()
    characters: int = 0


@dataclass(frozen=True)
class About:
    """What a document says of itself; stored before its first page."""

    title: str = ""
    author: str = ""
    language: str = ""
    cover: str = ""
    """Store key of the cover image."""


@dataclass(frozen=True)
class Head:
    """How long a document is: the plan is whole when this is stored."""

    pages: int
    items: int
