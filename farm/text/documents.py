"""Read a book: EPUB, Markdown, SSML or plain text, told apart by content, then by name."""

from __future__ import annotations

from pathlib import Path, PurePath

from farm.errors import InvalidInput, NotFound
from farm.text import ssml
from farm.text.document import Document, Section
from farm.text.epub import read_epub
from farm.text.markdown import read_markdown
from farm.text.plain import read_plain

__all__ = ["Document", "Section", "read"]

#: Bytes of a text or a Markdown file; the longest novels have a third of it.
LARGEST = 32 * 2**20
_MARKDOWN = (".md", ".markdown", ".mdown")
#: Bytes by which SSML in a file of another name is known.
_HEAD = 4096
_ZIP = b"PK\x03\x04"
#: First bytes of files that people take for books, and what to do with those.
_FOREIGN = {
    b"%PDF": "a PDF; convert it to EPUB or text first",
    b"\xd0\xcf\x11\xe0": "an old Word file; save it as EPUB or text first",
    b"{\\rtf": "an RTF file; save it as EPUB or text first",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
}
_MOBI = b"BOOKMOBI"


def read(
    path: Path, name: str, *, front_matter: bool = False, setting: ssml.Setting | None = None
) -> Document:
    """Read a book from a file; `name` is what the user called it, for its suffix and for messages.

    Sections are read as they are iterated, so the file must stay where it is. With
    `front_matter` an EPUB's navigation, cover, title and copyright pages are sections too;
    `setting` is what SSML is read for: one section.

    Raises:
        NotFound: there is no such file.
        InvalidInput: the file is not EPUB, Markdown, SSML or text, is encrypted, broken or empty,
            or has no `front_matter`, as it is no EPUB.
        UnknownVoice: it is SSML, and names a voice that the setting lacks.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {name!r}") from error
    except OSError as error:
        raise InvalidInput(f"{name!r} cannot be read: {error.strerror or error}") from error
    if is_ssml(name, head):
        document = _read_ssml(path, name, setting)
    else:
        document = _read(path, name, head, front_matter)
    if front_matter and not head.startswith(_ZIP):
        raise InvalidInput(
            f"{name!r} is no EPUB: only an EPUB has a cover, title and contents pages that can be "
            "spoken; leave front matter out",
            field="front_matter",
            value=True,
        )
    if next(iter(document.sections), None) is None:
        raise InvalidInput(f"{name!r} is empty: it has no text to speak")
    return document


def is_ssml(name: str, head: bytes) -> bool:
    """Whether a file is SSML: by its name, or as XML whose root is `speak`."""
    suffix = PurePath(name).suffix.lower()
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return suffix == ".ssml" or (
        suffix == ".xml" and ssml.is_ssml(head.decode(encoding, errors="ignore"))
    )


def _read_ssml(path: Path, name: str, setting: ssml.Setting | None) -> Document:
    with path.open("rb") as file:
        found = ssml.read(file.read(ssml.LARGEST + 1), setting)
    title = PurePath(name).stem
    sections = [Section(title, 1, found.blocks, found.warnings)] if found.blocks else []
    return Document(title, "", found.language, None, sections, found.voices)


def _read(path: Path, name: str, head: bytes, front_matter: bool) -> Document:
    suffix = PurePath(name).suffix.lower()
    if head.startswith(_ZIP):
        return read_epub(path, name, front_matter=front_matter)
    if suffix == ".epub":
        what = "empty" if not head else "not an EPUB: the file is not a ZIP archive"
        raise InvalidInput(f"{name!r} is {what}")
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise InvalidInput(f"{name!r} is {what}; the farm reads .epub, .md, .ssml and .txt")
    if head[60:68] == _MOBI:
        raise InvalidInput(f"{name!r} is a Kindle book; the farm reads .epub, .md, .ssml and .txt")
    if (size := path.stat().st_size) > LARGEST:
        raise InvalidInput(
            f"{name!r} is too large: {size} bytes; the farm reads {LARGEST} of text: make an EPUB "
            "of it, or several books"
        )
    if suffix in _MARKDOWN:
        return read_markdown(path, name)
    return read_plain(path, name)
