"""Sentences in spans: as few as can be, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.book.narrated import make, member, write_book

DOCUMENT = "EPUB/text/00000.xhtml"

#: What stands in the body, and what stands there with spans; `[1:` and `:]` stand for their tags.
CASES = {
    "a sentence": ("<p>It rains.</p>", "<p>[1:It rains.:]</p>"),
    "two sentences": ("<p>It rains. It pours.</p>", "<p>[1:It rains.:] [2:It pours.:]</p>"),
    "markup within": (
        "<p>It <em>really</em> rains. So.</p>",
        "<p>[1:It <em>really</em> rains.:] [2:So.:]</p>",
    ),
    "markup around a sentence": (
        "<p><em>It rains.</em> It pours.</p>",
        "<p><em>[1:It rains.:]</em> [2:It pours.:]</p>",
    ),
    "a sentence that begins with markup": (
        "<p>So. <b><i>It</i></b> rains.</p>",
        "<p>[1:So.:] [2:<b><i>It</i></b> rains.:]</p>",
    ),
    "a sentence that begins within markup and ends outside": (
        "<p><em>It rains. It</em> pours.</p>",
        "<p><em>[1:It rains.:] [2:It:]</em> [3:pours.:]</p>",
    ),
    "one that begins outside and ends within": (
        "<p>It <em>rains. It pours.</em></p>",
        "<p>[1:It:] <em>[2:rains.:] [3:It pours.:]</em></p>",
    ),
    "a rest without a letter": (
        "<p><em>It rains. It pours</em>.</p>",
        "<p><em>[1:It rains.:] [2:It pours:]</em>.</p>",
    ),
    "white space and comments": (
        "<p>\n  It <!-- really -->\n rains.\n  It pours.\n</p>",
        "<p>\n  [1:It <!-- really -->\n rains.:]\n  [2:It pours.:]\n</p>",
    ),
    "a note": (
        '<p>It rains.<sup><a epub:type="noteref" href="#n">1</a></sup> It pours.</p>'
        '<aside id="n" epub:type="footnote"><p>Or so.</p></aside>',
        '<p>[1:It rains.:]<sup><a epub:type="noteref" href="#n">1</a></sup> [2:It pours.:]</p>'
        '<aside id="n" epub:type="footnote"><p>Or so.</p></aside>',
    ),
    "a note within a sentence": (
        '<p>It <a epub:type="noteref" href="#n">*</a> rains.</p>',
        '<p>[1:It <a epub:type="noteref" href="#n">*</a> rains.:]</p>',
    ),
    "a block within a sentence": (
        "<div>It<aside epub:type='footnote'><p>No.</p></aside> rains.</div>",
        '<div>[1:It:]<aside epub:type="footnote"><p>No.</p></aside> [2:rains.:]</div>',
    ),
    "a table": (
        "<table><tr><td>Monday</td><td>rain</td></tr></table>",
        "<table><tr><td>[1:Monday:]</td><td>[2:rain:]</td></tr></table>",
    ),
    "a list": (
        "<ul><li>Rain</li><li>and <b>hail</b></li></ul>",
        "<ul><li>[1:Rain:]</li><li>[2:and <b>hail</b>:]</li></ul>",
    ),
    "a picture with a name": (
        '<p>Here <img src="a.png" alt="a mill"/> stands.</p><p><img src="a.png" alt="A mill"/></p>',
        '<p>[1:Here <img src="a.png" alt="a mill"/> stands.:]</p>'
        '<p>[2:<img src="a.png" alt="A mill"/>:]</p>',
    ),
    "a gloss": (
        "<p>I <ruby>see<rt>si</rt></ruby>.</p>",
        "<p>[1:I <ruby>see<rt>si</rt></ruby>.:]</p>",
    ),
    "a line break": ("<p>It<br/>rains.</p>", "<p>[1:It<br/>rains.:]</p>"),
    "an entity": ("<p>It&nbsp;rains &amp; pours.</p>", "<p>[1:It\u00a0rains &amp; pours.:]</p>"),
    "text beside paragraphs": ("So.<p>It rains.</p>", "[1:So.:]<p>[2:It rains.:]</p>"),
    "an id that is taken": ('<p id="s1">It rains.</p>', '<p id="s1">[2:It rains.:]</p>'),
    "nothing to speak": ("<p>It rains.</p><p>* * *</p>", "<p>[1:It rains.:]</p><p>* * *</p>"),
    "a link over paragraphs": (
        '<a href="#x"><p id="x">It rains.</p></a>',
        '<a href="#x"><p id="x">[1:It rains.:]</p></a>',
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_sentence_gets_a_span(before: str, after: str, tmp_path: Path) -> None:
    source = write_book(tmp_path / "a.epub", [before])
    make(source, tmp_path / "b.epub")
    body = member(tmp_path / "b.epub", DOCUMENT).decode().partition("<body>")[2]
    for number in range(1, 5):
        after = after.replace(f"[{number}:", f'<span id="s{number}">')
    assert body.partition("</body>")[0] == after.replace(":]", "</span>")
