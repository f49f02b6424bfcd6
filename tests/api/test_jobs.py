from __future__ import annotations

import http.client
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from farm import keys, retention
from farm.submission import find
from tests.api.conftest import Api, wait_for
from tests.text.epubs import Toc, page, write_epub

SPEECH = {"kind": "speech", "text": "One is here. Two is there.", "output": {"format": "wav"}}
BATCH = {
    "kind": "batch",
    "lines": [{"id": f"l{n}", "text": f"Line {n}."} for n in range(5)],
    "output": {"format": "wav"},
}
BOOK = "# One\n\nShort words.\n\n# Two\n\nMore words here."


def made(client: httpx.Client, body: dict[str, Any], name: str = "") -> dict[str, Any]:
    answer = (
        client.put(f"/v1/jobs/{name}", json=body) if name else client.post("/v1/jobs", json=body)
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


ENTITY = b'<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/hosts">]><c>&e;</c>'


def zipped(files: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def upload(
    client: httpx.Client, data: bytes, name: str, job: dict[str, Any], **form: str
) -> httpx.Response:
    return client.post(
        "/v1/jobs/upload", files={"file": (name, data)}, data={"job": json.dumps(job), **form}
    )


def test_a_speech_is_made_shown_and_fetched(api: Api) -> None:
    ann = api.client()
    job = made(ann, SPEECH)
    record = api.finish(ann, job["id"])
    assert record["state"] == "completed"
    assert (record["progress"], record["counts"]["misses"], record["owner"]) == (1.0, 2, "ann")
    assert record["audio_s"] > 1
    (file, *_) = [f for f in ann.get(f"/v1/jobs/{job['id']}/outputs").json()["data"]
                  if f["format"] == "wav"]  # fmt: skip
    fetched = api.anyone.get(file["url"])
    assert len(fetched.content) == file["size"]
    assert fetched.headers["content-type"] == "audio/wav"


def test_a_part_of_a_file_is_answered(api: Api) -> None:
    ann = api.client()
    job = made(ann, SPEECH)
    api.finish(ann, job["id"])
    file = ann.get(f"/v1/jobs/{job['id']}/outputs").json()["data"][0]
    whole = api.anyone.get(file["url"]).content
    part = api.anyone.get(file["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])


def test_an_address_that_was_changed_or_is_old_opens_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = api.client()
    api.finish(ann, made(ann, SPEECH, "a")["id"])
    url = ann.get("/v1/jobs/a/outputs").json()["data"][0]["url"]
    for changed in (url.replace("/attempt/", "/plan/"), url.replace("until=", "until=9"), url[:-1]):
        assert api.anyone.get(changed).status_code in (403, 422, 400)
    now = int(url.split("until=")[1].split("&")[0]) + 1
    monkeypatch.setattr("farm.api.downloads.time.time", lambda: now)
    late = api.anyone.get(url)
    assert (late.status_code, late.json()["type"]) == (403, "/problems/expired")


def test_the_same_idempotency_key_finds_the_first_job(api: Api) -> None:
    ann = api.client()
    headers = {"Idempotency-Key": "order 17"}
    first, second = (ann.post("/v1/jobs", json=SPEECH, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    other = ann.post("/v1/jobs", json={**SPEECH, "title": "x"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/conflict")
    assert api.client("bob").post("/v1/jobs", json=SPEECH, headers=headers).status_code == 202


def test_an_id_of_ones_own_is_used_once(api: Api) -> None:
    ann, bob = api.client(), api.client("bob")
    assert made(ann, SPEECH, "mine")["id"] == "mine"
    assert ann.put("/v1/jobs/mine", json=SPEECH).status_code == 200
    assert ann.put("/v1/jobs/mine", json={**SPEECH, "speed": 1.5}).status_code == 409
    assert made(bob, {**SPEECH, "speed": 1.5}, "mine")["id"] == "mine"
    assert ann.get("/v1/jobs/mine").json()["owner"] == "ann"


def test_two_owners_do_not_share_what_was_spoken(api: Api) -> None:
    for owner in ("ann", "bob"):
        client = api.client(owner)
        record = api.finish(client, made(client, SPEECH, "x")["id"])
        assert (record["counts"]["hits"], record["counts"]["misses"]) == (0, 2)


def test_a_batch_is_uploaded_as_lines(api: Api) -> None:
    rows = [*(json.dumps(line) for line in BATCH["lines"]), "not JSON"]
    answer = upload(
        api.client(), "\n".join(rows).encode(), "a.jsonl", {"kind": "batch"}, id="lines"
    )
    assert (answer.status_code, answer.json()["id"]) == (202, "lines")
    ann = api.client()
    record = api.finish(ann, "lines")
    assert (record["state"], record["counts"]["items_total"]) == ("completed", 6)
    (failure,) = ann.get("/v1/jobs/lines/failures").json()["data"]
    assert "not JSON" in failure["error"]


def test_a_book_is_uploaded_and_its_chapters_are_listed(api: Api) -> None:
    ann = api.client()
    answer = upload(ann, BOOK.encode(), "b.md", {"kind": "book", "output": {"subtitles": ["srt"]}})
    job = answer.json()["id"]
    api.finish(ann, job)
    first = ann.get(f"/v1/jobs/{job}/items", params={"limit": 1}).json()
    assert [item["title"] for item in first["data"]] == ["One"]
    (second,) = ann.get(f"/v1/jobs/{job}/items?offset={first['next_offset']}").json()["data"]
    assert (second["title"], second["spoken"], second["formats"]) == (
        "Two",
        2,
        ["m4a", "marks", "srt"],
    )
    formats = [file["format"] for file in ann.get(f"/v1/jobs/{job}/outputs").json()["data"]]
    assert formats[:2] == ["m4b", "srt"]


@pytest.mark.parametrize(
    ("output", "package"),
    [({"format": "readalong"}, ["epub"]), ({"also": ["readalong"]}, ["m4b", "epub"])],
)
def test_a_read_along_is_made_alone_or_beside(
    output: dict[str, Any], package: list[str], api: Api
) -> None:
    ann = api.client()
    job = upload(ann, BOOK.encode(), "b.md", {"kind": "book", "output": output}).json()["id"]
    api.finish(ann, job)
    files = ann.get(f"/v1/jobs/{job}/outputs").json()["data"]
    assert [file["format"] for file in files if not file["item"]] == package
    (epub,) = (file for file in files if file["format"] == "epub")
    fetched = api.anyone.get(epub["url"])
    assert fetched.headers["content-type"] == "application/epub+zip"
    assert len(fetched.content) == epub["size"]


def test_the_first_pages_of_a_book_are_spoken_where_that_is_asked_for(
    api: Api, tmp_path: Path
) -> None:
    ann = api.client()
    pages = {
        "cover.xhtml": page("<p>The Mill.</p>"),
        "a.xhtml": page("<h1>Rain</h1><p>It rains.</p>"),
    }
    toc: Toc = [("Cover", "cover.xhtml", []), ("Rain", "a.xhtml", [])]
    data = write_epub(tmp_path / "b.epub", pages, toc=toc).read_bytes()
    usual, whole = {"kind": "book"}, {"kind": "book", "front_matter": True}
    found = upload(ann, data, "b.epub", {**whole, "dry_run": True}).json()
    assert [chapter["title"] for chapter in found["chapters"]] == ["Cover", "Rain"]
    assert upload(ann, data, "b.epub", whole, id="b").status_code == 202
    assert api.finish(ann, "b")["counts"]["items_total"] == 2
    assert upload(ann, data, "b.epub", usual, id="b").status_code == 409
    assert upload(ann, data, "b.epub", whole, id="b").status_code == 200


@pytest.mark.parametrize(
    ("options", "text", "said"),
    [
        ({"kind": "book"}, "---\nlanguage: fr\n---\n\nBonjour.\n", "the document says"),
        ({"kind": "book", "language": "fr"}, "Bonjour.\n", "voice 'slt'"),
    ],
)
def test_a_language_that_the_voice_does_not_speak_is_told_in_a_dry_run_and_fails_the_job(
    options: dict[str, Any], text: str, said: str, api: Api
) -> None:
    ann = api.client()
    options = {**options, "voice": "slt"}
    dry = upload(ann, text.encode(), "fr.md", {**options, "dry_run": True})
    (warning,) = dry.json()["warnings"]
    assert warning.startswith(said)
    assert "voice 'slt' does not speak 'fr', only en" in warning
    job = upload(ann, text.encode(), "fr.md", options).json()["id"]
    record = api.finish(ann, job)
    assert (record["state"], record["error"]) == ("failed", warning)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("", ["voice 'slt' is not known to speak 'fr': parts in it are read like the rest"]),
        ("en", []),
    ],
)
def test_a_dry_run_tells_parts_of_a_book_in_a_language_that_the_voice_does_not_speak(
    language: str, told: list[str], api: Api, tmp_path: Path
) -> None:
    pages = {"a.xhtml": page("<p>Hi.</p><p lang='fr'>Oui.</p><p lang='fr'>Non.</p>")}
    data = write_epub(tmp_path / "b.epub", pages).read_bytes()
    options = {"kind": "book", "voice": "slt", "language": language, "dry_run": True}
    assert upload(api.client(), data, "b.epub", options).json()["warnings"] == told


@pytest.mark.parametrize("kind", ["book", "speech"])
@pytest.mark.parametrize(("text", "told"), [("你好，世界。", True), ("Hello.", False)])
def test_a_dry_run_tells_of_a_text_in_the_script_of_another_language(
    kind: str, text: str, told: bool, api: Api
) -> None:
    wish = {"kind": kind, "voice": "slt", "text": text, "dry_run": True}
    said = "it is not in the script of its language 'en': choose a voice of its own"
    assert api.client().post("/v1/jobs", json=wish).json()["warnings"] == [said] * told


def test_a_dry_run_says_what_it_would_be_and_stores_nothing(api: Api) -> None:
    ann = api.client()
    answer = upload(ann, BOOK.encode(), "b.md", {"kind": "book", "dry_run": True})
    found = answer.json()
    assert answer.status_code == 200
    assert [chapter["title"] for chapter in found["chapters"]] == ["One", "Two"]
    assert found["characters"] > 20
    assert found["audio_s"] > 1
    assert ann.post("/v1/jobs", json={**SPEECH, "dry_run": True}).json()["items"] == 1
    lines = {**BATCH, "lines": [{"id": "a", "text": "Hi.", "voice": "bobs"}], "dry_run": True}
    assert ann.post("/v1/jobs", json=lines).json()["warnings"] == ["unknown voice 'bobs'"]
    assert list(api.farm.store.list("jobs/")) == []


def test_jobs_are_listed_by_state_label_and_time(api: Api) -> None:
    ann = api.client()
    api.workers.going.clear()
    for number in range(4):
        made(ann, {**SPEECH, "labels": {"n": str(number % 2)}}, f"j{number}")
    ann.post("/v1/jobs/j0/cancel")

    def ids(**query: Any) -> list[str]:
        return [job["id"] for job in ann.get("/v1/jobs", params=query).json()["data"]]

    assert ids() == ["j3", "j2", "j1", "j0"]
    assert ids(state="cancelled") == ["j0"]
    assert ids(label="n:1") == ["j3", "j1"]
    created = ann.get("/v1/jobs/j2").json()["created"]
    assert ids(before=created) == ["j1", "j0"]
    assert ids(after=created) == ["j3", "j2"]
    first = ann.get("/v1/jobs", params={"limit": 3}).json()
    assert ids(limit=3, cursor=first["next_cursor"]) == ["j0"]
    assert api.client("bob").get("/v1/jobs").json()["data"] == []
    assert ann.get("/v1/jobs", params={"owner": "bob"}).status_code == 403
    admin = api.client("root", "admin")
    assert admin.get("/v1/jobs/ann~j1").json()["id"] == "j1"
    assert admin.get("/v1/jobs/j1").status_code == 404
    assert len(admin.get("/v1/jobs", params={"owner": "ann"}).json()["data"]) == 4
    api.workers.going.set()


def test_a_job_is_paused_resumed_cancelled_retried_and_deleted(api: Api) -> None:
    ann = api.client()
    api.workers.going.clear()
    made(ann, BATCH, "b")
    assert ann.post("/v1/jobs/b/pause").json()["state"] == "paused"
    assert ann.post("/v1/jobs/b/resume").json()["state"] in ("planning", "running")
    assert ann.delete("/v1/jobs/b").status_code == 409
    assert ann.post("/v1/jobs/b/cancel").json()["state"] == "cancelled"
    assert ann.post("/v1/jobs/b/cancel").status_code == 409
    api.workers.going.set()
    assert ann.post("/v1/jobs/b/retry").json()["revision"] == 2
    assert api.finish(ann, "b")["counts"]["items_done"] == 5
    assert ann.delete("/v1/jobs/b").status_code == 204
    assert ann.get("/v1/jobs/b").status_code == 404
    assert len(list(api.farm.store.list("segments/"))) == 5


def test_a_purge_takes_the_segments_too(api: Api) -> None:
    ann = api.client()
    api.finish(ann, made(ann, SPEECH, "s")["id"])
    assert ann.delete("/v1/jobs/s", params={"purge": True}).status_code == 204
    assert list(api.farm.store.list("segments/")) == []


def test_one_segment_is_read_again_or_otherwise(api: Api) -> None:
    ann = api.client()
    api.finish(ann, made(ann, SPEECH, "s")["id"])
    rows = ann.get("/v1/jobs/s/items/0/segments").json()["data"]
    assert [(row["text"], row["spoken"]) for row in rows] == [
        ("One is here.", True),
        ("Two is there.", True),
    ]
    edit = {"item": 0, "start": rows[1]["start"], "text": "Two is gone."}
    assert ann.post("/v1/jobs/s/edits", json={"edits": [edit]}).json()["revision"] == 2
    record = api.finish(ann, "s")
    assert (record["counts"]["hits"], record["counts"]["misses"]) == (1, 1)
    assert ann.post("/v1/jobs/s/items/0/segments/0/retake").json()["revision"] == 3
    record = api.finish(ann, "s")
    assert (record["counts"]["hits"], record["counts"]["misses"]) == (1, 1)
    rows = ann.get("/v1/jobs/s/items/0/segments").json()["data"]
    assert [(row["text"], row["take"]) for row in rows] == [
        ("One is here.", 2),
        ("Two is gone.", 1),
    ]


@pytest.mark.parametrize(
    ("edit", "status"),
    [
        ({"item": 0, "start": 1, "text": "No."}, 404),
        ({"item": 9, "start": 0, "text": "No."}, 404),
        ({"item": 0, "start": 0, "text": "x" * 401}, 400),
        ({"item": 0, "start": 0, "text": "..."}, 400),
        ({"item": 0, "start": 0}, 400),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(
    edit: dict[str, Any], status: int, api: Api
) -> None:
    ann = api.client()
    api.finish(ann, made(ann, SPEECH, "s")["id"])
    assert ann.post("/v1/jobs/s/edits", json={"edits": [edit]}).status_code == status
    assert ann.get("/v1/jobs/s").json()["revision"] == 1


def test_a_job_of_a_stored_file(api: Api) -> None:
    ann = api.client()
    api.farm.store.put("uploads/ann/b.md", BOOK.encode())
    for name in ("b.md", "uploads/ann/b.md"):
        job = made(ann, {"kind": "book", "input": name, "output": {"format": "wav"}})
        assert api.finish(ann, job["id"])["counts"]["items_done"] == 2
    for name in ("c.md", "uploads/bob/b.md", "jobs/x/spec.json", "uploads/ann/../bob/b.md"):
        assert ann.post("/v1/jobs", json={"kind": "book", "input": name}).status_code in (400, 404)


def test_a_job_past_its_deadline_expires(api: Api) -> None:
    ann = api.client()
    api.workers.going.clear()
    job = made(ann, {**SPEECH, "deadline_s": 1}, "d")
    wait_for(lambda: retention.act(api.farm, job["created"] + 5) or True)
    assert wait_for(lambda: ann.get("/v1/jobs/d").json()["state"] == "expired")
    api.workers.going.set()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"kind": "speech"}, 400, "give one of text, lines and input"),
        ({"kind": "speech", "text": "a", "lines": []}, 400, "text and lines"),
        ({"kind": "poem", "text": "a"}, 400, "kind"),
        ({"kind": "speech", "text": ""}, 400, "empty"),
        ({"kind": "speech", "text": "Hi.", "voice": "nobody"}, 400, "unknown voice 'nobody'"),
        ({"kind": "speech", "text": "Hi.", "voice": "bobs"}, 400, "unknown voice 'bobs'"),
        ({"kind": "speech", "text": "Hi.", "speed": 9}, 400, "speed"),
        ({"kind": "speech", "text": "Hi.", "color": "red"}, 400, "color"),
        ({"kind": "speech", "text": "Hi.", "output": {"format": "ogg"}}, 400, "output.format"),
        (
            {"kind": "speech", "text": "Hi.", "output": {"also": ["readalong"]}},
            400,
            "not of a speech",
        ),
        ({"kind": "speech", "text": "Hi.", "front_matter": True}, 400, "no front matter"),
        ({"kind": "book", "text": "Hi.", "front_matter": True}, 400, '"field": "front_matter"'),
        ({"kind": "speech", "text": "\udc00"}, 400, "text"),
        ({"kind": "batch", "lines": [{"id": "a/b", "text": "Hi."}]}, 400, "a/b"),
        ({"kind": "batch", "lines": []}, 400, "no lines"),
    ],
)
def test_what_cannot_be_is_named_and_nothing_is_written(
    body: dict[str, Any], status: int, said: str, api: Api
) -> None:
    answer = api.client().post(
        "/v1/jobs", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert said in answer.text
    assert list(api.farm.store.list("jobs/")) == list(api.farm.store.list(keys.OPEN)) == []


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("b.epub", b"PK\x03\x04nonsense", "b.epub"),
        ("b.md", b"\xff\xfe\x00\xd8", "b.md"),
        ("b.txt", b"", "empty"),
        ("b.pdf", b"%PDF-1.4", "PDF"),
        ("bomb.epub", zipped({"a": bytes(70_000_000)}), "'bomb.epub' is too large"),
        ("b.epub", zipped({"../a": b""}), "'../a' in it leads outside"),
        ("b.epub", zipped({"META-INF/container.xml": ENTITY}), "defines an external entity"),
        ("b.txt", "naïve".encode("latin-1"), "not text in UTF-8 (line 1)"),
    ],
)
def test_an_upload_that_cannot_be_read_is_named(
    name: str, data: bytes, said: str, api: Api
) -> None:
    answer = upload(api.client(), data, name, {"kind": "book"})
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert list(api.farm.store.list("jobs/")) == []


def test_a_body_over_the_limit_is_refused_unread(api: Api) -> None:
    ann = api.client()
    caller = http.client.HTTPConnection(api.url.removeprefix("http://"))
    caller.putrequest("POST", "/v1/jobs")
    caller.putheader("Authorization", ann.headers["Authorization"])
    caller.putheader("Content-Length", str(10**9))
    caller.endheaders()
    refused = caller.getresponse()
    assert (refused.status, json.load(refused)["type"]) == (413, "/problems/too-large")
    caller.close()

    def endless() -> Any:
        for _ in range(20):
            yield b" " * 2**20

    answer = ann.post("/v1/jobs", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_priority_and_pauses_reach_the_spec(api: Api) -> None:
    api.workers.going.clear()
    body = {**BATCH, "priority": "bulk", "pauses": {"sentence": 5}, "ttl_s": 60}
    made(api.client(), body, "p")
    spec = find(api.farm, "ann", "p")
    assert (spec.priority, dict(spec.pauses), spec.ttl_s) == ("bulk", {"sentence": 5}, 60)
    api.workers.going.set()


@pytest.mark.parametrize("label", ["openai.batch", "azure.id"])
def test_labels_of_other_dialects_are_refused(label: str, api: Api) -> None:
    answer = api.client().post("/v1/jobs", json={**SPEECH, "labels": {label: "x"}})
    assert answer.status_code == 400
    assert "farm's own" in answer.json()["detail"]


def test_a_line_with_a_revoked_voice_fails_by_itself(api: Api) -> None:
    path = api.service.settings.home / "voices" / "low.yaml"
    path.write_text(path.read_text() + "revoked: '2026-01-01'\n")
    ann = api.client()
    named = [{"id": "b", "voice": "low"}, {"id": "c", "voice": "bobs"}]
    lines = [{"text": "Hi.", **line} for line in ({"id": "a"}, *named)]
    job = made(ann, {**BATCH, "lines": lines})["id"]
    assert api.finish(ann, job)["state"] == "completed"
    lost = {row["id"]: row["error"] for row in ann.get(f"/v1/jobs/{job}/failures").json()["data"]}
    assert lost.keys() == {"b", "c"}
    assert lost["b"] == "line 2: voice 'low' was revoked: choose another"
    known, _, choices = lost["c"].partition("; choose one of ")
    assert known == "line 3: unknown voice 'bobs'"
    assert {"flite", "slt", "tone"} <= set(choices.split(", "))
    assert not {"low", "bobs"}.intersection(choices.split(", "))


def test_a_broken_voice_is_the_operators_and_its_folder_not_told(api: Api) -> None:
    folder = api.service.settings.home / "voices"
    (folder / "bad.yaml").write_text("engine: [")
    answer = api.client().post("/v1/jobs", json=SPEECH)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert str(folder) not in answer.text


def test_files_are_listed_a_page_of_items_at_a_time(api: Api) -> None:
    ann = api.client()
    job = made(ann, BATCH)["id"]
    api.finish(ann, job)
    offset: int | None = 0
    found: list[str] = []
    while offset is not None:
        page = ann.get(f"/v1/jobs/{job}/outputs", params={"offset": offset, "limit": 2}).json()
        found += [file["item"] for file in page["data"] if file["format"] == "wav"]
        offset = page["next_offset"]
    assert found == [f"l{n}" for n in range(5)]
