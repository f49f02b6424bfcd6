"""What is fuzzed: each target takes any bytes, and raises only where the farm is at fault.

Hypothesis drives them in `test_fuzzing.py`, atheris in `scripts/fuzz`.
"""

from __future__ import annotations

import io
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from farm import planning
from farm.errors import FarmError
from farm.jobs import Block, Item, Spec, Voice
from farm.plans import Passage
from farm.text import lexicon, ssml
from farm.text.documents import Document, read
from farm.text.lines import BadLine, read_lines
from tests.text.epubs import CONTAINER, nav, page, write_epub

LANGUAGES = ("en", "zh", "fr", "pt", "ja", "de", "xx")
VOICES = {name: Voice(name, name * 32, "tone", "tone", name, 8_000) for name in LANGUAGES}
#: Where in an EPUB the bytes are put, by the first of them.
PLACES = ("OEBPS/a.xhtml", "OEBPS/nav.xhtml", "OEBPS/content.opf", "META-INF/container.xml",
          "META-INF/encryption.xml", "")  # fmt: skip
PLS = (
    b'<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" '
    b'alphabet="ipa" xml:lang="en">?</lexicon>'
)
PAGE = page("<h1>A</h1><p>B.</p>")
#: Elements of SSML within which every word is spoken as it is written.
PLAIN_TAGS = {"speak", "p", "s", "emphasis", "prosody", "break", "voice", "w", "token"}


def spec(language: str = "en") -> Spec:
    return Spec("j", "book", "farm", "ann", "k", language, VOICES, 0.0)


def _read(data: bytes, name: str) -> Document | None:
    """Read a document; None where it is refused in one line."""
    with tempfile.TemporaryDirectory(prefix="farm-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return _whole(path, name)


def _whole(path: Path, name: str) -> Document | None:
    refused = ""
    try:
        document = read(path, name)
        list(document.sections)
    except FarmError as error:
        refused = str(error)
    if refused:
        assert len(refused.splitlines()) == 1, repr(refused)
        return None
    for section in document.sections:
        check_planned(section.blocks)
        for text in (section.title, document.title, document.author, document.language):
            text.encode()
    return document


def check_planned(blocks: Sequence[Block], language: str = "en") -> None:
    """Plan blocks, and see that each character that means something is in a segment, or told of."""
    (part,) = planning.plan([Passage(Item(0, "a", blocks=(*blocks,)))], spec(language), str).parts
    assert not part.error, part.error
    spans = [(segment.start, segment.end) for segment in part.segments]
    assert spans == sorted(spans)
    for block in blocks:
        missing = [
            character
            for at, character in enumerate(block.text)
            if _means(character)
            and not any(start <= block.in_source(at) < end for start, end in spans)
        ]
        assert not any(map(str.isalnum, missing)), (block, missing)
        assert not missing or part.warnings, (block, missing)


def _means(character: str) -> bool:
    sign = unicodedata.category(character) in ("So", "Mn", "Mc", "Me", "Co", "Cn")
    drawn = "\u2190" <= character <= "\u2bff" or "\ufe00" <= character <= "\ufe0f"
    return character.isalnum() or (sign and not drawn and not character.isspace())


def epub(data: bytes) -> None:
    """Any bytes in any place of an EPUB; or for the EPUB itself."""
    place = PLACES[data[0] % len(PLACES)] if data else ""
    if not place:
        _read(data[1:], "a.epub")
        return
    with tempfile.TemporaryDirectory(prefix="farm-fuzz-") as folder:
        path = write_epub(Path(folder) / "b.epub", {"a.xhtml": PAGE}, toc=[("A", "a.xhtml", [])])
        with zipfile.ZipFile(path) as whole:
            files = {name: whole.read(name) for name in whole.namelist()} | {place: data[1:]}
        with zipfile.ZipFile(path.with_name("a.epub"), "w") as made:
            for name, content in files.items():
                made.writestr(name, content)
        _whole(path.with_name("a.epub"), "a.epub")


def markdown(data: bytes) -> None:
    """Any bytes as Markdown."""
    _read(data, "a.md")


def plain(data: bytes) -> None:
    """Any bytes as a text."""
    _read(data, "a.txt")


def lines(data: bytes) -> None:
    """Any bytes as the lines of a batch: each that is not blank is a line or has a reason."""
    found = list(read_lines(io.BytesIO(data), longest=200))
    rows = [raw for raw in io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")) if raw.strip()]
    assert len(found) == len(rows), (found, rows)
    for row in found:
        (row.error if isinstance(row, BadLine) else row.text).encode()
        if not isinstance(row, BadLine):
            check_planned([Block(row.text)])


def marked_up(data: bytes) -> None:
    """Any bytes as SSML, and within it."""
    for document in (data, b"<speak>" + data + b"</speak>"):
        refused, found = "", ssml.Document(())
        try:
            found = ssml.read(document)
        except FarmError as error:
            refused = str(error)
        if refused:
            assert len(refused.splitlines()) == 1, repr(refused)
            continue
        check_planned([replace(each, voice="", language="") for each in found.blocks])
        root = ssml.parse(document)
        if {str(each.tag) for each in root.iter()} <= PLAIN_TAGS and not found.warnings:
            spoken = "".join(block.text for block in found.blocks)
            meant = [each for each in "".join(map(str, root.itertext())) if _means(each)]
            assert set(meant) <= set(spoken), (document, spoken)


def lexicons(data: bytes) -> None:
    """Any bytes as a pronunciation lexicon, and within one."""
    for document in (data, PLS.replace(b"?", data)):
        words: tuple[str, ...] = ()
        refused = "."
        try:
            words = (*lexicon.read(document).entries,)
        except FarmError as error:
            refused = str(error)
        assert len(refused.splitlines()) == 1, repr(refused)
        for word in words:
            word.encode()


def plan(data: bytes) -> None:
    """Any text in any language, as one block and cut in several."""
    language = LANGUAGES[data[0] % len(LANGUAGES)] if data else "en"
    text = data[1:].decode("utf-8", errors="replace")
    check_planned([Block(text)], language)
    start, blocks = 0, []
    for paragraph in text.split("\n"):
        blocks.append(Block(paragraph, start=start))
        start += len(paragraph) + 1
    check_planned(blocks, language)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "epub": epub,
    "lexicons": lexicons,
    "lines": lines,
    "markdown": markdown,
    "plain": plain,
    "plan": plan,
    "ssml": marked_up,
}
#: Something of each kind to begin with.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "epub": (
        b"\0" + PAGE.encode(),
        b"\1" + nav([("A", "a.xhtml", [("B", "a.xhtml#b", [])])]).encode(),
        b"\3" + CONTAINER.encode(),
        b"\0<html><body><p>One &amp; &nbsp; &#x41; <ruby>a<rt>b</rt></ruby></p></body></html>",
    ),
    "lexicons": (
        b"<lexeme><grapheme>a</grapheme><grapheme>b c</grapheme><alias>d</alias></lexeme><lexeme "
        b"role='n'><grapheme>e</grapheme><phoneme prefer='true'>\xc9\x99</phoneme></lexeme>",
    ),
    "lines": (b'{"id": "a", "text": "Hello.", "speed": 1.5, "voice": "v"}\n{"id": "b"}\n',),
    "markdown": (
        b"---\ntitle: A\n---\n# H\n\nA *b* [c](d) ![e](f) `g`[^n]\n\n> q\n\n| a | b |\n|---|---|\n"
        b"| 1 | 2 |\n\n- x\n\n<div>h</div>\n\n[^n]: note\n",
    ),
    "plain": ("Chapter 1\n\nIt rained. — Yes.\n\nChapter 2\n\n\fÉté.\n".encode(),),
    "plan": (b"\0Dr. Smith paid $3.50 on 3/4/2026 at 5:30 p.m.; No. 7, e.g. 1,000.5%.",),
    "ssml": (
        b'<p>a <break time="1s"/><prosody rate="50%">b</prosody><say-as interpret-as="date" '
        b'format="dmy">1.2.2026</say-as><sub alias="x">y</sub><voice name="v">z</voice></p>',
    ),
}
