"""A book's text as a plain EPUB 3: for sources that are Markdown, text, SSML or an older EPUB.

    EPUB/package.opf, EPUB/nav.xhtml, EPUB/text/00000.xhtml ... one document an item

The bytes are a function of the input, and so is the book's identifier.
"""

from __future__ import annotations

import hashlib
import re
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from farm.audio.replacing import replacing
from farm.book.zips import entry
from farm.jobs import Block

#: What a book says that it was changed at, for it has to say something, and times are not told.
MODIFIED = "1980-01-01T00:00:00Z"
#: What XML has no place for.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""
#: A sentence that is spoken in several ways is several blocks, and one paragraph to the eye.
_STYLE = "body { margin: 5%; line-height: 1.5; }\n.part, .part + p { display: inline; }\n"


@dataclass(frozen=True)
class Facts:
    """What is known of a book beside its text."""

    title: str
    language: str
    """BCP 47."""
    author: str = ""
    cover: bytes | None = None
    """JPEG or PNG."""


@dataclass(frozen=True)
class Part:
    """An item of a book."""

    title: str
    level: int
    """Depth in the table of contents, from 1."""
    blocks: Iterable[Block]


def write(path: Path, facts: Facts, parts: Iterable[Part]) -> None:
    """Write the book; its documents have the parts' blocks, in order, as paragraphs and headings.

    Raises:
        StoreUnavailable: the file cannot be written.
    """
    digest, names = hashlib.sha256(), []
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(entry("mimetype"), "application/epub+zip")
        files = {"META-INF/container.xml": _CONTAINER.encode(), "EPUB/style.css": _STYLE.encode()}
        for number, part in enumerate(parts):
            title = part.title.strip() or facts.title
            page = _page(title, facts, _body(part), "../style.css").encode()
            digest.update(page)
            archive.writestr(entry(f"EPUB/text/{number:05d}.xhtml", packed=True), page)
            names.append((title, part.level, f"text/{number:05d}.xhtml"))
        files["EPUB/nav.xhtml"] = _nav(facts, names).encode()
        if facts.cover is not None:
            files[f"EPUB/{_cover(facts.cover)[0]}"] = facts.cover
        key = uuid.uuid5(uuid.NAMESPACE_OID, digest.hexdigest())
        files["EPUB/package.opf"] = _package(facts, str(key), [name for *_, name in names]).encode()
        for file, data in files.items():
            archive.writestr(entry(file, packed=True), data)


def written(text: str) -> str:
    """Return a text as a document can have it: a blank for each character that XML lacks."""
    return _NO_XML.sub(" ", text)


def _text(text: str) -> str:
    return escape(written(text), quote=True)


def _page(title: str, facts: Facts, body: str, style: str) -> str:
    language = _text(facts.language)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" '
        f'lang="{language}" xml:lang="{language}">\n<head>\n<meta charset="utf-8"/>\n'
        f"<title>{_text(title)}</title>\n"
        f'<link rel="stylesheet" type="text/css" href="{style}"/>\n'
        f"</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _body(part: Part) -> str:
    heading = f"h{min(max(part.level, 1), 6)}"
    lines = []
    for block in part.blocks:
        tag = heading if block.heading else "p"
        goes_on = ' class="part"' if block.ends or block.pause_ms is not None else ""
        lines.append(f"<{tag}{goes_on}>{_text(block.text)}</{tag}>\n")
    return "".join(lines)


def _nav(facts: Facts, names: Sequence[tuple[str, int, str]]) -> str:
    lines = "".join(_nested(names))
    return _page(facts.title, facts, f'<nav epub:type="toc">\n{lines}</nav>\n', "style.css")


def _nested(names: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    """Yield a table of contents: what is deeper lies within what came before it."""
    depths: list[int] = []
    for title, level, name in names:
        while len(depths) > 1 and level <= depths[-2]:
            yield "</li></ol>\n"
            depths.pop()
        if not depths or level > depths[-1]:
            yield "<ol>\n"
            depths.append(level)
        else:
            yield "</li>\n"
        yield f'<li><a href="{name}">{_text(title)}</a>'
    yield "</li></ol>\n" * len(depths)


def _cover(picture: bytes) -> tuple[str, str]:
    """Name a picture, and its kind."""
    png = picture.startswith(b"\x89PNG")
    return ("cover.png", "image/png") if png else ("cover.jpg", "image/jpeg")


def _package(facts: Facts, key: str, names: Sequence[str]) -> str:
    items = [
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>',
        '<item id="style" href="style.css" media-type="text/css"/>',
    ]
    if facts.cover is not None:
        file, kind = _cover(facts.cover)
        items.append(
            f'<item id="cover" href="{file}" media-type="{kind}" properties="cover-image"/>'
        )
    items += [
        f'<item id="p{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(names)
    ]
    author = f"<dc:creator>{_text(facts.author)}</dc:creator>\n" if facts.author.strip() else ""
    listed, read = (
        "\n".join(items),
        "\n".join(f'<itemref idref="p{n}"/>' for n in range(len(names))),
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">\n'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
        f'<dc:identifier id="id">urn:uuid:{key}</dc:identifier>\n'
        f"<dc:title>{_text(facts.title)}</dc:title>\n{author}"
        f"<dc:language>{_text(facts.language)}</dc:language>\n"
        f'<meta property="dcterms:modified">{MODIFIED}</meta>\n</metadata>\n'
        f"<manifest>\n{listed}\n</manifest>\n<spine>\n{read}\n</spine>\n</package>\n"
    )
