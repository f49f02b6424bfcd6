"""Many wait for speech, in vain some of them; nobody else waits for these."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from farm import streaming
from farm.api import create
from farm.api.openai import speech
from farm.errors import StoreUnavailable
from tests.api.conftest import Api, serving, wait_for

#: More than the threads of all other routes, which here are half as many.
MANY = 16


def body(text: str, **more: str) -> dict[str, str]:
    return {"model": "tts-1", "voice": "tone", "input": text, **more}


def asked(ann: httpx.Client, text: str = "Hello.") -> int:
    return ann.post("/v1/audio/speech", json=body(text)).status_code


def test_those_who_wait_for_speech_hold_up_nobody_else(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "THREADS", MANY // 2)
    with serving(redis_url, tmp_path) as api, ThreadPoolExecutor(MANY) as pool:
        ann, bob = api.client("ann"), api.client("bob")
        api.workers.going.clear()
        waiting = [pool.submit(asked, ann, f"Hello {n}.") for n in range(MANY)]
        wait_for(lambda: len(list(api.farm.store.list("open/"))) == MANY)
        time.sleep(0.5)
        assert bob.get("/v1/jobs", timeout=30).status_code == 200
        assert not any(each.done() for each in waiting)
        api.workers.going.set()
        assert {each.result() for each in waiting} == {200}


def test_whoever_finds_all_places_taken_is_told_to_come_back(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "LISTENERS", 1)
    with serving(redis_url, tmp_path) as api, ThreadPoolExecutor() as pool:
        ann = api.client()
        api.workers.going.clear()
        first = pool.submit(asked, ann)
        wait_for(lambda: list(api.farm.store.list("open/")))
        refused = ann.post("/v1/audio/speech", json=body("Hello."))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        assert int(refused.headers["Retry-After"]) > 0
        api.workers.going.set()
        assert first.result() == 200
        wait_for(lambda: asked(ann) == 200)


def test_speech_that_nobody_waits_for_any_more_is_not_spoken(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PATIENCE_S", 0.3)
    ann = api.client()
    api.workers.going.clear()
    assert asked(ann) == 503
    (job,) = ann.get("/v1/jobs").json()["data"]
    assert job["state"] == "cancelled"
    api.workers.going.set()


def test_a_text_that_begins_with_what_cannot_be_spoken_is_an_error(api: Api) -> None:
    answer = api.client().post("/v1/audio/speech", json=body("my secret [[fail]]. And more."))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "cannot_be_spoken")
    assert "secret" not in answer.text


def test_a_gap_ends_a_stream_and_its_text_is_not_logged(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    ann = api.client()
    text = "One is here.\n\nmy secret [[fail]].\n\nThree is here."
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            ann.post("/v1/audio/speech", json=body(text, response_format="pcm"))
        wait_for(lambda: "EngineError" in caplog.text)
    finally:
        logger.removeHandler(caplog.handler)
    assert "segment 2" in caplog.text
    assert "secret" not in caplog.text
    events = ann.post("/v1/audio/speech", json=body(text, stream_format="sse")).text
    last = json.loads(events.strip().rpartition("data: ")[2])
    assert last["type"] == "error"
    assert last["error"]["code"] == "cannot_be_spoken"
    assert "secret" not in last["error"]["message"]


def test_an_error_within_events_names_no_folder_of_the_farm() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"audio"
        raise StoreUnavailable("cannot read '/srv/farm/a': gone")

    asked = speech.Speech(model="tts-1", input="Hello.", voice="tone")
    _, error = speech._events(blocks(), asked)
    assert b"/srv" not in error
    assert b'"code": "unavailable"' in error
