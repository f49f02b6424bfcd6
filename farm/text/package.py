"""The package document of an EPUB: facts, spine, navigation, landmarks and cover."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lxml import etree

from farm.errors import InvalidInput
from farm.text.container import Container
from farm.text.xhtml import OPS, name, text_of

_CONTAINER = "META-INF/container.xml"
_NCX = "application/x-dtbncx+xml"


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents."""

    title: str
    level: int
    """Depth, from 1."""
    file: str
    """Name in the archive."""
    fragment: str
    """Id within the file; empty: its head."""


@dataclass(frozen=True)
class Package:
    """What the package document says, with names as the archive has them."""

    file: str
    """The package document itself."""
    version: str
    """`2.0`, `3.0`; empty where it does not say."""
    title: str
    author: str
    language: str
    spine: tuple[str, ...]
    """Content documents in reading order; those marked as not linear are left out."""
    navigation: str
    """The EPUB 3 navigation document; empty if there is none."""
    entries: tuple[Entry, ...]
    landmarks: dict[str, str]
    """File to its `epub:type` or guide type."""
    cover: str
    """The cover image; empty if there is none."""


@dataclass(frozen=True)
class _Resource:
    file: str
    media_type: str
    properties: frozenset[str]


def read_package(container: Container) -> Package:
    """Read the package document that the container names.

    Raises:
        InvalidInput: there is none, it is broken, or its spine names what is not there.
    """
    file = _package_file(container)
    root = container.xml(file)
    manifest = _manifest(root, file)
    navigation = _first(manifest, "nav")
    ncx = _ncx(root, manifest)
    entries: tuple[Entry, ...] = ()
    landmarks = dict(_guide(root, file))
    if navigation in container:
        page = container.xml(navigation)
        entries = tuple(_navigation(page, navigation))
        landmarks.update(_landmarks(page, navigation))
    if not entries and ncx in container:
        entries = tuple(_ncx_entries(container.xml(ncx), ncx))
    return Package(
        file=file,
        version=root.get("version", ""),
        title=next(_facts(root, "title"), ""),
        author=", ".join(_facts(root, "creator")),
        language=next(_facts(root, "language"), ""),
        spine=_spine(root, manifest, container),
        navigation=navigation,
        entries=entries,
        landmarks=landmarks,
        cover=_cover(root, manifest),
    )


def _package_file(container: Container) -> str:
    if _CONTAINER not in container:
        raise InvalidInput(f"{container.name!r} is not an EPUB: {_CONTAINER!r} is missing in it")
    for rootfile in container.xml(_CONTAINER).iter("{*}rootfile"):
        if path := rootfile.get("full-path"):
            return path
    raise InvalidInput(f"{container.name!r} is broken: {_CONTAINER!r} names no package document")


def resolve(base: str, href: str) -> tuple[str, str]:
    """Return the archive's name of what an address in `base` points at, and its fragment."""
    try:
        address = urlsplit(href)
    except ValueError:
        return "", ""  # `http://[`: whatever it is, no file of the archive
    path = unquote(address.path)
    joined = posixpath.join(posixpath.dirname(base), path) if path else base
    return posixpath.normpath(joined), unquote(address.fragment)


def _manifest(root: etree._Element, file: str) -> dict[str, _Resource]:
    return {
        item.get("id", ""): _Resource(
            resolve(file, item.get("href", ""))[0],
            item.get("media-type", ""),
            frozenset(item.get("properties", "").split()),
        )
        for item in root.iterfind("{*}manifest/{*}item")
    }


def _first(manifest: dict[str, _Resource], wanted: str) -> str:
    return next((item.file for item in manifest.values() if wanted in item.properties), "")


def _facts(root: etree._Element, fact: str) -> Iterator[str]:
    for element in root.iterfind(f"{{*}}metadata//{{*}}{fact}"):
        if text := text_of(element):
            yield text


def _spine(
    root: etree._Element, manifest: dict[str, _Resource], container: Container
) -> tuple[str, ...]:
    files = []
    for reference in root.iterfind("{*}spine/{*}itemref"):
        key = reference.get("idref", "")
        if key not in manifest or manifest[key].file not in container:
            missing = manifest[key].file if key in manifest else key
            raise InvalidInput(
                f"{container.name!r} is broken: {missing!r} of its reading order is missing in it"
            )
        if reference.get("linear") != "no":
            files.append(manifest[key].file)
    if not files:
        raise InvalidInput(f"{container.name!r} is broken: its reading order (spine) is empty")
    return tuple(dict.fromkeys(files))


def _cover(root: etree._Element, manifest: dict[str, _Resource]) -> str:
    if file := _first(manifest, "cover-image"):
        return file
    for meta in root.iterfind("{*}metadata//{*}meta"):
        item = manifest.get(meta.get("content", ""))
        if meta.get("name") == "cover" and item and item.media_type.startswith("image/"):
            return item.file
    return ""


def _navigation(page: etree._Element, file: str) -> Iterator[Entry]:
    for nav in page.iter("{*}nav"):
        if "toc" in (nav.get(f"{OPS}type") or "").split():
            for items in nav.iterchildren("{*}ol"):
                yield from _nav_list(items, file, 1)


def _nav_list(items: etree._Element, file: str, level: int) -> Iterator[Entry]:
    for item in items.iterchildren("{*}li"):
        for child in item:
            if name(child) == "a" and child.get("href"):
                yield Entry(text_of(child), level, *resolve(file, child.get("href", "")))
            elif name(child) == "ol":
                yield from _nav_list(child, file, level + 1)


def _landmarks(page: etree._Element, file: str) -> Iterator[tuple[str, str]]:
    for nav in page.iter("{*}nav"):
        if "landmarks" in (nav.get(f"{OPS}type") or "").split():
            for link in nav.iter("{*}a"):
                yield resolve(file, link.get("href", ""))[0], link.get(f"{OPS}type", "").lower()


def _guide(root: etree._Element, file: str) -> Iterator[tuple[str, str]]:
    for reference in root.iterfind("{*}guide/{*}reference"):
        yield resolve(file, reference.get("href", ""))[0], reference.get("type", "").lower()


def _ncx(root: etree._Element, manifest: dict[str, _Resource]) -> str:
    spine = root.find("{*}spine")
    named = manifest.get(spine.get("toc", "")) if spine is not None else None
    if named:
        return named.file
    return next((item.file for item in manifest.values() if item.media_type == _NCX), "")


def _ncx_entries(root: etree._Element, file: str) -> Iterator[Entry]:
    for points in root.iterfind("{*}navMap"):
        yield from _ncx_points(points, file, 1)


def _ncx_points(parent: etree._Element, file: str, level: int) -> Iterator[Entry]:
    for point in parent.iterchildren("{*}navPoint"):
        label, content = point.find("{*}navLabel/{*}text"), point.find("{*}content")
        if content is not None:
            title = text_of(label) if label is not None else ""
            yield Entry(title, level, *resolve(file, content.get("src", "")))
        yield from _ncx_points(point, file, level + 1)
