"""What an input holds, found out before it becomes a job: so that a bad one is refused at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from farm.errors import InvalidInput
from farm.jobs import Kind
from farm.text import documents, lines, ssml

#: Characters of a text that tell in which script it is.
SAMPLE = 2_000
#: Items that are described, and warnings that are told, at most.
SHOWN = 1_000
#: Bytes of a speech's text, and of a book that is no EPUB: these are read whole.
SPEECH_BYTES, BOOK_BYTES = 4_000_000, documents.LARGEST
_NO_SPEECH = "speech; submit it as a book"
#: First bytes of an EPUB, which is read chapter by chapter.
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Chapter:
    """An item to be."""

    id: str
    title: str
    level: int
    characters: int


@dataclass(frozen=True)
class Survey:
    """What an input holds."""

    title: str
    author: str
    items: int
    chapters: tuple[Chapter, ...]
    """The first `SHOWN` items."""
    characters: int
    """As written, without markup."""
    voices: frozenset[str]
    """Those that it names."""
    warnings: tuple[str, ...]
    language: str = ""
    """As its document says; empty where it does not."""
    parts: frozenset[str] = frozenset()
    """Languages of its parts, as the document says, well-formed or not."""
    sample: str = ""
    """How the text of a book or a speech begins."""


def survey(kind: Kind, path: Path, name: str, *, front_matter: bool = False) -> Survey:
    """Read an input from its beginning to its end, in bounded memory.

    With `front_matter` an EPUB's navigation, cover, title and copyright pages are part of it.

    Raises:
        InvalidInput: it is not what it should be, or there is nothing in it to speak. Of a batch
            the bad lines are warnings, unless all of them are bad.
    """
    if kind == "batch":
        with path.open("rb") as stream:
            return _batch(lines.read_lines(stream))
    if kind == "book":
        with path.open("rb") as stream:
            if stream.read(len(_ZIP)) != _ZIP:
                size = path.stat().st_size
                _check_size(size, BOOK_BYTES, "book; make an EPUB of it, or several jobs")
        return _book(path, name, front_matter)
    _check_size(path.stat().st_size, SPEECH_BYTES, _NO_SPEECH)
    return _speech(path.read_bytes(), name)


def survey_speech(data: bytes, name: str) -> Survey:
    """Read the text of a speech that is in memory already, as `survey` does."""
    _check_size(len(data), SPEECH_BYTES, _NO_SPEECH)
    return _speech(data, name)


def _check_size(size: int, most: int, what: str) -> None:
    if size > most:
        raise InvalidInput(f"the text has {size} bytes: {most} at most for a {what}")


def _batch(rows: Iterator[lines.Line | lines.BadLine]) -> Survey:
    chapters: list[Chapter] = []
    warnings: list[str] = []
    voices: set[str] = set()
    items = bad = characters = 0
    for row in rows:
        items += 1
        if isinstance(row, lines.BadLine):
            bad += 1
            warnings += [row.error] if len(warnings) < SHOWN else []
            continue
        voices.update(row.voices)
        length = len(row.text or row.ssml)
        characters += length
        if len(chapters) < SHOWN:
            chapters.append(Chapter(row.id, "", 1, length))
    if bad == items:
        raise InvalidInput(warnings[0] if warnings else "the file has no lines")
    return Survey("", "", items, (*chapters,), characters, frozenset(voices), (*warnings,))


def _book(path: Path, name: str, front_matter: bool) -> Survey:
    book = documents.read(path, name, front_matter=front_matter)
    chapters: list[Chapter] = []
    warnings: list[str] = []
    voices: set[str] = set()
    parts: set[str] = set()
    sample = ""
    items = characters = 0
    for items, section in enumerate(book.sections, start=1):
        length = sum(len(block.text) for block in section.blocks)
        characters += length
        if len(sample) < SAMPLE:
            sample = (sample + "".join(block.text for block in section.blocks))[:SAMPLE]
        voices.update(block.voice for block in section.blocks if block.voice)
        parts.update(section.languages if len(parts) < SHOWN else ())
        warnings += section.warnings[: SHOWN - len(warnings)]
        if items <= SHOWN:
            chapters.append(Chapter(str(items), section.title, section.level, length))
    return Survey(
        book.title,
        book.author,
        items,
        (*chapters,),
        characters,
        frozenset(voices),
        (*warnings,),
        book.language,
        frozenset(parts),
        sample,
    )


def _speech(data: bytes, name: str) -> Survey:
    if name.lower().endswith(".ssml"):
        found = ssml.read(data)
        words = "".join(block.text for block in found.blocks)
        voices, warnings, language = frozenset(found.voices), found.warnings, found.language
    else:
        try:
            words = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(f"the text is not UTF-8 (byte {error.start})") from error
        voices, warnings, language = frozenset[str](), (), ""
    if not words:
        raise InvalidInput("the text is empty: there is nothing in it to speak")
    chapters, begin = (Chapter("1", "", 1, len(words)),), words[:SAMPLE]
    return Survey("", "", 1, chapters, len(words), voices, warnings, language, sample=begin)
