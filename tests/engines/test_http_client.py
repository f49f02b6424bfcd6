"""How a service may fail, and what the clients make of it: with real sockets."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from farm.engines.http_client import Client, read_wav
from farm.engines.piper_http import PiperHttp
from farm.errors import EngineError, Unavailable
from farm.jobs import Prosody, Segment, Voice
from tests.engines.scripted import Faulty, Reply, Scripted, scripted
from tests.storage.servers import free_port

RATE = 8_000
LISTED = {"voices": [{"name": "v", "sample_rate": RATE}]}


def voice(url: str, **parameters: float | int | str) -> Voice:
    fast = {"backoff_s": 0.01, "timeout_s": 5, "url": url, **parameters}
    return Voice("v", "d" * 64, "piper_http", "http", "en", RATE, parameters=fast)


def wav(seconds: float = 0.5, rate: int = RATE, channels: int = 1) -> bytes:
    file = io.BytesIO()
    tone = 0.5 * np.sin(np.arange(round(seconds * rate)) / 5)
    soundfile.write(file, np.stack([tone] * channels, 1), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def good(handler: Scripted) -> None:
    handler.answer(200, wav(), "audio/wav")


def gives(status: int, content: bytes = b"oh", **headers: str) -> Reply:
    return lambda handler: handler.answer(status, content, "text/plain", **headers)


def dies_in_the_body(handler: Scripted) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "8044")
    handler.end_headers()
    handler.wfile.write(wav()[:3000])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def dies_in_a_chunked_body(handler: Scripted) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"bb8\r\n" + wav()[:1500])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def dies_at_once(handler: Scripted) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def never_begins(handler: Scripted) -> None:
    time.sleep(4)
    handler.close_connection = True


def trickles(handler: Scripted) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "8044")
    handler.end_headers()
    content = wav()
    for index in range(30):
        handler.wfile.write(content[index : index + 1])
        handler.wfile.flush()
        time.sleep(0.1)


def endless(handler: Scripted) -> None:
    """Ten million bytes, their number not told before."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def short_by_its_own_word(handler: Scripted) -> None:
    handler.answer(200, wav()[:4000], "audio/wav")


@contextmanager
def speaking(*script: Reply, **parameters: Any) -> Iterator[tuple[PiperHttp, Faulty]]:
    with scripted(LISTED, *script) as there:
        yield PiperHttp(voice(there.url, **parameters), Path(), "cpu"), there


def speak(engine: PiperHttp, text: str = "Hello.", **prosody: Any) -> Any:
    return engine.speak([Segment("d" * 64, text, "v", Prosody(**prosody))])[0]


@pytest.mark.parametrize(
    "fault",
    [
        dies_at_once,
        dies_in_the_body,
        dies_in_a_chunked_body,
        short_by_its_own_word,
        gives(500),
        gives(502),
        gives(503),
        gives(429),
        gives(200, b"<html>It works!</html>"),
        gives(200, b""),
        gives(200, wav()[:20]),
        gives(200, wav(), Farm_Warnings="{"),
        gives(503, Retry_After="soon"),
    ],
)
def test_a_fault_that_passes_is_got_over(fault: Reply) -> None:
    with speaking(fault, fault, good) as (engine, there):
        assert speak(engine).seconds == 0.5
        assert len(there.bodies) == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (gives(500, b'{"detail": "out of paper"}'), "500: out of paper"),
        (gives(500, b"<h1>Internal\n Error"), "500: <h1>Internal Error"),
        (gives(429), "429"),
        (dies_in_the_body, "IncompleteRead|broken"),
        (gives(200, b"<html>It works!</html>"), "no whole WAV file"),
    ],
)
def test_a_fault_that_stays_is_unavailable_and_says_where(fault: Reply, said: str) -> None:
    with speaking(fault, retries=1) as (engine, there):
        with pytest.raises(Unavailable, match=f"POST {there.url}/tts: .*({said})"):
            speak(engine)
        assert len(there.bodies) == 2


@pytest.mark.parametrize("status", [301, 400, 404, 413, 422])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    refusal = gives(status, b'{"detail": "not this"}', Location="/elsewhere")
    with speaking(refusal) as (engine, there):
        with pytest.raises(EngineError, match=f"the service answers {status}: not this"):
            speak(engine)
        assert len(there.bodies) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(status: int) -> None:
    with speaking(gives(status, Retry_After="1"), good) as (engine, _):
        begin = time.monotonic()
        speak(engine)
        assert 0.9 < time.monotonic() - begin < 20


def test_a_service_that_does_not_answer_in_time_is_unavailable() -> None:
    with speaking(never_begins, timeout_s=1, character_s=0, retries=0) as (engine, _):
        begin = time.monotonic()
        with pytest.raises(Unavailable, match="timed out"):
            speak(engine)
        assert time.monotonic() - begin < 20


def test_a_body_that_trickles_does_not_hold_on_for_ever() -> None:
    with speaking(trickles, timeout_s=1, character_s=0, retries=0) as (engine, _):
        begin = time.monotonic()
        with pytest.raises(Unavailable, match="did not end in time"):
            speak(engine)
        assert time.monotonic() - begin < 20


def test_a_long_text_is_given_more_time() -> None:
    def slow(handler: Scripted) -> None:
        time.sleep(1.2)
        good(handler)

    with speaking(slow, timeout_s=0.5, character_s=0.05, retries=0) as (engine, _):
        with pytest.raises(Unavailable):
            speak(engine, "Short.")
        assert speak(engine, "A text of some length, so that there is time for it.").seconds == 0.5


def test_ten_megabytes_for_a_short_text_are_not_read() -> None:
    with speaking(endless) as (engine, there):
        with pytest.raises(EngineError, match="the service's answer has more than"):
            speak(engine)
        assert len(there.bodies) == 1


def test_the_breaker_opens_after_failures_and_closes_when_the_service_is_back() -> None:
    script = [gives(500)] * 3 + [good]
    settings = {"retries": 0, "breaker_failures": 3, "breaker_rest_s": 3.0}
    with speaking(*script, **settings) as (engine, there):
        for _ in range(3):
            with pytest.raises(Unavailable, match="500"):
                speak(engine)
        with pytest.raises(Unavailable, match="failed 3 times in a row: it is left alone"):
            speak(engine)
        assert len(there.bodies) == 3
        time.sleep(3.05)
        assert speak(engine).seconds == 0.5
        assert speak(engine).seconds == 0.5


def test_a_service_that_is_gone_and_comes_back_is_found_again() -> None:
    port = free_port()
    with scripted(LISTED, good, port=port) as there:
        engine = PiperHttp(voice(there.url, retries=0, breaker_failures=9), Path(), "cpu")
        assert speak(engine).seconds == 0.5
    engine._client._pool.clear()  # the kept connection would still be served by its thread
    with pytest.raises(Unavailable, match="refused"):
        speak(engine)
    with scripted(LISTED, good, port=port):
        assert speak(engine).seconds == 0.5


def test_a_service_that_is_not_there_is_unavailable_when_the_voice_is_loaded() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=f"GET {url}/voices: .*refused"):
        PiperHttp(voice(url, retries=1), Path(), "cpu")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "url '' is not valid: give its service as http://host:port"),
        ("127.0.0.1:5005", "is not valid"),
        ("file:///etc/passwd", "is not valid"),
        ("http://", "is not valid"),
        ("http://host/?key=1", "is not valid"),
        ("http://[::1", "is not valid"),
        ("http://ann:secret@host:1", "its url holds a password"),
    ],
)
def test_a_url_that_no_service_can_have_is_refused(url: str, said: str) -> None:
    with pytest.raises(EngineError, match="voice 'v'") as refused:
        Client(voice(url))
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wav(rate=16_000), "speaks at 16000 Hz, the voice says 8000 Hz"),
        (wav(channels=2), "gave 2 channels: a voice has one"),
        (wav(0), "gave no signal for 'Hello.'"),
    ],
)
def test_a_signal_that_is_not_the_voices_is_an_error(content: bytes, said: str) -> None:
    with (
        speaking(gives(200, content)) as (engine, _),
        pytest.raises(EngineError, match=said),
    ):
        speak(engine)


def test_a_wav_file_whose_writer_did_not_know_its_length_is_read() -> None:
    content = bytearray(wav())
    content[4:8] = content[40:44] = b"\xff" * 4
    samples, rate = read_wav(bytes(content))
    assert (len(samples), rate) == (RATE // 2, RATE)


def test_what_is_sent_is_json_with_all_of_the_text() -> None:
    with speaking(good) as (engine, there):
        speak(engine, "你好, “wörld”.")
        assert json.loads(json.dumps(there.bodies)) == [
            {"text": "你好, “wörld”.", "voice": "v", "language": "en"}
        ]
