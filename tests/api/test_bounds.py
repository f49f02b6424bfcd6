"""What a request's body may be, and that nobody's is read."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest

from farm.api.bounds import BODY_BYTES
from farm.api.problems import of_farm
from farm.errors import JobError
from tests.api.conftest import Api

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


def megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * 2**20


def test_only_the_paths_of_uploads_take_large_bodies(api: Api) -> None:
    ann = api.client()
    for path in ("/v1/jobs", "/v1/audio/speech", "/v1/batches"):
        answer = ann.post(path, content=megabytes(12), headers=FORM)
        assert answer.status_code in (400, 413), answer.text
        assert ann.post(path, content=b" " * (BODY_BYTES + 1), headers=FORM).status_code == 413
    file = {"file": ("a.txt", b" " * (BODY_BYTES + 1))}
    assert ann.post("/v1/files", files=file, data={"purpose": "batch"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/v1/jobs", "/problems/unauthorized"),
        ("PUT", "/v1/jobs/a", "/problems/unauthorized"),
        ("POST", "/v1/files", "invalid_api_key"),
        ("POST", "/v1/audio/speech", "invalid_api_key"),
        ("PUT", "/texttospeech/batchsyntheses/abc", "Unauthorized"),
    ],
)
def test_without_a_key_a_body_is_not_waited_for_and_the_dialect_says_so(
    method: str, path: str, said: str, api: Api
) -> None:
    api.key()
    with closing(http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=30)) as nobody:
        nobody.putrequest(method, path)
        nobody.putheader("Content-Type", FORM["Content-Type"])
        nobody.putheader("Content-Length", "1000")
        nobody.endheaders()
        refused = nobody.getresponse()
        assert (refused.status, refused.getheader("WWW-Authenticate")) == (401, "Bearer")
        assert f'"{said}"' in refused.read().decode()


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/batches"])
def test_too_large_a_body_is_refused_in_openais_shape(path: str, api: Api) -> None:
    answer = api.client().post(path, content=b" " * (BODY_BYTES + 1), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", ["/v1/files", "/v1/jobs/upload"])
def test_a_form_has_one_file_and_a_few_small_fields(path: str, api: Api) -> None:
    ann = api.client()
    good = {"purpose": "batch", "job": '{"kind": "speech"}'}
    file = ("file", ("a.txt", b"Hello."))
    assert ann.post(path, files=[file], data=good).is_success
    fields = {f"f{n}": "x" for n in range(9)}
    for refused in (
        ann.post(path, files=[file], data={**good, **fields}),
        ann.post(path, files=[file, file], data=good),
        ann.post(path, files=[file], data={**good, "more": "x" * (1 << 20 | 1)}),
    ):
        assert refused.status_code == 400


@pytest.mark.parametrize("id", ["ann~j.1-x~0123abcd", "j.1-x~0123abcd"])
def test_ids_within_the_farm_are_not_told(id: str) -> None:
    told = of_farm(JobError(f"job {id!r}: no object 'jobs/{id}/spec.json'")).detail
    assert told == "job 'j.1-x': no object 'jobs/j.1-x/spec.json'"
    assert of_farm(JobError("no job 'bob~x'")).detail == "no job 'bob~x'"
