"""A child loads what its host used last before it takes work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farm import warming
from farm.engines import Engine
from farm.jobs import Voice
from farm.models import Models
from farm.schema import to_json
from farm.slots import Slot, Table
from tests.running import LOW, Running, running, tone


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


class Mute(Engine):
    """Loads, and fails at each word in a way nobody foresaw."""

    def __init__(self) -> None:
        self.sample_rate = 8_000

    def speak(self, _: Any) -> Any:
        raise ZeroDivisionError("by nothing")


def digests(farm: Running) -> list[str]:
    return [voice.digest for voice in warming.recent(farm.farm, "tone")]


def test_what_was_spoken_with_is_remembered_the_last_first(farm: Running) -> None:
    farm.submit("One sentence.", "a")
    farm.submit('{"id": "b", "text": "Another.", "voice": "low"}', "b", kind="batch")
    farm.drain()
    assert warming.recent(farm.farm, "tone") == [LOW, tone()]
    farm.submit("A third.", "c")
    farm.drain()
    assert warming.recent(farm.farm, "tone") == [tone(), LOW]
    assert warming.recent(farm.farm, "piper") == []


def test_only_some_voices_are_remembered(farm: Running) -> None:
    for number in range(warming.KEPT + 2):
        warming.note(farm.farm, tone(f"v{number}", f"{number:064}"))
    assert len(digests(farm)) == warming.KEPT
    assert digests(farm)[0] == f"{warming.KEPT + 1:064}"


def test_the_voices_used_last_are_loaded_and_say_something(farm: Running) -> None:
    for voice in (LOW, tone()):
        warming.note(farm.farm, voice)
    said: list[tuple[str, str]] = []

    class Watched(Mute):
        def speak(self, segments: Any) -> Any:
            said.extend((each.voice, each.text) for each in segments)
            return []

    for voice in (LOW, tone()):
        farm.farm.engines[voice.digest] = Watched()
    assert warming.warm(farm.farm, "tone", 1) == 1
    assert said == [("tone", "Good morning.")]
    assert warming.warm(farm.farm, "tone", 5) == 2
    assert [voice for voice, _ in said[1:]] == ["low", "tone"]


def test_a_voice_is_greeted_in_its_own_language(farm: Running) -> None:
    said: list[str] = []

    class Watched(Mute):
        def speak(self, segments: Any) -> Any:
            said.extend(each.text for each in segments)

    voice = tone("chinese", "c" * 64, language="zh-CN")
    farm.farm.engines[voice.digest] = Watched()
    warming.note(farm.farm, voice)
    warming.warm(farm.farm, "tone", 1)
    assert said == ["早上好。"]


def test_a_voice_that_fails_is_no_harm(farm: Running, caplog: pytest.LogCaptureFixture) -> None:
    gone = Voice("gone", "9" * 64, "piper", "tone", "en", 8_000, files={"model": "m.onnx"})
    for voice in (tone(), gone):
        warming.note(farm.farm, voice)
    farm.farm.engines = Models()
    farm.farm.engines[tone().digest] = Mute()
    with caplog.at_level(logging.WARNING):
        assert warming.warm(farm.farm, "tone", 2) == 0
    assert "voice gone does not warm up: " in caplog.text
    assert "voice tone does not warm up: by nothing" in caplog.text


def test_a_child_does_not_die_twice_of_warming_up(
    farm: Running, caplog: pytest.LogCaptureFixture
) -> None:
    class Deadly(Mute):
        def speak(self, _: Any) -> Any:
            raise SystemExit(1)

    warming.note(farm.farm, tone())
    sound = farm.farm.engines[tone().digest]
    farm.farm.engines[tone().digest] = Deadly()
    with pytest.raises(SystemExit):
        warming.warm(farm.farm, "tone", 1)
    with caplog.at_level(logging.WARNING):
        assert warming.warm(farm.farm, "tone", 1) == 0
    assert "died while it warmed up" in caplog.text
    farm.farm.engines[tone().digest] = sound
    assert warming.warm(farm.farm, "tone", 1) == 1


def test_a_damaged_memory_is_forgotten(farm: Running) -> None:
    warming.note(farm.farm, tone())
    path = farm.farm.cache.parent / "recent" / "tone.jsonl"
    path.write_bytes(to_json(tone())[:20])
    assert digests(farm) == []
    warming.note(farm.farm, LOW)
    assert digests(farm) == [LOW.digest]


def test_a_death_holds_back_its_own_slot_only_and_none_that_was_acquitted(farm: Running) -> None:
    class Deadly(Mute):
        def speak(self, _: Any) -> Any:
            raise SystemExit(1)

    warming.note(farm.farm, tone())
    sound = farm.farm.engines[tone().digest]
    slots = Table([Slot(), Slot()]).slots
    farm.farm.engines[tone().digest] = Deadly()
    for farm.farm.slot in slots:
        with pytest.raises(SystemExit):
            warming.warm(farm.farm, "tone", 1)
    farm.farm.engines[tone().digest] = sound
    warming.acquit(farm.farm.cache.parent, "tone", slots[1:])
    assert [_warmed(farm, slot) for slot in slots] == [0, 1]
    assert [_warmed(farm, slot) for slot in slots] == [1, 1]


def _warmed(farm: Running, slot: Slot) -> int:
    farm.farm.slot = slot
    return warming.warm(farm.farm, "tone", 1)
