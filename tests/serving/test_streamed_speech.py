"""`stream` of the Piper service: the first sound before the rest is made, and the same sound."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="the extra 'api' is not installed")

from farm.audio import Audio
from farm.engines import load
from farm.errors import EngineError
from farm.jobs import Segment
from farm.serving import speech
from tests.exports.voices import voice as exported
from tests.serving.servers import RATE, Listening, Served, problem, served, voice, wait_for

#: Bytes of the head of a WAV file that is streamed.
HEAD = 44
#: Two paragraphs of several sentences.
TEXT = "One is here. Two is there, and it goes on.\n\nThree is somewhere else."


class Piecewise(Listening):
    """Gives its tone in pieces, each when it is let."""

    def __init__(self, pieces: int = 4) -> None:
        super().__init__(voice())
        self.go = threading.Semaphore(0)
        self.pieces, self.made, self.left = pieces, 0, False
        self.fails_at = -1

    def stream(self, segment: Segment) -> Iterator[Audio]:
        whole = self.speak([segment])[0]
        try:
            for samples in np.array_split(whole.samples, self.pieces):
                assert self.go.acquire(timeout=20)
                if self.made == self.fails_at:
                    raise EngineError("no more of it")
                self.made += 1
                yield Audio(samples, RATE, warnings=("lacks 'ø'",))
        finally:
            self.left = True


@pytest.fixture
def engine() -> Iterator[Piecewise]:
    made = Piecewise()
    yield made
    made.go.release(1000)


@pytest.fixture
def there(engine: Piecewise) -> Iterator[Served]:
    """A service whose queue holds one request."""
    with served("piper", engine, queue=1, timeout_s=10) as found:
        yield found
        engine.go.release(1000)


def asked(there: Served, text: str = TEXT, **more: Any) -> urllib3.BaseHTTPResponse:
    """The answer to a request that streams, its body still to be read."""
    body = {"text": text, "voice": "tone", "stream": True}
    return there.post("/tts", body, preload_content=False, **more)


def samples(content: bytes) -> NDArray[np.int16]:
    return np.frombuffer(content[HEAD:], "<i2")


def test_a_stream_has_the_samples_of_the_plain_answer() -> None:
    """With pauses, fades and several paragraphs; in pieces and in one."""
    for pieces in (1, 7, 500):
        engine = Piecewise(pieces)
        engine.go.release(10_000)
        with served("piper", engine) as there:
            plain = there.post("/tts", {"text": TEXT, "voice": "tone"}).data
            response = asked(there)
            streamed = response.read()
        assert response.headers["content-type"] == "audio/wav"
        assert response.headers["transfer-encoding"] == "chunked"
        np.testing.assert_array_equal(samples(streamed), samples(plain))
        assert streamed[:4] == b"RIFF"
        assert streamed[4:8] == b"\xff\xff\xff\xff"


def test_a_voice_cut_in_three_streams_windows_that_differ_by_rounding(tmp_path: Path) -> None:
    voice_ = exported("piper", tmp_path, window=4096)
    engine = load(replace(voice_, engine="piper"), tmp_path, "cpu")
    segment = Segment("d" * 64, "And so it went on for a good long while. " * 12, voice_.id)
    pieces = list(engine.stream(segment))
    whole = speech.joined(engine.speak([segment]), [segment])
    together = np.concatenate([each.samples for each in speech.pieces(engine, [segment])])
    assert len(pieces) > 2
    assert not any(each.timings for each in pieces)
    assert np.abs(together - whole.samples).max() < 1e-4


def test_the_first_sound_comes_before_the_second_is_made(there: Served, engine: Piecewise) -> None:
    engine.go.release()
    response = asked(there)
    assert response.status == 200
    begun = response.read(HEAD + 100)
    assert begun[:4] == b"RIFF"
    assert len(begun) == HEAD + 100
    assert (engine.made, there.service.desk.depth) == (1, 1)
    assert response.headers["Farm-Warnings"] == "[\"lacks '\\u00f8'\"]"
    engine.go.release(1000)
    rest = response.read()
    assert samples(begun + rest).any()
    wait_for(lambda: there.service.desk.depth == 0)


def test_others_are_spoken_between_two_pieces(there: Served, engine: Piecewise) -> None:
    there.service.desk.limit = 2
    engine.go.release()
    response = asked(there)
    assert response.read(HEAD)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(there.post, "/tts", {"text": "Me, too.", "voice": "tone"})
        wait_for(lambda: there.service.desk.depth == 2)
        engine.go.release()  # what the desk waits in now; then it is the other's turn
        assert other.result().status == 200
    assert engine.made == 2
    engine.go.release(1000)
    response.read()


def test_while_it_streams_it_counts_as_waiting(there: Served, engine: Piecewise) -> None:
    engine.go.release()
    response = asked(there)
    refused = there.post("/tts", {"text": "Me, too.", "voice": "tone"})
    assert refused.status == 429
    assert problem(refused) == "1 requests wait already: ask again later"
    engine.go.release(1000)
    response.read()


def test_a_client_that_leaves_frees_its_place_and_stops_the_engine(
    there: Served, engine: Piecewise
) -> None:
    engine.go.release()
    response = asked(there)
    assert response.read(HEAD)
    response.close()
    wait_for(lambda: there.service.desk.depth == 0)
    engine.go.release()  # the piece that was being made
    wait_for(lambda: engine.left)
    assert engine.made <= 2
    engine.go.release(1000)
    assert there.post("/tts", {"text": "Me, too.", "voice": "tone"}).status == 200


def test_an_error_before_the_first_sound_has_its_status(there: Served, engine: Piecewise) -> None:
    engine.fails_at = 0
    engine.go.release()
    response = there.post("/tts", {"text": TEXT, "voice": "tone", "stream": True})
    assert response.status == 422
    assert problem(response) == "segment 1 of 3: no more of it"
    nobody = there.post("/tts", {"text": TEXT, "voice": "nobody", "stream": True})
    assert nobody.status == 404
    empty = there.post("/tts", {"text": "...", "voice": "tone", "stream": True})
    assert empty.status == 400


def test_an_error_after_it_breaks_the_answer_off(there: Served, engine: Piecewise) -> None:
    engine.fails_at = 2
    engine.go.release(3)
    response = asked(there)
    assert response.status == 200
    with pytest.raises(urllib3.exceptions.ProtocolError):
        response.read()
    wait_for(lambda: there.service.desk.depth == 0)
    engine.fails_at = -1
    engine.go.release(1000)
    assert there.post("/tts", {"text": "Me, too.", "voice": "tone"}).status == 200


def test_a_stream_that_takes_too_long_is_503_before_its_first_sound(engine: Piecewise) -> None:
    with served("piper", engine, timeout_s=0.5) as there:
        response = there.post("/tts", {"text": TEXT, "voice": "tone", "stream": True})
        assert response.status == 503
        assert problem(response) == "not spoken within 0.5 s: ask again later"
        engine.go.release(1000)


def test_a_piece_that_is_no_sound_is_an_error() -> None:
    class Wrong(Listening):
        def speak(self, segments: Sequence[Segment]) -> list[Audio]:
            return [Audio(np.full(9, np.nan, np.float32), RATE) for _ in segments]

    with pytest.raises(EngineError, match="segment 1 of 1: the engine gave a signal that holds"):
        next(speech.pieces(Wrong(voice()), [Segment("d" * 64, "One.", "tone")]))
