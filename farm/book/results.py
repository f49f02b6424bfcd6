"""What a batch made as one ZIP, in the form of Azure's batch synthesis.

As in Microsoft's page on the batch synthesis API (version 2024-04-01), "Batch synthesis results":

    0001.wav             an input's audio, with its format's suffix
    0001.word.json       `[{"Text", "AudioOffset", "Duration"}]`, milliseconds, where asked for
    0001.sentence.json   the same by sentence
    0001.debug.json      what was done otherwise than asked, or why an input failed
    summary.json         every input: its text, and its files or why there are none

A file that was asked for is there even when it holds nothing. Numbers are the inputs', from 1.
The bytes are a function of what is put in: no times, and nothing is compressed.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.audio import files, joining
from farm.audio.formats import format_named
from farm.book.zips import entry
from farm.jobs import Mark, Output
from farm.schema import from_json
from farm.storage import Store

#: Option to the marks' type, the file's suffix, and its field in the summary.
BOUNDARIES = {
    "words": ("word", ".word.json", "wordBoundaryFileName"),
    "sentences": ("sentence", ".sentence.json", "sentenceBoundaryFileName"),
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Input:
    """A text and what was made of it."""

    content: str
    """As its client wrote it: plain text or SSML."""
    seconds: float = 0.0
    audio: str = ""
    """Store key of its audio; empty: there is none."""
    marks: str = ""
    """Store key of its marks, where boundaries are asked for."""
    error: str = ""
    """Why there is no audio, or not of all of it: then it counts as failed."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pack:
    """What a ZIP is made with."""

    store: Store
    output: Output
    folder: Path
    """For temporary files, one at a time."""
    pause_ms: int = 0
    """Between two inputs that are joined."""

    def write(self, path: Path, name: str, inputs: Iterable[Input]) -> Row:
        """Write the ZIP of the job `name` at `path`; return its summary.

        Raises:
            NotFound: a file of an input is not in the store any more.
        """
        with zipfile.ZipFile(path, "w") as archive:
            make = self._joined if "joined" in self.output.options else self._each
            rows = list(make(archive, inputs))
            spoken = any("audioFileName" in row for row in rows)
            status = "Succeeded" if spoken else "Failed"
            summary = {"jobID": name, "status": status, "results": rows}
            archive.writestr(entry("summary.json"), dumped(summary))
        return summary

    def _each(self, archive: zipfile.ZipFile, inputs: Iterable[Input]) -> Iterator[Row]:
        """Add every input's files."""
        for number, each in enumerate(inputs, start=1):
            name = f"{number:04d}"
            _debug(archive, name, each)
            held = [] if each.error else [each]
            bounds = self._bounds(archive, name, held, [0] * len(held))
            if each.error:
                yield {**_lost(each), **bounds}
                continue
            path = self.folder / f"audio{format_named(self.output.format).suffix}"
            self.store.get_file(each.audio, path)
            yield {**_spoken([each], _add(archive, name, path, each.seconds)), **bounds}

    def _joined(self, archive: zipfile.ZipFile, inputs: Iterable[Input]) -> Iterator[Row]:
        """Add the audio of all inputs as one; those that failed are left out of it."""
        held: list[Input] = []
        failed: list[Input] = []
        for number, each in enumerate(inputs, start=1):
            _debug(archive, f"{number:04d}", each)
            (failed if each.error else held).append(each)
        path = self.folder / f"joined{format_named(self.output.format).suffix}"
        begins, seconds = self._join(path, held) if held else ([], 0.0)
        bounds = self._bounds(archive, "0001", held, begins)
        if held:
            yield {**_spoken(held, _add(archive, "0001", path, seconds)), **bounds}
        yield from map(_lost, failed)

    def _join(self, path: Path, held: list[Input]) -> tuple[list[int], float]:
        """Encode the inputs' FLACs as one file; return when each begins (ms), and its seconds."""
        rate, output, at = self.output.sample_rate, self.output, 0
        begins: list[int] = []
        pause = joining.silence(self.pause_ms, rate)
        with files.Writer(path, output.format, rate, bit_rate=output.bit_rate) as writer:
            for number, each in enumerate(held):
                part = self.folder / "part.flac"
                self.store.get_file(each.audio, part)
                if number:
                    writer.write(pause)
                    at += len(pause)
                begins.append(round(at * 1000 / rate))
                for block in files.read_blocks(part):
                    writer.write(block)
                    at += len(block)
                part.unlink()
        return begins, at / rate

    def _bounds(
        self, archive: zipfile.ZipFile, name: str, held: list[Input], begins: list[int]
    ) -> Row:
        """Add the boundary files that are asked for, of inputs in one audio; name them."""
        named: Row = {}
        for option, (kind, suffix, field) in BOUNDARIES.items():
            if option in self.output.options:
                named[field] = name + suffix
                with archive.open(entry(name + suffix), "w") as stream:
                    stream.writelines(_listed(self._boundaries(kind, held, begins)))
        return named

    def _boundaries(self, kind: str, held: list[Input], begins: list[int]) -> Iterator[Row]:
        for each, begin in zip(held, begins, strict=True):
            for line in self.store.get(each.marks).splitlines():
                mark = from_json(Mark, line)
                if mark.type == kind:
                    yield {
                        "Text": mark.text,
                        "AudioOffset": begin + mark.start_ms,
                        "Duration": mark.end_ms - mark.start_ms,
                    }


def dumped(value: object) -> bytes:
    """Write JSON for a client's eyes."""
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _spoken(held: list[Input], made: Row) -> Row:
    return {"contents": [each.content for each in held], "status": "Succeeded", **made}


def _lost(each: Input) -> Row:
    error = {"code": "SynthesisFailed", "message": each.error}
    return {"contents": [each.content], "status": "Failed", "error": error}


def _add(archive: zipfile.ZipFile, name: str, path: Path, seconds: float) -> Row:
    """Move audio into the ZIP, piece by piece; say what it is."""
    name, size = name + path.suffix, path.stat().st_size
    with path.open("rb") as source, archive.open(entry(name, size), "w") as target:
        shutil.copyfileobj(source, target)
    path.unlink()
    known = {"sizeInBytes": str(size), "durationInMilliseconds": str(round(seconds * 1000))}
    return {"audioFileName": name, "properties": known}


def _debug(archive: zipfile.ZipFile, name: str, each: Input) -> None:
    told = {"error": each.error} if each.error else {}
    archive.writestr(entry(f"{name}.debug.json"), dumped({**told, "warnings": each.warnings}))


def _listed(rows: Iterable[Row]) -> Iterator[bytes]:
    """Write a JSON list, a row a line."""
    before, after = "[\n  ", "[]\n"
    for row in rows:
        yield (before + json.dumps(row, ensure_ascii=False)).encode()
        before, after = ",\n  ", "\n]\n"
    yield after.encode()
