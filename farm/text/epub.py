"""EPUB 2 and 3: spine order, titles from the navigation, one content document at a time.

Formats: EPUB Open Container Format and Packages (W3C EPUB 3.3, IDPF OPF 2.0.1), NCX (DAISY
Z39.86-2005).
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from farm.errors import InvalidInput
from farm.text.container import Container
from farm.text.document import Document, Lazily, Paragraph, Section, filled, section
from farm.text.package import Entry, Package, read_package
from farm.text.xhtml import Page, read_page, words

#: `epub:type`s and guide references of pages that are no part of the work.
_FRONT = words(
    "cover cover-page titlepage title-page halftitlepage halftitle copyright-page copyright "
    "toc landmarks loi lot page-list"
)
_FRONT_TITLE = re.compile(
    r"(?:front )?cover(?: page)?|(?:half[- ]?)?title(?:[- ]page)?|copyright(?: page| notice)?"
    r"|(?:table of )?contents|colophon",
    re.IGNORECASE,
)
_FRONT_FILE = re.compile(
    r"(?:\d*[-_]?)(?:cover(?:page)?|(?:half)?title[-_]?page|copyright|toc|nav|contents)[-_]?\d*",
    re.IGNORECASE,
)


def read_epub(path: Path, name: str, *, front_matter: bool = False) -> Document:
    """Read an EPUB's facts now and its sections later, chapter by chapter.

    A navigation entry begins a section; a document without one goes on with the section before
    it. Where there is no navigation each document is a section. Notes and their references are
    left out.

    Raises:
        InvalidInput: not an EPUB, encrypted, broken, or larger than the farm unpacks.
    """
    with Container(path, name) as container:
        package = read_package(container)
        cover = container.read(package.cover) if package.cover in container else None
    return Document(
        title=package.title or PurePath(name).stem,
        author=package.author,
        language=package.language,
        cover=cover,
        sections=Lazily(functools.partial(_sections, path, name, package, front_matter)),
    )


def spoken_pages(path: Path, name: str, *, front_matter: bool = False) -> Iterator[Page]:
    """Yield the content documents that `read_epub` speaks, with their trees, one in memory.

    Their blocks, one after another, are those of its sections. Raises as that does.
    """
    with Container(path, name) as container:
        for page, _ in _pages(container, read_package(container), front_matter):
            yield page


def _sections(path: Path, name: str, package: Package, front_matter: bool) -> Iterator[Section]:
    with Container(path, name) as container:
        pages = _pages(container, package, front_matter)
        yield from filled(_merged(pages, bool(package.entries)))


def _pages(
    container: Container, package: Package, front_matter: bool
) -> Iterator[tuple[Page, list[Entry]]]:
    """Yield the content documents to speak, with the navigation's entries into each."""
    for file in package.spine:
        entries = [entry for entry in package.entries if entry.file == file]
        if not front_matter and _is_front(package, file, entries):
            continue
        page, why = read_page(container.markup(file))
        if page is None:
            raise InvalidInput(f"{container.name!r} is broken: {file!r} in it is not XHTML: {why}")
        page.file = file
        page.warnings[:] = [f"{file!r}: {warning}" for warning in page.warnings]
        if front_matter or not _FRONT.intersection(page.types):
            yield page, entries


def _is_front(package: Package, file: str, entries: list[Entry]) -> bool:
    if file == package.navigation or package.landmarks.get(file) in _FRONT:
        return True
    if len(entries) == 1 and _FRONT_TITLE.fullmatch(entries[0].title):
        return True
    return not entries and bool(_FRONT_FILE.fullmatch(PurePath(file).stem))


def _merged(pages: Iterator[tuple[Page, list[Entry]]], navigation: bool) -> Iterator[Section]:
    """Cut documents at the navigation's entries, and join those that it does not name."""
    title, level = "", 1
    blocks: list[Paragraph] = []
    warnings: list[str] = []
    named = False
    for page, entries in pages:
        starts = _starts(page, entries)
        if (not navigation or not named) and 0 not in starts:
            lead = page.blocks[: min(starts, default=None)]
            starts = {0: Entry(_first_heading(lead), 1, "", ""), **starts}
        edges = [*sorted(starts), len(page.blocks)]
        blocks.extend(page.blocks[: edges[0]])
        for start, end in itertools.pairwise(edges):
            if blocks:
                yield section(title, level, blocks, warnings)
                warnings = []
            title, level = starts[start].title, starts[start].level
            blocks = page.blocks[start:end]
        named = named or bool(entries)
        warnings += page.warnings
    yield section(title, level, blocks, warnings)


def _starts(page: Page, entries: list[Entry]) -> dict[int, Entry]:
    """The block at which each entry's section begins; of several at one, the innermost."""
    starts: dict[int, Entry] = {}
    for entry in entries:
        start = page.marks.get(entry.fragment, 0)
        if start not in starts or entry.level > starts[start].level:
            starts[start] = entry
    return starts


def _first_heading(blocks: list[Paragraph]) -> str:
    return next((block.text for block in blocks if block.heading), "")
