"""A job's input to pages of passages, written as they are read: nothing is held whole."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from farm import keys, planning
from farm.audio.cover import is_picture
from farm.audio.formats import FORMATS
from farm.errors import InvalidInput
from farm.jobs import About, Block, Head, Item, Prosody, Spec, to_json
from farm.storage import Store
from farm.text import documents, lines

_EMPTY_LINES = re.compile(r"(?:\r?\n[ \t]*){2,}")


@dataclass(frozen=True)
class _Source:
    """A document's items, and what is known of it."""

    items: Iterable[Item]
    about: About
    cover: bytes | None = None


def read(store: Store, spec: Spec, revision: int, ready: Callable[[int], None]) -> Head:
    """Write a job's pages, telling `ready` the number of each; return the plan's head.

    Raises:
        InvalidInput: the document cannot be read at all.
    """
    count = items = 0
    with _source(store, spec) as source:
        about = replace(source.about, cover=_keep_cover(store, spec, source.cover))
        store.put(keys.about(spec.id, revision), to_json(about))
        for page in planning.pages(source.items):
            rows = b"\n".join(map(to_json, page))
            key = keys.plan(spec.id, revision, "source", count)
            store.put(key, rows, if_absent=True)
            ready(count)
            count += 1
            items += sum(1 for passage in page if passage.number == 0)
    return Head(count, items)


def _keep_cover(store: Store, spec: Spec, cover: bytes | None) -> str:
    if cover is None or not is_picture(cover):
        return ""
    key = keys.job(spec.id, "input", "cover")
    store.put(key, cover)
    return key


@contextmanager
def _source(store: Store, spec: Spec) -> Iterator[_Source]:
    if spec.kind == "speech":
        words = _decoded(store.get(spec.input))
        yield _Source([Item(0, spec.id, spec.title, blocks=_paragraphs(words))], About())
        return
    with tempfile.TemporaryDirectory(prefix="farm-read-") as folder:
        path = Path(folder) / "input"
        store.get_file(spec.input, path)
        if spec.kind == "batch":
            with path.open("rb") as stream:
                yield _Source(_line_items(lines.read_lines(stream), spec), About())
        else:
            book = documents.read(path, spec.name)
            about = About(book.title, book.author, book.language)
            yield _Source(_sections(book.sections), about, book.cover)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the text is not UTF-8 (byte {error.start})") from error


def _paragraphs(words: str) -> tuple[Block, ...]:
    """Cut a text at its empty lines."""
    gaps = [(gap.start(), gap.end()) for gap in _EMPTY_LINES.finditer(words)]
    starts = [0, *(end for _, end in gaps)]
    ends = [*(start for start, _ in gaps), len(words)]
    spans = zip(starts, ends, strict=True)
    return tuple(Block(words[a:b], start=a) for a, b in spans if words[a:b].strip())


def _sections(sections: Iterable[documents.Section]) -> Iterator[Item]:
    for index, section in enumerate(sections):
        yield Item(index, f"{index + 1:04d}", section.title, section.level, section.blocks)


def _line_items(rows: Iterable[lines.Line | lines.BadLine], spec: Spec) -> Iterator[Item]:
    for index, row in enumerate(rows):
        if isinstance(row, lines.BadLine):
            name = row.id or f"line-{row.number}"
            yield Item(index, name, error=row.error)
        else:
            yield _line_item(index, row, spec.voices, spec.prosody)


def _line_item(index: int, line: lines.Line, voices: Mapping[str, object], usual: Prosody) -> Item:
    if line.voice and line.voice not in voices:
        valid = ", ".join(sorted(voices))
        error = f"line {line.number}: unknown voice {line.voice!r}; choose one of {valid}"
        return Item(index, line.id, error=error)
    if line.format and line.format not in FORMATS:
        valid = ", ".join(FORMATS)
        error = f"line {line.number}: unknown format {line.format!r}; choose one of {valid}"
        return Item(index, line.id, error=error)
    prosody = replace(usual, speed=line.speed) if line.speed else None
    blocks = (Block(line.text),)
    return Item(
        index,
        line.id,
        voice=line.voice or "",
        format=line.format or "",
        blocks=blocks,
        prosody=prosody,
    )
