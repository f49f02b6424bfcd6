"""Markdown: headings begin sections, links are their text, code blocks are left out."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from farm.text.document import Document, Lazily, Section, section
from farm.text.plain import decoding, not_text

Paragraphs = list[tuple[str, bool]]

_SILENT = frozenset({"fence", "code_block", "html_block", "html_inline", "footnote_anchor"})
_BREAKS = frozenset({"softbreak", "hardbreak"})
#: What ends a block of text.
_ENDS = frozenset({"inline", "tr_close"})


def read_markdown(path: Path, name: str) -> Document:
    """Read CommonMark with tables and footnotes; title, author and language from front matter.

    Code blocks and HTML are left out, images are spoken by their alternative text, a footnote
    follows at the end of the section that refers to it.

    Raises:
        InvalidInput: the text is in no encoding that the farm reads.
    """
    try:
        text = path.read_text(encoding=decoding(path))
    except UnicodeError as error:
        raise not_text(path, name) from error
    tokens = _parser().parse(text)
    facts = _front_matter(tokens)
    return Document(
        title=str(facts.get("title") or _first_title(tokens) or PurePath(name).stem),
        author=str(facts.get("author") or ""),
        language=str(facts.get("language") or facts.get("lang") or ""),
        cover=None,
        sections=Lazily(functools.partial(_sections, tokens)),
    )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return parser.use(footnote_plugin, inline=False).use(front_matter_plugin)


def _front_matter(tokens: Sequence[Token]) -> dict[str, Any]:
    if not tokens or tokens[0].type != "front_matter":
        return {}
    try:
        facts = yaml.safe_load(tokens[0].content)
    except yaml.YAMLError:
        return {}  # Between two rules may stand anything; it is not spoken either way.
    return facts if isinstance(facts, dict) else {}


def _first_title(tokens: Sequence[Token]) -> str:
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return _spoken(inline)
    return ""


def _sections(tokens: Sequence[Token]) -> Iterator[Section]:
    notes = _footnotes(tokens)
    title, level = "", 1
    paragraphs: Paragraphs = []
    pending: list[int] = []
    for heading, text, references in _blocks(tokens):
        if heading:
            yield from _filled(title, level, paragraphs, [notes.get(note, []) for note in pending])
            title, level, paragraphs, pending = text, heading, [], []
        paragraphs.append((text, bool(heading)))
        pending.extend(note for note in references if note not in pending)
    yield from _filled(title, level, paragraphs, [notes.get(note, []) for note in pending])


def _filled(
    title: str, level: int, paragraphs: Paragraphs, notes: list[list[str]]
) -> Iterator[Section]:
    made = section(title, level, [*paragraphs, *((text, False) for note in notes for text in note)])
    if made.blocks:
        yield made


def _blocks(tokens: Sequence[Token]) -> Iterator[tuple[int, str, list[int]]]:
    """Yield each block's heading level (0 for a paragraph), text and footnotes referred to."""
    level = 0
    row: list[str] | None = None
    for token in tokens:
        if token.type == "footnote_block_open":
            return
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield 0, ", ".join(cell for cell in row or [] if cell), []
            row = None
        elif token.type == "inline" and row is not None:
            row.append(_spoken(token))
        elif token.type == "inline":
            yield level, _spoken(token), _references(token)
            level = 0


def _footnotes(tokens: Sequence[Token]) -> dict[int, list[str]]:
    notes: dict[int, list[str]] = {}
    current: list[str] | None = None
    for token in tokens:
        if token.type == "footnote_open":
            current = notes.setdefault(int(token.meta["id"]), [])
        elif token.type == "footnote_close":
            current = None
        elif token.type == "inline" and current is not None:
            current.append(_spoken(token))
    return notes


def _references(inline: Token) -> list[int]:
    return [
        int(child.meta["id"]) for child in inline.children or () if child.type == "footnote_ref"
    ]


def _spoken(inline: Token) -> str:
    """The text of a run of inline tokens: links by their text, images by their alternative."""
    parts: list[str] = []
    for child in inline.children or ():
        if child.type in _BREAKS:
            parts.append(" ")
        elif child.type == "image":
            parts.append(_spoken(child))
        elif child.type not in _SILENT and child.type != "footnote_ref":
            parts.append(child.content)
    return " ".join("".join(parts).split())
