"""Times of words: every word, in order, inside the segment, and where it is really spoken."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.audio import Timing
from farm.book import marks
from farm.book.marks import WORD, Word, in_source, words


def timings(phonemes: str, samples: int = 10) -> list[Timing]:
    """Each character a symbol of the same length."""
    return [Timing(symbol, samples) for symbol in phonemes]


def heard(text: str, phonemes: str) -> list[tuple[str, str]]:
    """Each word with the symbols that sound while it is marked."""
    return [
        (text[w.start : w.end], phonemes[round(w.start_s) : round(w.end_s)])
        for w in words(text, timings(phonemes, 1), 1)
    ]


# Phonemes as espeak gives them for Piper.
def test_words_and_groups_pair_one_to_one() -> None:
    assert heard("Hello, big world.", "^həlˈoʊ, bˈɪɡ wˈɜːld.$") == [
        ("Hello", "həlˈoʊ"),
        ("big", "bˈɪɡ"),
        ("world", "wˈɜːld"),
    ]


def test_words_that_are_spoken_as_one_share_its_time() -> None:
    found = heard("One of the authors", "^wˈʌn ʌvðə ˈɔːθɚz$")
    assert [word for word, _ in found] == ["One", "of", "the", "authors"]
    assert found[0][1] == "wˈʌn"
    assert found[1][1] + found[2][1] == "ʌvðə"
    assert found[3][1] == "ˈɔːθɚz"


def test_a_word_that_is_spoken_as_several_has_all_their_time() -> None:
    assert heard("In 1984 we left", "ɪn nˈaɪntiːn ˈeɪɾi fˈɔːɹ wiː lˈɛft") == [
        ("In", "ɪn"),
        ("1984", "nˈaɪntiːn ˈeɪɾi fˈɔːɹ"),
        ("we", "wiː"),
        ("left", "lˈɛft"),
    ]


def test_joined_and_split_words_in_one_sentence_do_not_shift_their_neighbours() -> None:
    text = (
        "It was a bright cold day in April, and the clocks were striking thirteen; "
        "I have been in the house of the man."
    )
    phonemes = (
        "^ɪt wʌzɐ bɹˈaɪt kˈoʊld dˈeɪ ɪn ˈeɪpɹəl, ænd ðə klˈɑːks wɜː stɹˈaɪkɪŋ θˈɜːtiːn; "
        "aɪ hɐvbɪn ɪnðə hˈaʊs ʌvðə mˈæn.$"
    )
    found = dict(heard(text, phonemes))
    assert found["April"] == "ˈeɪpɹəl"
    assert found["thirteen"] == "θˈɜːtiːn"
    assert found["I"] == "aɪ"
    assert found["house"] == "hˈaʊs"
    assert found["man"] == "mˈæn"


def test_dashes_part_words_and_hyphens_and_apostrophes_do_not() -> None:
    text = "Yes—no: it's a well-known 'thing', isn't it?"
    assert [text[slice(*m.span())] for m in WORD.finditer(text)] == [
        "Yes", "no", "it's", "a", "well-known", "thing", "isn't", "it",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["हिन्दी में", "สวัสดี ครับ", "cafe\u0301 noir"])
def test_a_word_keeps_its_marks(text: str) -> None:
    assert [match.group() for match in WORD.finditer(text)] == text.split()


def test_chinese_characters_are_words_of_their_own() -> None:
    assert heard("你好世界。", "ni2χˈɑu2 s.ˈi.5 tɕˈiɛ5")[2:] == [("世", "s.ˈi.5"), ("界", "tɕˈiɛ5")]


def test_several_sentences_in_a_segment_are_parted_at_their_ends() -> None:
    assert heard("Go. Stop!", "^ɡˈoʊ.$^stˈɑːp!$") == [("Go", "ɡˈoʊ"), ("Stop", "stˈɑːp")]


def test_pads_lengthen_the_phoneme_before_them_and_pauses_no_word() -> None:
    found = words("a b", timings("^_ɐ_ _b_$_"), 10)
    assert found == [Word(0, 1, 2.0, 4.0), Word(2, 3, 6.0, 8.0)]


def test_the_silence_of_a_full_stop_is_no_part_of_the_last_word() -> None:
    found = words("Go on.", timings("^_ɡ_oʊ_ _ɑ_n_._$_"), 10)
    assert [(w.start_s, w.end_s) for w in found] == [(2, 7), (9, 13)]


def test_symbols_of_several_letters_are_phonemes() -> None:
    symbols = ["HH", "AH0", "L", "OW1", " ", "W", "ER1", "L", "D"]
    found = words("hello world", [Timing(symbol, 100) for symbol in symbols], 1000)
    assert [(w.start_s, w.end_s) for w in found] == [(0, 0.4), (0.5, 0.9)]


def test_without_spaces_the_words_share_the_phonemes_by_their_letters() -> None:
    found = words("a bcd ef", timings("abcdef"), 10)
    edges = [edge for word in found for edge in (word.start_s, word.end_s)]
    assert edges == pytest.approx([0, 1, 1, 4, 4, 6])


def test_without_a_sounding_phoneme_the_words_share_the_whole_time() -> None:
    found = words("a b", timings("____"), 10)
    assert [(w.start_s, w.end_s) for w in found] == [(0, 2), (2, 4)]


def test_what_has_no_words_or_no_times_has_no_marks() -> None:
    assert words("", timings("abc"), 10) == []
    assert words("… — !", timings("abc"), 10) == []
    assert words("hello", [], 10) == []
    assert words("hello", [Timing("h", 0)], 10) == []


ALPHABET = "aɪˈː_ ^.,2"


@settings(deadline=None, max_examples=500)
@given(
    st.text("ab c-'.,—\n5你é", max_size=60),
    st.lists(st.tuples(st.sampled_from(ALPHABET), st.integers(0, 500)), max_size=60),
)
def test_any_text_and_phonemes_give_every_word_once_in_order_inside_the_segment(
    text: str, symbols: list[tuple[str, int]]
) -> None:
    given_timings = [Timing(symbol, samples) for symbol, samples in symbols]
    total = sum(samples for _, samples in symbols) / 100
    found = words(text, given_timings, 100)
    if not total:
        assert found == []
        return
    assert [(w.start, w.end) for w in found] == [m.span() for m in WORD.finditer(text)]
    at = 0.0
    for word in found:
        assert at - 1e-9 <= word.start_s <= word.end_s + 1e-9
        at = word.end_s
    assert at <= total + 1e-9


def test_most_words_are_found_where_spaces_come_and_go_at_random() -> None:
    rng = random.Random(5)
    right = count = 0
    for _ in range(100):
        lengths = [rng.choice([1, 2, 3, 3, 4, 5, 6, 8, 11]) for _ in range(rng.randint(5, 20))]
        phonemes: list[Timing] = []
        truth = []
        for index, length in enumerate(lengths):
            if index and not (length <= 3 and lengths[index - 1] <= 3 and rng.random() < 0.3):
                phonemes.append(Timing(" ", 1))
            begin = len(phonemes)
            phonemes += timings("a" * max(1, length + rng.choice([-1, 0, 0, 1])), 1)
            truth.append((begin, len(phonemes)))
        text = " ".join("x" * length for length in lengths)
        for word, (begin, end) in zip(words(text, phonemes, 1), truth, strict=True):
            count += 1
            right += abs(word.start_s - begin) <= 1 and abs(word.end_s - end) <= 1
    assert right / count > 0.9


def test_a_sentence_as_long_as_the_cap_is_aligned_by_few_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cost, compared = marks._cost, 0

    def counted(expected: float, phonemes: float) -> float:
        nonlocal compared
        compared += 1
        return cost(expected, phonemes)

    monkeypatch.setattr(marks, "_cost", counted)
    text = " ".join(["word"] * 80)
    assert len(words(text, timings("wɜːd " * 70), 100)) == 80
    assert 80 < compared < 80 * 70 * 2 * marks.REACH


SOURCE = 'He paid $5.50 to Dr. Smith in 1984, "really".'
SPOKEN = 'He paid five dollars fifty cents to Doctor Smith in nineteen eighty four, "really".'


@pytest.mark.parametrize(
    ("word", "source"),
    [
        ("He", "He"),
        ("five", "$5.50"),
        ("cents", "$5.50"),
        ("Doctor", "Dr"),
        ("Smith", "Smith"),
        ("eighty", "1984"),
        ("really", "really"),
        ("five dollars fifty cents to", "$5.50 to"),
    ],
)
def test_a_spoken_word_is_found_in_the_source(word: str, source: str) -> None:
    at = SPOKEN.index(word)
    start, end = in_source(SOURCE, SPOKEN, at, at + len(word))
    assert SOURCE[start:end] == source


def test_unchanged_text_maps_to_itself() -> None:
    assert in_source(SOURCE, SOURCE, 3, 7) == (3, 7)


def test_what_the_source_does_not_have_maps_to_nothing_between_its_neighbours() -> None:
    start, end = in_source("one two", "one plus two", 4, 8)
    assert start == end
    assert 3 <= start <= 4
    assert in_source("", "one", 0, 3) == (0, 0)
    assert in_source("one", "... one", 0, 3) == (0, 0)


@settings(deadline=None, max_examples=200)
@given(st.text("ab c.5$—", max_size=40), st.text("ab c.5$—", max_size=40))
def test_ranges_in_the_source_are_in_order_and_inside_it(source: str, spoken: str) -> None:
    at = 0
    for match in WORD.finditer(spoken):
        start, end = in_source(source, spoken, *match.span())
        assert at <= start <= end <= len(source)
        at = start
