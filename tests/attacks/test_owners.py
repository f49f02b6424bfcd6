"""What belongs to another owner is, on every route, as if it were not there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from farm.api.signing import Signer
from tests.api.conftest import Api

#: What a route's fields are called that name something of an owner's, and what is Ann's.
AZURES = "/texttospeech/batchsyntheses"
VERSION = {"api-version": "2024-04-01"}
#: Routes on which a name is taken, not looked up: another owner's is a name like any other.
MAKING = {("PUT", "/v1/jobs/{name}"), ("PUT", "/texttospeech/batchsyntheses/{id}")}
#: Azure's answer to who deletes what is not there is that it is gone.
DELETING = {("DELETE", "/texttospeech/batchsyntheses/{id}")}
#: Routes that name nothing of an owner's, and why they are left out.
OTHERS = {"/v1/downloads/{key}": "signed: below"}


@pytest.fixture
def hers(api: Api) -> dict[str, str]:
    """What Ann has: the value of each field, by route."""
    ann = api.client("ann")
    job = {"kind": "book", "text": "# A\n\nHello there.\n", "voice": "tone", "name": "a.md"}
    ann.put("/v1/jobs/hers", json=job).raise_for_status()
    api.finish(ann, "hers")
    row = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/audio/speech",
        "body": {"model": "tone", "voice": "tone", "input": "Hello."},
    }
    rows = {"file": ("a.jsonl", json.dumps(row).encode())}
    file = ann.post("/v1/files", files=rows, data={"purpose": "batch"}).raise_for_status()
    wish = {"endpoint": row["url"], "input_file_id": file.json()["id"], "completion_window": "24h"}
    batch = ann.post("/v1/batches", json=wish).raise_for_status()
    synthesis = {
        "inputKind": "PlainText",
        "inputs": [{"content": "Hello."}],
        "synthesisConfig": {"voice": "tone"},
    }
    answer = ann.put("/texttospeech/batchsyntheses/hersynthesis", params=VERSION, json=synthesis)
    answer.raise_for_status()
    operation = answer.headers["operation-location"].rpartition("/")[2].partition("?")[0]
    return {
        "/v1/jobs": "hers",
        "/v1/files": file.json()["id"],
        "/v1/batches": batch.json()["id"],
        "/v1/models": "bobs",
        "/v1/webhooks": "hers",
        "/texttospeech/batchsyntheses": "hersynthesis",
        "/texttospeech/operations": operation,
    }


def routes(api: Api) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the description that has a field in its path."""
    for path, operations in api.anyone.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if "{" in path and path not in OTHERS:
                yield method.upper(), path, operation


def ask(client: httpx.Client, method: str, path: str, name: str) -> httpx.Response:
    """Use a route on something by its name; what else it wants is right."""
    address = path.replace("{index}", "0").replace("{start}", "0")
    for field in ("{name}", "{id}", "{model}"):
        address = address.replace(field, name)
    body = {"edits": [{"item": 0, "start": 0, "take": 2}]} if path.endswith("/edits") else None
    with client.stream(method, address, params=VERSION, json=body) as answer:
        answer.read()
        return answer


def test_no_route_tells_another_owner_that_something_is_there(
    api: Api, hers: dict[str, str]
) -> None:
    ann, eve = api.client("ann"), api.client("eve")
    seen = []
    for method, path, _ in routes(api):
        if (method, path) in MAKING:
            continue
        (mine,) = (value for prefix, value in hers.items() if path.startswith(prefix))
        other = mine[:-1] + ("0" if mine[-1] != "0" else "1")
        there, missing = ask(eve, method, path, mine), ask(eve, method, path, other)
        assert there.status_code in (403, 404) or (method, path) in DELETING, (method, path)
        assert there.status_code == missing.status_code, (method, path)
        assert there.text.replace(mine, other) == missing.text, (method, path)
        kept = {"content-type", "content-length"}
        told = [{k: v for k, v in a.headers.items() if k in kept} for a in (there, missing)]
        assert told[0] == told[1], (method, path)
        seen.append((method, path))
    assert len(seen) > 25
    for method, path in seen:  # and they were there all the time
        if method == "GET" and not path.endswith(("/events", "/operations/{id}", "/{model}")):
            (mine,) = (value for prefix, value in hers.items() if path.startswith(prefix))
            assert ask(ann, method, path, mine).status_code == 200, (method, path)


def test_lists_are_an_owners_own(api: Api, hers: dict[str, str]) -> None:
    eve = api.client("eve")
    for path in ("/v1/jobs", "/v1/files", "/v1/batches", "/v1/webhooks/dead", AZURES):
        params = VERSION if path == AZURES else None
        told = eve.get(path, params=params).raise_for_status().text
        assert not any(value in told for value in hers.values()), path
    told = eve.get("/v1/jobs", params={"owner": "ann"}).text
    assert "hers" not in told
    for path in ("/v1/models", "/v1/audio/voices"):
        assert "bobs" not in eve.get(path).text


def test_another_owners_name_may_be_taken_and_is_another_thing(
    api: Api, hers: dict[str, str]
) -> None:
    eve = api.client("eve")
    made = eve.put("/v1/jobs/hers", json={"kind": "speech", "text": "Mine."})
    assert made.status_code in (201, 202)
    assert api.finish(eve, "hers")["kind"] == "speech"
    assert api.client("ann").get(f"/v1/jobs/{hers['/v1/jobs']}").json()["kind"] == "book"


def test_another_owners_file_is_no_input(api: Api, hers: dict[str, str]) -> None:
    api.farm.store.put("uploads/ann/x", b"Secret.")
    eve = api.client("eve")
    for name in (
        hers["/v1/files"],
        "uploads/ann/x",
        "uploads/eve/../ann/x",
        "jobs/ann~hers~0/spec.json",
        "/etc/passwd",
        "segments/ann/x",
    ):
        answer = eve.post("/v1/jobs", json={"kind": "speech", "input": name})
        assert answer.status_code in (400, 403, 404), (name, answer.text)
        assert "Secret" not in answer.text


def test_a_signed_address_is_good_for_one_file_until_its_time(
    api: Api, hers: dict[str, str]
) -> None:
    ann = api.client("ann")
    files = ann.get(f"/v1/jobs/{hers['/v1/jobs']}/outputs").json()
    address = httpx.URL(next(row["url"] for row in walk(files) if "url" in row))
    assert api.anyone.get(address).status_code == 200
    query = dict(address.params)
    last = "A" if query["sig"][-1] != "A" else "B"
    altered = [
        address.copy_merge_params({"until": str(int(query["until"]) + 1)}),
        address.copy_merge_params({"name": "x.html"}),
        address.copy_merge_params({"sig": query["sig"][:-1] + last}),
        address.copy_merge_params({"sig": ""}),
        address.copy_merge_params({"sig": "é"}),
        address.copy_with(path=address.path.replace("/attempt/", "/../")),
        address.copy_with(path="/v1/downloads/keys.json"),
        address.copy_with(path="/v1/downloads/../url-secret"),
    ]
    for each in altered:
        answer = api.anyone.get(each)
        assert answer.status_code in (400, 403, 404), each
        assert answer.headers["content-type"] == "application/problem+json"
    key = address.path.removeprefix("/v1/downloads/")
    past = int(time.time()) - 1
    signature = Signer(api.service.settings.home).sign(key, query["name"], str(past))
    old = address.copy_merge_params({"until": str(past), "sig": signature})
    answer = api.anyone.get(old)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/expired")


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from walk(each)


def test_a_wrong_key_is_answered_alike_whatever_is_wrong_with_it(api: Api) -> None:
    key, text = api.key("ann")
    gone, gone_text = api.key("bob")
    api.service.keys.revoke(gone.id)
    guesses = [
        text[:-1] + ("A" if text[-1] != "A" else "B"),
        text.replace(key.id, "0" * 8),
        text.replace(key.id, gone.id),
        gone_text,
        key.digest,
        f"farm_{key.id}_{key.digest[:32]}",
        "farm_" + "\u00e9" * 3,
        "x" * 5_000,
        "",
    ]
    told = {
        (answer.status_code, answer.text, json.dumps(dict(answer.headers) | {"date": ""}))
        for guess in guesses
        for answer in [api.anyone.get("/v1/jobs", headers={b"X-API-Key": guess.encode()})]
    }
    assert len(told) == 1
    assert next(iter(told))[0] == 401
