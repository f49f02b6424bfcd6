"""Read SSML 1.1 (W3C, 2010), and what Azure adds to it, as blocks; docs/ssml.md has the table.

Positions count characters of the document's text without its markup, as `string(/speak)` of XPath
gives it: with the text of `desc` and `metadata`, without comments, entities and line ends resolved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from farm.errors import InvalidInput
from farm.jobs import Block
from farm.text.elements import ELEMENTS
from farm.text.markup import LANG, LANGUAGE, PROLOG, Kind
from farm.text.walking import QUOTED, Setting, Walk, name_of, no_voice

__all__ = ["Document", "Setting", "is_ssml", "no_voice", "parse", "read", "voices_of"]

#: Bytes of a document; characters where it comes as text.
LARGEST = 8 * 2**20
#: Tags of a document.
MOST_TAGS = 400_000
_ROOT = re.compile(PROLOG + r"<(?:[\w.-]{1,40}:)?speak(?=[\s/>])", re.S)


@dataclass(frozen=True)
class Document:
    """What a document has to speak."""

    blocks: tuple[Block, ...]
    warnings: tuple[str, ...] = ()
    """What is done otherwise than it says, each once, with the first line where."""
    voices: tuple[str, ...] = ()
    """Every voice that it names, each once."""
    language: str = ""
    """Of the whole, as its root says; empty: it does not."""


def is_ssml(text: str) -> bool:
    """Whether a text is meant as SSML: its root is `speak`. A part of it, the first, is enough."""
    return bool(_ROOT.match(text.removeprefix("\ufeff")))


def voices_of(data: str | bytes) -> tuple[str, ...]:
    """Return every voice that a document names, each once; `InvalidInput` as `read`."""
    return read(data).voices


def read(data: str | bytes, setting: Setting | None = None) -> Document:
    """Read a document.

    Nothing outside it is loaded, and document type declarations are refused, entities with them.

    Raises:
        InvalidInput: it is not XML, has no root `speak`, or is too large or too deep.
        UnknownVoice: it names a voice that is not among the setting's.
    """
    walk = Walk(setting or Setting(), ELEMENTS)
    root = parse(data)
    walk.read(root)
    language = (root.get(LANG) or "").strip()
    return Document(
        tuple(walk.blocks.made),
        tuple(walk.warnings),
        tuple(walk.voices),
        language if LANGUAGE.fullmatch(language) else "",
    )


def parse(data: str | bytes) -> etree._Element:
    """Parse a document within its bounds; return its root."""
    root = Kind("SSML", LARGEST, MOST_TAGS).parse(data)
    if name_of(root) != "speak":
        raise InvalidInput(f"the root of SSML is 'speak', not {name_of(root)[:QUOTED]!r}")
    return root
