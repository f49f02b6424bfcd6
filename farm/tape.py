"""An item's segments joined: its signal, its loudness and its marks.

What is longer than a few minutes is kept on disk, so memory does not grow with an item.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from farm.audio import Audio, Samples, flac, joining, loudness
from farm.book import marks
from farm.errors import Damaged, InvalidInput, NotFound, StoreUnavailable
from farm.jobs import Mark, Segment
from farm.plans import Part, Passage
from farm.schema import to_json
from farm.storage import Store

#: Segments fetched ahead of the one being joined: enough for 50 ms a request beside lines of 5 ms.
AHEAD = 24
#: Samples read back at a time.
BLOCK = 65_536
#: Bytes of a signal, and of its marks, that are held in memory before they go to disk.
IN_MEMORY = 2 << 20
#: Different warnings that an item's record quotes; their segments are all counted.
NOTICES = 20

T = TypeVar("T")


class Lost(StoreUnavailable):
    """A segment that was counted as stored is gone or damaged: it must be spoken again."""


@dataclass(frozen=True)
class Notice:
    """A warning about some of an item's segments: they were spoken, but not all of their text."""

    message: str
    text: str
    """Of the first of them."""
    segments: int = 1
    """How many; 0: it is about the item as a whole."""


@dataclass(frozen=True)
class Row:
    """A segment on its way from the store, and where it belongs; or a passage without any."""

    passage: Passage
    part: Part
    segment: Segment | None = None
    data: Future[bytes | None] | None = None
    """As stored; None for what could not be spoken."""


@dataclass(frozen=True)
class Shelf:
    """Where the stored segments of a job are."""

    store: Store
    key: Callable[[Segment], str]
    pool: Executor
    """Fetches; nothing is computed there."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Digests that could not be spoken, and why."""
    all_failed: bool = True
    """Whether `failed` names them all; if not, a segment that is not stored is one of them."""

    def fetched(self, passages: Iterable[tuple[Passage, Part]]) -> Iterator[Row]:
        """Yield every segment in order, some fetched ahead, and every passage without any."""
        ahead: deque[Row] = deque()
        for passage, part in passages:
            for segment in part.segments or (None,):
                data = self.pool.submit(self._fetch, segment) if segment else None
                ahead.append(Row(passage, part, segment, data))
                if len(ahead) > AHEAD:
                    yield ahead.popleft()
        yield from ahead

    def _fetch(self, segment: Segment) -> bytes | None:
        if segment.digest in self.failed:
            return None
        try:
            return self.store.get(self.key(segment))
        except NotFound as error:
            if not self.all_failed:
                return None
            raise Lost(f"segment {segment.digest[:12]} is not in the store any more") from error
        except Damaged as error:
            raise self._removed(segment, error) from error

    def decode(self, segment: Segment, data: bytes) -> Audio:
        """Decode what was stored.

        Raises:
            Lost: it is damaged, and then removed.
            StoreUnavailable: it was damaged on its way here.
        """
        try:
            return flac.decode(data)[0]
        except InvalidInput as error:
            if self._fetch(segment) != data:
                name = segment.digest[:12]
                raise StoreUnavailable(f"segment {name} came damaged: {error}") from error
            raise self._removed(segment, error) from error

    def _removed(self, segment: Segment, error: Exception) -> Lost:
        """Remove a damaged segment, so that it is spoken again."""
        self.store.delete(self.key(segment))
        return Lost(f"segment {segment.digest[:12]} was damaged: {error}")


class Tape:
    """An item's joined signal, as raw float32, and its marks, one JSON a line."""

    def __init__(
        self, shelf: Shelf, sample_rate: int, folder: Path, *, marked: bool, measured: bool
    ) -> None:
        """Begin an empty tape; what goes to disk goes to `folder`, until the `with` block ends."""
        self.sample_rate = sample_rate
        self.spoken = 0
        """Segments joined."""
        self.voices: set[str] = set()
        """Who speaks in them, as the job names them."""
        self.failed = 0
        """Segments left out because they could not be spoken, passages because not planned."""
        self.reason = ""
        """Why the first of these segments could not, where that is known."""
        self.error = ""
        """Why the first passage that could not be planned could not."""
        self.warned = 0
        """Segments joined that came with a warning."""
        self.notices: dict[str, Notice] = {}
        """By message, in the order of the text."""
        self.loudness = loudness.Loudness(-np.inf, -np.inf)
        """Not of a tape that is not measured."""
        self._shelf = shelf
        where = str(folder)
        self._signal = SpooledTemporaryFile(IN_MEMORY, dir=where)  # noqa: SIM115
        self.marks = SpooledTemporaryFile(IN_MEMORY, dir=where)  # noqa: SIM115
        self._marked = marked
        self._measured = measured
        self._length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signal.close()
        self.marks.close()

    @property
    def seconds(self) -> float:
        """Length of the joined signal."""
        return self._length / self.sample_rate

    @property
    def short(self) -> bool:
        """Whether the signal is held in memory."""
        return self._length * 4 <= IN_MEMORY

    def record(self, rows: Iterable[Row], head_ms: int, tail_ms: int) -> None:
        """Join the segments that could be spoken, with their pauses, between two silences.

        Raises:
            Lost: a segment is not in the store any more, or damaged (and then removed).
        """
        pieces = self._pieces(rows, joining.count(head_ms, self.sample_rate))
        joined = joining.join(pieces, self.sample_rate, head_ms, tail_ms)
        blocks = self._written(joined)
        if self._measured:
            self.loudness = loudness.measure(blocks, self.sample_rate)
        else:
            deque(blocks, maxlen=0)

    def blocks(self, gain: float) -> Iterator[Samples]:
        """Read the joined signal back, louder or softer."""
        self._signal.seek(0)
        while data := self._signal.read(BLOCK * 4):
            yield np.frombuffer(data, np.float32) * np.float32(gain)

    def _written(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        for block in blocks:
            self._signal.write(block.tobytes())
            self._length += len(block)
            yield block

    def _pieces(self, rows: Iterable[Row], at: int) -> Iterator[tuple[Audio, int]]:
        """Yield every signal with its pause, and write its marks; the last has no pause."""
        for (passage, segment, audio), last in _with_last(self._spoken(rows)):
            pause = 0 if last else segment.pause_ms
            if self._marked:
                for mark in _marks(passage, segment, audio, at / self.sample_rate):
                    self.marks.write(to_json(mark) + b"\n")
            samples, rate = len(audio.samples), audio.sample_rate
            at += joining.resampled_length(samples, rate, self.sample_rate)
            at += joining.count(pause, self.sample_rate)
            self.spoken += 1
            self.voices.add(segment.voice)
            self._note(segment, audio)
            yield audio, pause

    def _note(self, segment: Segment, audio: Audio) -> None:
        """Count a segment's warnings."""
        self.warned += bool(audio.warnings)
        for message in audio.warnings:
            if notice := self.notices.get(message):
                self.notices[message] = replace(notice, segments=notice.segments + 1)
            elif len(self.notices) < NOTICES:
                self.notices[message] = Notice(message, segment.text)

    def _note_part(self, part: Part) -> None:
        """Count what of a passage is in no segment."""
        self.warned += len(part.warnings)
        for message in part.warnings:
            if len(self.notices) < NOTICES:
                self.notices[message] = Notice(message, "", 0)

    def _spoken(self, rows: Iterable[Row]) -> Iterator[tuple[Passage, Segment, Audio]]:
        """Yield what could be spoken; note what could not, and passages that were not planned."""
        told: Part | None = None
        for row in rows:
            if row.part is not told:
                told = row.part
                self._note_part(told)
            if row.segment is None or row.data is None:
                self.failed += bool(row.part.error)
                self.error = self.error or row.part.error
            elif (data := row.data.result()) is None:
                self.failed += 1
                self.reason = self.reason or self._shelf.failed.get(row.segment.digest, "")
            else:
                yield row.passage, row.segment, self._shelf.decode(row.segment, data)


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
        if block.start <= segment.start < block.in_source(len(block.text)):
            return block.text[block.in_text(segment.start) : block.in_text(segment.end)]
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
