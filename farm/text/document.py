"""What every reader of documents returns: a title page and sections, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from farm.jobs import Block


class Paragraph(NamedTuple):
    """A paragraph or heading as a reader finds it."""

    text: str
    heading: bool = False
    language: str = ""
    """As the file says, well-formed or not; empty: it does not."""


@dataclass(frozen=True)
class Section:
    """A chapter, or what stands for one; one audio output of a book."""

    title: str
    level: int
    """Depth in the table of contents, from 1."""
    blocks: tuple[Block, ...]
    warnings: tuple[str, ...] = ()
    """What its source asks for and the farm does otherwise, and what of it may be missing."""
    languages: tuple[str, ...] = ()
    """Of each block, as the file says; none where it says nothing of any."""


@dataclass(frozen=True)
class Document:
    """A book as its file has it."""

    title: str
    author: str
    language: str
    """As the file says (`en-GB`); empty where it does not."""
    cover: bytes | None
    """The cover image as it is in the file."""
    sections: Iterable[Section]
    """Read from the file as they are asked for; may be iterated again while the file exists.

    Raises `InvalidInput` where a later part of the file turns out to be broken.
    """
    voices: tuple[str, ...] = ()
    """Every voice that it names, each once."""


class Lazily:
    """An iterable that starts anew, by a call, each time it is iterated."""

    def __init__(self, start: Callable[[], Iterator[Section]]) -> None:
        """Remember what to call; nothing is read yet."""
        self._start = start

    def __iter__(self) -> Iterator[Section]:
        """Begin again from the first section."""
        return self._start()


def section(
    title: str, level: int, paragraphs: Iterable[Paragraph], warnings: Sequence[str] = ()
) -> Section:
    """Make a section of its paragraphs; blank ones are left out.

    A block's `start` counts characters of the section's source text: the blocks' texts joined by
    two line feeds.
    """
    blocks: list[Block] = []
    languages: list[str] = []
    start = 0
    for text, heading, language in paragraphs:
        if text.strip():
            blocks.append(Block(text=text, heading=heading, start=start))
            languages.append(language)
            start += len(text) + 2
    said = tuple(languages) if any(languages) else ()
    return Section(title, level, tuple(blocks), tuple(warnings), said)


def filled(sections: Iterable[Section]) -> Iterator[Section]:
    """Leave out sections without blocks, and give what they warn of to a neighbour."""
    held: Section | None = None
    told: tuple[str, ...] = ()
    for each in sections:
        told += each.warnings
        if each.blocks:
            if held:
                yield held
            held, told = replace(each, warnings=told), ()
    if held:
        yield replace(held, warnings=held.warnings + told)
