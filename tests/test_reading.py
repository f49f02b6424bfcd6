"""SSML on its way from a job's input to what is spoken, and its warnings to the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farm import keys, reading, revising
from farm.jobs import Edit, Item, Kind, Prosody, Segment, Spec, Voice
from farm.plans import Part, Passage
from farm.schema import from_json
from farm.storage.local import LocalStore
from farm.text.ssml import is_ssml
from tests.running import LOW, Running, tone
from tests.running import running as farm_running

TALK = (
    '<speak xml:lang="en-US"><p>One.<break time="2s"/>Two <voice name="low">low</voice>.</p>'
    '<mark name="x"/><prosody pitch="+2st" rate="2">Three.</prosody></speak>'
)


@pytest.fixture
def running(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with farm_running(redis_url, tmp_path) as farm:
        yield farm


def read_items(folder: Path, data: str, kind: Kind, name: str, **changes: Any) -> list[Item]:
    store = LocalStore(folder / "store")
    voices: dict[str, Voice] = changes.pop("voices", {"tone": tone(), "low": LOW})
    spec = Spec("j", kind, "farm", "ann", "in", "tone", voices, created=1, name=name, **changes)
    store.put("in", data.encode())
    pages: list[int] = []
    reading.read(store, spec, 1, pages.append)
    rows = [store.get(keys.plan("j", 1, "source", page)).splitlines() for page in pages]
    return [from_json(Passage, row).item for page in rows for row in page]


def spoken(running: Running, revision: int = 1) -> list[Segment]:
    rows = running.farm.store.get(keys.plan("j", revision, "pages", 0)).splitlines()
    return [segment for row in rows for segment in from_json(Part, row).segments]


def test_a_speech_job_named_ssml_is_spoken_as_its_markup_says(running: Running) -> None:
    running.submit(TALK, name="talk.ssml")
    assert running.finish() == "completed"
    assert [(s.text, s.voice, s.prosody.speed, s.pause_ms) for s in spoken(running)] == [
        ("One.", "tone", 1, 2000),
        ("Two", "tone", 1, 0),
        ("low.", "low", 1, 650),
        ("Three.", "tone", 2, 650),
    ]
    (item,) = running.manifest()["items"]
    assert [(row["message"], row["segments"]) for row in item["warnings"]] == [
        ("line 1: marks are not kept; sentence and word marks give times", 0)
    ]
    assert running.count("warned") == 1


def test_the_same_text_under_another_name_is_read_as_it_stands(running: Running) -> None:
    assert is_ssml(TALK)
    running.submit(TALK, name="talk.txt")
    assert running.finish() == "completed"
    assert "speak" in spoken(running)[0].text


def test_an_unknown_voice_fails_a_speech_job_and_names_the_valid_ones(running: Running) -> None:
    running.submit('<speak><voice name="zoe">Hi</voice></speak>', name="talk.ssml")
    assert running.finish() == "failed"
    assert "unknown voice 'zoe'; choose one of low, tone" in running.show()["error"]


def test_a_line_may_hold_ssml_and_a_bad_one_is_only_that_line(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "ssml": '<speak><prosody rate="2">Hi</prosody><foo/></speak>', "speed": 1.5},
        {"id": "b", "ssml": "<speak>"},
        {"id": "c", "ssml": '<speak><voice name="zoe">Hi</voice></speak>', "voice": "low"},
        {"id": "d", "text": "Plain."},
    ]
    items = read_items(tmp_path, "\n".join(map(json.dumps, rows)), "batch", "l.jsonl")
    assert items[0].blocks[0].prosody == Prosody(speed=3)
    assert items[0].warnings == ("line 1: <foo> is not known: it is passed over",)
    assert items[1].error.startswith("line 2, in its SSML: the SSML is not well-formed XML: ")
    assert items[2].error.startswith("line 3, in its SSML: line 1: unknown voice 'zoe'; choose")
    assert items[3].blocks[0].text == "Plain."


def test_empty_lines_part_the_text_of_a_line(tmp_path: Path) -> None:
    row = json.dumps({"id": "a", "text": "One\nand two.\n\nThree."})
    (item,) = read_items(tmp_path, row, "batch", "l.jsonl")
    found = [(block.text, block.start) for block in item.blocks]
    assert found == [("One\nand two.", 0), ("Three.", 14)]


@pytest.mark.parametrize("name", ["talk.ssml", "talk.xml"])
def test_a_book_of_ssml_is_one_item_with_its_warnings(name: str, tmp_path: Path) -> None:
    (item,) = read_items(tmp_path, TALK, "book", name)
    assert [block.text for block in item.blocks] == ["One.", "Two ", "low.", "Three."]
    assert item.title == "talk"
    assert len(item.warnings) == 1


def test_what_an_engine_cannot_do_is_taken_back_with_a_warning(tmp_path: Path) -> None:
    voices = {"tone": tone(engine="piper"), "low": LOW}
    talk = (
        '<speak><prosody pitch="+2st" rate="2">A</prosody><lang xml:lang="fr">B</lang>'
        '<lang xml:lang="en-GB">C</lang><voice name="low"><prosody pitch="+2st">D</prosody>'
        '<lang xml:lang="fr">E</lang></voice></speak>'
    )
    (item,) = read_items(tmp_path, talk, "speech", "t.ssml", voices=voices)
    assert [block.prosody for block in item.blocks] == [
        Prosody(speed=2),
        None,
        None,
        Prosody(pitch=2),
        None,
    ]
    assert [block.language for block in item.blocks] == ["", "fr", "en", "en", "fr"]
    assert item.warnings == (
        "engine 'piper' cannot change the pitch of the voice 'tone': it stays as it is",
    )


def test_an_edit_stored_with_a_revision_speaks_that_segment_only(running: Running) -> None:
    running.submit("One. Two. Three.")
    assert running.finish() == "completed"
    before = spoken(running)
    assert revising.retry(running.farm, "j", [Edit(0, 5, "2 more.")]) == 2
    assert running.finish() == "completed"
    after = spoken(running, 2)
    assert [s.text for s in after] == ["One.", "two more.", "Three."]
    assert [after[0], after[2]] == [before[0], before[2]]
    assert (running.count("hits"), running.count("misses")) == (2, 1)


def test_plain_texts_are_not_touched(tmp_path: Path) -> None:
    (item,) = read_items(tmp_path, "One.\n\nTwo <b>.", "speech", "talk.txt")
    assert [(block.text, block.start) for block in item.blocks] == [("One.", 0), ("Two <b>.", 6)]
    assert replace(item, blocks=()) == Item(0, "j")
