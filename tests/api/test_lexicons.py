"""Lexicons over HTTP: inline and as files, checked before a job is accepted, kept with it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from farm.text import lexicon
from tests.api.conftest import Api
from tests.api.test_jobs import made, upload
from tests.text.lexicons import SIOBHAN, aliases, lexeme, pls

SPEECH: dict[str, Any] = {"kind": "speech", "text": "Siobhan left.", "output": {"format": "wav"}}
WORDS = aliases(Siobhan="Shivawn")


def spoken(client: httpx.Client, job: str) -> list[str]:
    rows = client.get(f"/v1/jobs/{job}/items/0/segments").json()["data"]
    return [row["text"] for row in rows]


def stored(client: httpx.Client, data: bytes) -> str:
    sent = client.post(
        "/v1/files", files={"file": ("names.pls", data)}, data={"purpose": "user_data"}
    )
    return str(sent.json()["id"])


def test_a_lexicon_comes_with_the_job_or_as_a_file_that_was_uploaded(api: Api) -> None:
    ann = api.client()
    inline = made(ann, {**SPEECH, "lexicons": [WORDS]}, "inline")
    api.finish(ann, inline["id"])
    assert spoken(ann, "inline") == ["Shivawn left."]
    by_id = made(ann, {**SPEECH, "lexicons": [stored(ann, WORDS.encode())]}, "by-id")
    record = api.finish(ann, by_id["id"])
    assert spoken(ann, "by-id") == ["Shivawn left."]
    assert (record["counts"]["hits"], record["counts"]["misses"]) == (1, 0)
    form = upload(ann, b"# One\n\nSiobhan left.", "a.md", {"kind": "book", "lexicons": [WORDS]})
    api.finish(ann, form.json()["id"])
    assert spoken(ann, form.json()["id"]) == ["One", "Shivawn left."]


def test_the_same_request_finds_its_job_and_another_lexicon_is_a_conflict(api: Api) -> None:
    ann = api.client()
    body = {**SPEECH, "lexicons": [WORDS]}
    made(ann, body, "j")
    assert ann.put("/v1/jobs/j", json=body).status_code == 200
    other = {**SPEECH, "lexicons": [aliases(Siobhan="x")]}
    assert ann.put("/v1/jobs/j", json=other).status_code == 409


@pytest.mark.parametrize(
    ("lexicons", "status", "why"),
    [
        (["<lexicon/>"], 400, "says no language"),
        ([pls(lexeme("a", ipa="S@"))], 400, "line 1 of the lexicon: 'S@' is no IPA"),
        ([" <speak/>"], 400, "the root of a lexicon is 'lexicon'"),
        (["<!DOCTYPE lexicon><lexicon/>"], 400, "document type declaration"),
        (["<\ud800>"], 400, "lexicons.0"),
        (["file-none"], 404, "lexicons: no file 'file-none'"),
        (["uploads/bob/file-1"], 404, "lexicons: no file 'uploads/bob/file-1', and it is no PLS"),
        ([""], 400, "lexicons.0"),
        (["<" + " " * lexicon.LARGEST], 400, "lexicons.0"),
        ([WORDS] * (lexicon.MOST_LEXICONS + 1), 400, "at most 10 items"),
    ],
)
def test_what_is_no_lexicon_is_refused_and_nothing_is_stored(
    api: Api, lexicons: list[str], status: int, why: str
) -> None:
    for dry in (False, True):
        body = json.dumps({**SPEECH, "lexicons": lexicons, "dry_run": dry})  # in ASCII
        kind = {"Content-Type": "application/json"}
        answer = api.client().post("/v1/jobs", content=body, headers=kind)
        assert answer.status_code == status, answer.text
        assert why in answer.text
    assert list(api.farm.store.list("jobs/")) == []


def test_a_file_that_is_too_large_for_a_lexicon_is_not_read(api: Api) -> None:
    ann = api.client()
    name = stored(ann, b" " * (lexicon.LARGEST + 1))
    answer = ann.post("/v1/jobs", json={**SPEECH, "lexicons": [name]})
    assert answer.status_code == 400
    assert f"has {lexicon.LARGEST + 1} bytes" in answer.text


def test_a_dry_run_warns_of_a_lexicon_in_another_language(api: Api) -> None:
    body = {**SPEECH, "lexicons": [WORDS, aliases("fr", a="b")], "dry_run": True}
    told = api.client().post("/v1/jobs", json=body).json()["warnings"]
    assert told == ["a lexicon is for 'fr': nothing in en is looked up in it"]


def test_phonemes_that_the_voice_does_not_read_are_counted(api: Api) -> None:
    ann = api.client()
    made(ann, {**SPEECH, "lexicons": [pls(lexeme("Siobhan", ipa=SIOBHAN))]}, "j")
    assert api.finish(ann, "j")["counts"]["warned"] == 1
