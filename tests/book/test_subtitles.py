"""Subtitles, judged by parsers that do not know us."""

from __future__ import annotations

import datetime
import io
import itertools
import json

import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.book import subtitles
from farm.jobs import Mark
from farm.schema import from_json

LONG = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
    "age of foolishness, it was the epoch of belief, it was the epoch of incredulity."
)


def sentence(text: str, start: int = 0, end: int = 2000) -> Mark:
    return Mark("sentence", text, start, end, 0, len(text))


def spoken(text: str, step: int = 250) -> list[Mark]:
    """A sentence and its words, each of the same time."""
    words = text.split()
    marks = [sentence(text, 0, step * len(words))]
    for number, word in enumerate(words):
        marks.append(Mark("word", word, number * step, (number + 1) * step, 0, 0))
    return marks


MARKS = [
    sentence("Call me Ishmael.", 500, 1_800),
    sentence("Some years ago -- never mind how long.", 2_000, 3_661_042),
    sentence("Fish & chips: 1 < 2 > 0 <b>bold</b> --> here.", 3_662_000, 360_000_001),
]


def test_another_parser_reads_the_srt() -> None:
    cues = list(srt.parse(subtitles.srt(MARKS), ignore_errors=False))
    assert [cue.index for cue in cues] == [1, 2, 3]
    assert cues[1].content == "Some years ago -- never mind how long."
    assert cues[1].start == datetime.timedelta(seconds=2)
    assert cues[1].end == datetime.timedelta(seconds=3661.042)


def test_another_parser_reads_the_vtt() -> None:
    captions = webvtt.from_string(subtitles.vtt(MARKS)).captions
    assert [caption.start for caption in captions] == [
        "00:00:00.500",
        "00:00:02.000",
        "01:01:02.000",
    ]
    assert captions[2].end == "100:00:00.001"
    assert captions[0].text == "Call me Ishmael."


def test_what_means_something_in_vtt_is_escaped() -> None:
    text = subtitles.vtt([sentence("1 < 2 & 3 > 2 --> <i>&amp;</i>")])
    assert text.splitlines()[-1] == "1 &lt; 2 &amp; 3 &gt; 2 --&gt; &lt;i&gt;&amp;amp;&lt;/i&gt;"


def test_no_arrow_is_left_inside_an_srt_cue() -> None:
    lines = subtitles.srt([sentence("from A --> B")]).splitlines()
    assert [line for line in lines if "-->" in line] == [lines[1]]
    assert lines[2] == "from A → B"


def test_line_breaks_of_the_source_do_not_end_a_cue() -> None:
    text = "One\n\ntwo\r\n\tthree.\u2028Four"
    assert len(list(srt.parse(subtitles.srt([sentence(text)])))) == 1
    assert webvtt.from_string(subtitles.vtt([sentence(text)])).captions[0].text == (
        "One two three. Four"
    )


def test_a_long_sentence_becomes_cues_of_two_short_lines() -> None:
    cues = list(subtitles.cues([sentence(LONG, 1000, 11_000)]))
    assert len(cues) == 3
    assert all(len(cue.lines) <= 2 for cue in cues)
    assert all(len(line) <= 42 for cue in cues for line in cue.lines)
    assert " ".join(line for cue in cues for line in cue.lines) == LONG
    assert (cues[0].start_ms, cues[-1].end_ms) == (1000, 11_000)
    assert all(left.end_ms == right.start_ms for left, right in itertools.pairwise(cues))


def test_without_words_a_cut_is_timed_by_characters() -> None:
    cues = list(subtitles.cues([sentence(LONG, 0, 10_000)]))
    shown = sum(map(len, cues[0].lines)) / sum(len(line) for cue in cues for line in cue.lines)
    assert cues[0].end_ms == pytest.approx(10_000 * shown, abs=1)


def test_with_words_a_cut_is_timed_by_the_first_word_after_it() -> None:
    marks = spoken(LONG)
    cues = list(subtitles.cues(marks))
    before = 0
    for cue in cues:
        assert cue.start_ms == before * 250
        before += len(" ".join(cue.lines).split())
    assert before == len(marks) - 1


def test_words_that_do_not_match_the_text_are_not_trusted() -> None:
    marks = spoken(LONG)[:-3]
    assert list(subtitles.cues(marks)) == list(subtitles.cues(marks[:1]))


def test_words_belong_to_the_sentence_before_them() -> None:
    marks = [*spoken(LONG), sentence("The end.", 20_000, 21_000), *spoken("The end.")[1:]]
    cues = list(subtitles.cues(marks))
    assert cues[-1] == subtitles.Cue(("The end.",), 20_000, 21_000)
    assert len(cues) == 4


def test_a_sentence_without_text_is_no_cue() -> None:
    assert list(subtitles.cues([sentence(" \n "), sentence("A.")])) == [
        subtitles.Cue(("A.",), 0, 2000)
    ]


def test_chinese_is_cut_without_spaces() -> None:
    cues = list(subtitles.cues([sentence("天地玄黃宇宙洪荒" * 20, 0, 30_000)]))
    assert "".join(line for cue in cues for line in cue.lines) == "天地玄黃宇宙洪荒" * 20
    assert len(cues) == 2


def test_nothing_spoken_is_a_valid_empty_file() -> None:
    assert subtitles.srt([]) == ""
    assert subtitles.vtt([]) == "WEBVTT\n"
    assert subtitles.marks_json([]) == ""
    assert webvtt.from_string(subtitles.vtt([])).captions == []


def test_marks_come_back_from_their_json() -> None:
    marks = [*MARKS, *spoken("Ünïcode\nwörds 😀")]
    lines = subtitles.marks_json(marks).splitlines()
    assert [from_json(Mark, line) for line in lines] == marks
    assert json.loads(lines[0])["start_ms"] == 500


def test_writers_are_named_by_their_suffix() -> None:
    assert set(subtitles.WRITERS) == {"srt", "vtt", "json"}
    assert subtitles.WRITERS["vtt"](iter(MARKS)).startswith("WEBVTT\n\n")


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=300)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(TEXT, st.integers(0, 5000), st.integers(0, 500)), max_size=6))
def test_any_text_gives_files_that_parse_with_times_in_order(
    rows: list[tuple[str, int, int]],
) -> None:
    marks = []
    at = 0
    for text, length, pause in rows:
        marks.append(sentence(text, at, at + length))
        at += length + pause
    cues = list(subtitles.cues(marks))
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    assert len(list(srt.parse(subtitles.srt(marks)))) == len(cues)
    captions = list(webvtt.from_buffer(io.StringIO(subtitles.vtt(marks))).captions)
    assert len(captions) == len(cues)
    shown = "".join(line for cue in cues for line in cue.lines)
    assert "".join(shown.split()) == "".join("".join(text.split()) for text, _, _ in rows)
