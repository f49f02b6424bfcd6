from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import InvalidInput, TooNew
from farm.jobs import Block, Item, Mark, Output, Prosody, Segment, Spec, State, check_id
from farm.plans import About, Chunk, Head, Part, Passage, Share
from farm.schema import SCHEMA, from_json, to_json
from tests.running import tone

SEGMENT = Segment("ab" * 32, "Hello.", "tone", Prosody(speed=1.5), "en", 350, 3, 9)
PASSAGE = Passage(Item(7, "x", "Title", 2, (Block("Hello.", True, 3),), "tone"), 1, 3)
SPEC = Spec(
    id="j",
    kind="book",
    farm="farm",
    owner="ann",
    input="jobs/j/input/text",
    voice="tone",
    voices={"tone": tone(parameters={"noise": 0.5, "n": 3, "busy": "no"}, files={"model": "m"})},
    created=1.5,
    output=Output("m4a", "m4b", ("mp3",), ("srt",), None),
    labels={"a": "b"},
    pauses={"sentence": 10},
)
VALUES = [
    SEGMENT,
    PASSAGE,
    SPEC,
    Part(7, (SEGMENT,), 1, 3),
    Chunk("tone", (SEGMENT,), (7,), (Share(7, 1, 1, 1, 3),)),
    Head(2, 5),
    About("T", "A", "en", "jobs/j/input/cover"),
    Mark("word", "Hello", 1, 2, 3, 8),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_written_is_read_back(value: object) -> None:
    assert from_json(type(value), to_json(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_json_is_one_line(value: object) -> None:
    assert b"\n" not in to_json(value)


@given(text=st.text())
def test_any_text_survives_on_one_line(text: str) -> None:
    item = Item(0, "x", text, blocks=(Block(text),))
    data = to_json(item)
    assert data.splitlines() == [data]
    assert from_json(Item, data) == item


def test_defaults_are_left_out() -> None:
    assert json.loads(to_json(Segment("d", "Hi.", "v"))) == {
        "digest": "d",
        "text": "Hi.",
        "voice": "v",
    }


def test_a_prosody_that_is_the_default_is_told_from_none() -> None:
    item = Item(0, "x", prosody=Prosody())
    assert from_json(Item, to_json(item)).prosody == Prosody()
    assert from_json(Item, to_json(replace(item, prosody=None))).prosody is None


def test_the_first_bad_field_is_named() -> None:
    data = json.loads(to_json(SPEC))
    data["output"]["loudness"] = "loud"
    with pytest.raises(InvalidInput, match=r"^output\.loudness: Input should be a valid number"):
        from_json(Spec, json.dumps(data))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"id": 1}'])
def test_what_is_no_spec_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        from_json(Spec, data)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_the_data_is_frozen(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


@pytest.mark.parametrize("value", ["a", "A-1", "0001", "my.book_2", "x" * 128])
def test_ids_that_fit_in_a_key_are_taken(value: str) -> None:
    assert check_id(value) == value


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", ".a", "-a", "_a", "a/b", "a..b", "a b", "é", "a\n", "a\0", "x" * 129, "../etc"],
)
def test_other_ids_are_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_id(value, "job id")
    assert str(caught.value).startswith(f"job id {value!r} is not valid")


def test_four_states_are_the_end() -> None:
    ends = {state.value for state in State if state.terminal}
    assert ends == {"completed", "failed", "cancelled", "expired"}


def test_what_a_newer_farm_wrote_is_nobodys_fault_and_left_to_it() -> None:
    line = json.dumps({"index": 1, "id": "a", "schema": SCHEMA + 1, "news": {"of": "later"}})
    for data in (line, line.encode()):
        with pytest.raises(TooNew, match=rf"schema {SCHEMA + 1} by a newer farm.*knows {SCHEMA}"):
            from_json(Item, data)
    known = json.dumps({"index": 1, "id": "a", "schema": SCHEMA})
    assert from_json(Item, known) == from_json(Item, '{"index":1,"id":"a"}') == Item(1, "a")
    text = json.dumps({"index": 1, "id": "a", "title": 'He said "schema": 9.'})
    assert from_json(Item, text).title == 'He said "schema": 9.'
