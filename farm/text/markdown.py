"""Markdown: headings begin sections, links are their text, code blocks are left out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from farm.errors import InvalidInput
from farm.text.document import Document, Lazily, Paragraph, Section, filled, section
from farm.text.plain import decoding, not_text

_SILENT = frozenset({"fence", "code_block", "html_block", "html_inline", "footnote_anchor"})
#: Characters of front matter that are looked at.
_LONGEST_FACTS = 16_384
_BREAKS = frozenset({"softbreak", "hardbreak"})
#: Blocks that are not spoken, whatever they hold.
_LEFT_OUT = frozenset({"fence", "code_block", "html_block"})
#: Characters that mean something to Markdown, of which each may become a few tokens.
_SIGNS = "\n[]*_`<|~&!\\"
#: How many of them a document may have: each takes up to a kilobyte.
MOST_SIGNS = 500_000
#: And one block: the parser's time goes with their square.
MOST_SIGNS_OF_A_BLOCK = 2_000
#: Lists and quotations within each other; what is deeper the parser leaves out.
DEEPEST = 100
#: Lines in a row that may define links; time goes with their square, too.
MOST_DEFINITIONS = 2_000
_DEFINITIONS = re.compile(r"(?:^ {0,3}\[.*\n?)+", re.MULTILINE)
_TAG = re.compile(r"<[^<>]*>")
_COMMENT = re.compile(r"\s*<!--(?:(?!-->).)*+-->\s*", re.S)


@dataclass(frozen=True)
class _Found:
    """A block, or what is left out in its place."""

    level: int = 0
    """Of a heading; 0 for a paragraph."""
    text: str = ""
    notes: list[int] = field(default_factory=list)
    """Footnotes that it refers to."""
    left_out: str = ""
    """Where code or HTML is that is not spoken."""


def read_markdown(path: Path, name: str) -> Document:
    """Read CommonMark with tables and footnotes; title, author and language from front matter.

    Blocks of code and HTML are left out with a warning, images are spoken by their alternative
    text, a footnote follows at the end of the section that refers to it.

    Raises:
        InvalidInput: the text is in no encoding that the farm reads, or is nothing but marks.
    """
    try:
        text = path.read_text(encoding=decoding(path))
    except UnicodeError as error:
        raise not_text(path, name) from error
    _check(text, name)
    known: dict[str, Any] = {}
    tokens = _parser().parse(text, known)
    if any(token.nesting == 1 and token.level + 1 >= DEEPEST for token in tokens):
        raise InvalidInput(f"{name!r} has lists or quotations nested {DEEPEST} deep")
    notes = known.get("footnotes", {}).get("refs", {})
    orphans = [label[1:] for label, number in notes.items() if number < 0]
    facts = _front_matter(tokens)
    return Document(
        title=facts.get("title") or _first_title(tokens) or PurePath(name).stem,
        author=facts.get("author", ""),
        language=facts.get("language") or facts.get("lang") or "",
        cover=None,
        sections=Lazily(lambda: filled(_sections(tokens, orphans))),
    )


def _check(text: str, name: str) -> None:
    """Refuse what would take the parser hours, or more memory than there is."""
    if (signs := sum(map(text.count, _SIGNS))) > MOST_SIGNS:
        raise InvalidInput(
            f"{name!r} is too large: {signs} lines and marks of Markdown; the farm reads "
            f"{MOST_SIGNS}: make several books of it"
        )
    longest = max(map(len, map(str.splitlines, _DEFINITIONS.findall(text))), default=0)
    if longest > MOST_DEFINITIONS:
        raise InvalidInput(
            f"{name!r} has {longest} lines in a row that begin with '['; the farm reads "
            f"{MOST_DEFINITIONS}: put empty lines between them"
        )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": DEEPEST})
    parser.enable(["table", "strikethrough"])
    parser.use(footnote_plugin, inline=False).use(front_matter_plugin)
    parser.core.ruler.at("inline", _inline)
    return parser


def _inline(state: StateCore) -> None:
    """Parse what is within blocks; of a block of little but marks each is itself."""
    for token in state.tokens:
        if token.type == "inline":
            token.children = []
            if sum(map(token.content.count, _SIGNS)) > MOST_SIGNS_OF_A_BLOCK:
                token.children.append(Token("text", "", 0, content=token.content))
            else:
                state.md.inline.parse(token.content, state.md, state.env, token.children)


def _front_matter(tokens: Sequence[Token]) -> dict[str, str]:
    """The facts that are one text each: in an alias of lists may be more than memory holds."""
    if not tokens or tokens[0].type != "front_matter":
        return {}
    try:
        # Everything is text to it: there are no dates and numbers that cannot be.
        facts = yaml.load(tokens[0].content[:_LONGEST_FACTS], yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return {}  # Between two rules may stand anything; it is not spoken either way.
    known = facts.items() if isinstance(facts, dict) else ()
    return {key: value for key, value in known if isinstance(key, str) and isinstance(value, str)}


def _first_title(tokens: Sequence[Token]) -> str:
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return _spoken(inline)
    return ""


def _sections(tokens: Sequence[Token], orphans: Sequence[str]) -> Iterator[Section]:
    notes = _footnotes(tokens)
    title, level = "", 1
    found: list[_Found] = []
    warnings = [f"the footnote {label!r} is left out: nothing refers to it" for label in orphans]
    for each in _blocks(tokens):
        if each.level:
            yield _filled(title, level, found, notes, warnings)
            title, level, found, warnings = each.text, each.level, [], []
        found.append(each)
    yield _filled(title, level, found, notes, warnings)


def _filled(
    title: str, level: int, found: list[_Found], notes: dict[int, list[_Found]], told: list[str]
) -> Section:
    wanted = list(dict.fromkeys(note for each in found for note in each.notes))
    for note in wanted:  # notes of notes follow them
        found = found + notes.get(note, [])
        more = (nested for each in notes.get(note, []) for nested in each.notes)
        wanted.extend(nested for nested in dict.fromkeys(more) if nested not in wanted)
    left_out = [each.left_out for each in found if each.left_out]
    if left_out:
        told = [*told, f"code or HTML is left out {len(left_out)} times, first {left_out[0]}"]
    paragraphs = [Paragraph(each.text, bool(each.level)) for each in found]
    return section(title, level, paragraphs, told)


def _blocks(tokens: Sequence[Token]) -> Iterator[_Found]:
    """Yield each block before the footnotes."""
    body = itertools.takewhile(lambda token: token.type != "footnote_block_open", tokens)
    yield from _found(body)


def _found(tokens: Iterable[Token]) -> Iterator[_Found]:
    level = 0
    row: list[Token] | None = None
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            cells = row or []
            text = ", ".join(filter(None, map(_spoken, cells)))
            yield _Found(0, text, [note for cell in cells for note in _references(cell)])
            row = None
        elif token.type == "inline" and row is not None:
            row.append(token)
        elif token.type == "inline":
            yield _Found(level, _spoken(token), _references(token))
            level = 0
        elif token.type in _LEFT_OUT and _has_words(token):
            yield _Found(left_out=f"on line {token.map[0] + 1 if token.map else 1}")


def _has_words(token: Token) -> bool:
    content = token.content
    if token.type == "html_block":
        content = "" if _COMMENT.fullmatch(content) else _TAG.sub("", content)
    return any(character.isalnum() for character in content)


def _footnotes(tokens: Sequence[Token]) -> dict[int, list[_Found]]:
    notes: dict[int, list[Token]] = {}
    current: list[Token] = []
    for token in tokens:
        if token.type == "footnote_open":
            current = notes.setdefault(int(token.meta["id"]), [])
        current.append(token)
    return {note: list(_found(held)) for note, held in notes.items()}


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
