"""Plain text: chapters by form feeds or chapter lines, paragraphs by blank lines."""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from farm.errors import InvalidInput
from farm.text.document import Document, Lazily, Paragraph, Section, section

#: Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBER_WORDS = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    r"sixteen|seventeen|eighteen|nineteen|(?:twenty|thirty|forty|fifty)(?:[- ]\w+)?"
)
#: A line of its own that begins a chapter.
_CHAPTER = re.compile(
    rf"(?i:(?P<kind>chapter|part|book|letter)\s+(?:\d{{1,4}}|[ivxlc]{{1,9}}|{_NUMBER_WORDS}))"
    r"(?:\s*[.:—–-]+\s*\S.{0,80}|\s+[A-Z“\"'].{0,60}(?<![.,;!?])|[.:]?)"
    r"|(?i:prologue|epilogue|preface|foreword|introduction|afterword)[.:]?"
    r"|第\s?[0-9０-９一二三四五六七八九十百千零〇两]{1,7}\s?(?P<zh>[章回节節卷部篇])"
    r"(?:[\s：:、　].{0,40}|)"
)
#: Kinds that hold chapters.
_UPPER = frozenset({"part", "book", "卷", "部"})
#: A line longer than this is a whole paragraph: the text is not hard-wrapped.
_WRAPPED = 120
_LONGEST_TITLE = 80


@dataclass(frozen=True)
class _Shape:
    """How a text marks its chapters."""

    encoding: str
    chapters: bool
    nested: bool
    """Parts hold chapters."""


def read_plain(path: Path, name: str) -> Document:
    """Read a text in UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Chapter lines (`Chapter 1`, `CHAPTER IV. The Mill`, `第三章`) count where there are two of
    them, each after a blank line; else form feeds part sections; else all is one section.

    Raises:
        InvalidInput: the text is in another encoding, or is no text.
    """
    shape = _survey(path, name)
    title = PurePath(name).stem
    return Document(title, "", "", None, Lazily(functools.partial(_sections, path, shape)))


def decoding(path: Path) -> str:
    """Name the encoding that a file's byte order mark says; UTF-8 without one."""
    with path.open("rb") as file:
        head = file.read(4)
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), "utf-8")


def not_text(path: Path, name: str) -> InvalidInput:
    """Say that a file is in no encoding that the farm reads, and on which line it shows."""
    with path.open("rb") as lines:
        bad = (number for number, line in enumerate(lines, start=1) if not _is_utf8(line))
        where = next(bad, 1)
    return InvalidInput(
        f"{name!r} is not text in UTF-8 (line {where}); save it as UTF-8 and try again"
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _survey(path: Path, name: str) -> _Shape:
    encoding = decoding(path)
    kinds: list[str] = []
    blank = True
    try:
        with path.open(encoding=encoding) as lines:
            for line in lines:
                if "\0" in line:
                    raise InvalidInput(f"{name!r} is not text: it holds NUL characters")
                if blank and (found := _CHAPTER.fullmatch(line.strip())):
                    kinds.append((found["kind"] or found["zh"] or "").lower())
                blank = not line.strip()
    except UnicodeError as error:
        raise not_text(path, name) from error
    upper = _UPPER.intersection(kinds)
    return _Shape(encoding, len(kinds) > 1, bool(upper) and len(upper) < len(set(kinds)))


def _sections(path: Path, shape: _Shape) -> Iterator[Section]:
    title, level = "", 1
    paragraphs: list[Paragraph] = []
    for group, page in _groups(path, shape.encoding):
        found = _CHAPTER.fullmatch(group[0]) if shape.chapters and group else None
        if found or (page and not shape.chapters):
            yield from _filled(title, level, paragraphs)
            title, level, paragraphs = "", 1, []
        if found:
            title, level = group[0], _level(found, shape)
            paragraphs.append(Paragraph(group[0], True))
            group = group[1:]
        elif page and not shape.chapters and _is_title(group):
            title = group[0]
            paragraphs.append(Paragraph(title, True))
            group = []
        paragraphs.extend(map(Paragraph, _join(group)))
    yield from _filled(title, level, paragraphs)


def _filled(title: str, level: int, paragraphs: list[Paragraph]) -> Iterator[Section]:
    if paragraphs:
        yield section(title, level, paragraphs)


def _level(found: re.Match[str], shape: _Shape) -> int:
    upper = (found["kind"] or found["zh"] or "").lower() in _UPPER
    return 2 if shape.nested and not upper else 1


def _is_title(group: list[str]) -> bool:
    return len(group) == 1 and len(group[0]) <= _LONGEST_TITLE and group[0][-1] not in ".,;:!?。"


def _groups(path: Path, encoding: str) -> Iterator[tuple[list[str], bool]]:
    """Yield runs of lines between blank ones, and whether each is the first after a form feed."""
    group: list[str] = []
    page = False
    with path.open(encoding=encoding) as lines:
        for line in lines:
            for number, part in enumerate(line.split("\f")):
                if group and (number or not part.strip()):
                    yield group, page
                    group, page = [], False
                page = page or number > 0
                if part.strip():
                    group.append(part.strip())
    if group:
        yield group, page


def _join(group: list[str]) -> list[str]:
    """Re-join hard-wrapped lines; lines too long to be wrapped are paragraphs."""
    if any(len(line) > _WRAPPED for line in group):
        return group
    joined = ""
    for line in group:
        space = "" if not joined or (_is_cjk(joined[-1]) and _is_cjk(line[0])) else " "
        joined += space + line
    return [joined] if joined else []


def _is_cjk(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"
