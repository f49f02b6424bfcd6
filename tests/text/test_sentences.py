"""Where paragraphs are cut; that nothing of them is lost; that long ones take linear time."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from farm.text import Sentence, sentences
from farm.text.cutting import clause_spans, sentence_spans

BOUNDED = settings(
    deadline=None,
    derandomize=True,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow],
)
TABLE = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    if "\t" in line and not line.startswith("#")
]
#: The library joins what these part: the pause is missed, no word is.
MISSED = {
    "Wait...| what was that?",
    "It faded…| Then silence.",
    "(He was late.)| She was not.",
    "他想……|然后走了。",
    "（他不在。）|她等着。",
    "待って……|誰だ？",
}


@pytest.mark.parametrize(("language", "marked"), TABLE)
def test_paragraphs_are_cut_where_the_table_says(language: str, marked: str) -> None:
    text = marked.replace("|", "")
    found = [text[start:end].strip() for start, end in sentence_spans(text, language)]
    wanted = [part.strip() for part in marked.split("|")]
    assert found == ([text] if marked in MISSED else wanted)


def test_the_table_is_as_long_as_promised() -> None:
    assert len(TABLE) >= 60
    assert {marked for _, marked in TABLE} > MISSED


def check_tiling(text: str, pieces: list[Sentence], limit: int) -> None:
    """Spans follow each other, only white space lies between, and no piece is too long."""
    position = 0
    for piece in pieces:
        assert text[position : piece.start].strip() == ""
        assert position <= piece.start <= piece.end
        assert len(piece.spoken) <= limit
        position = piece.end
    assert text[position:].strip() == ""


PIECES = st.sampled_from(
    [
        *str.split(
            "word words Dr. St. 1,234,567 $12.50 “Stop!” — * … . ! ? ; , : 「好。」 你好，世界。 "
            "e\u0301e\u0301 👩\u200d🚀 1999 p.m. *** ( ) [x] supercalifragilistic"
        ),
        *("\n", "\t", "\u00a0", "a" * 40),
    ]
)


@BOUNDED
@given(st.lists(PIECES, max_size=60), st.sampled_from(["en", "zh", "fr"]), st.integers(20, 90))
@example(["1,234,567"] * 30, "en", 20)
def test_the_spans_tile_the_paragraph_and_pieces_keep_the_limit(
    words: list[str], language: str, limit: int
) -> None:
    text = " ".join(words)
    pieces = sentences(text, language, limit)
    check_tiling(text, pieces, limit)
    if text.strip():
        assert pieces
        assert pieces[0].start == len(text) - len(text.lstrip())
        assert pieces[-1].end == len(text.rstrip())


@BOUNDED
@given(st.text(max_size=200), st.integers(20, 60))
def test_any_text_at_all_is_tiled(text: str, limit: int) -> None:
    check_tiling(text, sentences(text, "en", limit), limit)


@BOUNDED
@given(st.text("ab ,;.—。你\u0301👩\u200d🚀", max_size=120), st.integers(3, 30))
def test_clause_spans_tile_and_never_part_a_character_from_its_marks(text: str, limit: int) -> None:
    spans = list(clause_spans(text, 0, len(text), limit))
    assert "".join(text[start:end] for start, end, _ in spans) == text
    for start, end, _ in spans:
        assert 0 < end - start <= limit
    for start, _, _ in spans[1:]:
        run = 1
        while start - run >= 0 and text[start - run] in "\u0301\u200d":
            run += 1
        assert text[start] not in "\u0301\u200d" or run >= limit or start < limit * 2


@BOUNDED
@given(st.lists(st.sampled_from(["Zork", "blim,", "quux.", "“Hm!”", "ja;"]), min_size=1))
def test_every_word_is_spoken_once_and_in_order(words: list[str]) -> None:
    text = " ".join(words)
    assert " ".join(piece.spoken for piece in sentences(text, "en", 30)) == text


def test_each_piece_is_normalised_and_keeps_its_place_in_the_source() -> None:
    text = "Dr. Reed paid $5.  He left at 6 p.m. "
    first, second = sentences(text, "en")
    assert first == Sentence("Doctor Reed paid five dollars.", 0, 17, "sentence")
    assert second.spoken == "He left at six p.m."
    assert text[second.start : second.end] == "He left at 6 p.m."


def test_a_long_sentence_is_cut_at_its_clauses_and_says_so() -> None:
    text = "He went to the mill, and he came back; then it rained, and all was wet."
    pieces = sentences(text, "en", 40)
    assert [piece.spoken for piece in pieces] == [
        "He went to the mill, and he came back;",
        "then it rained, and all was wet.",
    ]
    assert [piece.boundary for piece in pieces] == ["clause", "sentence"]


def test_a_long_quotation_is_cut_at_the_sentences_within_it() -> None:
    text = "He said, “" + "The mill is old and grey. " * 6 + "It turns.”"
    pieces = sentences(text, "en", 100)
    assert len(pieces) > 1
    assert all(piece.spoken.endswith((".", ".”")) for piece in pieces)
    assert {piece.boundary for piece in pieces} == {"sentence"}


def test_text_that_grows_when_spoken_is_cut_again() -> None:
    text = "It cost $1,234,567.89, then $2,345,678.91, then $3,456,789.12."
    pieces = sentences(text, "en", 120)
    check_tiling(text, pieces, 120)
    assert len(pieces) >= 3
    assert pieces[0].boundary == "clause"
    assert "eighty nine cents" in " ".join(piece.spoken for piece in pieces)


def test_one_word_whose_spoken_form_is_too_long_is_shared_out() -> None:
    text = "9" * 30
    pieces = sentences(text, "en", 40)
    check_tiling(text, pieces, 40)
    assert " ".join(piece.spoken for piece in pieces) == " ".join(["nine"] * 30)
    assert (pieces[0].start, pieces[-1].end) == (0, 30)


def test_ornaments_join_a_neighbour_and_alone_are_silent() -> None:
    assert sentences("* * *", "en") == [Sentence("", 0, 5, "sentence")]
    assert sentences("— …", "en") == [Sentence("", 0, 3, "sentence")]
    before = sentences("*** He left.", "en")
    assert [(piece.spoken, piece.start) for piece in before] == [("He left.", 0)]
    after = sentences("He left. “!” ", "en")
    assert [(piece.spoken, piece.end) for piece in after] == [("He left.", 12)]


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\u2028", "\u0085"])
@pytest.mark.parametrize("text", ["Plan A§. Then B§.", "A§.", "5§A§.§b", "M§. Dupont§!"])
def test_white_space_of_several_bytes_breaks_nothing(text: str, space: str) -> None:
    check_tiling(text.replace("§", space), sentences(text.replace("§", space), "en", 40), 40)


def test_a_blank_paragraph_has_no_sentences() -> None:
    assert sentences("", "en") == []
    assert sentences(" \n\t\u00a0", "en") == []


def test_a_limit_without_room_for_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="19"):
        sentences("a", "en", 19)


def test_an_unknown_language_is_cut_all_the_same() -> None:
    assert [piece.spoken for piece in sentences("One. Two.", "tlh")] == ["One.", "Two."]


def test_a_sentence_over_the_windows_edge_is_not_cut_there() -> None:
    filler = "The mill is old and grey. " * 307
    text = filler + "This sentence stands right over the edge of the window and stays whole. End."
    assert len(filler) < 8_000 < len(text)
    spoken = [piece.spoken for piece in sentences(text, "en")]
    assert spoken[-2:] == [
        "This sentence stands right over the edge of the window and stays whole.",
        "End.",
    ]


@pytest.mark.parametrize(
    "unit", ["“word ", "word ", "a", "A. ", "。", "He said: “No.” Mr. X left. ", '"((']
)
def test_a_paragraph_of_a_megabyte_does_not_hang(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    start = time.perf_counter()
    position = 0
    for first, last in sentence_spans(text, "en"):
        assert first == position
        position = last
    assert position == len(text)
    assert time.perf_counter() - start < 10  # Without windows the first takes a minute.
