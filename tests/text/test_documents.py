"""Plain text and Markdown: what is a chapter, what is a paragraph, what is refused."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.errors import InvalidInput, NotFound
from farm.jobs import Block
from farm.text.document import Paragraph, section
from farm.text.documents import Document, read

Outline = list[tuple[str, int, list[str]]]


def write(folder: Path, text: str | bytes, name: str = "book.txt") -> Document:
    path = folder / "upload"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, name)


def outline(document: Document) -> Outline:
    return [
        (section.title, section.level, [block.text for block in section.blocks])
        for section in document.sections
    ]


@settings(
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.builds(Paragraph, st.text(max_size=20), st.booleans(), st.text(max_size=2))))
def test_a_blocks_start_counts_in_the_joined_text(paragraphs: list[Paragraph]) -> None:
    made = section("T", 1, paragraphs)
    source = "\n\n".join(block.text for block in made.blocks)
    for block in made.blocks:
        assert source[block.start : block.start + len(block.text)] == block.text
        assert block.text.strip()
    said = [each.language for each in paragraphs if each.text.strip()]
    assert made.languages == (tuple(said) if any(said) else ())


def test_text_without_chapters_is_one_section_of_paragraphs(tmp_path: Path) -> None:
    document = write(tmp_path, "It was dark\nand cold.\n\n\nNobody came.\n", "The Mill.txt")
    assert (document.title, document.author, document.cover) == ("The Mill", "", None)
    assert outline(document) == [("", 1, ["It was dark and cold.", "Nobody came."])]
    (only,) = document.sections
    assert only.blocks[1] == Block("Nobody came.", start=23)


def test_lines_too_long_to_be_wrapped_are_paragraphs(tmp_path: Path) -> None:
    long = "word " * 30 + "end."
    assert outline(write(tmp_path, f"{long}\nShort one.\n{long}\n")) == [
        ("", 1, [long, "Short one.", long])
    ]


def test_wrapped_chinese_is_joined_without_spaces(tmp_path: Path) -> None:
    assert outline(write(tmp_path, "今天天气\n很好。\n")) == [("", 1, ["今天天气很好。"])]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Chapter 1", "Chapter 2"),
        ("CHAPTER IV. The Mill", "CHAPTER V. The River"),
        ("Chapter One: Rain", "Chapter Twenty-One: Sun"),
        ("Chapter 1 The Old Mill", "Chapter 2 “Go!”"),
        ("Chapter I", "Epilogue"),
        ("PART ONE", "PART TWO"),
        ("第一章 雨", "第二章 晴"),
        ("第1回", "第12回　终"),
    ],
)
def test_chapter_lines_begin_sections(tmp_path: Path, first: str, second: str) -> None:
    text = f"{first}\n\nIt rained.\n\n{second}\n\nIt shone.\n"
    document = write(tmp_path, text)
    assert outline(document) == [
        (first, 1, [first, "It rained."]),
        (second, 1, [second, "It shone."]),
    ]
    assert [[block.heading for block in s.blocks] for s in document.sections] == [
        [True, False],
        [True, False],
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Chapter 1 was hard, and chapter 2 was worse.",
        "Part of it was lost",
        "Book a table",
        "chapter and verse",
        "第一次见面",
    ],
)
def test_a_sentence_that_begins_like_a_chapter_is_none(tmp_path: Path, line: str) -> None:
    text = f"{line}\n\nIt rained.\n\n{line}\n\nIt shone.\n"
    assert outline(write(tmp_path, text)) == [("", 1, [line, "It rained.", line, "It shone."])]


def test_a_chapter_line_within_a_paragraph_is_none(tmp_path: Path) -> None:
    text = "He wrote of\nChapter 1\nof his life.\n\nThen of\nChapter 2\ntoo.\n"
    assert len(outline(write(tmp_path, text))) == 1


def test_one_chapter_line_alone_parts_nothing(tmp_path: Path) -> None:
    assert len(outline(write(tmp_path, "Chapter 1\n\nIt rained.\n"))) == 1


def test_parts_hold_chapters(tmp_path: Path) -> None:
    text = "PART I\n\nCHAPTER 1\n\nA.\n\nCHAPTER 2\n\nB.\n\nPART II\n\nCHAPTER 3\n\nC.\n"
    assert [(title, level) for title, level, _ in outline(write(tmp_path, text))] == [
        ("PART I", 1),
        ("CHAPTER 1", 2),
        ("CHAPTER 2", 2),
        ("PART II", 1),
        ("CHAPTER 3", 2),
    ]


def test_text_before_the_first_chapter_is_kept(tmp_path: Path) -> None:
    text = "The Mill\n\nby Ann Lee\n\nChapter 1\n\nA.\n\nChapter 2\n\nB.\n"
    assert outline(write(tmp_path, text))[0] == ("", 1, ["The Mill", "by Ann Lee"])


def test_form_feeds_part_sections_named_by_a_short_first_line(tmp_path: Path) -> None:
    text = "Rain\n\nIt rained.\n\fSun\n\nIt shone.\n\f\nIt snowed, at last.\n"
    assert outline(write(tmp_path, text)) == [
        ("", 1, ["Rain", "It rained."]),
        ("Sun", 1, ["Sun", "It shone."]),
        ("", 1, ["It snowed, at last."]),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_encodings_with_a_mark_and_utf_8_are_read(tmp_path: Path, encoding: str, name: str) -> None:
    document = write(tmp_path, "Été — 你好\r\n".encode(encoding), name)
    assert outline(document) == [("", 1, ["Été — 你好"])]


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"tea\ncaf\xe9\n", "a.txt", "'a.txt' is not text in UTF-8 (line 2)"),
        (b"caf\xe9", "a.md", "'a.md' is not text in UTF-8"),
        (b"a\0b", "a.txt", "NUL"),
        (b"", "a.txt", "'a.txt' is empty"),
        (b" \n\n", "a.txt", "'a.txt' is empty"),
        (b"```\ncode\n```\n", "a.md", "'a.md' is empty"),
        (b"", "a.epub", "'a.epub' is empty"),
        (b"%PDF-1.7", "a.pdf", "a PDF; convert it"),
        (b"\x89PNG", "a.txt", "an image"),
        (b"x" * 60 + b"BOOKMOBI", "a.mobi", "Kindle"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, data: bytes, name: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        write(tmp_path, data, name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file 'a.txt'"):
        read(tmp_path / "a.txt", "a.txt")
    with pytest.raises(InvalidInput, match=r"'b' cannot be read: Is a directory"):
        read(tmp_path, "b")


def test_a_long_text_is_read_a_chapter_at_a_time(tmp_path: Path) -> None:
    chapter = "It rained, and nobody came to the mill.\n\n" * 1_000
    document = write(tmp_path, "".join(f"Chapter {n}\n\n{chapter}" for n in range(1, 41)))
    tracemalloc.start()
    assert sum(len(section.blocks) for section in document.sections) == 40 * 1_001
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_600_000  # The text is 1.6 MB; as blocks it would be 8 MB.


def test_markdown_headings_begin_sections(tmp_path: Path) -> None:
    text = "# The Mill\n\nHello *you*,\nand `x`.\n\n## Rain\n\nIt rained.\n\nSetext\n===\n\nEnd.\n"
    document = write(tmp_path, text, "a.md")
    assert document.title == "The Mill"
    assert outline(document) == [
        ("The Mill", 1, ["The Mill", "Hello you, and x."]),
        ("Rain", 2, ["Rain", "It rained."]),
        ("Setext", 1, ["Setext", "End."]),
    ]
    assert next(iter(document.sections)).blocks[0] == Block("The Mill", heading=True, start=0)


def test_front_matter_of_markdown_names_the_book_and_is_not_spoken(tmp_path: Path) -> None:
    text = "---\ntitle: The Mill\nauthor: Ann Lee\nlang: en-GB\n---\n\nIt rained.\n"
    document = write(tmp_path, text, "a.md")
    assert (document.title, document.author, document.language) == ("The Mill", "Ann Lee", "en-GB")
    assert outline(document) == [("", 1, ["It rained."])]


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.ssml"])
def test_front_pages_are_asked_for_of_an_epub_only(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("<speak>It rained.</speak>")
    assert list(read(path, name).sections)
    with pytest.raises(InvalidInput, match=f"'{name}' is no EPUB") as refused:
        read(path, name, front_matter=True)
    assert (refused.value.field, refused.value.value) == ("front_matter", True)


@pytest.mark.parametrize("matter", ["- a\n- b", "a: [", "5"])
def test_front_matter_that_says_nothing_is_left_out(tmp_path: Path, matter: str) -> None:
    document = write(tmp_path, f"---\n{matter}\n---\n\nIt rained.\n", "mill.md")
    assert (document.title, outline(document)) == ("mill", [("", 1, ["It rained."])])


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("A [link](http://x.org) here.", ["A link here."]),
        ("A ![picture *of* rain](x.png) here.", ["A picture of rain here."]),
        ("Hi <b>you</b>.\n\n<div>raw</div>\n\nEnd.", ["Hi you.", "End."]),
        ("A.\n\n    code\n\n```py\nmore\n```\n\nB.", ["A.", "B."]),
        ("- one\n- two\n\n1. three\n", ["one", "two", "three"]),
        ("> quoted\n> text", ["quoted text"]),
        ("| A | B |\n|---|---|\n| 1 | 2 |\n", ["A, B", "1, 2"]),
        ("A ~~no~~ b  \nc", ["A no b c"]),
        ("A.\n\n***\n\nB.", ["A.", "B."]),
        ("5 &lt; 6 &amp; \\*7\\*", ["5 < 6 & *7*"]),
    ],
)
def test_what_is_spoken_of_markdown(tmp_path: Path, text: str, blocks: list[str]) -> None:
    assert outline(write(tmp_path, text, "a.md")) == [("", 1, blocks)]


def test_footnotes_follow_at_the_end_of_their_section(tmp_path: Path) -> None:
    text = "# A\n\nOne[^x] two.\n\nThree.\n\n# B\n\nFour[^y].\n\n[^x]: Note x.\n[^y]: Note *y*.\n"
    assert outline(write(tmp_path, text, "a.md")) == [
        ("A", 1, ["A", "One two.", "Three.", "Note x."]),
        ("B", 1, ["B", "Four.", "Note y."]),
    ]
