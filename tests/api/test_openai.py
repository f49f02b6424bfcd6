"""OpenAI's own client, unchanged, speaks with the farm."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import av
import httpx
import openai
import pytest

from farm.access import Allowance
from farm.engines import load
from farm.jobs import Segment
from tests.api.conftest import Api
from tests.running import Acting

Format = Literal["mp3", "opus", "aac", "flac", "wav"]
TEXT = "One is here. Two is there.\n\nThree is nowhere at all."


@contextmanager
def client(api: Api, owner: str = "ann") -> Iterator[openai.OpenAI]:
    _, text = api.key(owner)
    with openai.OpenAI(api_key=text, base_url=f"{api.url}/v1", max_retries=0) as found:
        yield found


def seconds(data: bytes) -> float:
    with av.open(io.BytesIO(data), "r") as file:
        rate = file.streams.audio[0].rate
        return sum(frame.samples for frame in file.decode(audio=0)) / rate


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_a_text_is_spoken_in_every_format(format: Format, api: Api) -> None:
    with client(api) as ann:
        answer = ann.audio.speech.create(
            model="tts-1",
            input=TEXT,
            voice="tone",
            response_format=format,
        )
        assert 3 < seconds(answer.content) < 10


def test_raw_samples_have_the_rate_that_clients_expect(api: Api) -> None:
    with client(api) as ann:
        args: Any = {"model": "tts-1", "input": TEXT, "voice": "tone"}
        wav = ann.audio.speech.create(**args, response_format="wav").content
        pcm = ann.audio.speech.create(**args, response_format="pcm").content
    assert len(pcm) / 2 / 24_000 == pytest.approx(seconds(wav), abs=0.05)


def test_audio_is_sent_before_the_last_segment_is_spoken(api: Api, tmp_path: Path) -> None:
    voice = api.service.studio.pin({"tone"}, "ann")["tone"]
    begun: list[str] = []
    heard = threading.Event()

    def hold(segments: Sequence[Segment]) -> None:
        begun.extend(segment.text for segment in segments)
        if len(begun) > 1:
            heard.wait(10)

    api.farm.engines[voice.digest] = Acting(load(voice, tmp_path, "cpu"), hold)
    with (
        client(api) as ann,
        ann.audio.speech.with_streaming_response.create(
            model="tts-1", input=TEXT, voice="tone", response_format="pcm"
        ) as answer,
    ):
        blocks = answer.iter_bytes(1024)
        first = next(blocks)
        before = [*begun]
        heard.set()
        rest = b"".join(blocks)
    assert any(first)
    assert before[0] == "One is here."
    assert "Three is nowhere at all." not in before
    assert begun[-1] == "Three is nowhere at all."
    assert len(rest) > 24_000


def test_speed_changes_the_length(api: Api) -> None:
    with client(api) as ann:
        slow, fast = (
            seconds(
                ann.audio.speech.create(
                    model="tts-1", input=TEXT, voice="tone", response_format="wav", speed=speed
                ).content
            )
            for speed in (0.5, 2.0)
        )
    assert slow > 2 * fast


def test_events_carry_the_audio_and_the_end(api: Api) -> None:
    with client(api) as ann:
        answer = ann.audio.speech.create(
            model="tts-1", input=TEXT, voice="tone", response_format="wav", stream_format="sse"
        )
        lines = answer.text.strip().split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert events[-1]["type"] == "speech.audio.done"
    audio = b"".join(base64.b64decode(e["audio"]) for e in events[:-1])
    assert seconds(audio) > 3


def test_the_same_text_again_is_not_spoken_again(api: Api) -> None:
    ann = api.client()
    body = {"model": "tts-1", "input": TEXT, "voice": "tone"}
    first, second = (ann.post("/v1/audio/speech", json=body) for _ in range(2))
    assert first.content == second.content
    names = [answer.headers["X-Farm-Job"] for answer in (first, second)]
    records = [api.finish(ann, name) for name in names]
    assert [record["counts"]["misses"] for record in records] == [3, 0]


def test_what_is_wrong_is_said_in_openais_shape(api: Api) -> None:
    with client(api) as ann:
        good: Any = {"model": "tts-1", "input": "Hello.", "voice": "tone"}
        with pytest.raises(openai.BadRequestError) as unknown:
            ann.audio.speech.create(**good | {"voice": "alloy"})
        with pytest.raises(openai.NotFoundError) as model:
            ann.audio.speech.create(**good | {"model": "gpt-9"})
        with pytest.raises(openai.BadRequestError) as long:
            ann.audio.speech.create(**good | {"input": "x" * 4097})
        with pytest.raises(openai.BadRequestError) as told:
            ann.audio.speech.create(**good | {"instructions": "Whisper."})
    assert unknown.value.body["code"] == "unknown_voice"  # type: ignore[index]
    assert "low, tone" not in unknown.value.message or "bobs" not in unknown.value.message
    assert "tone" in unknown.value.message
    assert model.value.param == "model"
    assert long.value.param == "input"
    assert told.value.param == "instructions"


def test_a_private_voice_speaks_for_its_owner_only(api: Api) -> None:
    with client(api, "bob") as bob:
        assert bob.audio.speech.create(model="tts-1", input="Hello.", voice="bobs").content
    with client(api) as ann, pytest.raises(openai.BadRequestError, match="unknown voice"):
        ann.audio.speech.create(model="tts-1", input="Hello.", voice="bobs")
    ids = [voice["id"] for voice in api.client().get("/v1/audio/voices").json()["data"]]
    assert {"tone", "low"} < set(ids)
    assert "bobs" not in ids


def test_a_wrong_key_is_an_authentication_error(api: Api) -> None:
    api.key()
    with (
        openai.OpenAI(api_key="farm_no", base_url=f"{api.url}/v1", max_retries=0) as nobody,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        nobody.models.list()
    assert refused.value.code == "invalid_api_key"


def test_a_days_characters_are_a_rate_limit(api: Api) -> None:
    ann = api.client(limits=Allowance(characters_per_day=10))
    body = {"model": "tts-1", "input": "Too long.", "voice": "tone"}
    assert ann.post("/v1/audio/speech", json=body).status_code == 200
    answer = ann.post("/v1/audio/speech", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_error")
    assert int(answer.headers["Retry-After"]) > 0


def test_models_are_listed(api: Api) -> None:
    with client(api) as ann:
        assert "tts-1" in [model.id for model in ann.models.list()]
        assert ann.models.retrieve("tts-1").owned_by == "farm"


def test_a_text_without_words_is_an_error_and_no_empty_file(api: Api) -> None:
    body = {"model": "tts-1", "input": "...", "voice": "tone"}
    answer: httpx.Response = api.client().post("/v1/audio/speech", json=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]
