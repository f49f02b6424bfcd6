"""Names of units: whatever is not exactly one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import InvalidInput
from farm.jobs import ID
from farm.ledger import Ref, parse, queue

GOOD = [
    "control/read/j/1/0",
    "control.now/page/j/1/17",
    "piper/chunk/j/3/12.999",
    "yourtts_onnx.now/chunk/a_b-c.d/1/0.0",
    "audio/items/j/1/4@2",
    "audio.now/items/j/1/4@2,5@2,1000@17",
    "audio/package/j/12/0",
]

BAD = [
    "",
    "piper/chunk/j/1",
    "piper/chunk/j/1/0.0/more",
    "piper/chunks/j/1/0.0",
    "piper/chunk/../1/0.0",
    "piper/chunk/%w+/1/0.0",
    "piper/chunk/j:k/1/0.0",
    "piper/chunk//1/0.0",
    "pi:per/chunk/j/1/0.0",
    "piper.later/chunk/j/1/0.0",
    "/chunk/j/1/0.0",
    "piper/chunk/j/one/0.0",
    "piper/chunk/j/-1/0.0",
    "piper/chunk/j/²/0.0",
    "piper/chunk/j/01/0.0",
    "piper/chunk/j/1/0",
    "piper/chunk/j/1/0.1000",
    "piper/chunk/j/1/0.0\n",
    "piper/chunk/j/1/٣.0",
    "control/page/j/1/0.0",
    "control/read/j/1/1",
    "audio/items/j/1/",
    "audio/items/j/1/4",
    "audio/items/j/1/4@2,",
    "audio/items/j/1/4@2,5",
    "audio/package/j/1/1",
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_reads_back_as_itself(name: str) -> None:
    assert str(parse(name)) == name


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_refused_with_its_text(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(name)
    assert repr(name) in str(refused.value)


@given(st.text(max_size=40))
def test_no_text_makes_parsing_fail_in_another_way(text: str) -> None:
    try:
        ref = parse(text)
    except InvalidInput:
        return
    assert str(ref) == text


@given(st.from_regex(ID, fullmatch=True).filter(lambda job: ".." not in job))
def test_every_valid_job_id_has_units(job: str) -> None:
    ref = Ref("piper", "chunk", job, 1, "0.0")
    assert parse(str(ref)) == ref


def test_the_numbers_of_a_unit() -> None:
    chunk = parse("piper/chunk/j/1/12.34")
    assert (chunk.page, chunk.chunk) == (12, 34)
    assert parse("control/page/j/1/9").page == 9
    assert parse("audio/items/j/1/4@2,5@3").items == [(4, 2), (5, 3)]


def test_chunks_travel_in_a_queue_of_their_family() -> None:
    assert parse("piper.now/chunk/j/1/0.0").queue == "tts.piper.now"
    assert [queue(lane) for lane in ("control.now", "audio", "onnx")] == [
        "control.now",
        "audio",
        "tts.onnx",
    ]
