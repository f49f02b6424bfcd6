"""Edits: one segment is spoken otherwise, and everything else stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import planning
from farm.errors import InvalidInput
from farm.jobs import Edit, Item, Prosody
from farm.paging import pages
from farm.planning import digest, plan
from farm.plans import Page, Passage
from tests.running import tone
from tests.test_planning import TEXTS, as_bytes, item, none, planned, said, spec


def edited(edits: Sequence[Edit], *items: Item, **changes: Any) -> Page:
    (passages,) = pages(items)
    return plan(passages, spec(**changes), none, edits)


ITEMS = (item(0, "One. Two. Three."), item(1, "One. Two."))


def test_an_edit_changes_one_segment_and_leaves_its_place() -> None:
    before, after = said(planned(*ITEMS)), said(edited([Edit(0, 5, "2 $5 notes")], *ITEMS))
    assert [n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] == [
        1
    ]
    old, new = before[1], after[1]
    assert new == replace(old, digest=new.digest, text="two five dollars notes")
    assert new.digest == digest(new.text, tone(), Prosody(), "en", "none") != old.digest


def test_a_retake_is_the_same_text_with_another_digest() -> None:
    before, after = said(planned(*ITEMS)), said(edited([Edit(1, 0, take=2)], *ITEMS))
    new = replace(before[3], prosody=Prosody(take=2), digest=after[3].digest)
    assert after == [*before[:3], new, before[4]]
    assert new.digest == digest("One.", tone(), Prosody(take=2), "en", "none")


def test_two_edits_change_two_segments_and_the_chunks_hold_them() -> None:
    page = edited([Edit(0, 10, "Drei.", 3), Edit(1, 5, "Zwei.")], *ITEMS)
    found = said(page)
    assert [s.text for s in found] == ["One.", "Two.", "Drei.", "One.", "Zwei."]
    assert [s.prosody.take for s in found] == [1, 1, 3, 1, 1]
    assert page.characters == sum(len(s.text) for s in found)
    held = [s.digest for chunk in page.chunks["tone"] for s in chunk.segments]
    assert sorted(held) == sorted(s.digest for s in found)


def test_an_edit_that_meets_no_segment_is_a_failure_of_its_item() -> None:
    page = edited([Edit(0, 6, "Two!"), Edit(7, 0, "elsewhere")], *ITEMS)
    (failure,) = page.failures
    assert failure.item == 0
    assert "the edit at character 6 of item 0 meets no segment" in failure.error
    assert [len(part.segments) for part in page.parts] == [0, 2]


def test_an_edit_is_for_the_passage_that_holds_its_place() -> None:
    whole = item(0, "One. Two.", "Three.", "Four.")
    rows = [
        Passage(replace(whole, blocks=whole.blocks[n : n + 1]), n, 3)
        for n in range(len(whole.blocks))
    ]

    def texts(edit: Edit) -> list[list[str]]:
        parts = (plan([row], spec(), none, [edit]).parts[0] for row in rows)
        return [
            [part.error[:8]] if part.error else [s.text for s in part.segments] for part in parts
        ]

    assert texts(Edit(0, 11, "Drei.")) == [["One.", "Two."], ["Drei."], ["Four."]]
    assert texts(Edit(0, 12, "Drei.")) == [["One.", "Two."], ["the edit"], ["Four."]]
    assert texts(Edit(0, 999, "Drei.")) == [["One.", "Two."], ["Three."], ["the edit"]]


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS, take=st.integers(2, 9), data=st.data())
def test_no_edits_are_as_before_and_one_changes_one(
    texts: list[list[str]], take: int, data: st.DataObject
) -> None:
    passages = [Passage(item(n, *row)) for n, row in enumerate(texts)]
    before = plan(passages, spec(), none)
    assert as_bytes(plan(passages, spec(), none, [])) == as_bytes(before)
    places = [(part.item, s.start) for part in before.parts for s in part.segments]
    if places:
        where = data.draw(st.sampled_from(places))
        after = plan(passages, spec(), none, [Edit(*where, take=take)])
        pairs = zip(said(before), said(after), places, strict=True)
        assert [place for old, new, place in pairs if old != new] == [where]


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (Edit(0, 0), "changes nothing"),
        (Edit(0, 0, take=-1), "take -1 is not valid"),
        (Edit(0, 0, " \n"), "nothing to speak"),
        (Edit(0, 0, "* * *"), "nothing to speak"),
        (Edit(0, 0, "word " * 81), "405 characters"),
        (Edit(0, 0, "1234567 " * 30), "characters as written or spoken"),
        (Edit(0, 0, "half \ud800 a"), "half a character"),
    ],
)
def test_an_edit_that_cannot_be_spoken_as_one_segment_is_refused(edit: Edit, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        planning.check_edit(edit, "en")


def test_an_edit_is_spoken_as_the_language_has_it() -> None:
    english = planning.check_edit(Edit(0, 0, "Dr. No: $5."), "en")
    assert english
    assert english.text == "Doctor No: five dollars."
    french = planning.check_edit(Edit(0, 0, "5 francs. Et puis."), "fr")
    assert french
    assert french.text == "cinq francs. Et puis."
    assert planning.check_edit(Edit(0, 0, take=2), "en") is None
