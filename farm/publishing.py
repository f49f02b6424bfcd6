"""A job's items to what its client fetches: the packaged book, whole-book subtitles, a manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from farm.assembly import File, ItemRecord, digest_file, read_marks, tags_of
from farm.book import m4b, subtitles
from farm.jobs import SCHEMA, About, Mark, Spec
from farm.storage import Store


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

    @property
    def title(self) -> str:
        """The book's title."""
        return self.spec.title or self.about.title or self.spec.id

    def package(self, records: Sequence[ItemRecord]) -> dict[str, File]:
        """Write and store the packaged book and its subtitles, by format."""
        spoken = [record for record in records if "m4a" in record.files]
        if self.spec.output.package != "m4b" or not spoken:
            return {}
        chapters = []
        for record in spoken:
            path = self.folder / f"{record.index:05d}.m4a"
            self.store.get_file(record.files["m4a"].key, path)
            chapters.append(m4b.Chapter(record.title or record.id, path))
        book = self.folder / "book.m4b"
        tags = {**tags_of(self.spec, self.about), "title": self.title, "album": self.title}
        seconds = m4b.write(book, chapters, tags, self._cover())
        made = {"m4b": self._put(book, seconds)}
        for name in self.spec.output.subtitles:
            path = self.folder / f"book.{name}"
            marks = self._book_marks(spoken, m4b.starts(chapters))
            path.write_text(subtitles.WRITERS[name](marks), encoding="utf-8")
            made[name] = self._put(path)
        return made

    def _cover(self) -> bytes | None:
        return self.store.get(self.about.cover) if self.about.cover else None

    def _book_marks(self, records: Sequence[ItemRecord], starts: Sequence[float]) -> Iterator[Mark]:
        """Yield the marks of all chapters, moved to where each begins in the book."""
        for record, start in zip(records, starts, strict=True):
            at = round(start * 1000)
            for mark in read_marks(self.store.get(record.files["marks"].key)):
                yield replace(mark, start_ms=mark.start_ms + at, end_ms=mark.end_ms + at)

    def _put(self, path: Path, seconds: float = 0.0) -> File:
        key = self.output_key(path.name)
        self.store.put_file(key, path)
        name = "".join(c if c.isalnum() or c in " -_'," else " " for c in self.title)
        name = " ".join(name.split()) + path.suffix
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
