"""`piper_http` against the farm's own service, piper-tts's server, and ones that came before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.audio import Audio
from farm.engines import load
from farm.engines.piper_http import PiperHttp
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from tests.engines.scripted import scripted
from tests.engines.test_http_client import good, wav
from tests.engines.tiny_piper import SAMPLE_RATE, make_voice
from tests.serving.servers import served
from tests.storage.servers import free_port

TEXT = "A sentence of some length."


def voice(url: str, id_: str = "tiny", **parameters: float | int | str) -> Voice:
    given = {"url": url, "backoff_s": 0.01, **parameters}
    return Voice(id_, "d" * 64, "piper_http", "http", "en-US", SAMPLE_RATE, parameters=given)


def connect(there: Voice) -> PiperHttp:
    engine = load(there, Path(), "cpu")
    assert isinstance(engine, PiperHttp)
    return engine


def segment(text: str = TEXT, language: str = "", **prosody: Any) -> Segment:
    return Segment("d" * 64, text, "tiny", Prosody(**prosody), language)


def speak(engine: PiperHttp, text: str = TEXT, **prosody: Any) -> Audio:
    return engine.speak([segment(text, **prosody)])[0]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The farm's service with the tiny voice; its URL."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = replace(make_voice(folder), language="en-US")
    with served("piper", lambda: (tiny, load(tiny, folder, "cpu"))) as there:
        yield there.url


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """piper-tts's own server, with a voice of one speaker and one of two; its URL."""
    pytest.importorskip("flask", reason="flask, which piper.http_server needs, is not installed")
    folder = tmp_path_factory.mktemp("voices")
    for name, speakers in (("tiny", ()), ("nixon", ("ann", "bob"))):
        make_voice(folder / name, speakers=speakers)
        (folder / name / "tiny.onnx").rename(folder / f"{name}.onnx")
        (folder / name / "tiny.onnx.json").rename(folder / f"{name}.onnx.json")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "piper.http_server", "--host", "127.0.0.1"),
                *("--port", str(port), "-m", "tiny", "--data-dir", str(folder)),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        urllib3.request("GET", f"{url}/info", retries=urllib3.Retry(20, backoff_factor=0.1))
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(params=["own", "theirs"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_a_voice_of_a_service_speaks_at_its_own_rate(url: str) -> None:
    engine = connect(voice(url))
    audio = speak(engine)
    assert audio.sample_rate == engine.sample_rate == SAMPLE_RATE
    assert audio.samples.dtype == np.float32
    assert audio.seconds > 0.5
    assert audio.timings == ()


def test_segments_come_back_in_order(url: str) -> None:
    texts = ["No!", TEXT, "A short one."] * 3
    engine = connect(voice(url))
    spoken = engine.speak([segment(text) for text in texts])
    lengths = [len(audio.samples) for audio in spoken]
    assert lengths == [len(speak(engine, text).samples) for text in texts]
    assert len(set(lengths)) == 3
    assert engine.speak([]) == []


def test_speed_and_volume_are_honoured(url: str) -> None:
    engine = connect(voice(url))
    plain = speak(engine).samples
    assert len(speak(engine, speed=2.0).samples) == pytest.approx(len(plain) / 2, rel=0.02)
    np.testing.assert_allclose(speak(engine, volume=-6).samples, plain * 10 ** (-6 / 20), atol=1e-4)


@pytest.mark.parametrize(
    ("prosody", "said"),
    [
        ({"pitch": 2.0}, "engine 'piper_http' cannot change the pitch"),
        ({"energy": 2.0}, "engine 'piper_http' cannot change the energy"),
        ({"speed": 0.0}, "speed 0.0 is not valid"),
        ({"speaker": "eve"}, "has no speaker 'eve'; its speakers: none, it has a single voice"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(url: str, prosody: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        speak(connect(voice(url)), **prosody)


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_nothing_to_speak_is_an_error_and_no_request(url: str, text: str) -> None:
    with pytest.raises(EngineError, match=f"nothing to speak in {text!r}"):
        speak(connect(voice(url)), text)


def test_a_voice_that_the_service_lacks_is_refused_with_its_names(url: str) -> None:
    with pytest.raises(EngineError, match=r"has no voice 'ghost'; it has: .*tiny"):
        connect(voice(url, voice="ghost"))


def test_a_rate_that_is_not_the_voices_is_refused_at_once(url: str) -> None:
    with pytest.raises(EngineError, match="speaks at 16000 Hz, the voice says 22050 Hz"):
        connect(replace(voice(url), sample_rate=22_050))


def test_a_voice_may_have_another_name_at_the_service(url: str) -> None:
    engine = connect(voice(url, "mine", voice="tiny"))
    np.testing.assert_array_equal(speak(engine).samples, speak(connect(voice(url))).samples)


def test_the_farms_service_refuses_a_language_that_the_voice_does_not_speak(own: str) -> None:
    with pytest.raises(EngineError, match="does not speak 'zh-CN': it speaks 'en-US'"):
        connect(voice(own)).speak([segment(language="zh-CN")])


def test_piper_tts_is_not_asked_for_a_language_that_the_voice_does_not_speak() -> None:
    with scripted({"tiny": {}}, good) as there:
        engine = connect(replace(voice(there.url), sample_rate=8_000))
        with pytest.raises(EngineError, match="voice 'tiny' does not speak 'fr', only en-US"):
            engine.speak([segment(language="fr")])
        assert there.bodies == []
        engine.speak([segment(language="en-GB")])
        assert there.bodies == [{"text": TEXT, "voice": "tiny"}]


def test_speakers_of_piper_tts_are_asked_for_by_number(theirs: str) -> None:
    engine = connect(voice(theirs, "nixon", noise_scale=0, noise_w=0))
    ann, bob = speak(engine, speaker="ann").samples, speak(engine, speaker="bob").samples
    assert len(ann) == len(bob)
    assert not np.array_equal(ann, bob)
    default = connect(voice(theirs, "nixon", speaker="bob"))
    np.testing.assert_array_equal(speak(default).samples, bob)
    with pytest.raises(EngineError, match="no speaker 'eve'; its speakers: ann, bob"):
        speak(engine, speaker="eve")


def test_a_service_that_lists_no_fields_is_not_asked_for_what_it_would_ignore() -> None:
    with scripted({"voices": ["tiny"]}, good) as there:
        engine = connect(replace(voice(there.url), sample_rate=8_000))
        speak(engine, take=2)
        asked: list[dict[str, Any]] = [{"speed": 2.0}, {"speaker": "ann"}]
        for control in asked:
            ((name, value),) = control.items()
            with pytest.raises(EngineError, match=f"takes no {name} .asked for {value!r}."):
                speak(engine, **control)
        assert there.bodies == [{"text": TEXT, "voice": "tiny", "language": "en-US"}]


@pytest.mark.parametrize("listed", [[], "x", 3, {"status": "ok"}])
def test_a_service_that_is_none_of_pipers_is_refused(listed: Any) -> None:
    with (
        scripted(listed, good) as there,
        pytest.raises(EngineError, match="the service of voice 'tiny' is no Piper service"),
    ):
        connect(voice(there.url))


def test_what_a_voice_lacks_reaches_the_report() -> None:
    listed = {"voices": [{"name": "tiny"}]}

    def warns(handler: Any) -> None:

        handler.answer(200, wav(), "audio/wav", Farm_Warnings=json.dumps(["lacks 'ø'"]))

    with scripted(listed, warns) as there:
        engine = connect(replace(voice(there.url), sample_rate=8_000))
        assert speak(engine).warnings == ("lacks 'ø'",)
