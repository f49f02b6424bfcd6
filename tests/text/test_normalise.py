"""What is spoken of what is written: tables of cases, and properties that no table shows."""

import re
import string
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from farm.text import FRONT_END, english, french, normalise, portuguese, romance
from farm.text.normalise import is_plain, read_by_library

HERE = Path(__file__).parent
BOUNDED = settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

#: Words that a library has been seen to rewrite, or that resemble what it reads.
WORDS = str.split(
    "the Sun Sat Wed Mon Th Tu Ms Mr Io Ip Atm TV ZIP NASA may May March march no No I a A am AM "
    "PM two ten o'clock january fifteen first "
    "Chapter Part Henry Elizabeth mix civil it's Polly's don’t café naïve Ünïcödé "
    "Привет world and of in m kg ft second half quarter dollars percent point o'clock St Dr "
    'VERY X-ray re-enter etc vs e eg ie barn. “oh.” "eh" dog.’ (so.)'
)


def table(name: str) -> list[list[str]]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if "\t" in line and not line.startswith("#")]


def without_and(text: str) -> str:
    """Both `hundred and one` and `hundred one` are right."""
    return re.sub(r"\b(hundred|thousand) and\b", r"\1", text)


CASES = [
    *(
        (language, *row)
        for language in ("en", "zh", "fr")
        for row in table(f"normalise_{language}.tsv")
    ),
    *((language, written, said) for language, written, said in table("normalise_pt.tsv")),
]
WRONG = {(language, written): said for language, written, said in table("normalise_wrong.tsv")}


@pytest.mark.parametrize(("language", "written", "spoken"), CASES)
def test_every_case_is_said_as_the_tables_say(language: str, written: str, spoken: str) -> None:
    said = normalise(written, language)
    right = {without_and(way) for way in spoken.split(" | ")}
    if (language, written) in WRONG:
        assert said == WRONG[language, written], "a known error changed: mend the list"
        assert without_and(said) not in right, "a known error is right now: take it off the list"
    else:
        assert without_and(said) in right


def test_the_tables_are_as_long_as_promised_and_mostly_right() -> None:
    for language, least in {"en": 250, "zh": 80, "fr": 40, "pt": 40}.items():
        assert len({row[1] for row in CASES if row[0].startswith(language)}) >= least
    assert {(language, written) for language, written, _ in CASES}.issuperset(WRONG)
    assert len(WRONG) <= 0.04 * len(CASES)


@BOUNDED
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14), st.sampled_from(".?!…,;:—"))
@example(["The", "Sun"], ".")
@example(["He", "Sat"], ".")
@example(["TV"], "!")
@example(["ten", "PM"], ".")
@example(["the", "first", "of", "may"], ".")
@example(["quarter.", '"Chapter', "world.", "No."], '"')
def test_a_sentence_that_bypasses_the_library_is_what_the_library_makes_of_it(
    words: list[str], mark: str
) -> None:
    text = " ".join(words) + mark
    if is_plain(text, "en"):
        assert through_the_library(text) == text == normalise(text, "en")


@BOUNDED
@given(st.text(string.ascii_letters + " .,;:!?'’“”\"—éüñ", min_size=1, max_size=60))
def test_any_plain_text_is_what_the_library_makes_of_it(text: str) -> None:
    text = " ".join(text.split())
    if text and is_plain(text, "en"):
        assert through_the_library(text) == text


@BOUNDED
@given(st.text("一二三中文字你好他说今天。，！？“”《》……A b", min_size=1, max_size=40))
def test_chinese_without_digits_bypasses_the_library_unchanged(text: str) -> None:
    text = " ".join(text.split())
    if text:
        assert normalise(text, "zh") == text
        assert read_by_library(text, "zh") == text


ROMANCE = str.split(
    "le la de maison été où élève Il Le Ce C’est M Mme I À d'eau porte-clefs casa não ação É mil "
    "cem São Pedro Louis chapitre século etc Sr dez sept V VI X mm km"
)


@BOUNDED
@given(st.lists(st.sampled_from(ROMANCE), min_size=1, max_size=12), st.sampled_from(".?!…,—"))
@pytest.mark.parametrize(
    ("language", "grammar"), [("fr", french.GRAMMAR), ("pt-BR", portuguese.GRAMMAR)]
)
def test_plain_french_and_portuguese_are_what_the_rules_make_of_them(
    language: str, grammar: romance.Grammar, words: list[str], mark: str
) -> None:
    text = " ".join(words) + mark
    if is_plain(text, language.partition("-")[0]):
        assert romance.speak(text, grammar, language) == text == normalise(text, language)


@BOUNDED
@given(st.text("0123456789 ,.-/:%€$£hHkmg°ºªeIVX&+=½M", max_size=30), st.sampled_from(["fr", "pt"]))
@example("1,50 € 3/4 1er 14h30 1.234.567", "fr")
@example("R$ 1.000.000,00", "pt")
@example("0 0 0 0 000 000", "fr")
def test_no_figures_at_all_break_french_or_portuguese_or_vanish(text: str, language: str) -> None:
    said = normalise(text, language)
    if any(character.isalnum() for character in text):
        assert any(character.isalnum() for character in said)


def through_the_library(text: str) -> str:
    return english.after(read_by_library(english.before(text), "en"))


@pytest.mark.parametrize("written", [row[0] for row in table("normalise_en.tsv")])
def test_what_the_tables_alone_make_plain_is_what_the_library_makes_of_it(written: str) -> None:
    plain = normalise(written, "en")
    if is_plain(english.after(english.before(written)), "en"):
        assert plain == through_the_library(" ".join(written.split()))


def test_the_plain_sentences_of_a_real_page_bypass_the_library() -> None:
    page = [
        "It was a dark night, and nobody came.",
        "“Polly’s cat,” she said, “isn’t here!”",
        "He wondered—not for the first time—why.",
        "The Sun rose; they Sat and watched TV.",
        "What (if anything) did she want?",
    ]
    for sentence in page:
        assert is_plain(sentence, "en")
        assert through_the_library(sentence) == sentence


@pytest.mark.parametrize(
    "text", ["Dr. No.", "Chapter IV", "St.", "5", "½ a day", "e.g. this", "a & b", "Henry I."]
)
def test_what_needs_the_library_is_not_bypassed(text: str) -> None:
    assert not is_plain(text, "en")


@BOUNDED
@given(st.text(max_size=60))
@example("5$")
@example("+5 #7 2¼ ₂ ²")
@example("\x00\u200b5")
@example('\\" 3 \\')
@example('{ } : name: "x" 5')
def test_no_text_at_all_breaks_the_front_end_or_vanishes(text: str) -> None:
    said = normalise(text, "en")
    if any(character.isascii() and character.isalnum() for character in text):
        assert any(character.isalnum() for character in said)


@BOUNDED
@given(st.lists(st.sampled_from(["Zork", "blim", "3", "Quux’s", "$5", "ok", "“Hm”"]), min_size=1))
def test_words_beside_numbers_survive_in_order(words: list[str]) -> None:
    said = normalise(" ".join(words), "en")
    kept = [word for word in words if word not in ("3", "$5")]
    positions = iter(said.split(" "))
    assert all(word in positions for word in kept)


def test_a_word_that_the_library_cannot_read_does_not_spoil_its_neighbours() -> None:
    assert read_by_library("He paid 3 and 7$ at 12", "en") == "He paid three and seven$ at twelve"


def test_emphasis_marks_soft_hyphens_and_rows_of_stars_are_not_spoken() -> None:
    assert normalise("_Never_ **ever** say *5*.", "en") == "Never ever say five."
    assert normalise("soft\u00adhyphen\u200b", "en") == "softhyphen"
    assert normalise("* * * He had 2.", "en") == "He had two."


@pytest.mark.parametrize(
    ("text", "language", "spoken"),
    [
        ("Il a 21 ans.", "fr", "Il a vingt et un ans."),
        ("Cela vaut 3,5 fois.", "fr-FR", "Cela vaut trois virgule cinq fois."),
        ("Tem 22 anos.", "pt_BR", "Tem vinte e dois anos."),
        ("Es waren 1.234 Leute.", "de", "Es waren eintausendzweihundertvierunddreißig Leute."),
        ("Son 15 perros.", "es", "Son quince perros."),
        ("Agent 007 est B2B 1.2.3.", "fr", "Agent zéro zéro sept est B2B 1.2.3."),
        ("x 3 y", "tlh", "x 3 y"),
        ("x 3 y", "", "x 3 y"),
        ("3匹の犬。", "ja", "三匹の犬。"),
    ],
)
def test_other_languages_get_plain_numbers_or_stay(text: str, language: str, spoken: str) -> None:
    assert normalise(text, language) == spoken


def test_white_space_is_collapsed_in_every_language() -> None:
    assert normalise("  a \n\t b\u00a0c ", "en") == "a b c"
    assert normalise("  a \n b ", "xx") == "a b"


def test_threads_may_normalise_at_once() -> None:
    said: dict[int, str] = {}

    def say(number: int) -> None:
        said[number] = normalise(f"It is {number} of 7.", "en")

    threads = [threading.Thread(target=say, args=(number,)) for number in range(20, 28)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said[21] == "It is twenty one of seven."
    assert len(set(said.values())) == 8


def test_the_front_end_names_every_library_that_shapes_the_text() -> None:
    for name in ("wetext-", "num2words-", "roman-", "sentencex-"):
        assert name in FRONT_END
