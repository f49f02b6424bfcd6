"""Cutting texts in words, and naming languages."""

from __future__ import annotations

import pytest

from farm.engines.dialects.languages import primary, tag
from farm.engines.dialects.words import phrases, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("don't stop", ["don't", "stop"]),
        ("a,b  c.", ["a", ",", "b", "c", "."]),
        ("café Über", ["café", "Über"]),
        ("你好ok 1", ["你", "好", "ok", "1"]),
        ("d’accord", ["d", "’", "accord"]),
    ],
)
def test_words_are_latin_letters_together_and_others_alone(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("今天天气", ["今天", "天气"]),
        ("天天气", ["天", "天气"]),
        ("天今天", ["天", "今天"]),
        ("okok天气", ["okok", "天气"]),
    ],
)
def test_the_longest_known_phrase_counts_from_the_left(text: str, cut: list[str]) -> None:
    assert list(phrases(split(text), {"今天", "天气", "今"})) == cut


def test_no_phrase_is_longer_than_ten_words() -> None:
    ten, eleven = "一" * 10, "一" * 11
    assert list(phrases(split(ten), {ten})) == [ten]
    assert list(phrases(split(eleven), {eleven})) == ["一"] * 11


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("eng", "en"),
        ("Chinese", "zh"),
        ("Chinese + English", "zh"),
        ("cmn", "zh"),
        ("pt-br", "pt-BR"),
        ("en_US", "en-US"),
        ("zh-Hans", "zh"),
        ("kmr", "kmr"),
    ],
)
def test_languages_have_one_name(name: str, known: str) -> None:
    assert tag(name) == known
    assert primary(name) == known.partition("-")[0]
