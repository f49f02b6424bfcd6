"""A read-along EPUB: a book as it is, with its audio and media overlays (EPUB 3.3, chapter 9).

Of a source that is EPUB 3 every file stays what it was, but the content documents that are spoken,
which get a `<span>` around each sentence and a style sheet more, and the package document, which
lists what was added. Overlays, audio and style sheet lie in a folder of their own beside it:

    readalong/00001.smil     the overlay of the first content document that is spoken
    readalong/00000.m4a      the audio of an item, not encoded again
    readalong/readalong.css  how the sentence is shown that is heard

What the source had of such things before is taken out. The bytes are a function of the input.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice, pairwise
from pathlib import Path
from urllib.parse import quote

from lxml import etree

from farm.audio.replacing import replacing
from farm.book import overlay, spans
from farm.book.overlay import Clip, Sentence
from farm.book.typeset import written
from farm.book.zips import entry
from farm.errors import InvalidInput
from farm.jobs import Block, Mark
from farm.text.container import Container
from farm.text.epub import spoken_pages
from farm.text.package import Package, read_package, resolve
from farm.text.xhtml import Page, name

OPF = "http://www.idpf.org/2007/opf"
#: The class of what is heard; EPUB 3.3's own example, known to style sheets of readers.
ACTIVE = "-epub-media-overlay-active"
STYLE = f".{ACTIVE} {{ background-color: rgba(255, 200, 0, 0.4); }}\n"
#: What a package document says of overlays.
_MEDIA = frozenset({"media:duration", "media:active-class", "media:playback-active-class"})
#: It says that files are as they were signed, which is true no more.
_SIGNATURES = "META-INF/signatures.xml"


@dataclass(frozen=True)
class Chapter:
    """An item of a book: its text as it was planned, and what was made of it."""

    index: int
    blocks: Iterable[Block]
    marks: Iterable[Mark] = ()
    audio: Path | None = None
    """AAC in MP4; None: nothing was spoken. It is read before the next chapter is asked for."""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Told:
    """A block of the text, and the sentences in it that are heard."""

    block: Block
    sentences: list[Sentence]
    audio: str


def is_kept(path: Path, title: str) -> bool:
    """Whether a source is an EPUB that can be given overlays: version 3."""
    if not zipfile.is_zipfile(path):
        return False
    with Container(path, title) as container:
        return read_package(container).version.startswith("3")


def write(
    path: Path, source: Path, title: str, chapters: Iterable[Chapter], *, front_matter: bool = False
) -> float:
    """Write an EPUB 3 with overlays; return how many seconds it is heard.

    `title` is the source's name for messages. The chapters are what was spoken of its pages, in
    order, `front_matter` as it was read; what is not found there again is left without a span.
    One page of the source and one chapter's audio are dealt with at a time.

    Raises:
        InvalidInput: the source is no EPUB 3.
        StoreUnavailable: the file cannot be written.
    """
    with (
        Container(source, title) as container,
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        edition = _Edition(container, archive, read_package(container))
        told = edition.told(chapters)
        for page in spoken_pages(source, title, front_matter=front_matter):
            edition.add(page, list(islice(told, len(page.blocks))))
        return edition.finish() / 1000


@dataclass
class _Edition:
    """An EPUB being made of another."""

    container: Container
    archive: zipfile.ZipFile
    package: Package
    overlays: dict[str, list[Clip]] = field(default_factory=dict)
    """By content document."""
    audio: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.package.version.startswith("3"):
            raise InvalidInput(
                f"{self.container.name!r} is EPUB {self.package.version or '2'}; "
                "a read-along is made of EPUB 3"
            )
        self.archive.writestr(entry("mimetype"), "application/epub+zip")
        root, names = posixpath.dirname(self.package.file), self.container.files
        self.folder = posixpath.join(root, "readalong")
        while any(file.startswith(f"{self.folder}/") for file in names):
            self.folder += "_"

    def told(self, chapters: Iterable[Chapter]) -> Iterator[_Told]:
        """Put the chapters' audio into the archive, one by one; yield their blocks."""
        for chapter in chapters:
            file = f"{chapter.index:05d}.m4a"
            if chapter.audio:
                where = entry(f"{self.folder}/{file}", chapter.audio.stat().st_size)
                with chapter.audio.open("rb") as stream, self.archive.open(where, "w") as target:
                    while data := stream.read(1 << 20):
                        target.write(data)
                self.audio.append(file)
            rest = overlay.sentences(chapter.marks, round(chapter.seconds * 1000))
            held = next(rest, None)
            for block in chapter.blocks:
                found, end = [], block.in_source(len(block.text))
                while held and held.mark.source_start < end:
                    found.append(held)
                    held = next(rest, None)
                yield _Told(block, found, file)

    def add(self, page: Page, told: list[_Told]) -> None:
        """Put spans around a sound page's sentences, and write its overlay."""
        clips = _spanned(page, told) if page.whole else []
        if not clips:
            return
        self.overlays[page.file] = clips
        text = quote(posixpath.relpath(page.file, self.folder))
        self._style(page)
        tree = page.root.getroottree()
        self._write(page.file, etree.tostring(tree, xml_declaration=True, encoding="utf-8"))
        self._write(f"{self.folder}/{self._overlay(page.file)}", overlay.smil(text, clips))

    def _overlay(self, file: str) -> str:
        return f"{list(self.overlays).index(file) + 1:05d}.smil"

    def _style(self, page: Page) -> None:
        head = next((each for each in page.root.iter(etree.Element) if name(each) == "head"), None)
        if head is not None:
            file = posixpath.join(self.folder, "readalong.css")
            href = quote(posixpath.relpath(file, posixpath.dirname(page.file) or "."))
            link = {"rel": "stylesheet", "type": "text/css", "href": href}
            etree.SubElement(head, f"{{{spans.XHTML}}}link", link)

    def finish(self) -> int:
        """Write what is as it was, and the package document; return milliseconds."""
        root = self.container.xml(self.package.file)
        gone = {_SIGNATURES, "mimetype", self.package.file, *self.overlays}
        gone.update(_without_overlays(root, self.package.file))
        for file in self.container.files:
            if file not in gone:
                self._write(file, self.container.read(file))
        self._write(f"{self.folder}/readalong.css", STYLE.encode())
        total = self._declare(root)
        tree = root.getroottree()
        self._write(self.package.file, etree.tostring(tree, xml_declaration=True, encoding="utf-8"))
        return total

    def _write(self, file: str, data: bytes) -> None:
        self.archive.writestr(entry(file, packed=True), data)

    def _declare(self, root: etree._Element) -> int:
        """List in the package document what was added; return milliseconds."""
        metadata, manifest = root.find("{*}metadata"), root.find("{*}manifest")
        assert metadata is not None
        assert manifest is not None
        prefix = "readalong"
        while any((each.get("id") or "").startswith(prefix) for each in root.iter(etree.Element)):
            prefix += "_"
        folder = posixpath.relpath(self.folder, posixpath.dirname(self.package.file) or ".")
        items = {
            resolve(self.package.file, each.get("href", ""))[0]: each
            for each in manifest.iterfind("{*}item")
        }
        total = 0
        for file, clips in self.overlays.items():
            smil = self._overlay(file)
            key = f"{prefix}-{smil.removesuffix('.smil')}"
            items[file].set("media-overlay", key)
            _item(manifest, key, f"{folder}/{smil}", overlay.MEDIA_TYPE)
            length = overlay.milliseconds(clips)
            _meta(metadata, "media:duration", overlay.clock(length), f"#{key}")
            total += length
        for file in self.audio:
            _item(manifest, f"{prefix}-audio-{file[:-4]}", f"{folder}/{file}", "audio/mp4")
        _item(manifest, f"{prefix}-style", f"{folder}/readalong.css", "text/css")
        _meta(metadata, "media:duration", overlay.clock(total))
        _meta(metadata, "media:active-class", ACTIVE)
        return total


def _spanned(page: Page, told: Iterable[_Told]) -> list[Clip]:
    """Put spans around a page's sentences; return what is heard for each, in order."""
    text, keys = spans.Text(page), _free_keys(page.root)
    clips: list[Clip] = []
    made: list[tuple[spans.Spot, str]] = []
    for number, each in enumerate(told):
        places = text.places(number, written(each.block.text))
        for sentence in each.sentences:
            ends = (sentence.mark.source_start, sentence.mark.source_end)
            start, end = (each.block.in_text(at) for at in ends)
            pieces = list(text.pieces(places, start, end)) if places else []
            spots = [(spot, next(keys)) for spot in text.spots(pieces) if _is_heard(spot, each)]
            made += spots
            found = _clips(sentence, each, spots)
            if not found and clips and clips[-1].audio == each.audio:
                clips[-1] = replace(clips[-1], end_ms=sentence.end_ms)
            clips += found
    for spot, key in reversed(made):
        spans.make(spot, key)
    return clips


def _is_heard(spot: spans.Spot, told: _Told) -> bool:
    return any(character.isalnum() for character in told.block.text[spot.at : spot.until])


def _clips(sentence: Sentence, told: _Told, spots: Sequence[tuple[spans.Spot, str]]) -> list[Clip]:
    """Share a sentence's audio out among its spans."""
    starts = [told.block.in_source(spot.at) for spot, _ in spots]
    times = [*overlay.begins(sentence, starts), sentence.end_ms]
    parts = zip(spots, pairwise(times), strict=False)
    return [Clip(key, told.audio, a, b) for (_, key), (a, b) in parts if a < b]


def _free_keys(root: etree._Element) -> Iterator[str]:
    """Yield ids that a document does not have."""
    known = {each.get("id") for each in root.iter(etree.Element)}
    return (key for number in count(1) if (key := f"s{number}") not in known)


def _without_overlays(root: etree._Element, file: str) -> Iterator[str]:
    """Take a source's own overlays out of its package document; yield their files."""
    for each in list(root.iter(f"{{{OPF}}}item", f"{{{OPF}}}meta")):
        each.attrib.pop("media-overlay", "")
        parent = each.getparent()
        if each.get("property") in _MEDIA or each.get("media-type") == overlay.MEDIA_TYPE:
            assert parent is not None
            parent.remove(each)
            if each.get("href"):
                yield resolve(file, each.get("href", ""))[0]


def _item(manifest: etree._Element, key: str, href: str, media_type: str) -> None:
    item = {"id": key, "href": href, "media-type": media_type}
    etree.SubElement(manifest, f"{{{OPF}}}item", item)


def _meta(metadata: etree._Element, property_: str, text: str, refines: str = "") -> None:
    given = {"property": property_} | ({"refines": refines} if refines else {})
    etree.SubElement(metadata, f"{{{OPF}}}meta", given).text = text
