"""The Piper service over HTTP, with a tone for a voice."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.audio import Audio
from farm.engines import Engine
from farm.errors import DeviceLost, EngineError
from farm.jobs import Voice
from farm.serving import web
from tests.serving.servers import RATE, Listening, Served, problem, served, voice, wait_for

#: A tone lasts 60 ms a character.
CHARACTER = 0.06


class Lacking(Listening):
    """Lacks something in every text."""

    def speak(self, segments: Any) -> list[Audio]:
        spoken = super().speak(segments)
        return [Audio(a.samples, a.sample_rate, warnings=("lacks 'ø'",)) for a in spoken]


@pytest.fixture(scope="module")
def engine() -> Listening:
    return Listening(voice())


@pytest.fixture(scope="module")
def there(engine: Listening) -> Iterator[Served]:
    """A service of two voices."""
    with served("piper", engine, Lacking(voice("odd"))) as found:
        yield found


@pytest.fixture
def busy() -> Iterator[Served]:
    """A service whose queue holds two requests, with a slow voice."""
    with served("piper", Listening(voice()), queue=2, timeout_s=1) as found:
        yield found


def slower(there: Served, seconds: float) -> Listening:
    engine = there.service.voices["tone"].engine
    assert isinstance(engine, Listening)
    engine.slow_s = seconds
    return engine


def wav(content: bytes) -> tuple[Any, int]:
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    return samples, rate


def tts(there: Served, **body: Any) -> Any:
    return there.post("/tts", {"text": "Hello.", "voice": "tone", **body})


def test_a_text_becomes_a_wav_file_at_the_rate_of_its_voice(there: Served) -> None:
    response = tts(there, text="Hello there.", language="en")
    assert response.status == 200
    assert response.headers["content-type"] == "audio/wav"
    samples, rate = wav(response.data)
    assert rate == RATE
    assert len(samples) == round(len("Hello there.") * CHARACTER * RATE)
    assert soundfile.info(io.BytesIO(response.data)).subtype == "PCM_16"
    assert "Farm-Warnings" not in response.headers


def test_sentences_and_paragraphs_are_joined_with_pauses(there: Served) -> None:
    samples, _ = wav(tts(there, text="One here. Two here.\n\nThree here.").data)
    characters = len("One here.") + len("Two here.") + len("Three here.")
    assert len(samples) == round((characters * CHARACTER + 0.35 + 0.65) * RATE)


def test_the_same_text_gives_the_same_bytes_and_another_take_others(there: Served) -> None:
    assert tts(there).data == tts(there).data
    assert tts(there).data != tts(there, take=2).data


def test_speed_is_honoured(there: Served) -> None:
    slow, fast = wav(tts(there).data)[0], wav(tts(there, speed=2).data)[0]
    assert len(slow) == 2 * len(fast)


def test_null_stands_for_the_voices_own_language(there: Served) -> None:
    assert tts(there, language=None).data == tts(there).data == tts(there, language="en-US").data


def test_what_a_voice_lacks_is_told_in_a_header(there: Served) -> None:
    response = tts(there, voice="odd", text="One. Two.")
    assert json.loads(response.headers["Farm-Warnings"]) == ["lacks 'ø'"]


def test_voices_are_listed_with_the_fields_that_will_be_honoured(there: Served) -> None:
    listed = there.get("/voices").json()
    assert listed["voices"] == [
        {"name": name, "language": "en-US", "sample_rate": RATE} for name in ("tone", "odd")
    ]
    assert {"text", "voice", "language", "speed", "speaker", "take", "stream"} == set(
        listed["fields"]
    )


def test_health_says_what_is_loaded_and_how_much_waits(there: Served) -> None:
    response = there.get("/health")
    assert response.status == 200
    assert response.json() == {
        "status": "ok",
        "service": "piper-tts",
        "model_loaded": True,
        "device": "cpu",
        "voices": ["odd", "tone"],
        "queue_depth": 0,
        "queue_limit": 32,
    }


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"voice": "nobody"}, 404, "unknown voice 'nobody': choose one of odd, tone"),
        ({"voice": "../../etc/passwd"}, 404, "unknown voice '../../etc/passwd'"),
        ({"voice": ""}, 400, "no voice given: choose one of odd, tone"),
        ({"language": "zh-CN"}, 400, "does not speak 'zh-CN': it speaks 'en-US'"),
        ({"text": ""}, 400, "text: String should have at least 1 character"),
        ({"text": " ... "}, 400, "nothing to speak in ' ... '"),
        ({"text": "x" * 5_001}, 413, "the text has 5001 characters, 5000 at most"),
        ({"speed": 9}, 400, "speed: Input should be less than or equal to 4"),
        ({"rate": 2}, 400, "rate: Extra inputs are not permitted"),
        ({"text": "Good. Bad [[fail]]. Good."}, 422, "segment 2 of 3: asked to fail by 'Bad"),
    ],
)
def test_what_cannot_be_spoken_is_a_problem_that_says_why(
    there: Served, body: dict[str, Any], status: int, detail: str
) -> None:
    response = tts(there, **body)
    assert response.status == status
    assert detail in problem(response)


def test_a_voice_is_never_taken_by_default(there: Served) -> None:
    response = there.post("/tts", {"text": "Hello."})
    assert response.status == 400
    assert problem(response) == "no voice given: choose one of odd, tone"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"text": "x", "voice": "tone", "speed": NaN}'])
def test_a_body_that_is_no_request_is_a_problem(there: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = there.pool.request("POST", f"{there.url}/tts", body=body, headers=headers)
    assert response.status == 400
    assert problem(response)


def test_a_form_of_another_site_is_not_taken_for_json(there: Served) -> None:
    body = b'{"text": "Hello.", "voice": "tone"}'
    headers = {"Content-Type": "text/plain"}
    response = there.pool.request("POST", f"{there.url}/tts", body=body, headers=headers)
    assert response.status == 400


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no", 404), ("PUT", "/tts", 405)])
def test_other_paths_and_methods_are_problems_too(
    there: Served, method: str, path: str, status: int
) -> None:
    response = there.pool.request(method, there.url + path)
    assert response.status == status
    assert problem(response)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(there: Served, chunked: bool) -> None:
    headers = {"Content-Type": "application/json"}
    blocks = (b" " * 50_000 for _ in range(4))
    response = there.pool.request(
        "POST",
        f"{there.url}/tts",
        body=blocks if chunked else b"".join(blocks),
        headers=headers,
        chunked=chunked,
    )
    assert response.status == 413
    assert problem(response) == "the body has more than 100000 bytes"


def test_a_body_that_does_not_come_is_not_waited_for(
    there: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "BODY_S", 0.1)
    host, _, port = there.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /tts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 50\r\n\r\n{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_concurrent_requests_are_spoken_together(there: Served, engine: Listening) -> None:
    engine.batches.clear()
    texts = ["First slowly.", *(f"Number {chr(97 + n)}." for n in range(5))]
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(tts, there, text=texts[0])
        wait_for(lambda: bool(engine.batches))
        others = [pool.submit(tts, there, text=text) for text in texts[1:]]
        wait_for(lambda: there.service.desk.depth == 6)
        responses = [each.result() for each in (first, *others)]
    assert [response.status for response in responses] == [200] * 6
    assert [len(batch) for batch in engine.batches] == [1, 5]
    assert responses[1].data == tts(there, text=texts[1]).data


def test_a_full_queue_is_429_with_the_seconds_to_wait(busy: Served) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(tts, busy, text="Slowly, slowly.") for _ in range(2)]
        wait_for(lambda: busy.service.desk.depth == 2)
        refused = tts(busy)
        health = busy.get("/health")
        assert [each.result().status for each in waiting] == [200, 200]
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert problem(refused) == "2 requests wait already: ask again later"
    assert health.status == 200
    assert health.json()["queue_depth"] == 2
    assert tts(busy).status == 200


def test_a_request_that_takes_too_long_is_503_and_what_is_left_of_it_is_not_spoken(
    busy: Served,
) -> None:
    engine = slower(busy, 1.3)
    response = tts(busy, text="So slowly. Never b. Never c.")
    assert response.status == 503
    assert problem(response) == "not spoken within 1 s: ask again later"
    assert response.headers["Retry-After"] == "5"
    wait_for(lambda: busy.service.desk.depth == 0)
    assert tts(busy).status == 200
    assert [len(batch) for batch in engine.batches] == [1, 1]


def test_a_client_that_leaves_is_not_spoken_for(busy: Served) -> None:
    engine = slower(busy, 0.5)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(tts, busy, text="Slowly, slowly.")
        wait_for(lambda: bool(engine.batches))
        host, _, port = busy.url.removeprefix("http://").partition(":")
        body = b'{"text": "Gone.", "voice": "tone"}'
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /tts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            wait_for(lambda: busy.service.desk.depth == 2)
        wait_for(lambda: busy.service.desk.depth == 1)
        assert slow.result().status == 200
    assert "Gone." not in [segment.text for batch in engine.batches for segment in batch]


def test_until_the_model_is_loaded_health_is_503_and_so_is_everything() -> None:
    go = threading.Event()

    def load() -> tuple[Voice, Engine]:
        assert go.wait(20)
        return voice(), Listening(voice())

    with served("piper", load, wait=False) as there:
        health = there.get("/health")
        assert health.status == 503
        assert (health.json()["status"], health.json()["model_loaded"]) == ("loading", False)
        response = tts(there)
        assert response.status == 503
        assert problem(response) == "the model is not loaded (loading): ask again later"
        assert there.get("/voices").status == 503
        go.set()
        there.wait()
        assert tts(there).status == 200


def test_a_voice_that_cannot_be_loaded_ends_the_server() -> None:
    def load() -> tuple[Voice, Engine]:
        raise EngineError("it is no model")

    with served("piper", load, wait=False) as there:
        there.thread.join(20)
        assert not there.thread.is_alive()
        assert str(there.service.error) == "it is no model"
        assert there.service.state == "failed"


@pytest.mark.parametrize("stream", [False, True])
def test_a_lost_device_shows_in_health_and_ends_the_server(stream: bool) -> None:
    with served("piper", Listening(voice())) as there:
        stop, stopped = there.service.stop, threading.Event()
        there.service.stop = stopped.set  # so that there is time to ask
        response = tts(there, text="This is [[poison]].", stream=stream)
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert "asked to lose the device" in problem(response)
        health = there.get("/health")
        assert (health.status, health.json()["status"]) == (503, "failed")
        assert tts(there).status == 503
        assert stopped.is_set()
        stop()
        there.thread.join(20)
        assert not there.thread.is_alive()
        assert isinstance(there.service.error, DeviceLost)


def test_what_nobody_foresaw_is_a_problem_without_its_innards(
    there: Served, engine: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> list[Audio]:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(engine, "speak", fail)
    response = tts(there)
    assert response.status == 500
    assert problem(response) == "ZeroDivisionError: the service's log has the rest"
    monkeypatch.undo()
    assert tts(there).status == 200


def test_a_service_that_is_told_to_stop_answers_what_it_has_begun() -> None:
    with ThreadPoolExecutor(1) as pool:
        with served("piper", Listening(voice())) as there:
            slow = pool.submit(tts, there, text="Slowly, slowly.")
            wait_for(lambda: there.service.desk.depth == 1)
            begin = time.monotonic()
            there.service.stop()
            assert slow.result().status == 200
            there.thread.join(20)
            assert time.monotonic() - begin < 20
        assert there.service.state == "stopping"


def test_samples_are_those_of_the_engine_to_the_last_bit(there: Served, engine: Listening) -> None:
    samples, _ = wav(tts(there, text="Hello there.").data)
    (segment,) = engine.batches[-1]
    own = engine.speak([segment])[0].samples
    inner = slice(RATE // 200, -RATE // 200)  # the edges are faded
    np.testing.assert_allclose(samples[inner], own[inner], atol=0.6 / 32768)


def test_a_voice_that_was_revoked_is_listed_and_spoken_no_more() -> None:
    revoked: list[str] = []
    engines = [Listening(voice()), Listening(voice("odd"))]
    with served("piper", *engines, revoked=lambda each: each.id in revoked) as there:
        assert there.post("/tts", {"text": "Hello.", "voice": "odd"}).status == 200
        revoked.append("odd")
        said = problem(there.post("/tts", {"text": "Hello.", "voice": "odd"}))
        assert said == "unknown voice 'odd': choose one of tone"
        assert [each["name"] for each in there.get("/voices").json()["voices"]] == ["tone"]
        assert there.post("/tts", {"text": "Hello.", "voice": "tone"}).status == 200
