"""OpenAI's own client, unchanged, has files worked off."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from farm import contents
from tests.api.conftest import Api, wait_for
from tests.api.test_openai import client, seconds

#: OpenAI's client does not list it for batches, and sends it all the same.
SPEECH: Any = "/v1/audio/speech"


def line(custom_id: str, **body: Any) -> dict[str, Any]:
    full = {"model": "tts-1", "input": f"This is {custom_id}.", "voice": "tone", **body}
    return {"custom_id": custom_id, "method": "POST", "url": SPEECH, "body": full}


def uploaded(ann: openai.OpenAI, rows: list[Any]) -> str:
    data = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    file = ann.files.create(file=("requests.jsonl", data.encode()), purpose="batch")
    return file.id


def ended(ann: openai.OpenAI, batch: str) -> Any:
    def look() -> Any:
        found = ann.batches.retrieve(batch)
        return found if found.status in ("completed", "failed", "cancelled") else None

    return wait_for(look)


def made(ann: openai.OpenAI, file: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in ann.files.content(file).text.splitlines()]


def test_a_file_of_requests_is_worked_off(api: Api) -> None:
    rows = [
        line("first", response_format="wav"),
        line("second", speed=2.0),
        line("no voice", voice="alloy"),
        "not JSON",
        line("wrong", response_format="pcm"),
        {**line("elsewhere"), "url": "/v1/chat/completions"},
        line("empty", input=""),
    ]
    with client(api) as ann:
        batch = ann.batches.create(
            input_file_id=uploaded(ann, rows),
            endpoint=SPEECH,
            completion_window="24h",
            metadata={"customer": "17"},
        )
        assert batch.metadata == {"customer": "17"}
        batch = ended(ann, batch.id)
        counts = batch.request_counts
        assert (batch.status, counts.total, counts.completed, counts.failed) == (
            "completed",
            7,
            2,
            5,
        )
        spoken = made(ann, batch.output_file_id)
        assert [row["custom_id"] for row in spoken] == ["first", "second"]
        body = spoken[0]["response"]["body"]
        audio = ann.files.content(body["file_id"]).content
        assert (len(audio), body["format"]) == (body["bytes"], "wav")
        assert seconds(audio) == pytest.approx(body["seconds"], abs=0.01)
        errors = {
            row["custom_id"]: row["error"]["message"] for row in made(ann, batch.error_file_id)
        }
    assert list(errors) == ["no voice", "", "wrong", "elsewhere", "empty"]
    assert "alloy" in errors["no voice"]
    assert "response_format" in errors["wrong"]
    assert "url" in errors["elsewhere"]
    assert "input" in errors["empty"]


def test_batches_are_listed_and_cancelled(api: Api) -> None:
    api.workers.going.clear()
    with client(api) as ann:
        file = uploaded(ann, [line("a")])
        ids = [
            ann.batches.create(input_file_id=file, endpoint=SPEECH, completion_window="24h").id
            for _ in range(3)
        ]
        assert [batch.id for batch in ann.batches.list(limit=2)] == ids[::-1]
        assert ann.batches.cancel(ids[0]).status == "cancelled"
        with pytest.raises(openai.ConflictError):
            ann.batches.cancel(ids[0])
    api.workers.going.set()


def test_files_are_kept_listed_fetched_and_deleted(api: Api) -> None:
    with client(api) as ann:
        ids = [
            ann.files.create(file=(f"{n}.txt", io.BytesIO(b"abc")), purpose="user_data").id
            for n in range(3)
        ]
        assert {file.id for file in ann.files.list(limit=2)} == set(ids)
        known = ann.files.retrieve(ids[0])
        assert (known.bytes, known.filename) == (3, "0.txt")
        assert ann.files.content(ids[0]).content == b"abc"
        assert ann.files.delete(ids[0]).deleted
        with pytest.raises(openai.NotFoundError):
            ann.files.content(ids[0])


def test_another_owners_files_and_batches_are_not_there(api: Api) -> None:
    with client(api) as ann, client(api, "bob") as bob:
        file = uploaded(ann, [line("a")])
        batch = ann.batches.create(input_file_id=file, endpoint=SPEECH, completion_window="24h")
        batch = ended(ann, batch.id)
        for act in (
            lambda: bob.files.retrieve(file),
            lambda: bob.files.content(file),
            lambda: bob.files.delete(file),
            lambda: bob.files.content(batch.output_file_id),
            lambda: bob.files.content(f"file-audio.{batch.id}.0"),
            lambda: bob.batches.retrieve(batch.id),
            lambda: bob.batches.cancel(batch.id),
            lambda: bob.batches.create(
                input_file_id=file, endpoint=SPEECH, completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                act()
        assert list(bob.batches.list()) == []
        assert list(bob.files.list()) == []


@pytest.mark.parametrize(
    "id", ["file-..", "file-%2e%2e", "x", "file-out.batch_1", "file-audio.x.1"]
)
def test_an_id_that_is_none_is_not_found(id: str, api: Api) -> None:
    answer: httpx.Response = api.client().get(f"/v1/files/{id}/content")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_batch_without_lines_or_of_another_endpoint_is_refused(api: Api) -> None:
    with client(api) as ann:
        empty = uploaded(ann, ["", ""])
        with pytest.raises(openai.BadRequestError, match="no lines"):
            ann.batches.create(input_file_id=empty, endpoint=SPEECH, completion_window="24h")
        with pytest.raises(openai.BadRequestError, match="endpoint"):
            ann.batches.create(
                input_file_id=empty, endpoint="/v1/embeddings", completion_window="24h"
            )
    assert list(api.farm.store.list("jobs/")) == []


def test_other_jobs_hide_no_batch(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "LOOKED_AT", 2)
    api.workers.going.clear()
    with client(api) as ann:
        file = uploaded(ann, [line("a")])
        batch = ann.batches.create(input_file_id=file, endpoint=SPEECH, completion_window="24h")
        for number in range(5):
            body = {"kind": "speech", "text": f"Hello {number}."}
            api.client().post("/v1/jobs", json=body).raise_for_status()
        page = ann.batches.list()
        assert ([each.id for each in page.data], page.has_more) == ([batch.id], False)
    api.workers.going.set()


def test_a_batch_that_redis_has_forgotten_is_shown(api: Api) -> None:
    api.workers.going.clear()
    with client(api) as ann:
        file = uploaded(ann, [line("a")])
        batch = ann.batches.create(input_file_id=file, endpoint=SPEECH, completion_window="24h")
        api.farm.ledger.redis.flushall()
        counts = ann.batches.retrieve(batch.id).request_counts
        assert counts is not None
        assert counts.failed == 0
    api.workers.going.set()


def test_metadata_may_be_long_but_none_of_the_farms_own(api: Api) -> None:
    api.workers.going.clear()
    with client(api) as ann:
        asked: Any = {"input_file_id": uploaded(ann, [line("a")]), "endpoint": SPEECH}
        asked["completion_window"] = "24h"
        long = {"k": "v" * 512}
        assert ann.batches.create(**asked, metadata=long).metadata == long
        for refused in ({"k": "v" * 513}, {"openai.batch": "file-other"}, {"azure.id": "x"}):
            with pytest.raises(openai.BadRequestError):
                ann.batches.create(**asked, metadata=refused)
    api.workers.going.set()


def test_files_are_listed_newest_first(api: Api) -> None:
    with client(api) as ann:
        ids = [
            ann.files.create(file=(f"{n}.txt", b"abc"), purpose="user_data").id for n in range(5)
        ]
        assert [file.id for file in ann.files.list(limit=2)] == ids[::-1]
        assert len(ann.files.list(limit=10_000).data) == 5


def test_a_file_that_is_deleted_while_files_are_listed_is_left_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(api) as ann:
        ids = [
            ann.files.create(file=(f"{n}.txt", b"abc"), purpose="user_data").id for n in range(3)
        ]
        listed = api.farm.store.list

        def deleting(prefix: str, **how: Any) -> Iterator[str]:
            for key in listed(prefix, **how):
                if ids[1] in key:
                    api.farm.store.delete(key)
                yield key

        monkeypatch.setattr(api.farm.store, "list", deleting)
        assert [file.id for file in ann.files.list()] == [ids[2], ids[0]]


def test_a_file_is_nothing_that_a_browser_runs(api: Api) -> None:
    with client(api) as ann:
        made = ann.files.create(file=("a b\u00e9.html", b"<script>"), purpose="user_data")
        headers = ann.files.with_raw_response.content(made.id).headers
    assert headers["Content-Security-Policy"] == "sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == "attachment; filename*=utf-8''a%20b%C3%A9.html"
