"""A service on a pretend device: as much a call as was measured, by it or by a worker there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.audio import Audio
from farm.calibration import SHORTEST, Budgets
from farm.engines.base import Decoding
from farm.engines.cloning.speakers import Speakers
from farm.errors import DeviceLost, EngineError
from farm.jobs import Segment
from farm.serving import measuring
from farm.serving.desk import BATCH
from farm.text.examples import SENTENCES
from tests.serving.servers import SIZE, Cloning, Listening, Served, served, voice

#: What fits into a pass.
SMALL: dict[str, Any] = {"most_characters": 600}
COUNT = 20


@pytest.fixture
def kept(tmp_path: Path) -> Budgets:
    """By its clock a pass takes a second whatever is in it: batches pay as long as they fit."""
    return Budgets(tmp_path / "budgets", "Pretend A", itertools.count().__next__)


@pytest.fixture
def pretend(kept: Budgets) -> Callable[[], Budgets]:
    return lambda: kept


def store(kept: Budgets, budget: int, *, fixed: bool | None) -> None:
    """Keep a setting of the test's voice, as a worker does."""
    kept.folder.mkdir()
    kept._path(voice()).write_text(json.dumps({"budget": budget, "fixed_windows": fixed}))


def sizes(there: Served, engine: Listening) -> list[int]:
    """Have twenty short sentences spoken; how many each call got."""
    engine.batches.clear()
    text = " ".join(f"This is {number:02}." for number in range(COUNT))
    assert there.post("/tts", {"text": text, "voice": "tone"}).status == 200
    found = [len(batch) for batch in engine.batches]
    assert sum(found) == COUNT
    return found


def test_a_voice_is_measured_before_the_first_request_and_once_on_a_host(
    pretend: Callable[[], Budgets], kept: Budgets
) -> None:
    engine = Listening(voice(**SMALL))
    with served("piper", engine, budgets=pretend) as there:
        assert [len(batch) for batch in engine.batches][:4] == [1, 1, 2, 2]
        found = kept.known(engine.voice)
        assert found is not None
        assert there.service.voices["tone"].budget == found.budget > 1
        assert max(sizes(there, engine)) > BATCH
    again = Listening(voice(**SMALL))
    with served("piper", again, budgets=pretend) as there:
        assert again.batches == []
        assert there.service.voices["tone"].budget == found.budget


@pytest.mark.parametrize("fixed", [True, False])
def test_what_a_worker_measured_here_is_used(
    fixed: bool, pretend: Callable[[], Budgets], kept: Budgets
) -> None:
    store(kept, 50, fixed=fixed)
    engine = Listening(voice())
    engine.decoding = Decoding(not fixed)
    with served("piper", engine, budgets=pretend) as there:
        assert engine.batches == []
        assert engine.decoding == Decoding(fixed)
        assert max(sizes(there, engine)) < BATCH


def test_where_one_segment_a_call_is_fastest_a_call_gets_one(
    pretend: Callable[[], Budgets], kept: Budgets
) -> None:
    store(kept, 1, fixed=None)
    engine = Listening(voice())
    with served("piper", engine, budgets=pretend, device="cuda:0") as there:
        assert sizes(there, engine) == [1] * COUNT


def test_a_voice_that_cannot_be_measured_is_served_as_if_nothing_were_known(
    pretend: Callable[[], Budgets], kept: Budgets, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky(Listening):
        def speak(self, segments: Sequence[Segment]) -> list[Audio]:
            if "fox" in segments[0].text:
                raise EngineError("no word for foxes")
            return super().speak(segments)

    engine = Picky(voice())
    with served("piper", engine, budgets=pretend, device="cuda:0") as there:
        assert kept.known(engine.voice) is None
        assert sizes(there, engine) == [BATCH, BATCH, COUNT - 2 * BATCH]
    assert "no budget could be measured" in caplog.text


def test_without_a_place_for_it_nothing_is_measured() -> None:
    engine = Listening(voice(**SMALL))
    with served("piper", engine):
        assert engine.batches == []


def test_a_device_that_is_lost_while_it_is_measured_ends_the_service(
    pretend: Callable[[], Budgets],
) -> None:
    class Lost(Listening):
        def speak(self, segments: Sequence[Segment]) -> list[Audio]:
            raise DeviceLost(f"CUDA failure 700 at {len(segments)}")

    with served("piper", Lost(voice()), budgets=pretend, wait=False) as there:
        there.thread.join(20)
        assert not there.thread.is_alive()
        assert there.service.state == "failed"
        assert isinstance(there.service.error, DeviceLost)


@pytest.mark.parametrize("names", [["alto", "bass"], []])
def test_somebody_speaks_while_a_voice_of_many_is_measured(
    names: list[str], pretend: Callable[[], Budgets], kept: Budgets, tmp_path: Path
) -> None:
    engine = Cloning(voice(**SMALL))
    known = {name: [1.0, 0.0, 0.0, 0.0] for name in names}
    engine.speakers = Speakers("tone", SIZE, known)
    with served("yourtts", engine, budgets=pretend, speakers=tmp_path / "speakers") as there:
        assert kept.known(engine.voice) is not None
        assert {tuple(row) for row in engine.spoken_as} == {
            (1.0, 0.0, 0.0, 0.0) if names else (0.5, 0.5, 0.5, 0.5)
        }
        engine.batches.clear()
        text = " ".join(f"This is {number:02}." for number in range(COUNT))
        body = {"text": text, "language": "en", "voice_embedding": [1.0] * SIZE}
        assert there.post("/synthesize", body).status == 200
        assert max(map(len, engine.batches)) > BATCH


@pytest.mark.parametrize("language", [*sorted(SENTENCES), "xx"])
def test_what_is_measured_is_long_enough_in_every_language(language: str) -> None:
    found = measuring.sample(voice(), "alto")
    assert len(found.text) >= SHORTEST, language
    assert found.prosody.speaker == "alto"
