"""Items to files: stored segments joined, brought to one loudness, encoded, with their marks.

Every file is a function of the stored segments, byte for byte.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from farm.audio import files, loudness
from farm.audio.formats import format_named
from farm.book import subtitles
from farm.errors import StoreUnavailable
from farm.jobs import About, Item, Mark, Part, Passage, Spec, from_json
from farm.storage import Store
from farm.tape import Notice, Shelf, Tape

#: Silence before and after an item that stands for itself, in ms: ACX asks for 0.5-1 s at the
#: head and 1-5 s at the tail of a chapter; a line of a batch is wanted bare.
HEAD_MS = {"book": 500, "batch": 0, "speech": 0}
TAIL_MS = {"book": 1000, "batch": 0, "speech": 0}


@dataclass(frozen=True)
class File:
    """One stored output."""

    key: str
    name: str
    """What a person would call it."""
    sha256: str
    size: int
    """Bytes."""
    seconds: float = 0.0


@dataclass(frozen=True)
class ItemRecord:
    """What was made of an item."""

    index: int
    id: str
    title: str = ""
    level: int = 1
    seconds: float = 0.0
    segments: int = 0
    failed: int = 0
    """Segments left out because they could not be spoken, passages because not planned."""
    error: str = ""
    """Why there are no files, or why a passage is not in them."""
    warned: int = 0
    """Segments that were spoken with something missing."""
    warnings: tuple[Notice, ...] = ()
    """What was missing, each once."""
    files: Mapping[str, File] = field(default_factory=dict)
    """By format; `marks` are the sentence and word marks, one JSON a line."""


@dataclass(frozen=True)
class Bench:
    """What the assembling of a job's items needs besides their text."""

    spec: Spec
    about: About
    store: Store
    shelf: Shelf
    output_key: Callable[[str], str]
    """File name within the attempt to store key."""
    folder: Path
    """For temporary files, which are gone when an item's record is returned."""


def tags_of(spec: Spec, about: About) -> dict[str, str]:
    """Return what all files of a job are tagged with."""
    title = spec.title or about.title
    tags = {"title": title, "album": title, "artist": about.author}
    return {name: value for name, value in tags.items() if value}


def digest_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def formats(item: Item, spec: Spec) -> list[str]:
    """Return the formats in which an item is written, each once."""
    wanted = [item.format or spec.output.format, *spec.output.formats]
    if spec.output.package == "m4b":
        wanted = ["m4a", *spec.output.formats]
    return list(dict.fromkeys(wanted))


def file_name(item: Item, spec: Spec) -> str:
    """Name an item's files for a person: a line by its id, a chapter by number and title."""
    if spec.kind != "book":
        return item.id
    title = "".join(c if c.isalnum() or c in " -_'," else " " for c in item.title)
    return f"{item.index + 1:02d} {' '.join(title.split())}"[:100].strip()


def assemble(item: Item, passages: Iterable[tuple[Passage, Part]], bench: Bench) -> ItemRecord:
    """Write one item's files and store them.

    Raises:
        Lost: a segment is not in the store any more, or is damaged (and then removed).
        StoreUnavailable: the store or the local disk failed.
    """
    spec = bench.spec
    if item.error:
        return ItemRecord(item.index, item.id, item.title, item.level, error=item.error)
    rate = spec.voices[item.voice or spec.voice].sample_rate
    marked = bool(spec.output.subtitles) or spec.kind == "book"
    tape = Tape(bench.shelf, rate, bench.folder, marked=marked)
    with _disk_errors(), tape:
        tape.record(passages, HEAD_MS[spec.kind], TAIL_MS[spec.kind])
        if not tape.spoken:
            usual = "no segment could be spoken" if tape.failed else "nothing to speak"
            return replace(_record(item, tape), error=tape.error or usual)
        paths = _encode(tape, bench, item)
        if marked:
            paths |= _write_marks(tape, bench, item)
        name = file_name(item, spec)
        made = {kind: _store(path, name, tape, bench) for kind, path in paths.items()}
        return replace(_record(item, tape), seconds=tape.seconds, files=made)


def _record(item: Item, tape: Tape) -> ItemRecord:
    return ItemRecord(
        item.index,
        item.id,
        item.title,
        item.level,
        segments=tape.spoken + tape.failed,
        failed=tape.failed,
        error=tape.error,
        warned=tape.warned,
        warnings=tuple(tape.notices.values()),
    )


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn a full local disk into `StoreUnavailable`."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"temporary files: {error.strerror or error}") from error


def _path(bench: Bench, item: Item, suffix: str) -> Path:
    return bench.folder / f"{item.index:05d}{suffix}"


def _encode(tape: Tape, bench: Bench, item: Item) -> dict[str, Path]:
    """Write all formats in one pass over the tape."""
    target = bench.spec.output.loudness
    gain = 1.0 if target is None else loudness.gain(tape.loudness, target)
    tags = {**tags_of(bench.spec, bench.about), "title": item.title or item.id}
    if bench.spec.kind == "book":
        tags["track"] = str(item.index + 1)
    wanted = {name: format_named(name).suffix for name in formats(item, bench.spec)}
    paths = {name: _path(bench, item, suffix) for name, suffix in wanted.items()}
    with ExitStack() as stack:
        writers = [
            stack.enter_context(files.Writer(path, name, tape.sample_rate, tags))
            for name, path in paths.items()
        ]
        for block in tape.blocks(gain):
            for writer in writers:
                writer.write(block)
    return paths


def _write_marks(tape: Tape, bench: Bench, item: Item) -> dict[str, Path]:
    """Write the marks, and the subtitles made of them."""
    paths = {"marks": _path(bench, item, ".jsonl")}
    tape.marks.seek(0)
    with paths["marks"].open("wb") as stream:
        shutil.copyfileobj(tape.marks, stream)
    for name in bench.spec.output.subtitles:
        paths[name] = _path(bench, item, f".{name}")
        text = subtitles.WRITERS[name](read_marks(paths["marks"].read_bytes()))
        paths[name].write_text(text, encoding="utf-8")
    return paths


def read_marks(data: bytes) -> list[Mark]:
    """Read marks written one JSON a line."""
    return [from_json(Mark, line) for line in data.splitlines()]


def _store(path: Path, name: str, tape: Tape, bench: Bench) -> File:
    key = bench.output_key(f"items/{path.name}")
    bench.store.put_file(key, path)
    made = File(
        key, name + path.suffix, digest_file(path), path.stat().st_size, round(tape.seconds, 3)
    )
    path.unlink()
    return made
