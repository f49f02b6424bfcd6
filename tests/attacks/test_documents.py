"""Documents that are made to hang, to crash, to fill memory or to read what is not theirs."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import unicodedata
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from farm import paging, planning
from farm.errors import InvalidInput
from farm.jobs import Block, Item, Spec, Voice
from farm.plans import Page
from farm.text.documents import Document, read
from farm.text.xhtml import MOST_MARKS
from tests.attacks import zips
from tests.attacks.fuzzing import check_planned
from tests.text.epubs import page, write_epub

#: Bytes of memory that a reader may take beside what Python and its libraries do.
MEMORY = 700 << 20
#: Seconds in which anything is refused or read, on a busy machine.
PATIENCE_S = 30.0

VOICE = Voice("v", "d" * 64, "tone", "tone", "en", 8_000)
SPEC = Spec("j", "book", "farm", "ann", "k", "v", {"v": VOICE}, 0.0)


def planned(document: Document) -> tuple[list[Page], list[str]]:
    """Plan a document as a job does; the pages, and everything that it warns of."""
    items = [
        Item(index, f"{index:04d}", section.title, 1, section.blocks, warnings=section.warnings)
        for index, section in enumerate(document.sections)
    ]
    pages = [planning.plan(each, SPEC, lambda _: "") for each in paging.pages(items)]
    told = [warning for item in items for warning in item.warnings]
    told += [warning for each in pages for part in each.parts for warning in part.warnings]
    return pages, told + [failure.error for each in pages for failure in each.failures]


def spoken(pages: list[Page]) -> str:
    return " ".join(s.text for each in pages for part in each.parts for s in part.segments)


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def outcomes(*paths: Path) -> dict[str, str]:
    """What becomes of documents, in a process with little memory: errors, or characters spoken."""
    code = (
        "import resource, sys, time\n"
        "from pathlib import Path\n"
        "from tests.attacks.test_documents import planned, read, spoken, InvalidInput\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {MEMORY},) * 2)\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    start = time.thread_time()\n"
        "    try:\n"
        "        said = f'{len(spoken(planned(read(path, path.name))[0]))} characters'\n"
        "    except InvalidInput as error:\n"
        "        said = str(error)\n"
        f"    slow = time.thread_time() - start > {PATIENCE_S}\n"
        "    print(path, said, 'SLOW' if slow else '', sep='\\t')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *paths],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    assert "SLOW" not in run.stdout, run.stdout
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    return {Path(path).name: said for path, said, _ in rows}


def outcome(path: Path) -> str:
    """What becomes of one document."""
    return outcomes(path)[path.name]


# --- archives


def test_a_million_files_are_refused_before_their_directory_is_read(tmp_path: Path) -> None:
    path = zips.crowded(tmp_path / "a.epub", 1_000_000)
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInput, match=r"'a\.epub' is not an EPUB: \d+ bytes at once"):
        read(path, path.name)
    assert time.monotonic() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_directory_of_many_files_is_counted(tmp_path: Path) -> None:
    path = zips.crowded(tmp_path / "a.epub", 30_000)
    with pytest.raises(InvalidInput, match=r"'a\.epub' is too large: 30000 files"):
        read(path, path.name)


def test_a_file_that_unpacks_to_more_than_it_says_is_left_in_time(tmp_path: Path) -> None:
    path = zips.lying(tmp_path / "a.epub", "META-INF/encryption.xml", 2 << 30)
    assert path.stat().st_size < 3 << 20
    assert "'META-INF/encryption.xml' in it" in outcome(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_without_a_bound_is_refused(tmp_path: Path, method: int) -> None:
    path = zips.packed_by(tmp_path / "a.epub", method)
    with pytest.raises(InvalidInput, match="neither stored nor deflated"):
        read(path, path.name)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "one.xhtml"])
def test_a_link_in_an_archive_is_refused(tmp_path: Path, target: str) -> None:
    path = zips.with_link(tmp_path / "a.epub", "OEBPS/link.xhtml", target)
    with pytest.raises(InvalidInput, match=r"'OEBPS/link.xhtml' in it is a link"):
        read(path, path.name)


def test_what_zip_itself_encrypted_is_refused(tmp_path: Path) -> None:
    path = zips.secret_by_zip(tmp_path / "a.epub")
    with pytest.raises(InvalidInput, match="encrypted"):
        list(read(path, path.name).sections)


@pytest.mark.parametrize("address", ["http://[", "//[x", "%00", "../" * 50 + "etc/passwd"])
def test_addresses_in_a_package_lead_nowhere(tmp_path: Path, address: str) -> None:
    path = write_epub(tmp_path / "a.epub", zips.CHAPTERS, toc=[("One", address, [])])
    assert "First chapter." in spoken(planned(read(path, path.name))[0])
    path = write_epub(tmp_path / "b.epub", {address: page("<p>x</p>")})
    with pytest.raises(InvalidInput):
        list(read(path, path.name).sections)


# --- what is in a page


def epub(tmp_path: Path, body: str | bytes) -> Path:
    """An EPUB of one page, well-formed or not."""
    data = body if isinstance(body, bytes) else page(body).encode()
    return write_epub(tmp_path / "a.epub", {"a.xhtml": ""}, files={"OEBPS/a.xhtml": data})


@pytest.mark.parametrize("code", ["xD800", "XDFFF", "x0000dBff", "55296", "057343"])
def test_half_a_character_by_number_is_replaced(tmp_path: Path, code: str) -> None:
    pages, _ = planned(read(epub(tmp_path, f"<p>One &#{code}; two.</p>"), "a.epub"))
    assert spoken(pages) == "One \ufffd two."


@pytest.mark.parametrize(
    "body",
    [
        "<p>One & two.</p><p>Three.</p>",
        "<p>One < two.</p><p>Three.</p>",
        "<p>One.\x08</p><p>Three.</p>",
        "<p>One.\0</p><p>Three.</p>",
        "<p>One.<br>Three.</p>",
        "<p>One.</p></body></html><p>Two.</p>",
        "<p>One.",
        "<p>One &publisher; two.</p>",
    ],
)
def test_where_something_may_be_lost_it_is_said(tmp_path: Path, body: str) -> None:
    pages, told = planned(read(epub(tmp_path, body), "a.epub"))
    assert "One" in spoken(pages)
    assert any("'OEBPS/a.xhtml'" in warning for warning in told)


@pytest.mark.parametrize("where", ["&l8;", "<a title='&l8;'>x</a>"])
def test_a_billion_laughs_are_not_laughed(tmp_path: Path, where: str) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    text = (
        f'<!DOCTYPE html [<!ENTITY l0 "ha">{laughs}]><html><body><p>Safe. {where}</p></body></html>'
    )
    assert len(outcome(epub(tmp_path, text.encode()))) < 300


def test_an_external_entity_is_refused_and_one_of_its_own_is_left_out_and_said(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("hunter2")
    text = (
        '<!DOCTYPE html [<!ENTITY f SYSTEM "{}"><!ENTITY g "x">]>'
        "<html><body><p>Safe. &f;&g;</p></body></html>"
    )
    for encoding in ("utf-8", "utf-16"):
        data = text.format((tmp_path / "secret").as_uri()).encode(encoding)
        with pytest.raises(InvalidInput, match="defines an external entity"):
            read(epub(tmp_path, data), "a.epub")
    data = text.replace('SYSTEM "{}"', '"y"').encode()
    pages, told = planned(read(epub(tmp_path, data), "a.epub"))
    assert spoken(pages) == "Safe."
    assert [warning.partition(": ")[2][:21] for warning in told] == [
        f"the entity '&{name};' is l" for name in "fg"
    ]


LARGE: dict[str, Callable[[], bytes]] = {
    "text": lambda: page("<p>" + "word " * 2_500_000 + "</p>").encode(),
    "depth": lambda: page("<div>" * 400 + "x" + "</div>" * 400 + "<p>After.</p>").encode(),
    "tags": lambda: page("<p/>" * 12_000_000).encode(),
    "attributes": lambda: page("<p " + "a='' " * MOST_MARKS + "/>").encode(),
}  # fmt: skip


def test_a_page_beyond_the_parsers_limits_is_refused_and_not_cut(tmp_path: Path) -> None:
    paths = []
    for kind, made in LARGE.items():
        (tmp_path / kind).mkdir()
        paths.append(epub(tmp_path / kind, made()).rename(tmp_path / f"{kind}.epub"))
    for name, said in outcomes(*paths).items():
        assert f"'{name}' is broken: 'OEBPS/a.xhtml' in it is not XHTML" in said


# --- texts


def test_a_paragraph_of_a_hundred_megabytes_is_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, b"word " * 20_000_000) for name in ("a.txt", "a.md")]
    for name, said in outcomes(*paths).items():
        assert said.startswith(f"'{name}' is too large: 100000000 bytes")


def test_a_paragraph_of_many_pages_is_planned_page_by_page() -> None:
    words = [f"{a}{b}" for a in "bcdfghjklm" for b in ("an", "en", "in", "on", "un")]
    said = [f"This is {a} of the {b} here." for a in words for b in words] * 4
    item = Item(0, "0001", blocks=(Block(" ".join(said)),))
    pages = list(paging.pages([item]))
    assert len(pages) > 5
    assert max(sum(len(b.text) for p in each for b in p.item.blocks) for each in pages) <= 40_000
    parts = [part for each in pages for part in planning.plan(each, SPEC, lambda _: "").parts]
    segments = [segment for part in parts for segment in part.segments]
    whole = " ".join(said)
    assert [whole[s.start : s.end] for s in segments] == said
    assert {s.pause_ms for s in segments[:-1]} == {planning.PAUSES_MS["sentence"]}


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "a\u0301" * 150_000,
        "\u0301" * 300_000,
        "👩‍👩‍👧‍👦" * 30_000,
        "(" * 300_000,
        "“" * 100_000,
        "1" * 300_000,
        "1,2." * 60_000,
        "." * 300_000 + "x",
        "$1 " * 50_000,
        "\u202e" + "word " * 50_000,
    ],
    ids=lambda text: f"{text[:4]!r}",
)
def test_no_run_of_characters_takes_long(text: str) -> None:
    start = time.thread_time()
    for each in paging.pages([Item(0, "0001", blocks=(Block(text[:40_000]),))]):
        planning.plan(each, SPEC, lambda _: "")
    assert time.thread_time() - start < PATIENCE_S


MARKDOWN = {
    "brackets": "[" * 100_000,
    "images": "![" * 50_000,
    "links": "[a](" * 50_000,
    "stars": "*a **b " * 30_000,
    "ticks": "".join("`" * n + " " for n in range(1, 600)),
    "quotes": "> " * 20_000 + "x",
    "lists": "".join(" " * n + "- x\n" for n in range(1_000)),
    "comments": "<!-- " * 60_000,
    "tags": "<a " * 60_000,
    "notes": "[^a] " * 20_000 + "\n\n[^a]: " + "[^a] " * 20_000,
    "definitions": "".join(f"[{n}]: x\n" for n in range(20_000)) + "[1] " * 20_000,
    "table": "|a" * 2_000 + "\n" + "|-" * 2_000 + "\n" + ("|b" * 2_000 + "\n") * 30,
    "matter": "---\na: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij"))
    + "title: *j\n---\nx\n",
    "many marks": "*a* " * 300_000,
    "many lines": "a\n\n" * 300_000,
    "deep matter": "---\ntitle: " + "[" * 8_000 + "\n---\nx\n",
    "dates": "---\ntitle: 2001-99-99\nauthor: 0x" + "f" * 6_000 + "\n---\nx\n",
}  # fmt: skip


def test_no_markdown_takes_long_or_much_memory(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{kind}.md", text) for kind, text in MARKDOWN.items()]
    found = outcomes(*paths)
    refused = {name.removesuffix(".md") for name, said in found.items() if "'" in said}
    assert refused == {"definitions", "many marks", "many lines", "comments", "lists", "quotes"}, (
        found
    )


def test_what_markdown_leaves_out_is_said(tmp_path: Path) -> None:
    text = (
        "```\ncode\n```\n\n# A\n\nOne[^a].\n\n<div>raw</div>\n\n| x[^t] |\n|---|\n\n# B\n\nTwo.\n\n"
        "[^a]: Note[^b].\n[^b]: Nested.\n[^t]: Of a table.\n[^c]: Orphan.\n\n<!-- open\n\nLost.\n"
    )
    pages, told = planned(read(write(tmp_path / "a.md", text), "a.md"))
    assert spoken(pages) == "A One. x Note. Of a table. Nested. B Two."
    assert told == [
        "the footnote 'c' is left out: nothing refers to it",
        "code or HTML is left out 1 times, first on line 1",
        "code or HTML is left out 1 times, first on line 9",
        "code or HTML is left out 1 times, first on line 23",
    ]


# --- characters


def blocks_of_unicode() -> list[tuple[str, str]]:
    """One sentence of each block of 128 code points that has a character, named by its first."""
    found = []
    for start in range(0, 0x110000, 128):
        text = "".join(map(chr, range(start, start + 128)))
        known = "".join(c for c in text if unicodedata.category(c)[0] in "LMNS")
        if known and not 0xD800 <= start <= 0xDFFF:
            found.append((f"U+{start:04X}", known[:40]))
    return found


def test_every_block_of_unicode_is_spoken_or_warned_of(tmp_path: Path) -> None:
    blocks = blocks_of_unicode()
    assert len(blocks) > 700
    for name, text in blocks:
        check_planned([Block("First."), Block(f"{text}.", start=8), Block("Last.", start=99)])
        path = write(tmp_path / "a.txt", f"{text}.\n")
        pages, told = planned(read(path, path.name))
        drawn = all("\u2190" <= c <= "\u2bff" or c.isascii() for c in text)
        assert told or drawn or spoken(pages), (name, text)


@pytest.mark.parametrize("text", ["😀 👍🏽.", "⠓⠑⠇⠇⠕.", "\ue000\ue001", "\u0301\u0302", "𝄞 𝄢"])
def test_a_sentence_without_words_is_told_unless_it_is_an_ornament(
    tmp_path: Path, text: str
) -> None:
    path = write(tmp_path / "a.txt", f"One.\n\n{text}\n\n{text}\n\nThree.")
    pages, told = planned(read(path, path.name))
    assert spoken(pages) == "One. Three."
    assert told == [f"nothing that can be spoken: 2 times, first {text!r}"]


@pytest.mark.parametrize("text", ["* * *", "❦", "⁂", "— —", "★ ☆ ★", "~~~", "…", "→", "◆\ufe0f"])
def test_an_ornament_is_silent_and_no_news(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.txt", f"One.\n\n{text}\n\nTwo.")
    pages, told = planned(read(path, path.name))
    assert (spoken(pages), told) == ("One. Two.", [])


@pytest.mark.parametrize(
    "text",
    [
        "שלום עולם.",
        "مرحبا بالعالم.",
        "\u202eright to left\u202c.",
        "e\u0301te\u0301.",
        "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘.",
        "I ❤ you 😀.",
        "a\u200bb\u2060c\ufeffd.",
        "bell\x07 back\x08 escape\x1b[31m.",
    ],
)
def test_text_of_every_direction_and_make_stays_in_its_place(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.txt", f"One.\n\n{text}\n\nTwo.")
    pages, told = planned(read(path, path.name))
    (middle,) = [s for each in pages for part in each.parts for s in part.segments][1:-1]
    assert middle.start == len("One.\n\n")
    assert middle.end - middle.start == len(text)
    assert [each for each in told if "the script of its language" not in each] == []


def test_nul_and_half_characters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        read(write(tmp_path / "a.txt", b"One.\0Two."), "a.txt")
    with pytest.raises(InvalidInput, match="not text in UTF-8"):
        read(write(tmp_path / "a.txt", b"One.\xed\xa0\x80Two."), "a.txt")
