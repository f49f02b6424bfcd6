from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import batching, planning, text
from farm.engines import phonemiser
from farm.errors import UnknownVoice
from farm.jobs import Block, Item, Kind, Prosody, Segment, Spec, Voice
from farm.ledger.ledger import PAGE_CHUNKS
from farm.paging import PAGE_CHARACTERS, pages
from farm.planning import PAUSES_MS, digest, plan
from farm.plans import Failure, Page, Passage
from farm.schema import to_json
from tests.running import LOW, tone

WORD = st.sampled_from(["alder", "bramble", "copse", "dell", "elderberry", "fen", "glade"])
SENTENCE = st.lists(WORD, min_size=1, max_size=12).map(lambda words: " ".join(words) + ".")
PARAGRAPH = st.lists(SENTENCE, min_size=0, max_size=5).map(" ".join)
TEXTS = st.lists(st.lists(PARAGRAPH, max_size=6), min_size=1, max_size=12)


def spec(kind: Kind = "batch", **changes: Any) -> Spec:
    voices = {voice.id: voice for voice in (tone(), LOW)}
    fields: dict[str, Any] = {"voices": voices, **changes}
    return Spec("j", kind, "farm", "ann", "key", "tone", created=1.0, **fields)


def item(index: int, *paragraphs: str, **changes: Any) -> Item:
    blocks, at = [], 0
    for paragraph in paragraphs:
        blocks.append(Block(paragraph, start=at))
        at += len(paragraph) + 2
    return Item(index, f"i{index}", blocks=tuple(blocks), **changes)


def none(_: str) -> str:
    return "none"


def planned(*items: Item, **changes: Any) -> Page:
    (passages,) = pages(items)
    return plan(passages, spec(**changes), none)


def said(page: Page) -> list[Segment]:
    return [segment for part in page.parts for segment in part.segments]


def as_bytes(page: Page) -> list[bytes]:
    return [to_json(part) for part in page.parts] + [
        to_json(chunk) for chunks in page.chunks.values() for chunk in chunks
    ]


LONG = ("A sentence of some forty characters, yes. " * 20).strip()


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_a_page_planned_twice_is_the_same_in_every_byte(texts: list[list[str]]) -> None:
    passages = [Passage(item(n, *row)) for n, row in enumerate(texts)]
    assert as_bytes(plan(passages, spec(), none)) == as_bytes(plan(passages, spec(), none))


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_the_shares_of_all_chunks_add_up_to_the_parts(texts: list[list[str]]) -> None:
    voices = ["", "tone", "low"]
    items = [item(n, *row, voice=voices[n % 3]) for n, row in enumerate(texts)]
    page = plan([Passage(each, 2, 5) for each in items], spec(), none)
    here: Counter[int] = Counter()
    for chunk in page.chunks.get("tone", ()):
        assert Counter(chunk.items) == {share.item: share.here for share in chunk.shares}
        for share in chunk.shares:
            here[share.item] += share.here
            assert share.total == len(page.parts[share.item].segments)
            assert (share.number, share.parts) == (2, 5)
    assert here == {p.item: len(p.segments) for p in page.parts if p.segments}


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_chunks_hold_every_segment_once_beside_its_item(texts: list[list[str]]) -> None:
    page = plan([Passage(item(n, *row)) for n, row in enumerate(texts)], spec(), none)
    chunks = page.chunks.get("tone", ())
    held = [pair for c in chunks for pair in zip(c.items, c.segments, strict=True)]
    expected = [(part.item, segment) for part in page.parts for segment in part.segments]
    assert sorted(map(repr, held)) == sorted(map(repr, expected))


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_a_segments_span_in_the_source_is_what_it_speaks(texts: list[list[str]]) -> None:
    for n, row in enumerate(texts):
        source = "\n\n".join(row)
        page = plan([Passage(item(n, *row))], spec(), none)
        for segment in said(page):
            assert source[segment.start : segment.end].split() == segment.text.split()


def test_the_span_of_normalised_text_is_that_of_its_source() -> None:
    source = "Dr. Smith paid $5. He left at 5 p.m. yesterday."
    first, second = said(planned(item(0, "Before.", source)))[1:]
    at = len("Before.") + 2
    assert source[first.start - at : first.end - at] == "Dr. Smith paid $5."
    assert source[second.start - at : second.end - at] == "He left at 5 p.m. yesterday."
    assert "five dollars" in first.text


def test_pauses_follow_from_what_a_segment_ends() -> None:
    blocks = (Block("Chapter one", heading=True), Block("One. Two.", start=13))
    page = planned(Item(0, "i", blocks=blocks))
    assert [(s.text, s.pause_ms) for s in said(page)] == [
        ("Chapter one", PAUSES_MS["heading"]),
        ("One.", PAUSES_MS["sentence"]),
        ("Two.", PAUSES_MS["paragraph"]),
    ]


def test_a_sentence_that_is_cut_has_the_short_pause_inside() -> None:
    sentence = ", ".join(["a clause of some words that goes on and on"] * 20) + "."
    found = said(planned(item(0, sentence)))
    assert {s.pause_ms for s in found[:-1]} == {PAUSES_MS["clause"]}
    assert found[-1].pause_ms == PAUSES_MS["paragraph"]
    assert max(len(s.text) for s in found) <= planning.SEGMENT_CHARACTERS
    assert " ".join(s.text for s in found) == sentence


def test_a_jobs_own_pauses_replace_the_usual_ones() -> None:
    found = said(planned(item(0, "One. Two."), pauses={"sentence": 5}))
    assert [s.pause_ms for s in found] == [5, PAUSES_MS["paragraph"]]


BASE: tuple[str, Voice, Prosody, str, str] = ("Hi.", tone(), Prosody(), "en", "espeak-1")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(0, "Hi!", id="text"),
        pytest.param(1, tone(digest="c" * 64), id="voice"),
        pytest.param(1, tone(engine="piper"), id="engine"),
        pytest.param(1, tone(sample_rate=16_000), id="sample rate"),
        pytest.param(1, tone(parameters={"noise": 0.5}), id="parameters"),
        pytest.param(2, Prosody(speed=1.1), id="speed"),
        pytest.param(2, Prosody(pitch=1), id="pitch"),
        pytest.param(2, Prosody(energy=1.2), id="energy"),
        pytest.param(2, Prosody(volume=1), id="volume"),
        pytest.param(2, Prosody(speaker="p1"), id="speaker"),
        pytest.param(2, Prosody(take=2), id="take"),
        pytest.param(3, "de", id="language"),
        pytest.param(4, "espeak-2", id="phonemiser"),
    ],
)
def test_the_digest_covers(place: int, value: Any) -> None:
    inputs: list[Any] = [*BASE]
    inputs[place] = value
    assert digest(*inputs) != digest(*BASE)


def test_the_digest_covers_the_front_ends_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(*BASE)
    monkeypatch.setattr(text, "FRONT_END", "2")
    assert digest(*BASE) != before


@pytest.mark.parametrize(
    "voice",
    [tone(id_="other"), tone(licence="MIT"), tone(rtf=0.5), tone(files={"model": "m"})],
    ids=["name", "licence", "speed", "files' names"],
)
def test_the_digest_leaves_out_what_the_engine_does_not_hear(voice: Voice) -> None:
    assert digest(BASE[0], voice, *BASE[2:]) == digest(*BASE)


def test_the_same_words_elsewhere_with_another_pause_are_the_same_audio() -> None:
    found = said(planned(item(0, "One. Two.", "Two. One."), item(1, "One.")))
    assert len({s.digest for s in found}) == 2
    assert len({(s.start, s.pause_ms) for s in found if s.text == "One."}) == 3


def test_digests_differ_between_voices_of_one_job() -> None:
    found = said(planned(item(0, "One."), item(1, "One.", voice="low")))
    assert [s.voice for s in found] == ["tone", "low"]
    assert found[0].digest != found[1].digest


def test_an_items_own_prosody_replaces_the_jobs() -> None:
    slow = Prosody(speed=0.5)
    items = [item(0, "One."), item(1, "One.", prosody=Prosody())]
    found = said(planned(*items, prosody=slow))
    assert [s.prosody for s in found] == [slow, Prosody()]


def test_an_item_with_an_error_is_a_failure_beside_its_neighbours() -> None:
    page = planned(item(0, "One."), item(1, error="line 2: not JSON"), item(2, "Two."))
    assert [(f.item, f.text, f.error) for f in page.failures] == [(1, "", "line 2: not JSON")]
    assert [len(part.segments) for part in page.parts] == [1, 0, 1]


def test_an_item_that_cannot_be_planned_is_a_failure_of_its_own() -> None:
    def picky(engine: str) -> str:
        if engine == "piper":
            raise UnknownVoice("no phonemes")
        return "none"

    voices = {"tone": tone(), "low": replace(LOW, engine="piper")}
    items = [Passage(item(0, "One.")), Passage(item(1, "Two.", voice="low"))]
    page = plan(items, spec(voices=voices), picky)
    assert page.failures == (Failure(1, "", "no phonemes"),)
    assert [(len(part.segments), part.error) for part in page.parts] == [
        (1, ""),
        (0, "no phonemes"),
    ]


def test_an_item_of_an_unknown_engine_is_a_failure_of_its_own() -> None:
    voices = {"tone": tone(), "low": replace(LOW, engine="ghost")}
    items = [Passage(item(0, "One.")), Passage(item(1, "Two.", voice="low"))]
    page = plan(items, spec(voices=voices), phonemiser)
    (failure,) = page.failures
    assert (failure.item, failure.error) == (1, page.parts[1].error)
    assert failure.error.startswith("unknown engine 'ghost': choose one of ")


def test_what_cannot_be_pronounced_is_no_segment() -> None:
    page = planned(item(0, "* * *", "One.", "---"), item(1, "..."))
    assert [s.text for s in said(page)] == ["One."]
    assert (page.failures, page.parts[1].error) == ((), "")


def test_a_page_counts_the_characters_that_are_spoken() -> None:
    page = planned(item(0, "I owe you $5."), item(1, "One."))
    assert page.characters == sum(len(s.text) for s in said(page)) > len("I owe you $5.One.")


@pytest.mark.parametrize("rtf", [0.001, 0.05, 1.0])
def test_chunks_have_one_voice_and_a_bounded_length(rtf: float) -> None:
    voices = {"tone": tone(rtf=rtf), "low": replace(LOW, rtf=rtf)}
    items = [item(n, LONG, voice=("", "low")[n % 2]) for n in range(40)]
    page = plan([Passage(each) for each in items], spec(voices=voices), none)
    low, high = batching.CHUNK_AUDIO_S
    chunks = page.chunks["tone"]
    for chunk in chunks:
        assert {s.voice for s in chunk.segments} == {chunk.voice}
        assert sum(map(batching.audio_seconds, chunk.segments)) <= high
    seconds = [sum(map(batching.audio_seconds, chunk.segments)) for chunk in chunks]
    assert sum(length < low - 5 for length in seconds) <= 2  # the last of each voice
    assert {chunk.voice for chunk in chunks} == {"tone", "low"}


def test_a_batchs_chunks_hold_segments_of_similar_length() -> None:
    lines = [item(n, "word " * (1 + n * 7 % 50)) for n in range(100)]
    (chunks,) = plan([Passage(line) for line in lines], spec(), none).chunks.values()
    lengths = [len(s.text) for chunk in chunks for s in chunk.segments]
    assert len(chunks) > 3
    assert lengths == sorted(lengths)


def test_speech_that_somebody_waits_for_stays_in_reading_order() -> None:
    source = item(0, LONG, "Short.", "A little longer than that. Tiny.")
    page = planned(source, kind="speech")
    held = [s.start for chunk in page.chunks["tone"] for s in chunk.segments]
    assert held == sorted(held)
    assert len(held) == 23


def test_chunks_of_several_families_are_kept_apart() -> None:
    voices = {"tone": tone(), "low": replace(LOW, family="piper")}
    page = planned(item(0, "One."), item(1, "Two.", voice="low"), voices=voices)
    assert {family: len(chunks) for family, chunks in page.chunks.items()} == {
        "tone": 1,
        "piper": 1,
    }


@pytest.mark.parametrize(
    ("paragraph", "speed"),
    [
        pytest.param("Pay $9,999,999! ", 0.25, id="numbers, slow"),
        pytest.param(LONG, 0.25, id="slow"),
        pytest.param("A. ", 1.0, id="tiny sentences"),
    ],
)
def test_a_full_page_is_never_more_chunks_than_the_ledger_takes(
    paragraph: str, speed: float
) -> None:
    count = PAGE_CHARACTERS[-1] // len(paragraph)
    blocks = [paragraph * 4] * (count // 4)
    voices = {"tone": tone(rtf=2.0), "low": replace(LOW, rtf=2.0)}
    full = max(
        pages([item(0, *blocks), item(1, *blocks)]),
        key=lambda page: sum(len(b.text) for p in page for b in p.item.blocks),
    )
    page = plan(full, spec(voices=voices, prosody=Prosody(speed=speed)), none)
    assert page.characters > 10_000
    assert len(page.chunks["tone"]) <= PAGE_CHUNKS


def test_digests_of_plain_text_are_what_they_always_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "FRONT_END", "2")  # without the libraries' versions
    found = said(planned(item(0, "One. Two costs $5.", "Three.")))
    assert [(s.digest[:16], s.text, s.pause_ms, s.start, s.end) for s in found] == [
        ("16814a03dd66cb5e", "One.", 350, 0, 4),
        ("2a164d83dd635863", "Two costs five dollars.", 650, 5, 18),
        ("3a485c14eca5cd63", "Three.", 650, 20, 26),
    ]


def test_a_blocks_own_voice_prosody_language_and_pause_count() -> None:
    slow = Prosody(speed=0.5)
    blocks = (
        Block("One. Two", pause_ms=0),
        Block(" low", start=8, voice="low", prosody=slow, pause_ms=0),
        Block(" three.", start=12, language="fr", ends="sentence"),
        Block("No. 5. Go.", start=20, whole=True, ends="clause"),
        Block("End.", start=31),
    )
    found = said(planned(Item(0, "i", blocks=blocks), language="de"))
    assert [(s.text, s.voice, s.prosody, s.language, s.pause_ms, s.start) for s in found] == [
        ("One.", "tone", Prosody(), "de", PAUSES_MS["sentence"], 0),
        ("Two", "tone", Prosody(), "de", 0, 5),
        ("low", "low", slow, "en", 0, 9),
        ("three.", "tone", Prosody(), "fr", PAUSES_MS["sentence"], 13),
        ("No. fünf. Go.", "tone", Prosody(), "de", PAUSES_MS["clause"], 20),
        ("End.", "tone", Prosody(), "de", PAUSES_MS["paragraph"], 31),
    ]


def test_a_segment_of_a_replaced_text_has_the_span_of_its_source() -> None:
    block = Block("World Wide Web is. It is.", start=100, anchors=((0, 0), (14, 3)))
    first, second = said(planned(Item(0, "i", blocks=(block,))))
    assert (first.start, first.end) == (100, 107)
    assert (second.start, second.end) == (108, 114)
