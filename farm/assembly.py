"""Items to files: stored segments joined, brought to one loudness, encoded, with their marks.

Every file is a function of the stored segments, byte for byte. Nothing here grows with the
length of an item but its files on disk.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from farm.audio import Audio, Samples, files, flac, joining, loudness
from farm.book import marks, subtitles
from farm.errors import InvalidInput, NotFound, StoreUnavailable
from farm.jobs import Item, Mark, Part, Passage, Segment, Spec, from_json, to_json
from farm.storage import Store

T = TypeVar("T")

#: Silence before and after an item that stands for itself, in ms: ACX asks for 0.5-1 s at the
#: head and 1-5 s at the tail of a chapter; a line of a batch is wanted bare.
HEAD_MS = {"book": 500, "batch": 0, "speech": 0}
TAIL_MS = {"book": 1000, "batch": 0, "speech": 0}
#: Segments fetched ahead of the one being joined.
AHEAD = 16
#: Samples encoded at a time.
BLOCK = 65_536


class Lost(StoreUnavailable):
    """A segment that was counted as stored is gone or damaged: it must be spoken again."""


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
    """Segments left out because they could not be spoken."""
    error: str = ""
    files: Mapping[str, File] = field(default_factory=dict)
    """By format; `marks` are the sentence and word marks, one JSON a line."""


@dataclass(frozen=True)
class Bench:
    """What the assembling of an item needs besides its text."""

    store: Store
    spec: Spec
    segment_key: Callable[[Segment], str]
    output_key: Callable[[str], str]
    """File name within the attempt to store key."""
    failed: frozenset[str]
    """Digests that could not be spoken."""
    tags: Mapping[str, str] = field(default_factory=dict)
    cover: bytes | None = None


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
    with tempfile.TemporaryDirectory(prefix="farm-item-") as name, _disk_errors():
        folder = Path(name)
        tape = _Tape(bench, rate, folder)
        tape.record(passages)
        if not tape.spoken:
            error = "no segment could be spoken" if tape.failed else "nothing to speak"
            return ItemRecord(
                item.index, item.id, item.title, item.level, 0.0, 0, tape.failed, error
            )
        made = {}
        paths = _encode(tape, formats(item, spec), bench, item)
        paths |= _write_marks(tape, spec)
        for kind, path in paths.items():
            made[kind] = _store(path, f"{item.index:05d}", file_name(item, spec), tape, bench)
    return ItemRecord(
        item.index,
        item.id,
        item.title,
        item.level,
        tape.seconds,
        tape.spoken + tape.failed,
        tape.failed,
        "",
        made,
    )


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn a full local disk into `StoreUnavailable`."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"temporary files: {error.strerror or error}") from error


class _Tape:
    """An item's joined signal on disk, as raw float32, with its marks and its loudness."""

    def __init__(self, bench: Bench, rate: int, folder: Path) -> None:
        self._bench = bench
        self.rate = rate
        self.folder = folder
        self.samples = folder / "joined.f32"
        self.marks = folder / "marks.jsonl"
        self.spoken = 0
        self.failed = 0
        self._length = 0
        self.loudness = loudness.Loudness(-np.inf, -np.inf)

    @property
    def seconds(self) -> float:
        return self._length / self.rate

    def record(self, passages: Iterable[tuple[Passage, Part]]) -> None:
        """Join the segments that could be spoken."""
        kind = self._bench.spec.kind
        pieces = self._pieces(passages, joining.count(HEAD_MS[kind], self.rate))
        joined = joining.join(pieces, self.rate, HEAD_MS[kind], TAIL_MS[kind])
        with self.samples.open("wb") as stream:
            self.loudness = loudness.measure(self._written(joined, stream.write), self.rate)

    def _written(
        self, blocks: Iterable[Samples], write: Callable[[bytes], int]
    ) -> Iterator[Samples]:
        for block in blocks:
            write(block.tobytes())
            self._length += len(block)
            yield block

    def _pieces(
        self, passages: Iterable[tuple[Passage, Part]], at: int
    ) -> Iterator[tuple[Audio, int]]:
        """Yield every signal with its pause, and write its marks; the last has no pause."""
        with self.marks.open("wb") as stream:
            for (passage, segment, audio), last in _with_last(self._fetched(passages)):
                length = joining.resampled_length(len(audio.samples), audio.sample_rate, self.rate)
                pause = 0 if last else segment.pause_ms
                for mark in _marks(passage, segment, audio, at / self.rate):
                    stream.write(to_json(mark) + b"\n")
                at += length + joining.count(pause, self.rate)
                self.spoken += 1
                yield audio, pause

    def _fetched(
        self, passages: Iterable[tuple[Passage, Part]]
    ) -> Iterator[tuple[Passage, Segment, Audio]]:
        """Fetch segments, a few ahead of the one that is needed."""
        with ThreadPoolExecutor(AHEAD) as pool:
            ahead: deque[tuple[Passage, Segment, Future[Audio]]] = deque()
            for passage, part in passages:
                for segment in part.segments:
                    if segment.digest in self._bench.failed:
                        self.failed += 1
                        continue
                    ahead.append((passage, segment, pool.submit(self._fetch, segment)))
                    if len(ahead) > AHEAD:
                        first = ahead.popleft()
                        yield first[0], first[1], first[2].result()
            for passage, segment, future in ahead:
                yield passage, segment, future.result()

    def _fetch(self, segment: Segment) -> Audio:
        key = self._bench.segment_key(segment)
        try:
            return flac.decode(self._bench.store.get(key))[0]
        except NotFound as error:
            raise Lost(f"segment {segment.digest[:12]} is not in the store any more") from error
        except InvalidInput as error:
            self._bench.store.delete(key)
            raise Lost(f"segment {segment.digest[:12]} was damaged: {error}") from error

    def blocks(self, gain: float) -> Iterator[Samples]:
        """Read the joined signal back, louder or softer."""
        with self.samples.open("rb") as stream:
            while data := stream.read(BLOCK * 4):
                yield np.frombuffer(data, np.float32) * np.float32(gain)


def _with_last(rows: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield every row, and whether it is the last."""
    iterator = iter(rows)
    try:
        held = next(iterator)
    except StopIteration:
        return
    for row in iterator:
        yield held, False
        held = row
    yield held, True


def _source(passage: Passage, segment: Segment) -> str:
    """Return the source text that a segment speaks."""
    for block in passage.item.blocks:
        if block.start <= segment.start < block.start + len(block.text):
            return block.text[segment.start - block.start : segment.end - block.start]
    return segment.text


def _marks(passage: Passage, segment: Segment, audio: Audio, at: float) -> Iterator[Mark]:
    """Yield the marks of a segment that begins `at` seconds into the item."""

    def milliseconds(seconds: float) -> int:
        return round((at + seconds) * 1000)

    source = _source(passage, segment)
    text = " ".join(source.split())
    yield Mark(
        "sentence", text, milliseconds(0), milliseconds(audio.seconds), segment.start, segment.end
    )
    for word in marks.words(segment.text, audio.timings, audio.sample_rate):
        start, end = marks.in_source(source, segment.text, word.start, word.end)
        yield Mark(
            "word",
            segment.text[word.start : word.end],
            milliseconds(word.start_s),
            milliseconds(word.end_s),
            segment.start + start,
            segment.start + end,
        )


def _encode(tape: _Tape, wanted: list[str], bench: Bench, item: Item) -> dict[str, Path]:
    """Write all formats in one pass over the tape."""
    target = bench.spec.output.loudness
    gain = 1.0 if target is None else loudness.gain(tape.loudness, target)
    tags = {**bench.tags, "title": item.title or item.id, "track": str(item.index + 1)}
    paths = {name: tape.folder / f"item{files.format_named(name).suffix}" for name in wanted}
    with ExitStack() as stack:
        writers = [
            stack.enter_context(files.Writer(path, name, tape.rate, tags, bench.cover))
            for name, path in paths.items()
        ]
        for block in tape.blocks(gain):
            for writer in writers:
                writer.write(block)
    return paths


def _write_marks(tape: _Tape, spec: Spec) -> dict[str, Path]:
    """Write subtitles, and the marks themselves where they are wanted or a package needs them."""
    paths = {"marks": tape.marks} if spec.output.subtitles or spec.kind == "book" else {}
    for name in spec.output.subtitles:
        path = tape.folder / f"item.{name}"
        path.write_text(subtitles.WRITERS[name](read_marks(tape.marks.read_bytes())), encoding="utf-8")
        paths[name] = path
    return paths


def read_marks(data: bytes) -> list[Mark]:
    """Read marks written one JSON a line."""
    return [from_json(Mark, line) for line in data.splitlines()]


def _store(path: Path, stem: str, name: str, tape: _Tape, bench: Bench) -> File:
    suffix = "".join(path.suffixes)
    key = bench.output_key(f"items/{stem}{suffix}")
    bench.store.put_file(key, path)
    return File(key, name + suffix, digest_file(path), path.stat().st_size, round(tape.seconds, 3))
