"""The YourTTS service with a checkpoint in Coqui's layout, spoken by PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")
pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")

from farm.engines import load
from tests.exports import export
from tests.exports.your_voices import SAMPLE_RATE, SPEAKERS, torch_voice
from tests.serving.servers import Served, problem, served

#: Hertz of the recordings that clients send: not the model's, which must not matter.
RECORDED = 22_050
TEXTS = {"en": "Hello there.", "fr-fr": "Où est-il ?", "pt-br": "Não é aqui."}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # Without noise, which is another for a speaker of another name.
    voice, folder = torch_voice(noise_scale=0, noise_w=0), export("yourtts")
    engine = load(voice, folder, "cpu")
    speakers = tmp_path_factory.mktemp("speakers")
    with served("yourtts", lambda: (voice, engine), speakers=speakers) as found:
        yield found


def recording(pitch_hz: float) -> list[float]:
    """Two seconds of a buzz."""
    time = np.arange(2 * RECORDED) / RECORDED
    return [float(each) for each in 0.3 * np.sign(np.sin(2 * np.pi * pitch_hz * time))]


def synthesize(there: Served, language: str = "en", **body: Any) -> Any:
    return there.post("/synthesize", {"text": TEXTS[language], "language": language, **body})


def spoken(there: Served, language: str = "en", **body: Any) -> np.ndarray[Any, Any]:
    """What was said, at the checkpoint's rate."""
    response = synthesize(there, language, **body)
    assert response.status == 200, response.data
    answer = response.json()
    assert answer["sample_rate"] == SAMPLE_RATE
    assert answer["speaker_applied"] is True
    assert answer["used_reference"] is ("speaker" not in body)
    samples = np.array(answer["audio"])
    assert np.abs(samples).max() > 0.001
    return samples


def differ(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return len(one) != len(other) or np.abs(one - other).max() > 1e-3


def test_health_tells_that_the_checkpoint_is_loaded(there: Served) -> None:
    health = there.get("/health").json()
    assert (health["status"], health["model_loaded"]) == ("ok", True)
    assert health["device"] == "cpu"


def test_a_registered_speaker_speaks_as_the_same_reference_given(there: Served) -> None:
    body: dict[str, Any] = {"reference_audio": recording(110), "reference_sample_rate": RECORDED}
    before = there.get("/health").json()["cached_speakers"]
    assert there.post("/register_speaker", {"speaker_id": "ann", **body}).status == 200
    assert there.get("/health").json()["cached_speakers"] == before + 1
    registered = spoken(there, speaker_id="ann")
    np.testing.assert_array_equal(registered, spoken(there, **body))
    assert differ(registered, spoken(there, **body | {"reference_audio": recording(220)}))


def test_a_d_vector_may_be_given_in_place_of_a_recording(there: Served) -> None:
    engine: Any = there.service.voices["yourtts"].engine
    given = {"voice_embedding": engine.speakers.find(SPEAKERS[1]).tolist()}
    assert there.post("/register_speaker", {"speaker_id": "bob", **given}).status == 200
    np.testing.assert_array_equal(
        spoken(there, speaker_id="bob"), spoken(there, speaker=SPEAKERS[1])
    )


@pytest.mark.parametrize("language", ["fr-fr", "pt-br"])
def test_a_language_of_the_checkpoint_is_spoken(there: Served, language: str) -> None:
    speaker = SPEAKERS[0]
    there_too = synthesize(there, "en", speaker=speaker, text=TEXTS[language]).json()["audio"]
    assert differ(spoken(there, language, speaker=speaker), np.array(there_too))


def test_what_the_checkpoint_lacks_is_a_problem_that_names_what_it_has(there: Served) -> None:
    body = {"text": "Guten Tag.", "language": "de", "speaker": SPEAKERS[0]}
    foreign = there.post("/synthesize", body)
    assert foreign.status == 422
    assert "en, fr-fr, pt-br" in problem(foreign)
    nobody = synthesize(there, speaker="nobody")
    assert nobody.status == 404
    assert all(name in problem(nobody) for name in SPEAKERS)
