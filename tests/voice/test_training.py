"""What the training of the default voice does without torch: text, teacher, alignment, ears."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.alignment import align
from training.check import Figures, table, verdict
from training.recogniser import edits, word_error_rate, words
from training.sentences import spell, training_text, wordnet_examples
from training.teacher import Phone, parse_phones


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (415, "four hundred fifteen"),
        (7000, "seven thousand"),
        (120_305, "one hundred twenty thousand three hundred five"),
    ],
)
def test_numbers_are_spelt_out(number: int, text: str) -> None:
    assert spell(number) == text


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    """A WordNet of four files with examples enough to choose from."""
    subjects = ("the cat", "a tall man", "my sister", "the old judge", "nobody here")
    verbs = ("saw", "heard", "liked", "carried", "forgot", "wanted")
    things = ("the red boat", "a loud bell", "two small coins", "her warm coat", "it")
    for name in ("adj", "adv", "noun", "verb"):
        short = [f"{s} {v} it {name}" for s in subjects for v in verbs]
        long = [f"{s} {v} {t} near the {name}" for s in subjects for v in verbs for t in things]
        lines = [f'00001740 03 n 01 x 0 000 | gloss; "{one}"; "odd 42 %"' for one in short + long]
        (tmp_path / f"data.{name}").write_text("\n".join(lines))
    return tmp_path


def test_examples_are_plain_sentences_only(wordnet: Path) -> None:
    examples = wordnet_examples(wordnet)
    assert "my sister heard a loud bell near the adv" in examples
    assert not any("42" in text for text in examples)


def test_the_same_seed_gives_the_same_training_text(wordnet: Path) -> None:
    first, second = (training_text(wordnet, set(), 200, 5) for _ in range(2))
    assert first == second
    assert first != training_text(wordnet, set(), 200, 6)
    assert len(first) == 200


def test_no_held_out_sentence_is_trained_on(wordnet: Path) -> None:
    held_out = set(training_text(wordnet, set(), 200, 5)[:20])
    assert not held_out & set(training_text(wordnet, held_out, 200, 5))


def test_diphthongs_and_affricates_are_split_evenly() -> None:
    phones = parse_phones("pau:0.100 ch:0.200 ay:0.400 pau:0.500 ")
    assert [phone.symbol for phone in phones] == ["|", "t", "ʃ", "a", "ɪ", "|"]
    assert [phone.end for phone in phones] == pytest.approx([0.1, 0.15, 0.2, 0.3, 0.4, 0.5])


def test_an_unknown_phone_is_named() -> None:
    with pytest.raises(KeyError, match="qq"):
        parse_phones("pau:0.100 qq:0.200")


def test_each_symbol_gets_the_time_of_its_phone() -> None:
    phones = parse_phones("pau:0.1 hh:0.2 eh:0.3 l:0.4 ow:0.6 pau:0.7")
    ends, cost = align("^hɛlˈoʊ.$", phones)
    assert ends == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.5, 0.6, 0.7, 0.7])
    assert cost < 0.01


def test_without_an_end_mark_the_last_symbol_gets_the_pause() -> None:
    ends, _ = align("^noʊ$", parse_phones("pau:0.1 n:0.2 ow:0.4 pau:0.5"))
    assert ends == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_pause_between_words_goes_to_the_space() -> None:
    phones = parse_phones("pau:0.1 n:0.2 ow:0.4 pau:0.5 n:0.6 ow:0.8 pau:0.9")
    ends, _ = align("^noʊ noʊ.$", phones)
    assert ends[4] - ends[3] == pytest.approx(0.1)


def test_ends_never_fall_and_reach_the_end() -> None:
    phones = [Phone(symbol, 0.1 * place) for place, symbol in enumerate("|wɑtɚ|", 1)]
    ends, _ = align("^wˈɔːɾɚz.$", phones)
    assert ends == sorted(ends)
    assert ends[-1] == phones[-1].end


def test_other_words_cost_more_than_may_be_trained_on() -> None:
    _, cost = align("^kˈæt.$", parse_phones("pau:0.1 d:0.2 ao:0.3 g:0.4 z:0.5 pau:0.6"))
    assert cost > 0.1


@pytest.mark.parametrize(
    ("true", "heard", "count"),
    [("", "", 0), ("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b", "x y z", 3), ("a", "", 1)],
)
def test_edits_are_counted(true: str, heard: str, count: int) -> None:
    assert edits(true.split(), heard.split()) == count


def test_the_word_error_rate_is_over_all_words() -> None:
    assert word_error_rate(["One, two!", "Three."], ["one too", "three"]) == pytest.approx(1 / 3)


def test_words_have_no_case_and_no_marks() -> None:
    assert words("Don't stop: It's LATE.") == ["don't", "stop", "it's", "late"]


GOOD = Figures(open_error=0.2, recognised=1.0, digit_error=0.02)


@pytest.mark.parametrize(
    ("voice", "control", "faults"),
    [
        (GOOD, 0.0, []),
        (Figures(0.26, 0.95, 0.5), 0.1, []),
        (Figures(0.27, 1.0, 0.0), 0.0, ["open WER is 1.35 times the teacher's"]),
        (Figures(0.2, 0.9, 0.0), 0.0, ["grammar test 90%"]),
        (GOOD, 0.2, ["the grammar test lets backwards speech pass"]),
    ],
)
def test_the_verdict_names_what_is_wrong(voice: Figures, control: float, faults: list[str]) -> None:
    found = verdict(GOOD, voice, control)
    assert len(found) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(found, faults, strict=True))


def test_the_table_has_the_teacher_the_voice_and_the_control() -> None:
    rows = table(GOOD, GOOD, 0.0).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| flite slt", "| voice", "| voice, backwards"]
