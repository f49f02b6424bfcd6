"""English in ARPAbet, by the dictionary and, for what it lacks, by espeak-ng."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.phonemes import Pronunciation
from farm.phonemes.arpabet import symbols, word

TABLE = [
    line.split("\t")
    for line in (Path(__file__).parent / "arpabet.tsv").read_text(encoding="utf-8").splitlines()
    if "\t" in line and not line.startswith("#")
]
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
CONSONANTS = set(str.split("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"))
SYMBOLS = {f"{vowel}{stress}" for vowel in VOWELS for stress in "012"} | CONSONANTS


@pytest.mark.parametrize(("written", "wanted"), TABLE)
def test_words_sound_as_the_table_says(written: str, wanted: str) -> None:
    assert " ".join(word(written)) in wanted.split(" | ")


def test_a_sentence_keeps_its_marks() -> None:
    assert symbols("Hello, world!") == Pronunciation(
        ("HH", "AH0", "L", "OW1", ",", "W", "ER1", "L", "D", "!")
    )


def test_the_sounds_otherwise_before_a_vowel() -> None:
    assert symbols("the apple").symbols[:2] == ("DH", "IY0")
    assert symbols("the hour").symbols[:2] == ("DH", "IY0")
    assert symbols("the house").symbols[:2] == ("DH", "AH0")


def test_hyphens_and_quotes_part_words_without_a_sound() -> None:
    assert symbols("“mother-world”").symbols == (*word("mother"), *word("world"))


def test_what_is_no_english_is_missing() -> None:
    said = symbols("go 你 ☃ Ж")
    assert said.symbols == word("go")
    assert said.missing == ("你", "☃", "Ж")


@settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.text("abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=12))
def test_any_letters_give_symbols_of_the_set_or_are_named(written: str) -> None:
    said = symbols(written)
    assert set(said.symbols) <= SYMBOLS
    assert said.symbols or said.missing or not written.strip("'")
