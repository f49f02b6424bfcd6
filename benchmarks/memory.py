"""Print the peak memory of every process of the farm for a short and a long book."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.farm_run import running
from benchmarks.material import sentences

#: Seconds between two looks at the processes.
LOOK_S = 0.5
#: Words of a chapter.
CHAPTER = 2_500

CONTAINER = (
    '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="content.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Long</dc:title></metadata>'
    "<manifest>{items}</manifest><spine>{refs}</spine></package>"
)
ITEM = '<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>'
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>'


def write_book(words: int, path: Path) -> None:
    """Write an EPUB 3 of about so many words, no sentence twice."""
    lines = iter(sentences(words * 7))
    names = [f"{number:03d}.xhtml" for number in range(1, words // CHAPTER + 1)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr("META-INF/container.xml", CONTAINER)
        for name in names:
            book.writestr(name, _chapter(name, lines))
        items = "".join(ITEM.format(name=name) for name in names)
        refs = "".join(f'<itemref idref="{name}"/>' for name in names)
        book.writestr("content.opf", PACKAGE.format(items=items, refs=refs))


def _chapter(name: str, lines: Iterator[str]) -> str:
    paragraphs, said = [f"<h1>Chapter {int(name[:3])}</h1>"], 0
    while said < CHAPTER:
        paragraph = " ".join(next(lines) for _ in range(5))
        said += len(paragraph.split())
        paragraphs.append(f"<p>{paragraph}</p>")
    return XHTML.format(body="".join(paragraphs))


def peaks(home: Path) -> dict[str, int]:
    """Return the highest resident size so far, in kB, of each kind of process of a home."""
    found: dict[str, int] = {}
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            if f"FARM_HOME={home}".encode() not in environment:
                continue
            command = (folder / "cmdline").read_text().split("\0")
            status = (folder / "status").read_text()
        except OSError:
            continue
        name = _name(command)
        peak = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM"))
        found[name] = max(found.get(name, 0), peak)
    return found


def _name(command: list[str]) -> str:
    """Name a kind of process: `worker cpu`, `control`, `redis-server`."""
    if "-m" not in command:
        return Path(command[0].split()[0]).name
    words = [part for part in command[3:6] if part and not part.startswith("-")]
    return " ".join(words[: 2 if words[0] == "worker" else 1])


def measure(words: int, voice: str) -> dict[str, int]:
    """Make a book of so many words in a farm of its own; return its processes' peaks."""
    folder = Path(tempfile.mkdtemp(prefix="farm-memory-"))
    book, seen, over = folder / "book.epub", dict[str, int](), threading.Event()
    write_book(words, book)

    def look() -> None:
        while not over.wait(LOOK_S):
            for name, peak in peaks(folder / "home").items():
                seen[name] = max(seen.get(name, 0), peak)

    with running(folder / "home", {}) as environment:
        thread = threading.Thread(target=look)
        thread.start()
        command = ["book", str(book), "-o", str(folder / "b.m4b"), "--voice", voice]
        farm = [sys.executable, "-m", "farm.cli", *command, "--subtitles", "srt"]
        subprocess.run(farm, env=environment, check=True)
        over.set()
        thread.join()
    shutil.rmtree(folder)
    return seen


def main() -> None:
    """Print a table: process, MB for each book."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, nargs="+", default=[10_000, 200_000])
    parser.add_argument("--voice", default="slt")
    chosen = parser.parse_args()
    columns = [measure(words, chosen.voice) for words in chosen.words]
    print("| process | " + " | ".join(f"{words:,} words" for words in chosen.words) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in sorted(columns[-1]):
        cells = " | ".join(f"{column.get(name, 0) / 1024:.0f} MB" for column in columns)
        print(f"| {name} | {cells} |")
    print(f"({len(os.sched_getaffinity(0))} cores)")


main()
