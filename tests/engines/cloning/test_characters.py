"""Spelling, against ids that coqui-tts's own tokenizer made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm.audio import Timing
from farm.engines.cloning.characters import Characters, read
from farm.engines.dialects.base import Tokens, timings
from farm.errors import EngineError

GOLDEN = json.loads((Path(__file__).parent / "golden_ids.json").read_text(encoding="utf-8"))
ALPHABET = read(GOLDEN["text"])


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: row["text"])
def test_ids_are_those_of_coquis_own_tokenizer(row: dict[str, Any]) -> None:
    assert list(ALPHABET.spell(row["text"], row["language"]).ids) == row["ids"]


def test_characters_that_the_voice_lacks_are_left_out_and_named_once() -> None:
    spelling = ALPHABET.spell("5 € for 5 cafés", "en")
    assert spelling.missing == ("5", "€")
    assert "".join(spelling.symbols) == "  for  cafés"


@pytest.mark.parametrize("text", ["", " ", "...", "123", "漢字", '"()"'])
def test_nothing_that_can_be_spelled_is_an_error_that_shows_the_text(text: str) -> None:
    with pytest.raises(EngineError) as caught:
        ALPHABET.spell(text, "en")
    assert str(caught.value) == f"nothing to pronounce in {text!r}"


def test_blanks_stand_before_between_and_after() -> None:
    letters = Characters({"a": 1, "b": 2}, "no_cleaners", blank=9)
    assert letters.spell("ab", "en") == Tokens((9, 1, 9, 2, 9), ("", "a", "", "b", ""))
    assert Characters({"a": 1}, "no_cleaners").spell("aa", "en").ids == (1, 1)


def test_begin_and_end_stand_around_the_blanks() -> None:
    edged = Characters({"a": 1}, "no_cleaners", blank=9, edges=(7, 8))
    assert edged.spell("a", "en") == Tokens((7, 9, 1, 9, 8), ("", "", "a", "", ""))


def test_blanks_last_with_the_character_before_them_and_the_first_with_the_first() -> None:
    lengths = [1, 10, 100, 1000, 10000]
    assert timings(["", "a", "", "b", ""], lengths) == (Timing("a", 111), Timing("b", 11000))


def test_cleaners_treat_languages_as_coqui_does() -> None:
    anything = Characters({chr(each): each for each in range(32, 127)}, "multilingual_cleaners")

    def clean(text: str, language: str) -> str:
        return "".join(map(chr, anything.spell(text, language).ids))

    assert clean("A; B-c: d & 'e'", "en-us") == "a, b c, d and 'e'"
    assert clean("a & b", "fr-fr") == "a et b"
    assert clean("a & b", "pt-br") == "a e b"
    assert clean("a & b", "nl") == "a & b"
    assert clean("a-b l'c", "ca") == "ab lc"
    assert clean("a;", "el") == "a;"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cleaner": "korean_cleaners"}, "text cleaner 'korean_cleaners' is not supported: basic"),
        ({"cleaner": None}, "text cleaner None is not supported"),
        ({"ids": {"a": "x"}}, "text: not as 'farm export yourtts' writes it"),
        ({"ids": ["a"]}, "text: not as 'farm export yourtts' writes it"),
    ],
)
def test_a_broken_text_block_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError) as caught:
        read(GOLDEN["text"] | change)
    assert message in str(caught.value)


def test_a_text_block_without_a_field_is_refused() -> None:
    with pytest.raises(EngineError, match="'blank'"):
        read({"ids": {}, "cleaner": "no_cleaners", "edges": []})
