from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
import soundfile

from farm.ledger import Ref
from tests.api.conftest import Api, wait_for

TEXT = "# One\n\nA cat sat. It ran off.\n\n# Two\n\nThe end is here."
BOOK = {"kind": "book", "text": TEXT}


def submitted(client: httpx.Client, name: str = "b", **more: Any) -> None:
    client.put(f"/v1/jobs/{name}", json={**BOOK, **more}).raise_for_status()


def seconds(flac: bytes) -> float:
    samples, rate = soundfile.read(io.BytesIO(flac))
    return float(len(samples) / rate)


def found(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(path).raise_for_status().json()["data"]
    return rows


def test_a_segment_is_heard_as_soon_as_it_is_spoken(api: Api) -> None:
    ann = api.client()
    api.workers.going.clear()
    submitted(ann)
    assert ann.get("/v1/jobs/b/items/0/segments/0/audio").status_code == 404
    api.workers.going.set()
    answer = wait_for(
        lambda: (a := ann.get("/v1/jobs/b/items/0/segments/0/audio")).is_success and a
    )
    assert answer.headers["content-type"] == "audio/flac"
    assert answer.headers["cache-control"] == "no-store"
    assert seconds(answer.content) == pytest.approx(0.06 * len("One"), abs=0.02)
    api.finish(ann, "b")


def test_a_segment_is_heard_as_its_latest_edit_has_it(api: Api) -> None:
    ann = api.client()
    submitted(ann)
    api.finish(ann, "b")
    segment = found(ann, "/v1/jobs/b/items/0/segments")[1]
    address = f"/v1/jobs/b/items/0/segments/{segment['start']}/audio"
    before = seconds(ann.get(address).content)
    edit = {"item": 0, "start": segment["start"], "text": "A much longer sentence stands here."}
    assert ann.post("/v1/jobs/b/edits", json={"edits": [edit]}).status_code == 202
    api.finish(ann, "b")
    assert seconds(ann.get(address).content) > before + 1
    sentences = [m for m in found(ann, "/v1/jobs/b/items/0/marks") if m["type"] == "sentence"]
    assert [mark["text"] for mark in sentences] == ["One", edit["text"], "It ran off."]


def test_an_items_files_are_there_before_its_job_has_ended(api: Api) -> None:
    ann, send = api.client(), api.farm.send

    def holding(ref: Ref, label: str) -> None:
        if ref.stage == "package":
            api.workers.going.clear()
        send(ref, label)

    api.farm.send = holding
    submitted(ann, output={"format": "mp3"})
    wait_for(lambda: not api.workers.going.is_set())
    files = found(ann, "/v1/jobs/b/items/0/files")
    assert ann.get("/v1/jobs/b").json()["ended"] is None
    assert [file["format"] for file in files] == ["mp3", "marks"]
    assert len(api.anyone.get(files[0]["url"]).content) == files[0]["size"]
    api.workers.going.set()
    api.finish(ann, "b")
    assert found(ann, "/v1/jobs/b/items/0/files") == [
        file for file in found(ann, "/v1/jobs/b/outputs") if file["item"] == files[0]["item"]
    ]


def test_marks_say_when_each_sentence_and_word_is_spoken(api: Api) -> None:
    ann = api.client()
    submitted(ann)
    api.finish(ann, "b")
    marks = found(ann, "/v1/jobs/b/items/0/marks")
    assert [mark["text"] for mark in marks] == [
        *("One", "One", "A cat sat.", "A", "cat", "sat", "It ran off.", "It", "ran", "off"),
    ]
    times = [mark["start_ms"] for mark in marks]
    assert times == sorted(times)
    starts = [segment["start"] for segment in found(ann, "/v1/jobs/b/items/0/segments")]
    assert [m["source_start"] for m in marks if m["type"] == "sentence"] == starts


@pytest.mark.parametrize("what", ["files", "marks", "segments/0/audio"])
def test_what_is_not_there_or_anothers_is_not_found(what: str, api: Api) -> None:
    ann, bob = api.client(), api.client("bob")
    submitted(ann)
    api.finish(ann, "b")
    assert ann.get(f"/v1/jobs/b/items/0/{what}").status_code == 200
    for client, path in ((ann, f"b/items/9/{what}"), (bob, f"b/items/0/{what}")):
        assert client.get(f"/v1/jobs/{path}").status_code == 404
    assert ann.get("/v1/jobs/b/items/0/segments/1/audio").status_code == 404
    assert api.anyone.get(f"/v1/jobs/b/items/0/{what}").status_code == 401


def test_an_item_without_marks_says_so(api: Api) -> None:
    ann = api.client()
    ann.put("/v1/jobs/s", json={"kind": "speech", "text": "Hi."}).raise_for_status()
    api.finish(ann, "s")
    answer = ann.get("/v1/jobs/s/items/0/marks")
    assert (answer.status_code, "no marks" in answer.json()["detail"]) == (404, True)
