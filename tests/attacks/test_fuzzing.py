"""Any input at all is spoken, or refused in one line; what is not spoken of it is told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.text.documents import read
from tests.attacks.fuzzing import LANGUAGES, PLACES, SEEDS, TARGETS
from tests.text.epubs import write_epub

ROOT = Path(__file__).parents[2]
#: Bounded and repeatable: `scripts/fuzz` goes on for as long as one likes.
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def mangled(seed: bytes) -> st.SearchStrategy[bytes]:
    """A seed of which pieces are cut out, doubled or replaced."""
    piece = st.tuples(
        st.integers(0, len(seed)), st.integers(0, 8), st.binary(max_size=6) | st.text(max_size=3)
    )

    def mangle(pieces: list[tuple[int, int, bytes | str]]) -> bytes:
        data = seed
        for at, length, new in pieces:
            fresh = new.encode() if isinstance(new, str) else new
            data = data[:at] + fresh + data[at + length :]
        return data

    return st.lists(piece, min_size=1, max_size=6).map(mangle)


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_break_a_reader(target: str) -> None:
    drawn = st.one_of(st.binary(max_size=120), *map(mangled, SEEDS[target]))
    if target == "epub":
        drawn |= st.tuples(st.integers(0, len(PLACES) - 1), st.text(max_size=60)).map(
            lambda both: bytes([both[0]]) + both[1].encode()
        )

    @BOUNDED
    @given(drawn)
    def run(data: bytes) -> None:
        TARGETS[target](data)

    run()


@BOUNDED
@given(
    st.sampled_from(range(len(LANGUAGES))),
    st.text(
        st.characters(exclude_categories=["Cs"])
        | st.sampled_from("aé你ß1２½.,;:!?…“”() \n\t$%-—'’\u200d\u0301\u202e\ufeff😀ⅣⅫ№"),
        max_size=150,
    ),
)
def test_every_meaning_character_is_in_a_segment_or_told_of(language: int, text: str) -> None:
    TARGETS["plan"](bytes([language]) + text.encode())


# --- documents whose words are known


def _words(shapes: list[str]) -> tuple[list[str], list[str]]:
    """Put words of their own into shapes; return the filled shapes, and the words."""
    words: list[str] = []

    def fill(shape: str) -> str:
        parts = shape.split("§")
        for _ in parts[1:]:
            words.append(f"word{chr(97 + len(words) // 26)}{chr(97 + len(words) % 26)}x")
        own = words[len(words) - len(parts) + 1 :]
        return "".join(part + word for part, word in zip(parts, [*own, ""], strict=True))

    return [fill(shape) for shape in shapes], words


def _missing(path: Path, words: list[str]) -> list[str]:
    """The words of a document that no block has, unless something is told."""
    sections = list(read(path, path.name).sections)
    told = any(section.warnings for section in sections)
    text = " ".join(block.text for section in sections for block in section.blocks)
    return [] if told else [word for word in words if word not in text]


MARKDOWN = (
    "§", "# §", "§\n===", "- §\n- §", "1. §\n\n   §", "> §\n> > §", "**§** *§* ~~§~~ `§`",
    "[§](a) ![§](b) <b>§</b>", "| § | § |\n|---|---|\n| § | § |", "§[^1]", "[^1]: §", "[^2]: §",
    "§  \n§", "    §", "```\n§\n```", "<div>§</div>", "<!-- x -->", "§ \\* &amp; § < § & §",
    "<§>", "[§]", "[^§]", "- [ ] §", "***", "§\n:   §", "![§][1]", "[1]: §", "<!--\n§",
)  # fmt: skip


@pytest.mark.parametrize("shape", MARKDOWN)
def test_a_shape_of_markdown_by_itself_is_read(shape: str) -> None:
    _read_markdown([shape])


@BOUNDED
@given(st.lists(st.sampled_from(MARKDOWN), min_size=1, max_size=8))
def test_no_word_of_markdown_is_dropped_in_silence(shapes: list[str]) -> None:
    _read_markdown(shapes)


def _read_markdown(shapes: list[str]) -> None:
    filled, words = _words(["§.", *shapes])
    # Where a link leads is no text; neither is what only looks like a tag.
    hidden = {word for part in filled if part.startswith(("[1]: ", "<word")) for word in words
              if word in part}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="farm-fuzz-") as folder:
        path = Path(folder) / "a.md"
        path.write_text("\n\n".join(filled))
        assert set(_missing(path, words)) <= hidden


PAGES = (
    "<p>§</p>", "<h1>§</h1>", "§", "<div>§<p>§</p>§</div>", "<ul><li>§</li><li>§", "<p>§<br>§</p>",
    "<table><tr><td>§</td><td>§</td></tr></table>", "<p>§ & §</p>", "<p>§ < §</p>", "<b>§</i>§",
    "</p>§", "<p>§&nbsp;§&bogus;§</p>", "<a href='#'>§</a>", "<img alt='§'/>", "<![CDATA[§]]>",
    "<p a=b>§</p>", "<x:y>§</x:y>", "<p>§\x01§</p>", "<p>§&#0;§&#xD800;§</p>", "<?x §?>",
    "<span epub:type='z'>§</span>", "<dl><dt>§<dd>§</dl>", "§</body></html>§", "<p\n>§</p\n>",
)  # fmt: skip


@pytest.mark.parametrize("shape", PAGES)
def test_a_shape_of_a_page_by_itself_is_read(shape: str) -> None:
    _read_page([shape])


@BOUNDED
@given(st.lists(st.sampled_from(PAGES), min_size=1, max_size=8))
def test_no_word_of_a_page_is_dropped_in_silence(shapes: list[str]) -> None:
    _read_page(shapes)


def _read_page(shapes: list[str]) -> None:
    filled, words = _words(["<p>§</p>", *shapes])
    hidden = {word for part in filled if part.startswith("<?x") for word in words if word in part}
    body = f"<html xmlns:epub='x'><body>{''.join(filled)}</body></html>"
    with tempfile.TemporaryDirectory(prefix="farm-fuzz-") as folder:
        path = Path(folder) / "a.epub"
        write_epub(path, {"a.xhtml": ""}, files={"OEBPS/a.xhtml": body.encode()})
        assert set(_missing(path, words)) <= hidden


# --- guided by coverage


@pytest.mark.faults
@pytest.mark.parametrize("target", TARGETS)
def test_atheris_finds_nothing(target: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "scripts/fuzz", "--seconds", "20", target],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    assert "Done" in run.stdout + run.stderr
