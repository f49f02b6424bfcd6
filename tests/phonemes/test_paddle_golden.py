"""Our front end beside PaddleSpeech's own: the same ids, but where a difference is known.

`tests/data/paddle/front_end.py` wrote the tables, with PaddleSpeech 1.5.0.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from farm.phonemes.paddle import _syllables, mandarin
from farm.text.normalise import normalise
from tests.data.paddle.maps import INITIALS, MAPS

HERE = Path(__file__).parent
NAMES = {name: make() for name, make in MAPS.items()}
IDS = {name: {symbol: n for n, symbol in enumerate(names)} for name, names in NAMES.items()}
PAUSE = IDS["csmsc"]["sp"]


def table(name: str) -> list[list[str]]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def numbers(column: str) -> list[int]:
    return [int(each) for each in column.split()]


#: Every text, a map, and Paddle's ids by it.
CASES = [
    *((text, "csmsc", numbers(ids)) for text, _, ids, _ in table("paddle_golden.tsv")),
    *((text, "lexicon", numbers(ids)) for text, _, _, ids in table("paddle_golden.tsv")),
    *((text, "mixed", numbers(ids)) for text, _, ids in table("paddle_mixed.tsv")),
]
#: Text and map to where we differ, `Paddle's > ours; ...`. `both`: by the maps of Mandarin alone.
KNOWN = {
    (text, name): where
    for text, named, where, _ in table("paddle_differences.tsv")
    for name in (("csmsc", "lexicon") if named == "both" else (named,))
}
#: The lexicon's syllables, but for those that Mandarin does not have (`bio`), with CSMSC's ids for
#: their five tones.
SYLLABLES = [
    (syllable, columns)
    for syllable, *columns in table("paddle_syllables.tsv")
    if not re.fullmatch("[bpmdtnljqx]ior?", syllable)
]
#: Where CSMSC's map lacks a symbol, Paddle pauses in its place; this is what we say. Nobody says
#: `er1` and a toned `yo`: they are warned of and left out.
OTHERWISE = {
    "er1": "", "yo2": "", "yo3": "", "yo4": "", "yor2": "", "yor3": "", "yor4": "",
    "weng5": "ueng4", "wengr5": "ueng4 er2",
    **{f"{each}er1": f"{each} e1 er2" for each in INITIALS if each not in "jqx"},
}  # fmt: skip


def ours(text: str, name: str) -> list[int]:
    said = mandarin(normalise(text, "zh-CN"), IDS[name])
    assert said.missing == ()
    return [IDS[name][symbol] for symbol in said.symbols]


def differences(text: str, name: str, paddles: list[int]) -> str:
    """Name the symbols that differ; pauses at the end, which only `MixFrontend` leaves, do not."""
    theirs, own = ([NAMES[name][each] for each in ids] for ids in (paddles, ours(text, name)))
    while name == "mixed" and theirs[-1] == "sp":
        theirs.pop()
    return "; ".join(
        f"{' '.join(theirs[i:j]) or '-'} > {' '.join(own[k:m]) or '-'}"
        for step, i, j, k, m in SequenceMatcher(None, theirs, own, autojunk=False).get_opcodes()
        if step != "equal"
    )


@pytest.mark.parametrize(("text", "name", "paddles"), CASES)
def test_a_text_has_paddles_ids_but_where_a_difference_is_known(
    text: str, name: str, paddles: list[int]
) -> None:
    assert differences(text, name, paddles) == KNOWN.get((text, name), "")


def test_every_syllable_has_paddles_ids_in_every_tone() -> None:
    for syllable, columns in SYLLABLES:
        for tone, column in enumerate(columns, 1):
            found, _ = _syllables([f"{syllable}{tone}"], IDS["csmsc"])
            if PAUSE in numbers(column):
                assert found == OTHERWISE[f"{syllable}{tone}"].split()
            else:
                assert [IDS["csmsc"][symbol] for symbol in found] == numbers(column)


def test_every_known_difference_is_of_a_text_and_says_why() -> None:
    rows = table("paddle_differences.tsv")
    assert set(KNOWN) <= {(text, name) for text, name, _ in CASES}
    assert all(where and why for _, _, where, why in rows)


def test_the_tables_are_as_long_as_told() -> None:
    assert len(table("paddle_golden.tsv")) == 96
    assert len(table("paddle_mixed.tsv")) == 20
    assert len(SYLLABLES) == 898


def test_the_maps_are_as_long_as_the_published_one_of_csmsc() -> None:
    assert {name: len(names) for name, names in NAMES.items()} == {
        "csmsc": 268,
        "lexicon": 412,
        "mixed": 481,
    }
