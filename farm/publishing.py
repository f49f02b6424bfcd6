"""A job's items to what its client fetches: a package (a book, a ZIP), and a manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from farm import keys
from farm.assembly import File, ItemRecord, digest_file, read_marks, tags_of
from farm.audio import files
from farm.book import m4b, readalong, results, subtitles, typeset
from farm.jobs import Block, Mark, Spec
from farm.planning import PAUSES_MS
from farm.plans import About, Head, Passage
from farm.schema import SCHEMA, from_json
from farm.storage import Store

#: What EPUB takes for a language (BCP 47).
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True)
class Press:
    """What packaging needs."""

    store: Store
    spec: Spec
    about: About
    revision: int
    output_key: Callable[[str], str]
    """File name within the attempt to store key."""
    folder: Path
    """For temporary files."""
    failures: Sequence[Mapping[str, Any]] = ()
    """What could not be spoken: `item`, `text`, `error`."""

    @property
    def title(self) -> str:
        """The book's title."""
        return self.spec.title or self.about.title or self.spec.id

    @property
    def cover(self) -> bytes | None:
        """The book's cover, where it has one."""
        return self.store.get(self.about.cover) if self.about.cover else None

    def package(self, records: Iterable[ItemRecord]) -> dict[str, File]:
        """Make and store what the job wants beside its items' files, by format.

        `records` are iterated several times.
        """
        make = PACKAGES.get(self.spec.output.package)
        made = make(self, records) if make else {}
        return made | (_readalong(self, records) if self.spec.output.readalong else {})

    def put(self, path: Path, seconds: float = 0.0, name: str = "") -> File:
        """Store a file of the package; its name for a person is the book's title, or given."""
        key = self.output_key(path.name)
        self.store.put_file(key, path)
        name = name or (files.readable(self.title) or path.stem) + path.suffix
        return File(key, name, digest_file(path), path.stat().st_size, round(seconds, 3))

    def manifest(self, records: Iterable[ItemRecord], package: dict[str, File], path: Path) -> None:
        """Write the list of every output, an item a line."""
        voices = [
            {"id": voice.id, "digest": voice.digest, "licence": voice.licence}
            | ({"consent": voice.consent} if voice.consent else {})
            for voice in self.spec.voices.values()
        ]
        about: dict[str, Any] = {
            "schema": SCHEMA,
            "job": self.spec.id,
            "revision": self.revision,
            "kind": self.spec.kind,
            "title": self.title,
            "author": self.about.author,
            "voices": voices,
            "package": {name: asdict(file) for name, file in package.items()},
        }
        with path.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(about, ensure_ascii=False)[:-1] + ', "items": [')
            for number, record in enumerate(records):
                row = {name: value for name, value in asdict(record).items() if value}
                stream.write(",\n" if number else "\n")
                stream.write(json.dumps({**row, "index": record.index}, ensure_ascii=False))
            stream.write("\n]}\n")


def _m4b(press: Press, records: Iterable[ItemRecord]) -> dict[str, File]:
    """Make an audiobook, and subtitles of the whole of it; nothing where nothing was spoken."""
    spoken = [record for record in records if "m4a" in record.files]
    if not spoken:
        return {}
    chapters = []
    for record in spoken:
        path = press.folder / f"{record.index:05d}.m4a"
        press.store.get_file(record.files["m4a"].key, path)
        chapters.append(m4b.Chapter(record.title or record.id, path))
    book = press.folder / "book.m4b"
    tags = {**tags_of(press.spec, press.about), "title": press.title, "album": press.title}
    seconds = m4b.write(book, chapters, tags, press.cover)
    made = {"m4b": press.put(book, seconds)}
    for name in press.spec.output.subtitles:
        path = press.folder / f"book.{name}"
        marks = _book_marks(press.store, spoken, m4b.starts(chapters))
        path.write_text(subtitles.WRITERS[name](marks), encoding="utf-8")
        made[name] = press.put(path)
    return made


def _book_marks(
    store: Store, records: Iterable[ItemRecord], starts: Sequence[float]
) -> Iterator[Mark]:
    """Yield the marks of all chapters, moved to where each begins in the book."""
    for record, start in zip(records, starts, strict=True):
        at = round(start * 1000)
        for mark in read_marks(store.get(record.files["marks"].key)):
            yield replace(mark, start_ms=mark.start_ms + at, end_ms=mark.end_ms + at)


def _readalong(press: Press, records: Iterable[ItemRecord]) -> dict[str, File]:
    """Make a read-along EPUB: of the source itself where that is EPUB 3, else of its text."""
    if not any("m4a" in record.files for record in records):
        return {}
    source, name = press.folder / "source", press.spec.name
    press.store.get_file(press.spec.input, source)
    kept = readalong.is_kept(source, name)
    if not kept:
        facts = typeset.Facts(press.title, _language(press), press.about.author, press.cover)
        pairs = zip(records, _blocks(press), strict=True)
        parts = (typeset.Part(record.title, record.level, held) for record, (_, held) in pairs)
        typeset.write(source, facts, parts)
    book = press.folder / "readalong.epub"
    # A book that was set here anew has nothing in it but what was spoken.
    whole = press.spec.front_matter or not kept
    seconds = readalong.write(book, source, name, _chapters(press, records), front_matter=whole)
    return {"epub": press.put(book, seconds)}


def _language(press: Press) -> str:
    """The language of a book's text, in the form that EPUB asks for."""
    spec = press.spec
    said = (spec.language, press.about.language, spec.voices[spec.voice].language)
    found = (each.replace("_", "-") for each in said)
    return next(filter(_LANGUAGE.fullmatch, found), "und")


def _chapters(press: Press, records: Iterable[ItemRecord]) -> Iterator[readalong.Chapter]:
    """Yield a book's items with what was made of them, the audio of one on disk at a time."""
    path = press.folder / "chapter.m4a"
    for record, (index, blocks) in zip(records, _blocks(press), strict=True):
        if "m4a" in record.files:
            press.store.get_file(record.files["m4a"].key, path)
            marks = _marks(press.store, record.files["marks"].key)
            yield readalong.Chapter(index, blocks, marks, path, record.seconds)
            path.unlink()
        else:
            yield readalong.Chapter(index, blocks)


def _blocks(press: Press) -> Iterator[tuple[int, Iterator[Block]]]:
    """Yield each item's number and its text as it was planned; take it before the next."""
    for index, passages in groupby(_passages(press), lambda passage: passage.item.index):
        held = (block for passage in passages for block in passage.item.blocks)
        yield index, (block for block in held if typeset.written(block.text).strip())


def _passages(press: Press) -> Iterator[Passage]:
    head = from_json(Head, press.store.get(keys.head(press.spec.id, press.revision)))
    for page in range(head.pages):
        key = keys.plan(press.spec.id, press.revision, "source", page)
        for row in press.store.get(key).splitlines():
            yield from_json(Passage, row)


def _marks(store: Store, key: str) -> Iterator[Mark]:
    """Yield an item's marks, which may be many."""
    with store.open(key) as stream:
        for line in stream:
            yield from_json(Mark, line)


def _azure(press: Press, records: Iterable[ItemRecord]) -> dict[str, File]:
    """Make the ZIP of a batch's results, and beside it the summary that is in it."""
    spec, lines = press.spec, press.folder / "lines"
    press.store.get_file(spec.input, lines)
    pause_ms = {**PAUSES_MS, **spec.pauses}["paragraph"]
    pack = results.Pack(press.store, spec.output, press.folder, pause_ms)
    archive, summary = press.folder / "results.zip", press.folder / "summary.json"
    with lines.open("rb") as stream:
        inputs = _inputs(press, records, (json.loads(line) for line in stream if line.strip()))
        told = pack.write(archive, keys.called(spec.id), inputs)
    summary.write_bytes(results.dumped(told))
    seconds = sum(record.seconds for record in records)
    made = {"zip": press.put(archive, seconds, archive.name)}
    return {**made, "summary": press.put(summary, name=summary.name)}


def _inputs(
    press: Press, records: Iterable[ItemRecord], lines: Iterable[Mapping[str, str]]
) -> Iterator[results.Input]:
    """Yield a batch's lines with what was made of them."""
    reasons = {row["item"]: row["error"] for row in reversed(press.failures)}
    output = press.spec.output
    format = "flac" if "joined" in output.options else output.format
    for record, line in zip(records, lines, strict=True):
        found = {kind: file.key for kind, file in record.files.items()}
        lost = f"{record.failed} of {record.segments} segments could not be spoken"
        yield results.Input(
            content=line.get("text") or line.get("ssml") or "",
            seconds=record.seconds,
            audio=found.get(format, ""),
            marks=found.get("marks", ""),
            error=reasons.get(record.index) or record.error or (lost if record.failed else ""),
            warnings=tuple(notice.message for notice in record.warnings),
        )


#: What `Output.package` may name.
PACKAGES: Mapping[str, Callable[[Press, Iterable[ItemRecord]], dict[str, File]]] = {
    "m4b": _m4b,
    "azure": _azure,
}
