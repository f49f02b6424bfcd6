"""Items to files: stored segments joined, brought to one loudness, encoded, with their marks.

Every file is a function of the stored segments, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from farm.audio import files, loudness
from farm.audio.formats import format_named
from farm.book import subtitles
from farm.errors import StoreUnavailable
from farm.jobs import Item, Mark, Spec
from farm.plans import About, wordless
from farm.schema import from_json
from farm.storage import Store
from farm.tape import Notice, Row, Shelf, Tape

#: Silence before and after an item that stands for itself, in ms: ACX asks for 0.5-1 s at the
#: head and 1-5 s at the tail of a chapter; a line of a batch is wanted bare.
HEAD_MS = {"book": 500, "batch": 0, "speech": 0}
TAIL_MS = {"book": 1000, "batch": 0, "speech": 0}
#: Milliseconds of silence that an item without words is where a package holds every item.
WORDLESS_MS = 100
#: Files made but not stored yet: enough for 50 ms a request beside lines of 5 ms.
UNSTORED = 16


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
    """Segments left out because they could not be spoken, passages because not planned; of a line
    without words, which has no segments, the line."""
    error: str = ""
    """Why there are no files, or why a passage is not in them."""
    warned: int = 0
    """Segments that were spoken with something missing, and warnings about the whole item."""
    warnings: tuple[Notice, ...] = ()
    """What was missing or done otherwise, each once."""
    voices: tuple[str, ...] = ()
    """Who speaks in the files, as the job names them; none where an older farm made them."""
    files: Mapping[str, File] = field(default_factory=dict)
    """By format; `marks` are the sentence and word marks, one JSON a line."""


class Outbox(AbstractContextManager["Outbox"]):
    """Stores files behind the work; when the `with` block has ended, all of them are stored."""

    def __init__(self, store: Store, pool: Executor) -> None:
        """Begin empty; the pool ends after this."""
        self._store, self._pool = store, pool
        self._puts: deque[Future[Any]] = deque()

    def put(self, key: str, data: bytes) -> None:
        """Store bytes, soon; raises what an earlier one could not be stored for."""
        self._add(self._store.put, key, data)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file, soon, and remove it; raises as `put` does."""
        self._add(self._move, key, path)

    def _move(self, key: str, path: Path) -> None:
        self._store.put_file(key, path)
        path.unlink()

    def _add(self, act: Callable[..., Any], key: str, what: bytes | Path) -> None:
        self._puts.append(self._pool.submit(act, key, what))
        if len(self._puts) > UNSTORED:
            self._puts.popleft().result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the last; raise what one could not be stored for."""
        if kind is None:
            with disk_errors():
                for put in self._puts:
                    put.result()


@dataclass(frozen=True)
class Bench:
    """What the assembling of a job's items needs besides their text."""

    spec: Spec
    about: About
    shelf: Shelf
    outbox: Outbox
    output_key: Callable[[str], str]
    """File name within the attempt to store key."""
    folder: Path
    """For temporary files, which are gone when the outbox is empty."""
    cover: bytes | None = None
    """A JPEG or PNG for the files that stand for themselves and can carry one."""


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
    elif "joined" in spec.output.options:
        wanted = ["flac"]  # joined and encoded when it is packaged
    if spec.output.readalong:
        wanted.append("m4a")
    return list(dict.fromkeys(wanted))


def parts_of_books(spec: Spec) -> set[str]:
    """Return the formats that an M4B or EPUB is put together from."""
    return {"m4a"} if spec.output.package == "m4b" or spec.output.readalong else set()


def file_name(item: Item, spec: Spec) -> str:
    """Name an item's files for a person: a line by its id, a chapter by number and title."""
    if spec.kind != "book":
        return item.id
    # Three digits: 99 comes before 100 by name, too.
    return f"{item.index + 1:03d} {files.readable(item.title)}".strip()


def assemble(item: Item, rows: Iterable[Row], bench: Bench) -> ItemRecord:
    """Make one item's files and put them in the outbox.

    Raises:
        Lost: a segment is not in the store any more, or is damaged (and then removed).
        StoreUnavailable: the store or the local disk failed.
    """
    spec = bench.spec
    if item.error:
        return ItemRecord(item.index, item.id, item.title, item.level, error=item.error)
    rate = spec.output.sample_rate or spec.voices[item.voice or spec.voice].sample_rate
    bounded = not {"words", "sentences"}.isdisjoint(spec.output.options)
    marked = bool(spec.output.subtitles) or spec.kind == "book" or bounded
    measured = spec.output.loudness is not None
    tape = Tape(bench.shelf, rate, bench.folder, marked=marked, measured=measured)
    with disk_errors(), tape:
        tape.record(rows, HEAD_MS[spec.kind], TAIL_MS[spec.kind])
        if spec.output.package == "azure" and not (tape.spoken or tape.failed or tape.error):
            tape.record((), WORDLESS_MS, 0)
        elif not tape.spoken:
            return _unspoken(item, tape, spec)
        made = _encode(tape, bench, item)
        if marked:
            made |= _marks(tape, bench)
        stored = {kind: _store(each, item, tape, bench) for kind, each in made.items()}
        return replace(_record(item, tape), seconds=tape.seconds, files=stored)


def _unspoken(item: Item, tape: Tape, spec: Spec) -> ItemRecord:
    """Say why there is nothing on an item's tape; a chapter may be without words, a line not."""
    record = _record(item, tape)
    if not tape.failed:
        return replace(record, error=wordless(item), failed=int(spec.kind == "batch"))
    reason = f"no segment could be spoken{tape.reason and f': {tape.reason}'}"
    return replace(record, error=tape.error or reason)


def _record(item: Item, tape: Tape) -> ItemRecord:
    return ItemRecord(
        item.index,
        item.id,
        item.title,
        item.level,
        segments=tape.spoken + tape.failed,
        failed=tape.failed,
        error=tape.error,
        warned=tape.warned + len(item.warnings),
        warnings=(*(Notice(w, "", 0) for w in item.warnings), *tape.notices.values()),
        voices=tuple(sorted(tape.voices)),
    )


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full local disk into `StoreUnavailable`."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"temporary files: {error.strerror or error}") from error


@dataclass(frozen=True)
class _Made:
    """A file of an item, in memory or on disk."""

    suffix: str
    content: io.BytesIO | Path


def _encode(tape: Tape, bench: Bench, item: Item) -> dict[str, _Made]:
    """Write all formats in one pass over the tape; those of a short item in memory."""
    spec = bench.spec
    target = spec.output.loudness
    gain = 1.0 if target is None else loudness.gain(tape.loudness, target)
    tags = tags_of(spec, bench.about)
    if item.title or spec.kind != "speech":  # whose only item is called as the job is
        tags["title"] = item.title or item.id
    if spec.kind == "book":
        tags["track"] = str(item.index + 1)
    made: dict[str, _Made] = {}
    with ExitStack() as stack:
        writers = []
        for name in formats(item, spec):
            format = format_named(name)
            in_memory = tape.short and not format.rereads
            path = bench.folder / f"{item.index:05d}{format.suffix}"
            made[name] = _Made(format.suffix, io.BytesIO() if in_memory else path)
            writer = files.Writer(
                made[name].content,
                name,
                tape.sample_rate,
                tags,
                None if name in parts_of_books(spec) else bench.cover,
                spec.output.bit_rate,
            )
            writers.append(stack.enter_context(writer))
        for block in tape.blocks(gain):
            for writer in writers:
                writer.write(block)
    return made


def _marks(tape: Tape, bench: Bench) -> dict[str, _Made]:
    """Return the marks, and the subtitles made of them."""
    tape.marks.seek(0)
    marks = tape.marks.read()
    made = {"marks": _Made(".jsonl", io.BytesIO(marks))}
    for name in bench.spec.output.subtitles:
        text = subtitles.WRITERS[name](read_marks(marks))
        made[name] = _Made(f".{name}", io.BytesIO(text.encode()))
    return made


def read_marks(data: bytes) -> list[Mark]:
    """Read marks written one JSON a line."""
    return [from_json(Mark, line) for line in data.splitlines()]


def _store(made: _Made, item: Item, tape: Tape, bench: Bench) -> File:
    """Put a file in the outbox; return what is known of it."""
    key = bench.output_key(f"items/{item.index:05d}{made.suffix}")
    if isinstance(made.content, Path):
        sha256, size = digest_file(made.content), made.content.stat().st_size
        bench.outbox.put_file(key, made.content)
    else:
        data = made.content.getvalue()
        sha256, size = hashlib.sha256(data).hexdigest(), len(data)
        bench.outbox.put(key, data)
    name = file_name(item, bench.spec) + made.suffix
    return File(key, name, sha256, size, round(tape.seconds, 3))
