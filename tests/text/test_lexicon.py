"""Lexicons: what is read of a PLS document, what is found in a text, and what becomes of it."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farm.errors import FarmError, InvalidInput
from farm.text import Reading, lexicon, merged, sentences, spoken
from farm.text.lexicon import Entry, Lexicons, read
from tests.text.lexicons import SIOBHAN, aliases, held, lexeme, pls


def shown(text: str, lexicons: Lexicons, language: str = "en") -> str:
    """A text as it is spoken, the sounds of its parts in braces."""
    found = spoken(text, language, lexicons.find(text, language))
    parts, at = [], 0
    for start, end, ipa in found.phones:
        parts += [found.text[at:start], f"{found.text[start:end]}{{{ipa}}}"]
        at = end
    return "".join([*parts, found.text[at:]])


WORDS = held(
    pls(
        lexeme("Siobhan", ipa="ʃɪˈvɔːn"),
        lexeme("GIF", ipa="dʒɪf"),
        lexeme("C++", "see plus plus"),
        lexeme("York", "Yawk"),
        lexeme("New York", "Noo Yawk"),
        lexeme("New York City", "the big apple"),
        lexeme("W3C", "World Wide Web Consortium"),
        lexeme("Bde.", "Brigade"),
        lexeme("can", "kan"),
        lexeme("Don", "Dawn"),
        lexeme("O'Neill", "O'Neal"),
        lexeme("café", "caffay"),
        lexeme("1984", "one nine eight four"),
        lexeme("7", "seven of them"),
        lexeme("Yahoo! Inc.", "yahoo incorporated"),
        lexeme("I/O", ipa="aɪ əʊ"),
        lexeme("♥", "love"),
    )
)

#: A text, and how it is spoken.
TABLE = [
    ("No word of it.", "No word of it."),
    ("Siobhan left.", "Siobhan{ʃɪˈvɔːn} left."),
    ("“Siobhan!”", "“Siobhan{ʃɪˈvɔːn}!”"),
    ("Siobhan's and Siobhan’s", "Siobhan{ʃɪˈvɔːn}'s and Siobhan{ʃɪˈvɔːn}’s"),
    ("_Siobhan_-like", "Siobhan{ʃɪˈvɔːn}-like"),
    ("St. Siobhan and Dr. Siobhan", "Saint Siobhan{ʃɪˈvɔːn} and Doctor Siobhan{ʃɪˈvɔːn}"),
    ("siobhan, SIOBHAN, Siobhans", "siobhan, SIOBHAN, Siobhans"),
    ("Siob\u00adhan left.", "Siobhan{ʃɪˈvɔːn} left."),
    ("A GIF for $5.", "A GIF{dʒɪf} for five dollars."),
    ("GIFs and a .GIF", "GIFs and a .GIF{dʒɪf}"),
    ("Write C++ code", "Write see plus plus code"),
    ("York", "Yawk"),
    ("in New York.", "in Noo Yawk."),
    ("in New\n   York City.", "in the big apple."),
    ("New\u00a0York", "Noo Yawk"),
    ("Newer York", "Newer Yawk"),
    ("the W3C's page", "the World Wide Web Consortium's page"),
    ("W3Cs", "W three Cs"),
    ("the 3rd Bde. of", "the third Brigade of"),
    ("You can, I can't.", "You kan, I can't."),
    ("Don's, don't, Don't, Don", "Dawn's, don't, Don't, Dawn"),
    ("O'Neill and O’Neill", "O'Neal and O'Neal"),
    ("cafe\u0301 and café", "caffay and caffay"),
    ("cafés", "cafés"),
    ("in 1984, 19840", "in one nine eight four, nineteen thousand eight hundred and forty"),
    ("7, 7.7 or 1,007", "seven of them, seven point seven or one thousand and seven"),
    ("I/O of 3 lb", "I/O{aɪ əʊ} of three pounds"),
    ("I ♥ it", "I love it"),
    ("♥", "love"),
]


@pytest.mark.parametrize(("text", "words"), TABLE, ids=[text for text, _ in TABLE])
def test_a_text_of_the_table_is_spoken_as_it_says(text: str, words: str) -> None:
    assert shown(text, WORDS) == words


def test_scripts_without_spaces_have_no_words_to_be_whole() -> None:
    chinese = held(aliases("zh", 重庆="重 庆", 重="虫", GPU="显卡"))
    assert shown("我在重庆市。", chinese, "zh-CN") == "我在重 庆市。"
    assert shown("很重的GPU卡", chinese, "zh-CN") == "很虫的显卡卡"
    assert shown("GPUs", chinese, "zh-CN") == "GPUs"
    japanese = held(aliases("ja", 日本="にっぽん"))
    assert shown("日本語は日本の言葉", japanese, "ja") == "にっぽん語はにっぽんの言葉"


def test_letters_and_their_marks_are_one_word() -> None:
    hindi = held(aliases("hi", क="ka"))
    assert shown("क", hindi, "hi") == "ka"
    assert shown("कि की", hindi, "hi") == "कि की"


def test_a_lexicon_is_for_its_language_with_any_region_or_with_its_own() -> None:
    words = held(aliases("en", tomato="one"), aliases("en-GB", tomato="two", crisps="chips"))
    assert shown("tomato crisps", words, "en-GB") == "one chips"
    assert shown("tomato crisps", words, "en_gb") == "one chips"
    assert shown("tomato crisps", words, "en") == "one chips"
    assert shown("tomato crisps", words, "en-US") == "one crisps"
    assert shown("tomato crisps", words, "fr") == "tomato crisps"


def test_of_several_lexicons_the_first_that_has_a_word_counts_and_the_longest_of_all() -> None:
    words = held(aliases(York="one"), pls(lexeme("York", "two"), lexeme("New York", "three")))
    assert shown("York, New York", words) == "one, three"


def test_a_lexicon_that_is_for_none_of_a_jobs_languages_is_told_once() -> None:
    words = held(aliases("fr", a="b"), aliases("en", a="b"), aliases("fr", b="c"))
    assert words.unheard({"en-US"}) == [
        "a lexicon is for 'fr': nothing in en-US is looked up in it"
    ]
    assert words.unheard({"en", "fr-CA"}) == []


@pytest.mark.parametrize(
    ("inside", "entry"),
    [
        ("<alias>one</alias><alias>two</alias>", Entry("one")),
        ("<alias>one</alias><alias prefer='true'>two</alias>", Entry("two")),
        ("<phoneme>a</phoneme><alias prefer='true'>two</alias>", Entry("two")),
        ("<alias>one</alias><phoneme prefer='true'>a</phoneme>", Entry(ipa="a")),
        ("<phoneme prefer='false'>a</phoneme><phoneme>b</phoneme>", Entry(ipa="a")),
        ("<phoneme alphabet='ipa'> ˈa  b </phoneme><example>a b</example>", Entry(ipa="ˈa b")),
        ("<phoneme>t͡ʃiː.g</phoneme>", Entry(ipa="tʃiːɡ")),
    ],
)
def test_the_preferred_pronunciation_counts_else_the_first(inside: str, entry: Entry) -> None:
    document = pls(f"<lexeme><grapheme>x</grapheme>{inside}</lexeme>")
    assert read(document).entries == {"x": entry}


def test_every_grapheme_of_a_lexeme_is_read_alike_and_roles_come_last() -> None:
    graphemes = "<grapheme>colour</grapheme><grapheme> the   color </grapheme>"
    document = pls(
        f"<lexeme role='x:verb'>{graphemes}<alias prefer='true'>verb</alias></lexeme>",
        "<lexeme><grapheme>colour</grapheme><alias>first</alias></lexeme>",
        "<lexeme><grapheme>colour</grapheme><alias>second</alias></lexeme>",
    )
    assert read(document).entries == {"colour": Entry("first"), "the color": Entry("verb")}


def test_a_lexicon_is_read_with_a_prefix_a_declaration_metadata_and_in_another_encoding() -> None:
    text = (
        '<?xml version="1.0" encoding="iso-8859-1"?><!-- names -->\n'
        f'<p:lexicon version="1.0" xmlns:p="{lexicon.SPACE}" xmlns:d="urn:d" alphabet="ipa" '
        'xml:lang="fr"><p:meta name="a" content="b"/><p:metadata><d:x/></p:metadata><d:y/>'
        "<p:lexeme><p:grapheme>é</p:grapheme><p:alias>e <!-- c -->accent</p:alias></p:lexeme>"
        "</p:lexicon>"
    )
    found = read(text.encode("iso-8859-1"))
    assert (found.language, found.entries["é"]) == ("fr", Entry("e accent"))
    bare = text.replace("p:", "").replace(f' xmlns:p="{lexicon.SPACE}"', "")
    assert read(bare.replace('encoding="iso-8859-1"', "").encode()).entries == found.entries


LEX = lexeme("a", "b")
REFUSED = [
    ("", "not well-formed XML"),
    ("<lexicon", "not well-formed XML"),
    ("<lexicon/>", "says no language: xml:lang is ''"),
    (pls(LEX, language="a language"), "says no language: xml:lang is 'a language'"),
    ("<speak/>", "the root of a lexicon is 'lexicon', not 'speak'"),
    ("<lexicon xmlns='urn:other'/>", "the root of a lexicon is 'lexicon', not '{urn:other}lexicon"),
    (pls(), "is empty: it has no lexeme"),
    (pls("\n<lexeme><grapheme>a</grapheme></lexeme>"), "line 2 of the lexicon: a lexeme has no al"),
    (pls("<lexeme><alias>a</alias></lexeme>"), "a lexeme has no grapheme"),
    (pls("<lexeme><grapheme> </grapheme><alias>a</alias></lexeme>"), "a grapheme is empty"),
    (pls(lexeme("a" * 201, "b")), "a grapheme has 201 characters: 200 at most"),
    (pls(lexeme("a", "b" * 201)), "a alias has 201 characters: 200 at most"),
    (pls("<word/>"), "line 1 of the lexicon: <word> is not known here: use lexeme"),
    (pls("<lexeme><word/></lexeme>"), "<word> is not known here: use alias, grapheme, phoneme"),
    (pls(lexeme("a", ipa='S"i')), "no IPA: it has '\"'"),
    (pls(lexeme("a", ipa="S@")), "no IPA: it has '@'"),
    (pls(lexeme("a", ipa="ˈ.ˌ")), "no IPA: it has no sound"),
    (pls(lexeme("a", ipa="a"), alphabet="x-sampa"), "phonemes in 'x-sampa': the farm reads 'ipa'"),
    ("<!DOCTYPE lexicon><lexicon/>", "has a document type declaration"),
    ("<?x y?><!-- - --><!DOCTYPE lexicon [<!ENTITY a 'b'>]><lexicon/>", "type declaration"),
    (pls(lexeme("&a;", "b")).replace("&amp;", "&"), "not well-formed XML"),
    ("<a>" * 100_001, "has 100001 tags; the farm reads 100000"),
    (" " * (2**20 + 1), "has 1048577 bytes; the farm reads 1048576"),
    (pls(LEX) + "\ud800", "half a character"),
]


@pytest.mark.parametrize(("document", "why"), REFUSED, ids=[why[:30] for _, why in REFUSED])
def test_what_is_no_lexicon_is_refused_in_one_line(document: str, why: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(document)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_an_alias_needs_no_alphabet_that_is_known() -> None:
    assert read(pls(LEX, alphabet="x-sampa")).entries == {"a": Entry("b")}


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: pls(lexeme("a", "b") + t)))
def test_any_document_is_read_or_refused(document: str | bytes) -> None:
    with suppress(FarmError):
        assert read(document).entries


letters = st.text(st.sampled_from("abAé中ー- '.\n\u00a0\u00ad5,e\u0301“”!_"), max_size=60)


@settings(max_examples=300)
@given(letters)
@example("a.b")
def test_a_text_without_any_of_the_words_is_as_it_was(text: str) -> None:
    words = held(pls(lexeme("zz", "z"), lexeme("Zab", ipa="z")))
    assert words.find(text, "en") == []
    plain = sentences(text, "en", 20)
    assert sentences(text, "en", 20, readings=words.find(text, "en")) == plain


@settings(max_examples=300)
@given(letters)
@example("a. a a b, a")
def test_sentences_tile_the_text_whatever_is_read_otherwise(text: str) -> None:
    words = held(pls(lexeme("a", "long and long words"), lexeme("b a", ipa="b"), lexeme("a.", "x")))
    found = words.find(text, "en")
    assert all(left.end <= right.start for left, right in pairwise(found))
    pieces = sentences(text, "en", 20, readings=found)
    ends = [0]
    for piece in pieces:
        assert not text[ends[-1] : piece.start].strip()
        assert piece.start < piece.end
        ends.append(piece.end)
        for start, end, ipa in piece.phones:
            assert (piece.spoken[start:end], ipa) == ("b a", "b")
    assert not text[ends[-1] :].strip()


def test_no_sentence_ends_within_a_word_of_the_lexicon() -> None:
    text = "He sold Yahoo! Inc. on Monday. Siobhan bought it."
    first, second = sentences(text, "en", readings=WORDS.find(text, "en"))
    assert first.spoken == "He sold yahoo incorporated on Monday."
    assert (first.start, first.end) == (0, text.index(" Siobhan"))
    assert text[second.start : second.end] == second.spoken == "Siobhan bought it."
    assert second.phones == ((0, 7, SIOBHAN),)


def test_a_long_alias_is_cut_at_its_clauses_and_its_pieces_share_the_words_span() -> None:
    words = held(aliases(etc=", ".join(["and so on"] * 15)))
    pieces = sentences("etc", "en", 80, readings=words.find("etc", "en"))
    assert len(pieces) == 3
    assert ", ".join(p.spoken.rstrip(",") for p in pieces) == ", ".join(["and so on"] * 15)
    assert [(p.start, p.end) for p in pieces] == [(0, 1), (1, 2), (2, 3)]


def test_readings_of_the_document_itself_go_before_those_of_a_lexicon() -> None:
    own = [Reading(4, 8, ipa="a")]
    found = [Reading(0, 4, "x"), Reading(3, 5, "y"), Reading(5, 6, "z"), Reading(8, 9, "w")]
    assert merged(own, found) == [Reading(0, 4, "x"), own[0], Reading(8, 9, "w")]


@pytest.mark.parametrize("language", ["en", "fr", "ja", "pt", "zh", "de", "tlh"])
@pytest.mark.parametrize("after", ["5", " 5 lb", "² & $5", "'s", "_b", "/h", "-Xq", "日", "%."])
def test_what_has_sounds_is_found_again_whatever_stands_beside_it(
    language: str, after: str
) -> None:
    text = f"xqaa St. Xq{after}"
    found = spoken(text, language, [Reading(9, 11, ipa="ɛks")])
    ((start, end, ipa),) = found.phones
    assert (found.text[start:end], ipa) == ("Xq", "ɛks")
    assert "  " not in found.text


def test_a_megabyte_of_words_is_found_and_cut_in_time() -> None:
    words = held(pls(*(lexeme(" ".join("a" * n), "b") for n in range(1, 100))))
    text = "a " * 100_000
    begin = time.monotonic()
    found = words.find(text, "en")
    pieces = sentences(text, "en", readings=found)
    assert time.monotonic() - begin < 60
    assert sum(len(piece.spoken) for piece in pieces) > 1000
    assert max(len(piece.spoken) for piece in pieces) <= 400
