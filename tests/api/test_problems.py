"""What problem documents say: the field, the bad value, the valid ones; and nobody's text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from farm.access import Allowance
from farm.submission import NAMES
from tests.api.conftest import Api, serving

SPEECH = {"kind": "speech", "text": "Hi."}
VOICES = ["flite", "low", "slt", "slt-pair", "slt-vits", "tone"]
AUDIO = ["wav", "flac", "mp3", "opus", "m4a"]
LINE = {"id": "a", "text": "Hi."}
UPLOADS = "the id of a file of `POST /v1/files`, or a key that begins with 'uploads/ann/'"
#: Of a text: words that are in no answer, as long as a value that is told may be.
WORDS = "Xylophonic quince marmalade, she said."
#: As much of a value as an answer may quote.
QUOTED = "x" * 40
SPOKEN = {"model": "tts-1", "voice": "tone", "input": "Hi."}
WORKED = {"input_file_id": "file-0", "endpoint": "/v1/audio/speech", "completion_window": "24h"}
AZURES = "/texttospeech/batchsyntheses/abc?api-version=2024-04-01"
SYNTHESIS = {
    "inputKind": "PlainText",
    "inputs": [{"content": "Hi."}],
    "synthesisConfig": {"voice": "tone"},
}
#: What a case expects of a member that is not to be there.
NONE = None


@pytest.fixture(scope="module")
def api(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server that is shared by tests whose requests leave nothing behind."""
    # Not the database of the other farms here: its control process would keep theirs out.
    with serving(f"{redis_server}?db=2", tmp_path_factory.mktemp("problems")) as api:
        yield api


@pytest.fixture(scope="module")
def ann(api: Api) -> httpx.Client:
    return api.client("ann", limits=Allowance(characters_per_day=10**6))


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


def post(client: httpx.Client, body: Any, path: str = "/v1/jobs") -> httpx.Response:
    """Send JSON as it is, half characters and numbers that are none included."""
    headers = {"Content-Type": "application/json"}
    return client.post(path, content=json.dumps(body), headers=headers)


@pytest.mark.parametrize(
    ("change", "field", "value", "valid"),
    [
        ({"kind": "poem"}, "kind", "poem", ["speech", "batch", "book"]),
        ({"voice": "nobody"}, "voice", "nobody", VOICES),
        ({"voice": "bobs"}, "voice", "bobs", VOICES),
        ({"text": "<speak><voice name='nobody'>Hi.</voice></speak>"}, "text", "nobody", VOICES),
        ({"output": {"format": "ogg"}}, "output.format", "ogg", [*AUDIO, "readalong", "m4b"]),
        ({"output": {"also": ["wav", "m4b"]}}, "output.also.1", "m4b", [*AUDIO, "readalong"]),
        ({"output": {"also": ["readalong"]}}, "output", "readalong", NONE),
        ({"output": {"subtitles": ["ass"]}}, "output.subtitles.0", "ass", ["srt", "vtt", "json"]),
        ({"output": {"loudness": 5}}, "output.loudness", 5, {"le": -5}),
        ({"output": 7}, "output", 7, NONE),
        ({"kind": "batch", "text": NONE, "lines": [LINE, {**LINE, "format": "ogg"}]},
         "lines.1.format", "ogg", AUDIO),
        ({"kind": "batch", "text": NONE, "lines": [{"text": "Hi."}]}, "lines.0.id", NONE, NONE),
        ({"kind": "batch", "text": NONE, "lines": []}, "lines", NONE, NONE),
        ({"pauses": {"word": 3}}, "pauses.word", "word",
         ["clause", "sentence", "paragraph", "heading"]),
        ({"labels": {"azure.x": "y"}}, "labels.azure.x", "azure.x", NONE),
        ({"speed": 9}, "speed", 9, {"le": 4.0}),
        ({"speed": float("nan")}, "speed", NONE, NONE),
        ({"deadline_s": "soon"}, "deadline_s", "soon", NONE),
        ({"text": ""}, "text", NONE, NONE),
        ({"text": NONE, "input": "none.md"}, "input", "none.md", UPLOADS),
        ({"text": NONE, "input": "uploads/bob/b.md"}, "input", "uploads/bob/b.md", UPLOADS),
        ({"text": NONE, "input": "a\\b"}, "input", "a\\b", UPLOADS),
        ({"lexicons": ["file-0"]}, "lexicons", "file-0", NONE),
        ({"lexicons": ["<lexicon/>"]}, "lexicons", NONE, NONE),
        ({"webhook": "https://127.0.0.1/secret"}, "webhook", NONE, NONE),
        ({"webhook": "ftp://ann:secret@example.com"}, "webhook", NONE, NONE),
        ({"colour": "red"}, "colour", NONE, NONE),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_value_and_the_valid_ones(
    change: dict[str, Any], field: str, value: Any, valid: Any, ann: httpx.Client, api: Api
) -> None:
    body = {name: said for name, said in {**SPEECH, **change}.items() if said is not NONE}
    answer = post(ann, body)
    found = problem(answer, 404 if field == "input" or value == "file-0" else 400)
    assert (found["field"], found.get("value"), found.get("valid")) == (field, value, valid)
    assert "secret" not in answer.text
    assert list(api.farm.store.list("jobs/")) == []


@pytest.mark.parametrize(
    ("path", "status", "field", "value", "valid"),
    [
        ("/v1/jobs?cursor=x", 400, "cursor", "x", "`next_cursor` of the page before"),
        ("/v1/jobs?label=x", 400, "label", "x", "name:value"),
        ("/v1/jobs?limit=201", 400, "limit", "201", {"le": 200}),
        ("/v1/jobs?kind=poem", 400, "kind", "poem", ["speech", "batch", "book"]),
        ("/v1/jobs?path=x", 400, "path", NONE, NONE),
        ("/v1/webhooks/dead?cursor=x%20y", 400, "cursor", "x y", "'~'"),
        ("/v1/jobs/none", 404, "name", "none", NONE),
        ("/v1/jobs/none/items/0/files", 404, "name", "none", NONE),
        ("/static/none.js", 404, "name", NONE, NONE),
        ("/v1/jobs/a%2Fb", 400, "name", "a/b", NAMES),
        ("/v1/nothing", 404, NONE, NONE, NONE),
    ],
)
def test_a_wrong_address_is_named(
    path: str, status: int, field: str, value: Any, valid: Any, ann: httpx.Client
) -> None:
    found = problem(ann.get(path), status)
    assert (found.get("field"), found.get("value")) == (field, value)
    assert found.get("valid") == valid or valid in found["valid"]
    assert found["detail"] != found["title"]


@pytest.mark.parametrize("name", ["a%2Fb", "a%2Fcancel", "a%20b", "-a", "a..b", "x" * 81, "é"])
def test_an_id_that_is_none_is_named_with_what_ids_are(
    name: str, ann: httpx.Client, api: Api
) -> None:
    said = httpx.URL(f"http://x/{name}").path.removeprefix("/")
    found = problem(ann.put(f"/v1/jobs/{name}", json=SPEECH), 400)
    assert (found["type"], found["field"], found["valid"]) == (
        "/problems/invalid-input",
        "name",
        NAMES,
    )
    assert found.get("value", "x" * found.get("length", 0)) == said
    assert said[:40] in found["detail"]
    assert list(api.farm.store.list("jobs/")) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"kind": "speech", "text": "\xff"}', "not UTF-8 (byte 28)"),
        (b'{"kind": ', "not JSON: Expecting value (character 9)"),
        (b'{"speed": ' + b"9" * 5000 + b"}", "not JSON that can be read"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b"[]", "valid dictionary"),
        (b"", "required"),
    ],
)
def test_a_body_that_is_no_json_is_told_why(body: bytes, said: str, ann: httpx.Client) -> None:
    answer = ann.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    found = problem(answer, 400)
    assert found["field"] == "body"
    assert said in found["detail"]


@pytest.mark.parametrize(
    ("job", "form", "field", "said"),
    [
        ('{"kind": ', {}, "job", "not JSON: Expecting value (character 9)"),
        ("[" * 100_000, {}, "job", "not JSON that can be read"),
        ("[]", {}, "body", "dictionary"),
        ('{"kind": "book", "output": {"format": "ogg"}}', {}, "output.format", "'m4b'"),
        ('{"kind": "book"}', {"id": "a b"}, "id", NAMES),
        ('{"kind": "book"}', {}, "file", "'b.txt' is empty"),
    ],
)
def test_a_wrong_upload_is_told_why(
    job: str, form: dict[str, str], field: str, said: str, ann: httpx.Client
) -> None:
    file = {"file": ("b.txt", b"")}
    answer = ann.post("/v1/jobs/upload", files=file, data={"job": job, **form})
    found = problem(answer, 400)
    assert found["field"] == field
    assert said in found["detail"]
    missing = problem(ann.post("/v1/jobs/upload", data={"job": job, **form}), 400)
    assert missing["field"] == "file"


def test_an_idempotency_key_is_named_when_it_is_too_long_or_of_another_request(api: Api) -> None:
    bob = api.client("bob")
    api.workers.going.clear()
    keyed = {"Idempotency-Key": "order 17"}
    made = bob.post("/v1/jobs", json=SPEECH, headers=keyed).raise_for_status().json()
    found = problem(bob.post("/v1/jobs", json={**SPEECH, "title": "x"}, headers=keyed), 409)
    assert (found["field"], found["value"]) == ("Idempotency-Key", "order 17")
    bob.post(f"/v1/jobs/{made['id']}/cancel").raise_for_status()
    bob.delete(f"/v1/jobs/{made['id']}").raise_for_status()
    api.workers.going.set()
    found = problem(bob.post("/v1/jobs", json=SPEECH, headers={"Idempotency-Key": "x" * 201}), 400)
    assert (found["field"].lower(), found["length"]) == ("idempotency-key", 201)
    assert found["valid"] == {"max_length": 200}


@pytest.mark.parametrize(
    ("body", "length"),
    [
        ({"kind": "speech", "text": f"{WORDS}\ud800"}, 39),
        ({"kind": "speech", "text": f"{WORDS} " * 30_000}, 39 * 30_000),
        ({"kind": "speech", "txt": WORDS}, 38),
        ({"kind": "speech", "text": WORDS, "voice": f"{WORDS} " * 9}, 351),
        ({"kind": "speech", "text": WORDS, "webhook": f"{WORDS} " * 99}, 39 * 99),
        ({"kind": "speech", "text": WORDS, "title": f"{WORDS} " * 99}, 39 * 99),
        ({"kind": "speech", "text": WORDS, "priority": f"{WORDS} {WORDS}"}, 77),
        ({"kind": "speech", "input": f"{QUOTED} {WORDS}"}, 79),
        ({"kind": "speech", "input": f"{QUOTED} {WORDS}?/"}, 81),
        ({"kind": "speech", "text": WORDS, "lexicons": [f"{QUOTED} {WORDS}"]}, 79),
        ({"kind": "speech", "text": f"<speak>{WORDS}"}, NONE),
        ({"kind": "batch", "lines": [{"id": "a", "text": f"{WORDS}\ud800"}]}, 39),
        ({"kind": "batch", "lines": [{"id": "a", "text": [WORDS]}]}, NONE),
        ({"kind": "book", "lines": [{"id": "a", "text": WORDS}]}, NONE),
        ({"kind": "speech", "text": {"words": WORDS}}, NONE),
        ({"kind": "batch", "lines": WORDS}, 38),
        (WORDS, 38),
        ([WORDS], NONE),
    ],
)
def test_no_text_is_told_but_its_length(body: Any, length: int, ann: httpx.Client) -> None:
    answer = post(ann, body)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json().get("length") == length
    assert "value" not in answer.json()
    assert WORDS not in answer.text


def test_the_id_of_a_delivery_is_named(ann: httpx.Client) -> None:
    found = problem(ann.post("/v1/webhooks/dead/x%20y/replay"), 400)
    assert (found["field"], found["value"]) == ("id", "x y")
    found = problem(ann.post("/v1/webhooks/dead/none/replay"), 404)
    assert (found["field"], found["value"]) == ("id", "none")


@pytest.mark.parametrize(
    ("method", "path", "field", "value"),
    [
        ("GET", "items/7/segments", "index", 7),
        ("GET", "items/7/files", "index", 7),
        ("GET", "items/0/marks", "index", 0),
        ("GET", "items/7/segments/0/audio", "index", 7),
        ("GET", "items/0/segments/9/audio", "start", 9),
        ("POST", "items/7/segments/0/retake", "index", 7),
        ("POST", "items/0/segments/9/retake", "start", 9),
    ],
)
def test_a_part_of_a_job_that_is_not_there_is_named(
    method: str, path: str, field: str, value: int, api: Api
) -> None:
    cat = api.client("cat")
    cat.put("/v1/jobs/parts", json=SPEECH).raise_for_status()
    api.finish(cat, "parts")
    found = problem(cat.request(method, f"/v1/jobs/parts/{path}"), 404)
    assert (found["field"], found["value"]) == (field, value)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/v1/audio/speech", {**SPOKEN, "voice": "nobody"}, "voice"),
        ("POST", "/v1/audio/speech", {**SPOKEN, "voice": 5}, "voice"),
        ("POST", "/v1/audio/speech", {**SPOKEN, "voice": {"name": "tone"}}, "voice"),
        ("POST", "/v1/batches", {**WORKED, "input_file_id": "file-0"}, "input_file_id"),
        ("POST", "/v1/batches", {**WORKED, "metadata": {"azure.x": "y"}}, "metadata.azure.x"),
        ("GET", "/v1/batches?after=none", NONE, "after"),
        ("GET", "/v1/batches/none", NONE, "name"),
        ("GET", "/v1/files/file-none", NONE, "id"),
        ("GET", f"/v1/files/file-out.batch_{'0' * 24}/content", NONE, "id"),
        ("DELETE", "/v1/files/file-none", NONE, "id"),
        ("GET", AZURES, NONE, "id"),
        ("PUT", AZURES, {**SYNTHESIS, "synthesisConfig": {"voice": "nobody"}},
         "synthesisConfig.voice"),
        ("PUT", AZURES, {**SYNTHESIS, "synthesisConfig": {"voice": "tone", "volume": []}},
         "synthesisConfig.volume"),
        ("PUT", AZURES, {**SYNTHESIS, "inputKind": "SSML"}, "inputs.0.content"),
    ],
)  # fmt: skip
def test_other_dialects_name_the_field_too(
    method: str, path: str, body: Any, field: str, ann: httpx.Client
) -> None:
    answer = ann.request(method, path, json=body)
    assert answer.status_code in (400, 404), answer.text
    error = answer.json()["error"]
    assert error["target" if path == AZURES else "param"] == field


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/audio/speech", {"input": f"{WORDS} " * 200}),
        ("/v1/audio/speech", {"input": f"{WORDS}\ud800"}),
        ("/v1/audio/speech", {"input": f"[[fail]] {WORDS}"}),
        ("/v1/audio/speech", {"input": WORDS, "instructions": WORDS}),
        ("/v1/audio/speech", {"input": WORDS, "voice": "nobody"}),
        (AZURES, {"inputs": [{"content": f"{WORDS}\ud800"}]}),
        (AZURES, {"inputs": [{"words": WORDS}]}),
        (AZURES,
         {"inputKind": "SSML", "inputs": [{"content": f"<speak>{WORDS}"}]}),
    ],
)  # fmt: skip
def test_other_dialects_tell_no_text_either(path: str, body: Any, ann: httpx.Client) -> None:
    method, usual = ("PUT", SYNTHESIS) if path == AZURES else ("POST", SPOKEN)
    content = json.dumps({**usual, **body})
    headers = {"Content-Type": "application/json"}
    answer = ann.request(method, path, content=content, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["error"]["message"]
    assert WORDS not in answer.text


def test_a_speech_of_which_nothing_can_be_spoken_says_where_to_look(
    ann: httpx.Client, api: Api
) -> None:
    answer = ann.post("/v1/audio/speech", json={**SPOKEN, "input": "?!?!?!"})
    assert answer.status_code == 422
    assert "?!?!?!" not in answer.text
    said = answer.json()["error"]["message"].partition("GET ")[2].split()[0]
    api.finish(ann, said.rpartition("/")[2])
    assert ann.get(said).json()["error"] == "nothing to speak in '?!?!?!'"
