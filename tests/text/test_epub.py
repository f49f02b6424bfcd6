"""EPUB 2 and 3 as they are found: what is a chapter, what is spoken of it, what is refused."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from farm.errors import InvalidInput
from farm.jobs import Block
from farm.text import container
from farm.text.documents import Document, Section, read
from tests.text.epubs import PNG, Toc, page, write_epub

CHAPTERS = {
    "one.xhtml": page("<h1>One</h1><p>First &mdash; chapter.</p><p>It&#8217;s&nbsp;here.</p>"),
    "two.xhtml": page("<h1>Two</h1><p>Second chapter.</p>"),
}
TOC: Toc = [("Chapter One", "one.xhtml", []), ("Chapter Two", "two.xhtml", [])]


def book(path: Path, *, front_matter: bool = False) -> Document:
    return read(path, path.name, front_matter=front_matter)


def outline(path: Path, *, front_matter: bool = False) -> list[tuple[str, int, list[str]]]:
    return [
        (section.title, section.level, [block.text for block in section.blocks])
        for section in book(path, front_matter=front_matter).sections
    ]


def spoken(tmp_path: Path, body: str) -> list[str]:
    """The blocks of a book with one page."""
    path = write_epub(tmp_path / "b.epub", {"a.xhtml": page(body)}, toc=[("A", "a.xhtml", [])])
    return [text for _, _, texts in outline(path) for text in texts]


@pytest.mark.parametrize("version", [2, 3])
def test_both_editions_give_facts_cover_and_chapters_in_spine_order(
    tmp_path: Path, version: int
) -> None:
    path = write_epub(tmp_path / "mill.epub", CHAPTERS, version=version, toc=TOC, cover=PNG)
    document = book(path)
    facts = (document.title, document.author, document.language, document.cover)
    assert facts == ("The Mill", "Ann Lee, Bo Ek", "en-GB", PNG)
    first, second = document.sections
    assert first == Section(
        "Chapter One",
        1,
        (
            Block("One", heading=True, start=0),
            Block("First — chapter.", start=5),
            Block("It’s here.", start=23),
        ),
    )
    assert second.title == "Chapter Two"


def test_sections_may_be_read_again(tmp_path: Path) -> None:
    document = book(write_epub(tmp_path / "mill.epub", CHAPTERS, toc=TOC))
    assert list(document.sections) == list(document.sections)


def test_the_suffix_does_not_decide_what_is_an_epub(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "upload", CHAPTERS, toc=TOC)
    assert len(list(read(path, "book.txt").sections)) == 2


@pytest.mark.parametrize("version", [2, 3])
def test_a_hierarchy_of_the_contents_is_the_sections_level(tmp_path: Path, version: int) -> None:
    pages = {"part.xhtml": page("<h1>Part One</h1>"), **CHAPTERS}
    toc: Toc = [("Part One", "part.xhtml", TOC)]
    path = write_epub(tmp_path / "mill.epub", pages, version=version, toc=toc)
    assert [(title, level) for title, level, _ in outline(path)] == [
        ("Part One", 1),
        ("Chapter One", 2),
        ("Chapter Two", 2),
    ]


@pytest.mark.parametrize("version", [2, 3])
def test_entries_that_point_into_one_file_cut_it(tmp_path: Path, version: int) -> None:
    body = (
        "<p>Before.</p><h2 id='a'>A</h2><p>In a.</p>"
        "<div id='b'><h2>B</h2><p>In b.</p></div><p><a id='c'/>In c.</p>"
    )
    toc: Toc = [("A", "x.xhtml#a", []), ("B", "x.xhtml#b", []), ("C", "x.xhtml#c", [])]
    path = write_epub(tmp_path / "m.epub", {"x.xhtml": page(body)}, version=version, toc=toc)
    assert outline(path) == [
        ("", 1, ["Before."]),
        ("A", 1, ["A", "In a."]),
        ("B", 1, ["B", "In b."]),
        ("C", 1, ["In c."]),
    ]


def test_an_entry_after_the_start_of_a_file_leaves_its_head_to_the_section_before(
    tmp_path: Path,
) -> None:
    pages = {
        "one.xhtml": page("<h1>One</h1><p>First.</p>"),
        "two.xhtml": page("<p>Still one.</p><h1 id='t'>Two</h1><p>Second.</p>"),
    }
    toc: Toc = [("One", "one.xhtml", []), ("Two", "two.xhtml#t", [])]
    assert outline(write_epub(tmp_path / "m.epub", pages, toc=toc)) == [
        ("One", 1, ["One", "First.", "Still one."]),
        ("Two", 1, ["Two", "Second."]),
    ]


def test_an_address_of_a_missing_id_points_at_the_head_of_the_file(tmp_path: Path) -> None:
    toc: Toc = [("One", "one.xhtml#nowhere", []), ("Two", "two.xhtml", [])]
    path = write_epub(tmp_path / "m.epub", CHAPTERS, toc=toc)
    assert [title for title, _, _ in outline(path)] == ["One", "Two"]


def test_a_chapter_over_several_files_is_one_section(tmp_path: Path) -> None:
    pages = {
        "one.xhtml": CHAPTERS["one.xhtml"],
        "one-b.xhtml": page("<h2>Still one</h2><p>More.</p>"),
        "two.xhtml": CHAPTERS["two.xhtml"],
    }
    path = write_epub(tmp_path / "mill.epub", pages, toc=TOC)
    titles = [(title, texts[-1]) for title, _, texts in outline(path)]
    assert titles == [("Chapter One", "More."), ("Chapter Two", "Second chapter.")]


def test_without_contents_each_file_is_named_by_its_first_heading(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "mill.epub", CHAPTERS)
    assert [title for title, _, _ in outline(path)] == ["One", "Two"]


def test_text_before_the_first_entry_is_a_section_of_its_own(tmp_path: Path) -> None:
    pages = {"dedication.xhtml": page("<h1>To Ann</h1><p>Always.</p>"), **CHAPTERS}
    path = write_epub(tmp_path / "mill.epub", pages, toc=TOC)
    assert [title for title, _, _ in outline(path)] == ["To Ann", "Chapter One", "Chapter Two"]


FRONT = {
    "cover.xhtml": page('<img src="c.png" alt="The cover"/>'),
    "t1.xhtml": page('<section epub:type="titlepage"><h1>The Mill</h1></section>'),
    "c1.xhtml": page('<section epub:type="copyright-page"><p>All rights.</p></section>'),
    "guided.xhtml": page("<p>Half title.</p>"),
    "list.xhtml": page("<p>One ... 1</p>"),
}


def test_navigation_cover_title_and_copyright_pages_are_left_out(tmp_path: Path) -> None:
    pages = {**FRONT, **CHAPTERS}
    toc: Toc = [("Contents", "list.xhtml", []), *TOC]
    path = write_epub(
        tmp_path / "mill.epub", pages, toc=toc, landmarks={"titlepage": "guided.xhtml"}
    )
    assert [title for title, _, _ in outline(path)] == ["Chapter One", "Chapter Two"]
    everything = [text for _, _, texts in outline(path, front_matter=True) for text in texts]
    assert everything[:5] == ["The cover", "The Mill", "All rights.", "Half title.", "One ... 1"]


def test_the_guide_of_an_epub_2_names_front_matter_too(tmp_path: Path) -> None:
    pages = {"x1.xhtml": page("<p>A title.</p>"), "x2.xhtml": page("<p>Rights.</p>"), **CHAPTERS}
    guide = {"title-page": "x1.xhtml", "copyright-page": "x2.xhtml"}
    path = write_epub(tmp_path / "mill.epub", pages, version=2, toc=TOC, guide=guide)
    assert [title for title, _, _ in outline(path)] == ["Chapter One", "Chapter Two"]


def test_documents_that_are_not_linear_are_left_out(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "mill.epub", CHAPTERS, toc=TOC, not_linear=["two.xhtml"])
    assert [title for title, _, _ in outline(path)] == ["Chapter One"]


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        ('<p>A word<a epub:type="noteref" href="#n">1</a> more.</p>', ["A word more."]),
        ('<p>A word<a role="doc-noteref" href="#n">1</a>.</p>', ["A word."]),
        ('<p>A word<sup><a href="#n">[12]</a></sup>.</p>', ["A word."]),
        ('<p>A word<a href="n.xhtml#n"><sup>*</sup></a>.</p>', ["A word."]),
        ('<p>The 5<sup>th</sup> <a href="#x">link</a>.</p>', ["The 5th link."]),
        ('<p>A.</p><aside epub:type="footnote"><p>Note.</p></aside>', ["A."]),
        ('<p>A.</p><section role="doc-endnotes"><p>Note.</p></section>', ["A."]),
        ("<p>A.</p><aside><p>A sidebar.</p></aside>", ["A.", "A sidebar."]),
        ("<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字</p>", ["漢字"]),
        ("<p>A.<script>x()</script><style>p{}</style></p>", ["A."]),
        ('<p>A.</p><p hidden="">B.</p><p style="display: none">C.</p>', ["A."]),
        ('<p>A <span epub:type="pagebreak" title="7">7</span>b.</p>', ["A b."]),
        ("<ul><li>One</li><li>Two <b>bold</b></li></ul>", ["One", "Two bold"]),
        (
            "<table><tr><th>A</th><th>B</th></tr><tr><td><p>1</p></td><td>2</td></tr></table>",
            ["A, B", "1, 2"],
        ),
        ("<p>One<br/>two</p><hr/><p>Three</p>", ["One two", "Three"]),
        ("<div>Loose <p>inner</p> tail</div>", ["Loose", "inner", "tail"]),
        ('<p><img src="t.png" alt="T"/>here was</p>', ["There was"]),
        ("<p>in<em>vis</em>ible\n  wraps</p>", ["invisible wraps"]),
        ("<p>A<!-- no -->B<?pi no?>C</p>", ["ABC"]),
        ("<p>caf&eacute; &lt;b&gt; &amp; &hellip;</p>", ["café <b> & …"]),
        ("<p>Not closed<p>twice", ["Not closed", "twice"]),
    ],
)
def test_what_is_spoken_of_a_page(tmp_path: Path, body: str, blocks: list[str]) -> None:
    assert spoken(tmp_path, body) == blocks


def test_headings_are_marked(tmp_path: Path) -> None:
    body = "<h1>A <i>b</i></h1><p>C</p><div role='heading'>D</div>E<div>F<h2>G</h2></div>"
    path = write_epub(tmp_path / "b.epub", {"a.xhtml": page(body)}, toc=[("A", "a.xhtml", [])])
    (section,) = book(path).sections
    headings = [block.text for block in section.blocks if block.heading]
    assert headings == ["A b", "D", "G"]


def test_a_page_in_utf_16_is_read(tmp_path: Path) -> None:
    text = page("<p>Été — ça.</p>").replace("utf-8", "utf-16")
    files = {"OEBPS/a.xhtml": text.encode("utf-16")}
    path = write_epub(tmp_path / "b.epub", {"a.xhtml": ""}, files=files)
    assert outline(path)[0][2] == ["Été — ça."]


def encryption(algorithm: str) -> dict[str, bytes]:
    xml = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData>'
        '<enc:CipherReference URI="OEBPS/one.xhtml"/></enc:CipherData></enc:EncryptedData>'
        "</encryption>"
    )
    return {"META-INF/encryption.xml": xml.encode()}


def test_an_encrypted_book_is_refused_and_says_so(tmp_path: Path) -> None:
    files = encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    path = write_epub(tmp_path / "drm.epub", CHAPTERS, toc=TOC, files=files)
    with pytest.raises(InvalidInput, match=r"'drm.epub' is encrypted"):
        book(path)


def test_a_book_that_needs_a_password_is_refused_and_says_so(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "locked.epub", CHAPTERS, toc=TOC)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"OEBPS/one.xhtml") - 46  # in the archive's directory
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        book(path)
    assert str(caught.value) == (
        "'locked.epub' is encrypted: 'OEBPS/one.xhtml' in it needs a password; the farm reads "
        "books without one only"
    )


@pytest.mark.parametrize(
    "algorithm", ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"]
)
def test_obfuscated_fonts_are_no_encryption(tmp_path: Path, algorithm: str) -> None:
    path = write_epub(tmp_path / "f.epub", CHAPTERS, toc=TOC, files=encryption(algorithm))
    assert len(outline(path)) == 2


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.txt": b"x"}, "not an EPUB: 'META-INF/container.xml' is missing"),
        ({"META-INF/container.xml": b"<container/>"}, "names no package document"),
        ({"META-INF/container.xml": b"\x00\x01"}, "is not XML"),
        (
            {"META-INF/container.xml": b'<c><rootfile full-path="x.opf"/></c>'},
            "'x.opf' is missing",
        ),
        (
            {
                "META-INF/container.xml": b'<c><rootfile full-path="x.opf"/></c>',
                "x.opf": b"<package><manifest/><spine/></package>",
            },
            "spine) is empty",
        ),
        ({"../evil": b"x"}, "leads outside"),
        ({"/etc/passwd": b"x"}, "leads outside"),
    ],
)
def test_a_broken_container_is_named_in_one_line(
    tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        book(archive(tmp_path / "bad.epub", files))
    assert says in str(caught.value)
    assert "'bad.epub'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_the_reading_order_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "m.epub", CHAPTERS, toc=TOC, spine=["one.xhtml", "gone.xhtml"])
    with pytest.raises(InvalidInput, match=r"'gone.xhtml' of its reading order is missing"):
        book(path)


def test_what_is_no_zip_or_cut_short_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain.epub"
    plain.write_text("Once upon a time.")
    with pytest.raises(InvalidInput, match=r"'plain.epub' is not an EPUB: the file is not a ZIP"):
        book(plain)
    cut = write_epub(tmp_path / "cut.epub", CHAPTERS, toc=TOC)
    cut.write_bytes(cut.read_bytes()[:500])
    with pytest.raises(InvalidInput, match=r"'cut.epub' is not an EPUB"):
        book(cut)


def test_a_damaged_chapter_is_named(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "m.epub", CHAPTERS, toc=TOC)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("OEBPS/two.xhtml")
    data = bytearray(path.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename)
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"'m.epub' is broken: 'OEBPS/two.xhtml' in it"):
        list(book(path).sections)


def test_a_book_without_text_is_empty(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "m.epub", {"a.xhtml": page("<p> </p>")})
    with pytest.raises(InvalidInput, match=r"'m.epub' is empty"):
        book(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_epub(tmp_path / "bomb.epub", CHAPTERS, files={"OEBPS/z": b"0" * 2_000_000})
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(container, "MOST_BYTES", 1_000_000)
    with pytest.raises(InvalidInput, match=r"'bomb.epub' is too large"):
        book(path)
    monkeypatch.setattr(container, "MOST_BYTES", 2**30)
    monkeypatch.setattr(container, "MOST_ENTRIES", 3)
    with pytest.raises(InvalidInput, match=r"'bomb.epub' is too large"):
        book(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_page_with_an_external_entity_is_refused(encoding: str, tmp_path: Path) -> None:
    entity = '<!ENTITY f SYSTEM "file:///etc/hosts">'
    text = f"<!DOCTYPE html [{entity}]><html><body><p>Safe.&f;</p></body></html>"
    files = {"OEBPS/a.xhtml": text.encode(encoding)}
    path = write_epub(tmp_path / "m.epub", {"a.xhtml": ""}, files=files)
    with pytest.raises(InvalidInput, match=r"'m.epub' is unsafe: 'OEBPS/a.xhtml' in it defines"):
        outline(path)


def test_entities_of_a_dtd_are_never_expanded(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    text = f'<!DOCTYPE html [<!ENTITY l0 "ha">{laughs}]><html><body><p>Safe.&l8;</p></body></html>'
    path = write_epub(tmp_path / "m.epub", {"a.xhtml": text})
    with pytest.raises(InvalidInput, match=r"'OEBPS/a.xhtml' in it is not XHTML: .*amplif"):
        book(path)
    path = write_epub(tmp_path / "n.epub", {"a.xhtml": text.replace("&l8;", "&l1;")})
    assert outline(path)[0][2] == ["Safe."]


def test_only_a_chapter_at_a_time_is_in_memory(tmp_path: Path) -> None:
    body = "<p>" + "word " * 20 + "</p>"
    pages = {f"c{n}.xhtml": page(body * 500) for n in range(30)}
    path = write_epub(tmp_path / "m.epub", pages, toc=[(n, n, []) for n in pages])
    document = book(path)
    tracemalloc.start()
    count = sum(len(section.blocks) for section in document.sections)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30 * 500
    assert peak < 1_500_000  # All the text is 1.5 MB; one chapter's blocks and bytes are 0.3 MB.


def tongues(tmp_path: Path, body: str, attributes: str = "") -> tuple[str, ...]:
    """What a book of one page says of the language of each block."""
    pages = {"a.xhtml": page(body, attributes=attributes)}
    (only,) = book(write_epub(tmp_path / "t.epub", pages)).sections
    return only.languages


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ("<p>One.</p><p lang='la'>Two.</p><p>Three.</p>", ("en", "la", "en")),
        ("<p xml:lang='la' lang='fr'>XML goes first.</p>", ("la",)),
        ("<p lang=' fr-CA '>A.</p><p lang=''>B.</p><p lang='?!'>C.</p>", ("fr-CA", "", "?!")),
        (
            "<div lang='fr'>A<blockquote lang='la'><p>B</p>C</blockquote>D</div>E",
            ("fr", "la", "la", "fr", "en"),
        ),
        ("<section lang='fr'><h2>A</h2><ul><li lang='de'>B</li><li>C</li></ul></section>",
         ("fr", "de", "fr")),
        # All of a paragraph's words, and a few of them.
        ("<p>“<i lang='fr'>Je ne <b>sais</b> quoi.</i>” – </p>", ("fr",)),
        ("<p>A <i lang='fr'>je ne sais quoi</i>.</p>", ("en",)),
        ("<p lang='fr'><i lang='la'>Sic</i>, dit-il.</p>", ("fr",)),
        ("<p lang='fr'><i lang='la'>Sic.</i><br/><i lang='grc'>Panta rhei.</i></p>", ("fr",)),
        ("<p>1.</p><p><img alt='Un chat' lang='fr'/></p>", ("en", "fr")),
        # A row is one block.
        ("<table lang='fr'><tr><td>A</td><td>B</td></tr></table><p>C</p>", ("fr", "en")),
        ("<table><tr><td><p lang='fr'>A</p></td><td>B</td></tr><tr lang='la'><td>C</td></tr>"
         "</table>", ("en", "la")),
        ("<table><tr><td><p lang='fr'>A</p></td><td lang='fr'>B</td></tr></table>", ("fr",)),
        # What is not spoken has no say.
        ("<p>A<span lang='fr' hidden=''>B</span></p>", ("en",)),
    ],
)  # fmt: skip
def test_a_block_says_the_language_of_its_words(
    tmp_path: Path, body: str, known: tuple[str, ...]
) -> None:
    assert tongues(tmp_path, body, 'lang="en"') == known


def test_a_page_says_its_language_at_its_root_or_its_body(tmp_path: Path) -> None:
    assert tongues(tmp_path, "<p>A</p>", 'xml:lang="la"') == ("la",)
    assert tongues(tmp_path, "<p>A</p><p lang='la'>B</p>") == ("", "la")
    assert tongues(tmp_path, "<p>A</p>") == ()
    inner = page("A <i lang='fr'>b</i> c.", attributes='lang="la"').replace(
        "<body>", "<body lang='de'>"
    )
    (only,) = book(write_epub(tmp_path / "b.epub", {"a.xhtml": inner})).sections
    assert only.languages == ("de",)


def test_blocks_keep_their_languages_where_chapters_are_cut_and_joined(tmp_path: Path) -> None:
    pages = {
        "a.xhtml": page(
            "<p>A</p><h2 id='b' lang='fr'>B</h2><p> </p><p>C</p>", attributes='lang="en"'
        ),
        "b.xhtml": page("<p>D</p>", attributes='lang="la"'),
    }
    toc: Toc = [("One", "a.xhtml", []), ("Two", "a.xhtml#b", [])]
    path = write_epub(tmp_path / "c.epub", pages, toc=toc)
    assert [each.languages for each in book(path).sections] == [("en",), ("fr", "en", "la")]
