"""`yourtts_http` against the farm's own service, and one that does not do as it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.audio import Audio
from farm.engines import load
from farm.engines.yourtts_http import YourttsHttp
from farm.errors import EngineError, Unavailable
from farm.jobs import Prosody, Segment, Voice
from tests.engines.scripted import Reply, scripted
from tests.serving import servers
from tests.serving.servers import RATE, Cloning, Served, served

TEXT = "A sentence of some length."
OWN = np.repeat([0.4, 0.3, 0.2, 0.1], 6_000).astype(np.float32)


def voice(url: str, **parameters: float | int | str) -> Voice:
    given = {"url": url, "backoff_s": 0.01, **parameters}
    return Voice("ann", "e" * 64, "yourtts_http", "http", "en", RATE, parameters=given)


def connect(there: Voice, folder: Path = Path()) -> YourttsHttp:
    engine = load(there, folder, "cpu")
    assert isinstance(engine, YourttsHttp)
    return engine


def segment(text: str = TEXT, language: str = "", **prosody: Any) -> Segment:
    return Segment("d" * 64, text, "ann", Prosody(**prosody), language)


def speak(engine: YourttsHttp, text: str = TEXT, **prosody: Any) -> Audio:
    return engine.speak([segment(text, **prosody)])[0]


@pytest.fixture
def model() -> Cloning:
    return Cloning(servers.voice())


@pytest.fixture
def there(model: Cloning, tmp_path: Path) -> Iterator[Served]:
    with served("yourtts", model, speakers=tmp_path / "speakers") as found:
        yield found


def own(there: Served, folder: Path) -> Voice:
    """A voice with a recording of its own."""
    soundfile.write(folder / "ann.wav", OWN, 12_000, subtype="FLOAT")
    return replace(voice(there.url), files={"reference": "ann.wav"})


def test_a_speaker_of_the_model_speaks(there: Served, model: Cloning) -> None:
    audio = speak(connect(voice(there.url, speaker="bass")))
    assert audio.sample_rate == RATE
    assert len(audio.samples) == round(len(TEXT) * 0.06 * RATE)
    assert model.batches[-1][0].prosody.speaker == "bass"


def test_a_segments_speaker_goes_before_the_voices(there: Served, model: Cloning) -> None:
    speak(connect(voice(there.url, speaker="bass")), speaker="alto")
    assert model.batches[-1][0].prosody.speaker == "alto"


def test_a_reference_is_registered_once_and_speaks(
    there: Served, model: Cloning, tmp_path: Path
) -> None:
    engine = connect(own(there, tmp_path), tmp_path)
    engine.speak([segment(), segment("Another one."), segment("And a third.")])
    connect(own(there, tmp_path), tmp_path)
    assert model.heard == [(len(OWN), 12_000)]
    np.testing.assert_allclose(model.spoken_as[-1], [0.4, 0.3, 0.2, 0.1], rtol=1e-4)


def test_a_service_that_lost_its_speakers_is_told_again(there: Served, tmp_path: Path) -> None:
    engine = connect(own(there, tmp_path), tmp_path)
    before = speak(engine)
    (registered,) = (tmp_path / "speakers").iterdir()
    registered.unlink()
    np.testing.assert_array_equal(speak(engine).samples, before.samples)


def test_a_d_vector_is_sent_in_place_of_a_reference(
    there: Served, model: Cloning, tmp_path: Path
) -> None:
    np.save(tmp_path / "ann.npy", np.array([0, 0, 0, 1], np.float32))
    speak(connect(replace(voice(there.url), files={"d_vector": "ann.npy"}), tmp_path))
    assert model.spoken_as[-1] == [0, 0, 0, 1]
    assert model.heard == []


def test_a_registered_speaker_is_used_by_its_name(there: Served, model: Cloning) -> None:
    there.post(
        "/register_speaker",
        {"speaker_id": "eve", "reference_audio": [], "voice_embedding": [1.0, 1.0, 0.0, 0.0]},
    )
    speak(connect(voice(there.url, speaker_id="eve")))
    assert model.spoken_as[-1] == [1, 1, 0, 0]
    with pytest.raises(EngineError, match="unknown speaker_id 'bob': choose one of eve"):
        speak(connect(voice(there.url, speaker_id="bob")))


def test_nobody_to_speak_is_an_error(there: Served) -> None:
    with pytest.raises(EngineError, match="voice 'ann' names nobody to speak"):
        speak(connect(voice(there.url)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_speed_goes_as_characters_per_second(there: Served, model: Cloning, language: str) -> None:
    engine = connect(replace(voice(there.url, speaker="alto"), language=language))
    engine.speak([segment("你好。" if language == "zh" else TEXT, speed=1.5)])
    assert model.batches[-1][0].prosody.speed == pytest.approx(1.5)


def test_volume_and_takes_are_honoured(there: Served) -> None:
    engine = connect(voice(there.url, speaker="alto"))
    plain = speak(engine).samples
    np.testing.assert_allclose(speak(engine, volume=-6).samples, plain * 10 ** (-6 / 20), atol=1e-6)
    assert not np.array_equal(speak(engine, take=2).samples, plain)
    np.testing.assert_array_equal(speak(engine).samples, plain)


@pytest.mark.parametrize(
    ("prosody", "said"),
    [
        ({"speed": 3.0}, "speed 3.0 is not valid: a YourTTS service speaks at 0.4 to 2.5"),
        ({"speed": 0.0}, "speed 0.0 is not valid"),
        ({"pitch": 1.0}, "cannot change the pitch"),
        ({"speaker": "tenor"}, "unknown speaker 'tenor'"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(
    there: Served, prosody: dict[str, Any], said: str
) -> None:
    with pytest.raises(EngineError, match=said):
        speak(connect(voice(there.url, speaker="alto")), **prosody)


def test_a_rate_that_is_not_the_voices_is_an_error(there: Served) -> None:
    engine = connect(replace(voice(there.url, speaker="alto"), sample_rate=22_050))
    with pytest.raises(EngineError, match="speaks at 8000 Hz, the voice says 22050 Hz"):
        speak(engine)


def replies(**fields: Any) -> Reply:
    usual = {"audio": [0.1] * 800, "sample_rate": RATE, "used_reference": False}
    content = json.dumps({**usual, **fields}).encode()
    return lambda handler: handler.answer(200, content, "application/json")


@pytest.mark.parametrize("reply", [replies(speaker_applied=False), replies(used_reference=True)])
def test_a_service_that_spoke_in_another_voice_is_not_believed(reply: Reply) -> None:
    with (
        scripted({"status": "ok"}, reply) as faulty,
        pytest.raises(EngineError, match=r"did not speak .* in the voice asked for"),
    ):
        speak(connect(voice(faulty.url, speaker="alto")))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"audio": "AAAA"}, "it holds no audio"),
        ({"audio": ["x"]}, "no list of numbers"),
        ({"audio": [[0.1]]}, "2 dimensions"),
        ({"sample_rate": None}, "no list of numbers with a sample_rate"),
    ],
)
def test_an_answer_that_is_garbage_is_tried_again_and_unavailable(
    fields: dict[str, Any], said: str
) -> None:
    with scripted({"status": "ok"}, replies(**fields)) as faulty:
        with pytest.raises(Unavailable, match=said):
            speak(connect(voice(faulty.url, speaker="alto", retries=1)))
        assert len(faulty.bodies) == 2


@pytest.mark.parametrize("audio", [[], [float("nan")] * 8])
def test_an_answer_without_a_signal_is_an_error(audio: list[float]) -> None:
    with (
        scripted({"status": "ok"}, replies(audio=audio)) as faulty,
        pytest.raises(EngineError, match="gave no signal"),
    ):
        speak(connect(voice(faulty.url, speaker="alto")))


def test_warnings_reach_the_report() -> None:
    with scripted({"status": "ok"}, replies(warnings=["lacks 'ø'"])) as faulty:
        assert speak(connect(voice(faulty.url, speaker="alto"))).warnings == ("lacks 'ø'",)
