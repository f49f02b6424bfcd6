"""The spoken text of an XHTML content document, as paragraphs and headings.

Left out: scripts, styles, hidden parts, ruby glosses, page numbers, references to notes, and the
notes themselves (EPUB structural semantics `epub:type`, DPUB-ARIA roles).
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lxml import etree

from farm.text.document import Paragraph
from farm.text.markup import LANG


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


OPS = "{http://www.idpf.org/2007/ops}"

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
#: Elements that are no part of a line of text.
BLOCKS = _HEADINGS | words(
    "address article aside blockquote body caption center dd details div dl dt fieldset "
    "figcaption figure footer form header hgroup hr legend li main ol p pre section "
    "summary table tbody tfoot thead tr ul"
)
_CELLS = frozenset({"td", "th"})
_SILENT = words(
    "audio canvas datalist embed head iframe map math nav noscript object param rp rt rtc script "
    "select source style svg template textarea track video"
)
_SILENT_TYPES = words(
    "noteref biblioref footnote footnotes endnote endnotes rearnote rearnotes pagebreak page-list"
)
_SILENT_ROLES = words(
    "doc-noteref doc-biblioref doc-footnote doc-endnote doc-endnotes doc-pagebreak doc-pagelist"
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden")
#: What a number or sign that points to a note looks like.
_NOTE_SIGN = re.compile(r"[\[(]?(?:\d{1,4}|[a-z]|[*†‡§¶]{1,3})[\])]?")
#: Stands between the cells of a row until the row is complete.
CELL = "\ue001"
_NAMED_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]*);")
#: Signs of tags and attributes in a document, each of which takes a hundred bytes when parsed.
MOST_MARKS = 1_500_000
#: References to halves of characters, which the parser takes and Python does not.
_SURROGATE = re.compile(rb"&#(?:x0*(d[89a-f][0-9a-f]{2})|0*(5[5-7]\d{3}));", re.IGNORECASE)
_XML_ENTITIES = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})


class Run(NamedTuple):
    """A stretch of a document's text, and where in its tree it stands."""

    text: str
    node: etree._Element | None = None
    """None: it is nowhere, like the blank that a line break is read as."""
    place: Literal["text", "tail", "node"] = "text"
    """The node's first text, what follows it, or the node itself (a picture that is named)."""


@dataclass
class Page:
    """The spoken blocks of one content document."""

    root: etree._Element
    file: str = ""
    """Name in the archive."""
    blocks: list[Paragraph] = field(default_factory=list)
    runs: list[list[Run]] = field(default_factory=list)
    """Of each block, what its text was gathered from, with all its white space."""
    marks: dict[str, int] = field(default_factory=dict)
    """Element id to the index of the block that it stands in or before."""
    types: frozenset[str] = frozenset()
    """`epub:type` of the body and of what alone stands in it."""
    warnings: list[str] = field(default_factory=list)
    """What of its text may be missing, and why."""
    whole: bool = True
    """Whether the tree is all of the document: it was well-formed."""


def parse(data: bytes) -> tuple[etree._Element | None, str]:
    """Parse XML or sloppy XHTML: no DTD, entity or address is ever loaded.

    Return its root, None if it is hopeless or larger than what is parsed, and why, or the first
    thing in it that is not well-formed; empty: all is. Behind that something may be lost.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False
    )
    if (marks := data.count(b"<") + data.count(b"=")) > MOST_MARKS:
        return None, f"it has {marks} tags and attributes, and the farm reads {MOST_MARKS}"
    try:
        root = etree.fromstring(_numbered(data), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return None, " ".join(str(error).split())
    faults = [each for each in parser.error_log if each.level == etree.ErrorLevels.FATAL]
    limits = [each for each in faults if each.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT]
    # An entity that nobody declared stays in the tree, where a reader finds it.
    known = [each for each in faults if each.type != etree.ErrorTypes.ERR_UNDECLARED_ENTITY]
    said = next((f"line {e.line}: {' '.join(e.message.split())}" for e in limits or known), "")
    return None if limits else root, said


def read_page(data: bytes) -> tuple[Page | None, str]:
    """Read the spoken text of a content document; None, and why, if it cannot be read."""
    root, fault = parse(data)
    if root is None:
        return None, fault
    body = next((element for element in root.iter() if name(element) == "body"), root)
    reader = _Reader(root, _language(root, ""))
    reader.walk(body)
    reader.flush()
    reader.page.types = frozenset(_outer_types(body))
    reader.page.whole = not fault
    if fault:
        reader.page.warnings.append(f"not well-formed ({fault}): some of its text may be missing")
    return reader.page, ""


def name(element: etree._Element) -> str:
    """The local name of an element in lower case; empty for a comment or an entity.

    A prefix that nobody declared is no part of it, but stays in the tag, where QName refuses it.
    """
    tag: object = element.tag
    return re.split("[}:]", tag)[-1].lower() if isinstance(tag, str) else ""


def text_of(element: etree._Element) -> str:
    """All text of an element, white space collapsed."""
    return " ".join("".join(str(part) for part in element.itertext(etree.Element)).split())


def _numbered(data: bytes) -> bytes:
    """Give HTML's named characters by number: XML without its DTD does not know `&nbsp;`."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
        data = re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode()

    def numbered(found: re.Match[bytes]) -> bytes:
        characters = html.entities.html5.get(found[1].decode() + ";", "")
        if found[1] in _XML_ENTITIES or not characters:
            return found[0]
        return "".join(f"&#{ord(character)};" for character in characters).encode()

    return _SURROGATE.sub(_replaced, _NAMED_ENTITY.sub(numbered, data))


def _replaced(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2])
    return b"&#xFFFD;" if 0xD800 <= code <= 0xDFFF else found[0]


def _outer_types(body: etree._Element) -> Iterator[str]:
    element = body
    while True:
        yield from (element.get(f"{OPS}type") or "").lower().split()
        yield from ((element.get("role") or "").lower().removeprefix("doc-").split())
        children = [child for child in element if name(child)]
        if len(children) != 1:
            return
        element = children[0]


class _Reader:
    """Walks a tree and gathers its text block by block."""

    def __init__(self, root: etree._Element, language: str) -> None:
        self.page = Page(root)
        self._runs: list[Run] = []
        self._heading = False
        self._row = 0
        self._language = self._usual = language
        """Of the element that is walked, and of the block that it stands in."""
        self._met: set[str] = set()
        """Languages of the text so far of what becomes a block."""

    def walk(self, element: etree._Element) -> None:
        tag = name(element)
        # The place of what is left out still counts: a table of contents may point at it.
        for key in (element.get("id"), element.get("name") if tag == "a" else None):
            if key:
                self._mark(key, tag)
        if tag in _SILENT or _is_silent(element, tag):
            return
        if tag in _CELLS and self._has_text():
            self._runs.append(Run(CELL))
        self._edge(tag, entering=True)  # what stands before a heading is none
        outer = self._heading, self._language, self._usual
        self._heading = self._heading or _is_heading(element, tag)
        self._language = _language(element, self._language)
        if tag in BLOCKS or tag == "body":
            self._usual = self._language
        self._inside(element, tag)
        self._edge(tag, entering=False)
        self._heading, self._language, self._usual = outer

    def flush(self) -> None:
        text = " ".join("".join(run.text for run in self._runs).split())
        text = ", ".join(cell.strip() for cell in text.split(CELL))
        runs, self._runs = self._runs, []
        met, self._met = self._met, set()
        if text:
            # Of a few words in another language there is nothing that a reader of blocks can say.
            language = met.pop() if len(met) == 1 else self._usual
            self.page.blocks.append(Paragraph(text, self._heading, language))
            self.page.runs.append(runs)

    def _add(self, run: Run) -> None:
        self._runs.append(run)
        if any(map(str.isalnum, run.text)):
            self._met.add(self._language)

    def _inside(self, element: etree._Element, tag: str) -> None:
        if tag == "img":
            self._add(Run(element.get("alt") or "", element, "node"))
        elif tag == "br":
            self._runs.append(Run(" "))
        self._add(Run(element.text or "", element))
        for child in element:
            if isinstance(child, etree._Entity):
                self._leave_out(child)
            elif name(child):
                self.walk(child)
            self._add(Run(child.tail or "", child, "tail"))

    def _leave_out(self, entity: etree._Entity) -> None:
        warning = f"the entity {entity.text!r} is left out: it is no character of HTML"
        if warning not in self.page.warnings:
            self.page.warnings.append(warning)

    def _edge(self, tag: str, *, entering: bool) -> None:
        if tag == "tr":
            self.flush()
            self._row += 1 if entering else -1
        elif self._row and tag in BLOCKS:
            self._runs.append(Run(" "))
        elif tag in BLOCKS:
            self.flush()

    def _mark(self, key: str, tag: str) -> None:
        begins = tag in BLOCKS and not self._row and self._has_text()
        self.page.marks.setdefault(key, len(self.page.blocks) + begins)

    def _has_text(self) -> bool:
        return any(run.text.strip() for run in self._runs)


def _language(element: etree._Element, outer: str) -> str:
    """The language of what an element holds: as it says, else that of what is around it."""
    found = element.get(LANG, element.get("lang"))
    return outer if found is None else found.strip()


def _is_heading(element: etree._Element, tag: str) -> bool:
    return tag in _HEADINGS or element.get("role") == "heading"


def _is_silent(element: etree._Element, tag: str) -> bool:
    if "hidden" in element.attrib or _HIDDEN.search(element.get("style") or ""):
        return True
    types = (element.get(f"{OPS}type") or "").lower().split()
    roles = (element.get("role") or "").lower().split()
    if _SILENT_TYPES.intersection(types) or _SILENT_ROLES.intersection(roles):
        return True
    return tag in ("sup", "a") and _is_note_reference(element)


def _is_note_reference(element: etree._Element) -> bool:
    """Whether this is `<sup><a href="#n">1</a></sup>`, or the same inside out."""
    inner = [child for child in element if name(child)]
    if len(inner) != 1 or {name(element), name(inner[0])} != {"sup", "a"}:
        return False
    link = element if name(element) == "a" else inner[0]
    return "#" in (link.get("href") or "") and bool(_NOTE_SIGN.fullmatch(text_of(element)))
