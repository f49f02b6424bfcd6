"""Small EPUBs, 2 and 3, built for a test out of XHTML."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" '
    'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)
PNG = b"\x89PNG\r\n\x1a\n-a-cover-"

#: (label, address, children)
Toc = Sequence[tuple[str, str, "Toc"]]


def page(body: str, title: str = "", attributes: str = "") -> str:
    """An XHTML document around a body's content; `attributes` are of its root."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"'
        f"{attributes and ' ' + attributes}>"
        f"<head><title>{title}</title><style>p {{ color: red }}</style></head>"
        f"<body>{body}</body></html>"
    )


def nav(entries: Toc, landmarks: Mapping[str, str] | None = None) -> str:
    """An EPUB 3 navigation document."""
    marks = "".join(
        f'<li><a epub:type="{kind}" href="{file}">{kind}</a></li>'
        for kind, file in (landmarks or {}).items()
    )
    more = f'<nav epub:type="landmarks"><ol>{marks}</ol></nav>' if marks else ""
    return page(f'<nav epub:type="toc"><h1>Contents</h1>{_nav_list(entries)}</nav>{more}')


def _nav_list(entries: Toc) -> str:
    items = (
        f'<li><a href="{href}">{label}</a>{_nav_list(children) if children else ""}</li>'
        for label, href, children in entries
    )
    return f"<ol>{''.join(items)}</ol>"


def ncx(entries: Toc) -> str:
    """An EPUB 2 table of contents."""
    return (
        '<?xml version="1.0"?><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1">'
        f"<navMap>{_points(entries)}</navMap></ncx>"
    )


def _points(entries: Toc) -> str:
    return "".join(
        f"<navPoint><navLabel><text>{label}</text></navLabel>"
        f'<content src="{href}"/>{_points(children)}</navPoint>'
        for label, href, children in entries
    )


def write_epub(
    path: Path,
    pages: Mapping[str, str],
    *,
    version: int = 3,
    toc: Toc = (),
    landmarks: Mapping[str, str] | None = None,
    guide: Mapping[str, str] | None = None,
    not_linear: Sequence[str] = (),
    cover: bytes | None = None,
    files: Mapping[str, bytes] | None = None,
    spine: Sequence[str] | None = None,
    language: str = "en-GB",
) -> Path:
    """Write an EPUB whose spine is `pages`, in order; return its path."""
    items = [f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in pages]
    refs = [
        f'<itemref idref="{n}"{" linear=" + chr(34) + "no" + chr(34) if n in not_linear else ""}/>'
        for n in (spine if spine is not None else pages)
    ]
    meta, content = "", {f"OEBPS/{n}": text.encode() for n, text in pages.items()}
    if version == 3:
        items.append(
            '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        )
        content["OEBPS/nav.xhtml"] = nav(toc, landmarks).encode()
    else:
        items.append('<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>')
        content["OEBPS/toc.ncx"] = ncx(toc).encode()
        meta = '<meta name="cover" content="cover-image"/>'
    if cover:
        property_ = ' properties="cover-image"' if version == 3 else ""
        items.append(
            f'<item id="cover-image" href="art/cover%20one.png" media-type="image/png"{property_}/>'
        )
        content["OEBPS/art/cover one.png"] = cover
    references = "".join(
        f'<reference type="{kind}" href="{file}"/>' for kind, file in (guide or {}).items()
    )
    of_ncx = ' toc="ncx"' if version == 2 else ""
    opf = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" '
        f'version="{version}.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>The Mill</dc:title><dc:creator>Ann Lee</dc:creator>"
        f"<dc:creator>Bo Ek</dc:creator><dc:language>{language}</dc:language>{meta}</metadata>"
        f"<manifest>{''.join(items)}</manifest>"
        f"<spine{of_ncx}>{''.join(refs)}</spine>"
        f"<guide>{references}</guide></package>"
    )
    return _zip(path, {"OEBPS/content.opf": opf.encode(), **content, **(files or {})})


def _zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER)
        for file, data in files.items():
            archive.writestr(file, data)
    return path
