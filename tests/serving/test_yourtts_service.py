"""The YourTTS service over HTTP, with an engine whose d-vectors can be foretold."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.errors import EngineError
from farm.serving import speakers
from tests.serving.servers import RATE, SIZE, Cloning, Listening, Served, problem, served, voice

#: Two seconds at 16 kHz: quarters of different loudness, so that the d-vector is known.
REFERENCE = np.repeat([0.1, 0.2, 0.3, 0.4], 8_000).tolist()
HEARD = [0.1, 0.2, 0.3, 0.4]


@pytest.fixture
def engine() -> Cloning:
    return Cloning(voice())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "speakers"


@pytest.fixture
def there(engine: Cloning, folder: Path) -> Iterator[Served]:
    with served("yourtts", engine, speakers=folder) as found:
        yield found


def register(there: Served, name: str = "ann", **body: Any) -> Any:
    return there.post(
        "/register_speaker", {"speaker_id": name, "reference_audio": REFERENCE, **body}
    )


def synthesize(there: Served, **body: Any) -> Any:
    return there.post("/synthesize", {"text": "Hello there.", "language": "en", **body})


def test_a_speaker_is_registered_once_and_speaks_for_ever_after(
    there: Served, engine: Cloning, folder: Path
) -> None:
    response = register(there)
    assert response.status == 200
    assert response.json() == {
        "status": "ok",
        "speaker_id": "ann",
        "message": "speaker 'ann' is registered",
        "cache_size": 1,
    }
    for _ in range(2):
        answer = synthesize(there, speaker_id="ann").json()
        assert answer["used_reference"] is True
        assert answer["speaker_applied"] is True
        assert answer["text"] == "Hello there."
        assert answer["sample_rate"] == RATE
    assert engine.heard == [(len(REFERENCE), 16_000)]
    path = folder / "ann.json"
    np.testing.assert_allclose(json.loads(path.read_bytes())["d_vector"], HEARD, rtol=1e-6)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in folder.iterdir()] == ["ann.json"]


def test_registered_speakers_outlive_the_service(there: Served, folder: Path) -> None:
    register(there)
    before = synthesize(there, speaker_id="ann").json()
    again = Cloning(voice())
    with served("yourtts", again, speakers=folder) as other:
        assert other.get("/health").json()["cached_speakers"] == 1
        assert synthesize(other, speaker_id="ann").json() == before
    assert again.heard == []


def test_a_reference_that_is_registered_again_is_not_heard_again_after_a_restart(
    there: Served, engine: Cloning, folder: Path
) -> None:
    register(there)
    assert len(engine.heard) == 1
    before = synthesize(there, speaker_id="ann").json()
    again = Cloning(voice())
    with served("yourtts", again, speakers=folder) as other:
        assert register(other).status == 200
        assert synthesize(other, speaker_id="ann").json() == before
        assert again.heard == []
        assert register(other, reference_audio=REFERENCE[::-1]).status == 200
        assert register(other, reference_sample_rate=8_000).status == 200
        assert again.heard == [(len(REFERENCE), 16_000), (len(REFERENCE), 8_000)]
        assert register(other, voice_embedding=[1.0] * SIZE).status == 200
        assert register(other, "ben").status == 200
    assert len(again.heard) == 3, "a d-vector that was given is of no reference"


@pytest.mark.parametrize("content", ['{"d_vector": 1', '{"speaker_id": "ann"}', "[]"])
def test_a_speakers_file_that_is_damaged_is_written_anew_at_registering(
    there: Served, engine: Cloning, folder: Path, content: str
) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "ann.json").write_text(content)
    assert synthesize(there, speaker_id="ann").status == 503
    assert register(there).status == 200
    assert synthesize(there, speaker_id="ann").status == 200
    assert len(engine.heard) == 1


def test_a_speaker_of_an_older_farm_is_heard_once_more(
    there: Served, engine: Cloning, folder: Path
) -> None:
    old = {"schema": 1, "speaker_id": "ann", "d_vector": [1.0] * SIZE}
    folder.mkdir(exist_ok=True)
    (folder / "ann.json").write_text(json.dumps(old))
    assert synthesize(there, speaker_id="ann").status == 200
    assert engine.heard == []
    register(there)
    assert engine.heard == [(len(REFERENCE), 16_000)]


def test_a_speaker_whose_file_is_deleted_is_forgotten(there: Served, folder: Path) -> None:
    register(there)
    (folder / "ann.json").unlink()
    assert synthesize(there, speaker_id="ann").status == 404


def test_the_audio_is_the_engines_at_its_own_rate(there: Served, engine: Cloning) -> None:
    audio = np.array(synthesize(there, speaker="alto").json()["audio"])
    (segment,) = engine.batches[-1]
    own = engine.speak([segment])[0].samples
    assert len(audio) == len(own)
    inner = slice(RATE // 200, -RATE // 200)
    np.testing.assert_allclose(audio[inner], own[inner], atol=1e-6)


def test_a_reference_with_the_text_is_heard_once(there: Served, engine: Cloning) -> None:
    one = synthesize(there, reference_audio=REFERENCE, reference_sample_rate=16_000).json()
    two = synthesize(there, reference_audio=REFERENCE).json()
    assert one == two
    assert one["used_reference"] is True
    assert engine.heard == [(len(REFERENCE), 16_000)]
    np.testing.assert_allclose(engine.spoken_as, [HEARD, HEARD], rtol=1e-6)


def test_a_registered_speaker_goes_before_the_reference_given(
    there: Served, engine: Cloning
) -> None:
    register(there, voice_embedding=[0.0, 0.0, 1.0, 0.0])
    synthesize(there, speaker_id="ann", reference_audio=REFERENCE)
    assert engine.spoken_as == [[0, 0, 1, 0]]
    assert synthesize(there, speaker_id="new", reference_audio=REFERENCE).status == 200
    assert engine.heard == [(len(REFERENCE), 16_000)]


def test_a_voice_that_was_lent_is_forgotten_with_the_answer(there: Served, engine: Cloning) -> None:
    for number in range(1, 9):
        assert synthesize(there, voice_embedding=[number, 0, 0, 1]).status == 200
    assert len({row[0] for row in engine.spoken_as}) == 8
    lent = engine.batches[-1][0].prosody.speaker
    with pytest.raises(EngineError, match=r"its speakers: alto, bass$"):
        engine.speakers.find(lent)
    again = synthesize(there, voice_embedding=[8, 0, 0, 1])
    assert engine.batches[-1][0].prosody.speaker == lent, "the same noise for the same voice"
    assert again.status == 200


def test_a_d_vector_given_spares_the_reference(there: Served, engine: Cloning) -> None:
    assert register(there, reference_audio=[], voice_embedding=[1.0] * SIZE).status == 200
    assert synthesize(there, speaker_id="ann").status == 200
    assert engine.heard == []


def test_a_speaker_of_the_model_is_not_a_reference(there: Served) -> None:
    answer = synthesize(there, speaker="bass").json()
    assert (answer["used_reference"], answer["speaker_applied"]) == (False, True)


@pytest.mark.parametrize(
    ("rate", "language", "speed"),
    [(12, "en", 1), (24, "en", 2), (6, "en", 0.5), (1, "en", 0.4), (99, "en", 2.5), (5, "zh", 1)],
)
def test_a_speech_rate_is_in_characters_per_second(
    there: Served, engine: Cloning, rate: float, language: str, speed: float
) -> None:
    text = "你好。" if language == "zh" else "Hello."
    response = synthesize(there, text=text, speaker="alto", language=language, speech_rate=rate)
    assert response.status == 200
    assert engine.batches[-1][0].prosody.speed == speed


def test_a_long_text_is_spoken_to_its_end(there: Served, engine: Cloning) -> None:
    sentences = [f"This is sentence {chr(97 + n)} of many." for n in range(20)]
    answer = synthesize(there, text=" ".join(sentences), speaker="alto").json()
    assert [s.text for batch in engine.batches for s in batch] == sentences
    seconds = sum(map(len, sentences)) * 0.06 + 19 * 0.35
    assert len(answer["audio"]) == pytest.approx(seconds * RATE, abs=20)


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "nobody to speak: choose a speaker of the model (alto, bass)"),
        ({"speaker": "tenor"}, 404, "unknown speaker 'tenor': choose a speaker of the model"),
        ({"speaker_id": "eve"}, 404, "unknown speaker_id 'eve': choose one of ann"),
        ({"speaker_id": "../ann"}, 400, "speaker_id '../ann' is not valid"),
        ({"speaker_id": "ann", "speaker": "alto"}, 400, "speaker: give it alone"),
        ({"speaker": "alto", "text": ""}, 400, "text: String should have at least 1"),
        ({"speaker": "alto", "text": "x" * 5_001}, 413, "the text has 5001 characters"),
        ({"speaker": "alto", "text": "Good. Bad [[fail]]. Good."}, 422, "segment 2 of 3"),
        ({"speaker": "alto", "speech_rate": 0}, 400, "speech_rate: Input should be greater"),
        ({"reference_audio": [0.1] * 100}, 400, "reference_audio lasts 0.01 s at 16000 Hz"),
        ({"reference_audio": [0.0] * 32_000}, 400, "reference_audio has a peak of 0"),
        ({"reference_audio": [9e3] * 32_000}, 400, "reference_audio has a peak of 9000"),
        ({"reference_audio": ["loud"]}, 400, "reference_audio.0: Input should be a valid number"),
        ({"voice_embedding": [1.0] * 3}, 422, "has 3 numbers"),
        ({"voice_embedding": [0.0] * 4}, 422, "is zero or not finite"),
    ],
)
def test_what_cannot_be_spoken_is_a_problem_that_says_why(
    there: Served, body: dict[str, Any], status: int, detail: str
) -> None:
    register(there)
    response = synthesize(there, **body)
    assert response.status == status
    assert detail in problem(response)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 200, ".hidden", "a\n"])
def test_a_name_that_is_no_files_is_refused(there: Served, folder: Path, name: str) -> None:
    response = register(there, name)
    assert response.status == 400
    assert "speaker_id" in problem(response)
    assert not folder.exists()


def test_health_tells_how_many_are_registered(there: Served) -> None:
    register(there)
    assert there.get("/health").json() == {
        "status": "ok",
        "model_loaded": True,
        "device": "cpu",
        "cached_speakers": 1,
        "queue_depth": 0,
        "queue_limit": 32,
    }


def test_too_many_speakers_are_refused_but_one_can_still_change(
    there: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speakers, "MOST", 1)
    assert register(there).status == 200
    response = register(there, "bob")
    assert response.status == 409
    assert "1 speakers are registered" in problem(response)
    assert register(there).status == 200


def test_a_broken_file_is_said_and_mended_by_registering_again(there: Served, folder: Path) -> None:
    register(there)
    (folder / "ann.json").write_bytes(b"{")
    response = synthesize(there, speaker_id="ann")
    assert response.status == 503
    assert "register it again" in problem(response)
    register(there)
    assert synthesize(there, speaker_id="ann").status == 200


def test_a_voice_that_cannot_clone_is_not_served() -> None:
    with served("yourtts", Listening(voice()), wait=False) as there:
        there.thread.join(20)
        assert "cannot speak with the voice of a reference" in str(there.service.error)


def test_nobody_speaks_with_a_model_that_was_revoked(engine: Cloning, folder: Path) -> None:
    revoked: list[str] = []
    with served(
        "yourtts", engine, speakers=folder, revoked=lambda each: each.id in revoked
    ) as there:
        assert register(there).status == 200
        revoked.append("tone")
        for answer in (synthesize(there, speaker_id="ann"), synthesize(there, speaker="alto")):
            assert (answer.status, "was revoked" in problem(answer)) == (404, True)
        assert "was revoked" in problem(register(there, "bob"))
        assert engine.spoken_as == []
