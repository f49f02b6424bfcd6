"""Read-along EPUBs: the book as it was, and what is heard while it is read."""

from __future__ import annotations

import hashlib
import posixpath
import zipfile
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import av
import pytest
from lxml import etree

from farm.book import readalong, typeset
from farm.cli.book import SAMPLE
from farm.errors import InvalidInput
from farm.jobs import Block, Mark
from tests.book.narrated import HEAD, SPOKEN, STEP, chapters, faults, make, member, write_book
from tests.text.epubs import page, write_epub

SMIL = "{http://www.w3.org/ns/SMIL}"
OPF = "{http://www.idpf.org/2007/opf}"
PACKAGE = "EPUB/package.opf"
DOCUMENT = "EPUB/text/00000.xhtml"
RICH = [
    "<h1>The Mill</h1><p>It <em>really</em> rains. <b>It pours. It</b> hails.</p>",
    '<p>So.<sup><a epub:type="noteref" href="#n">1</a></sup> It is “<i>late</i>.”</p>'
    '<aside id="n" epub:type="footnote"><p>Or early.</p></aside>'
    "<table><tr><td>Monday</td><td>rain</td></tr></table><ul><li>One.</li></ul>"
    '<figure><img src="../a-b.png" alt="A mill."/><figcaption>The mill.</figcaption></figure>',
    "<p>* * *</p>",
    "<p>漢字を<ruby>読<rt>よ</rt></ruby>む。終わり。</p>",
]


def rich(path: Path) -> Path:
    """A book with markup of many kinds."""
    picture = member(SAMPLE, "EPUB/cover.png")
    opf = member(write_book(path, RICH), PACKAGE).decode()
    item = '<item id="pic" href="a-b.png" media-type="image/png"/></manifest>'
    more = {PACKAGE: opf.replace("</manifest>", item).encode(), "EPUB/a-b.png": picture}
    return write_book(path, RICH, more)


def clips(book: Path, smil: str) -> list[tuple[str, str, int, int]]:
    """The element, the audio, and begin and end in ms, of each `par` of an overlay."""
    root = etree.fromstring(member(book, smil))
    found = []
    for par in root.iter(f"{SMIL}par"):
        text, audio = par
        times = [milliseconds(audio.get(name, "")) for name in ("clipBegin", "clipEnd")]
        found.append((text.get("src", ""), audio.get("src", ""), times[0], times[1]))
    return found


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


def overlays(book: Path) -> dict[str, str]:
    """Content document to overlay, as the package document has them."""
    items = list(etree.fromstring(member(book, PACKAGE)).iter(f"{OPF}item"))
    files = {each.get("id"): f"EPUB/{each.get('href')}" for each in items}
    return {
        f"EPUB/{each.get('href')}": files[each.get("media-overlay")]
        for each in items
        if each.get("media-overlay")
    }


def told(book: Path, name: str) -> list[tuple[str | None, str | None]]:
    """What each `meta` of a property refines and says."""
    metas = etree.fromstring(member(book, PACKAGE)).iter(f"{OPF}meta")
    return [(each.get("refines"), each.text) for each in metas if each.get("property") == name]


def test_every_sentence_is_heard_once_and_no_silence_is_lost(tmp_path: Path) -> None:
    source = write_book(tmp_path / "a.epub", ["<p>One. Two. Three.</p>"])
    seconds = make(source, tmp_path / "b.epub")
    (smil,) = overlays(tmp_path / "b.epub").values()
    found = clips(tmp_path / "b.epub", smil)
    assert [begin for _, _, begin, _ in found] == [0, HEAD + STEP, HEAD + 2 * STEP]
    assert all(one[3] == other[2] for one, other in pairwise(found))
    assert found[-1][3] == HEAD + 3 * STEP == seconds * 1000


def test_what_is_named_is_there(tmp_path: Path) -> None:
    make(rich(tmp_path / "a.epub"), tmp_path / "b.epub")
    with zipfile.ZipFile(tmp_path / "b.epub") as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    for file, smil in overlays(tmp_path / "b.epub").items():
        ids = {
            each.get("id") for each in etree.fromstring(member(tmp_path / "b.epub", file)).iter()
        }
        for text, audio, begin, end in clips(tmp_path / "b.epub", smil):
            where, _, key = text.partition("#")
            assert posixpath.normpath(f"{posixpath.dirname(smil)}/{unquote(where)}") == file
            assert key in ids
            assert f"{posixpath.dirname(smil)}/{audio}" in names
            assert begin < end


def test_lengths_are_told_of_each_overlay_and_of_all(tmp_path: Path) -> None:
    seconds = make(rich(tmp_path / "a.epub"), tmp_path / "b.epub")
    found = told(tmp_path / "b.epub", "media:duration")
    each = [milliseconds(text or "") for refines, text in found if refines]
    (total,) = [milliseconds(text or "") for refines, text in found if not refines]
    spoken = [
        sum(end - begin for _, _, begin, end in clips(tmp_path / "b.epub", smil))
        for smil in overlays(tmp_path / "b.epub").values()
    ]
    assert each == spoken
    assert total == sum(each) == round(seconds * 1000)


def test_the_class_of_what_is_heard_has_a_rule_in_every_document(tmp_path: Path) -> None:
    make(rich(tmp_path / "a.epub"), tmp_path / "b.epub")
    ((_, name),) = told(tmp_path / "b.epub", "media:active-class")
    assert f".{name} {{" in member(tmp_path / "b.epub", "EPUB/readalong/readalong.css").decode()
    for file in overlays(tmp_path / "b.epub"):
        assert b'href="../readalong/readalong.css"' in member(tmp_path / "b.epub", file)


def test_the_audio_is_that_of_the_chapters(tmp_path: Path) -> None:
    make(write_book(tmp_path / "a.epub", ["<p>One.</p>", "<p>Two.</p>"]), tmp_path / "b.epub")
    for number in range(2):
        data = member(tmp_path / "b.epub", f"EPUB/readalong/{number:05d}.m4a")
        assert data == (tmp_path / f"{number}.m4a").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.epub") as archive:
        (sound,) = (e for e in archive.infolist() if e.filename.endswith("00000.m4a"))
        with archive.open(sound) as file, av.open(file) as opened:
            assert opened.streams.audio[0].codec_context.name == "aac"
    assert sound.compress_type == zipfile.ZIP_STORED


def test_all_else_is_as_it_was(tmp_path: Path) -> None:
    source = rich(tmp_path / "a.epub")
    make(source, tmp_path / "b.epub")
    changed = {PACKAGE, *overlays(tmp_path / "b.epub")}
    with zipfile.ZipFile(source) as old:
        for name in set(old.namelist()) - changed:
            assert member(tmp_path / "b.epub", name) == old.read(name), name
        for file in changed - {PACKAGE}:
            was, now = (
                etree.fromstring(each)
                for each in (old.read(file), member(tmp_path / "b.epub", file))
            )
            assert etree.tostring(now, method="text", encoding="utf-8") == etree.tostring(
                was, method="text", encoding="utf-8"
            )
            tags = [each.tag for each in now.iter() if not (each.get("id") or "").startswith("s")]
            tags.remove("{http://www.w3.org/1999/xhtml}link")
            assert tags == [each.tag for each in was.iter()]
    assert member(tmp_path / "b.epub", "EPUB/text/00002.xhtml") == page(RICH[2], "T").encode()


def test_the_archive_begins_as_an_epub_and_has_no_time_in_it(tmp_path: Path) -> None:
    make(SAMPLE, tmp_path / "a.epub")
    make(SAMPLE, tmp_path / "b.epub")
    data = (tmp_path / "a.epub").read_bytes()
    assert data[30:58] == b"mimetypeapplication/epub+zip"
    assert (
        hashlib.sha256(data).digest() == hashlib.sha256((tmp_path / "b.epub").read_bytes()).digest()
    )


def test_a_sentence_in_two_elements_is_timed_by_its_words(tmp_path: Path) -> None:
    body = "<p><b>So. It never</b> really rains.</p>"
    source = write_book(tmp_path / "a.epub", [body])
    make(source, tmp_path / "b.epub", words=True)
    (smil,) = overlays(tmp_path / "b.epub").values()
    begins = [begin for *_, begin, _ in clips(tmp_path / "b.epub", smil)]
    assert begins == [0, HEAD + STEP, HEAD + STEP + 20]
    make(source, tmp_path / "b.epub")
    begins = [begin for *_, begin, _ in clips(tmp_path / "b.epub", smil)]
    assert begins[:2] == [0, HEAD + STEP]
    assert begins[2] == HEAD + STEP + SPOKEN * len("It never ") // len("It never really rains.")


def test_text_that_is_not_found_again_stays_without_a_span_and_is_still_heard(
    tmp_path: Path,
) -> None:
    source = write_book(tmp_path / "a.epub", ["<p>One.</p><p>Two.</p><p>Three.</p>"])
    (chapter,) = chapters(source, tmp_path)
    blocks = list(chapter.blocks)
    blocks[1] = Block("Six.", start=blocks[1].start)
    other = readalong.Chapter(0, blocks, chapter.marks, chapter.audio, chapter.seconds)
    readalong.write(tmp_path / "b.epub", source, "a", [other])
    text = member(tmp_path / "b.epub", "EPUB/text/00000.xhtml").decode()
    assert "<p>Two.</p>" in text
    (smil,) = overlays(tmp_path / "b.epub").values()
    first, last = clips(tmp_path / "b.epub", smil)
    assert (first[2], first[3], last[2]) == (0, HEAD + 2 * STEP, HEAD + 2 * STEP)


def test_a_page_that_is_not_well_formed_stays_as_it_is(tmp_path: Path) -> None:
    broken = page("<p>One.</p><p>Two.<p>Three.</p>").encode()
    source = write_book(tmp_path / "a.epub", ["", "<p>Four.</p>"], {DOCUMENT: broken})
    make(source, tmp_path / "b.epub")
    assert member(tmp_path / "b.epub", DOCUMENT) == broken
    assert list(overlays(tmp_path / "b.epub")) == ["EPUB/text/00001.xhtml"]


def test_a_chapter_without_audio_has_no_overlay(tmp_path: Path) -> None:
    source = write_book(tmp_path / "a.epub", ["<p>One.</p>", "<p>Two.</p>"])
    first, second = chapters(source, tmp_path)
    silent = readalong.Chapter(0, first.blocks)
    readalong.write(tmp_path / "b.epub", source, "a", [silent, second])
    assert list(overlays(tmp_path / "b.epub")) == ["EPUB/text/00001.xhtml"]
    with zipfile.ZipFile(tmp_path / "b.epub") as archive:
        assert [name for name in archive.namelist() if "00000.m4a" in name] == []


def test_a_book_of_markup_of_many_kinds_is_made_twice_and_epubcheck_finds_nothing(
    tmp_path: Path,
) -> None:
    first = make(rich(tmp_path / "a.epub"), tmp_path / "b.epub")
    assert make(tmp_path / "b.epub", tmp_path / "c.epub") == first
    assert faults(tmp_path / "c.epub") == []
    lengths = told(tmp_path / "c.epub", "media:duration")
    assert len(lengths) == len(overlays(tmp_path / "c.epub")) + 1 == len(RICH)
    with zipfile.ZipFile(tmp_path / "c.epub") as archive:
        smils = {name for name in archive.namelist() if name.endswith(".smil")}
    assert smils == set(overlays(tmp_path / "c.epub").values())
    assert all(name.startswith("EPUB/readalong_/") for name in smils)


def test_an_epub_2_is_not_kept_as_it_is(tmp_path: Path) -> None:
    old = write_epub(tmp_path / "old.epub", {"a.xhtml": page("<p>One.</p>")}, version=2)
    assert not readalong.is_kept(old, "old")
    assert not readalong.is_kept(Path(__file__), "text")
    assert readalong.is_kept(SAMPLE, "sample")
    with pytest.raises(InvalidInput, match=r"'old' is EPUB 2.0; a read-along is made of EPUB 3"):
        readalong.write(tmp_path / "b.epub", old, "old", [])
    assert not (tmp_path / "b.epub").exists()


PARTS = [
    typeset.Part("", 1, [Block("A “word” & <another>.")]),
    typeset.Part("Part one", 1, [Block("Part one", heading=True), Block("Hello. A bell: \x07.")]),
    typeset.Part("Chapter 1", 3, [Block("It is", pause_ms=0), Block("late.")]),
    typeset.Part("Chapter 2", 2, [Block("Two.")]),
    typeset.Part("Contents", 1, [Block("Three.")]),
]


def test_a_text_is_set_as_a_book_that_epubcheck_finds_nothing_wrong_with(tmp_path: Path) -> None:
    picture = member(SAMPLE, "EPUB/cover.png")
    facts = typeset.Facts("A & B", "zh-Hans", "Ann <Lee>", picture)
    typeset.write(tmp_path / "a.epub", facts, PARTS)
    readalong.write(
        tmp_path / "b.epub", tmp_path / "a.epub", "a", _spoken(tmp_path), front_matter=True
    )
    assert faults(tmp_path / "b.epub") == []
    assert len(overlays(tmp_path / "b.epub")) == len(PARTS)
    body = member(tmp_path / "b.epub", "EPUB/text/00002.xhtml").decode()
    assert '<p class="part"><span id="s1">It is</span></p>' in body
    contents = member(tmp_path / "b.epub", "EPUB/nav.xhtml").decode()
    assert [contents.count(f"<{tag}>") for tag in ("ol", "li")] == [2, 5]
    typeset.write(tmp_path / "c.epub", facts, PARTS)
    assert (tmp_path / "c.epub").read_bytes() == (tmp_path / "a.epub").read_bytes()


def _spoken(folder: Path) -> list[readalong.Chapter]:
    """The parts as chapters, all of them with the same sound."""
    source = write_book(folder / "sound.epub", ["<p>One.</p>"])
    (chapter,) = chapters(source, folder)
    made = []
    for number, part in enumerate(PARTS):
        start, blocks = 0, []
        marks: list[Mark] = []
        for block in part.blocks:
            blocks.append(Block(block.text, block.heading, start, pause_ms=block.pause_ms))
            end = start + len(block.text)
            at = HEAD + STEP * len(marks)
            marks.append(Mark("sentence", block.text, at, at + SPOKEN, start, end))
            start = end + 2
        made.append(readalong.Chapter(number, blocks, marks, chapter.audio, 5.0))
    return made
