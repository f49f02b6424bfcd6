"""Read-along EPUBs of whole jobs: of every kind of source, and the same each time."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farm.cli.book import SAMPLE
from farm.jobs import Output, State
from tests.book.narrated import faults
from tests.running import Running
from tests.text.epubs import Toc, page, write_epub

OUTPUT = Output("m4a", readalong=True)
MARKDOWN = (
    "---\ntitle: The Mill\n---\n# Rain\n\nIt *really* rains. It pours.\n\n## Hail\n\nStones.\n"
)
SSML = "<speak><p>It <prosody rate='slow'>really</prosody> rains.</p><p>So.</p></speak>"


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    running = Running(redis_url, tmp_path)
    yield running
    running.close()


def made(
    farm: Running, data: str | Path, name: str, output: Output = OUTPUT, **changes: Any
) -> Path:
    """Make a book of a source; return its read-along."""
    farm.submit(data, kind="book", name=name, output=output, **changes)
    assert farm.finish() == State.COMPLETED
    file = farm.manifest()["package"]["epub"]
    path = farm.farm.cache.parent / "made.epub"
    path.write_bytes(farm.farm.store.get(file["key"]))
    assert (file["name"].endswith(".epub"), file["size"]) == (True, path.stat().st_size)
    spoken = sum(item.get("seconds", 0.0) for item in farm.manifest()["items"])
    assert file["seconds"] == pytest.approx(spoken, abs=0.01)
    return path


def spans(book: Path) -> list[str]:
    """The texts of all spans with an id, in the order of the archive."""
    found = []
    with zipfile.ZipFile(book) as archive:
        for name in archive.namelist():
            if name.endswith(".xhtml"):
                text = archive.read(name).decode()
                found += re.findall(r'<span id="s\d+">(.*?)</span>', text, re.DOTALL)
    return found


def test_the_sample_book_is_kept_as_it_is(farm: Running) -> None:
    book = made(farm, SAMPLE, "late-letters.epub")
    assert faults(book) == []
    # One sentence begins before an element and ends within: "On the outside it said: <i>Sam."
    assert farm.count("segments") + 1 == len(spans(book)) > 200
    with zipfile.ZipFile(SAMPLE) as old, zipfile.ZipFile(book) as new:
        assert set(old.namelist()) < set(new.namelist())
        assert new.read("EPUB/style.css") == old.read("EPUB/style.css")


def test_an_epub_2_is_set_anew(farm: Running, tmp_path: Path) -> None:
    pages = {
        "cover.xhtml": page("<p>The Mill</p>"),
        "a.xhtml": page('<h1>Rain</h1><p align="left">It <tt>really</tt> rains.</p>'),
    }
    toc: Toc = [("Cover", "cover.xhtml", []), ("Rain", "a.xhtml", [])]
    old = write_epub(tmp_path / "old.epub", pages, version=2, toc=toc)
    book = made(farm, old, "old.epub")
    assert faults(book) == []
    assert spans(book) == ["Rain", "It really rains."]


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (MARKDOWN, "mill.md", ["Rain", "It really rains.", "It pours.", "Hail", "Stones."]),
        ("It rains.\n\nIt pours.\n", "mill.txt", ["It rains.", "It pours."]),
        (SSML, "mill.ssml", ["It", "really", "rains.", "So."]),
    ],
)
def test_a_text_is_set_as_a_book(text: str, name: str, found: list[str], farm: Running) -> None:
    assert [span.strip() for span in spans(made(farm, text, name))] == found


def test_it_comes_beside_an_audiobook_and_is_the_same_each_time(farm: Running) -> None:
    both = Output("m4a", "m4b", ("mp3",), readalong=True)
    first = made(farm, MARKDOWN, "mill.md", both).read_bytes()
    assert set(farm.manifest()["package"]) == {"m4b", "epub"}
    assert set(farm.manifest()["items"][0]["files"]) == {"m4a", "mp3", "marks"}
    farm.submit(MARKDOWN, "again", "book", name="mill.md", output=OUTPUT)
    assert farm.finish("again") == State.COMPLETED
    key = farm.manifest("again")["package"]["epub"]["key"]
    assert farm.farm.store.get(key) == first


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("front_matter", "titles", "heard"),
    [
        (False, ["Rain"], ["Rain", "It rains."]),
        (True, ["Cover", "Rights", "Rain"], ["The Mill", "All rights.", "Rain", "It rains."]),
    ],
)
def test_the_first_pages_of_a_book_are_spoken_where_that_is_asked_for(
    version: int,
    front_matter: bool,
    titles: list[str],
    heard: list[str],
    farm: Running,
    tmp_path: Path,
) -> None:
    pages = {
        "cover.xhtml": page("<p>The Mill</p>"),
        "c.xhtml": page('<section epub:type="copyright-page"><p>All rights.</p></section>'),
        "a.xhtml": page("<h1>Rain</h1><p>It rains.</p>"),
    }
    toc: Toc = [("Cover", "cover.xhtml", []), ("Rights", "c.xhtml", []), ("Rain", "a.xhtml", [])]
    epub = write_epub(tmp_path / "b.epub", pages, version=version, toc=toc)
    book = made(farm, epub, "b.epub", front_matter=front_matter)
    assert [item["title"] for item in farm.manifest()["items"]] == titles
    assert spans(book) == heard


def test_a_book_of_which_nothing_is_spoken_has_none(farm: Running) -> None:
    farm.submit("* * *\n", kind="book", name="a.txt", output=OUTPUT)
    assert farm.finish() == State.FAILED
    assert farm.manifest()["package"] == {}
