from __future__ import annotations

import pytest

from farm import lifecycle
from farm.access import Allowance
from farm.jobs import Output, Spec
from farm.submission import Draft, accept
from tests.api.conftest import Api
from tests.running import tone


def submitted(api: Api, owner: str, name: str) -> str:
    voice = tone()
    spec = Spec("", "speech", "", "", "", voice.id, {voice.id: voice}, 0.0, output=Output("wav"))
    accepted, _ = accept(api.farm, Draft(spec, b"Hello.", 6), owner, name=name)
    lifecycle.cancel(api.farm, accepted.id)
    return accepted.id


def test_without_any_keys_this_machine_is_the_command_lines_owner(api: Api) -> None:
    submitted(api, "local", "mine")
    assert api.anyone.get("/v1/jobs/mine").json()["id"] == "mine"


def test_with_keys_nobody_comes_in_without_one(api: Api) -> None:
    api.key()
    answer = api.anyone.get("/v1/jobs/mine")
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthorized"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["X-API-Key", "Ocp-Apim-Subscription-Key", "api-key"])
def test_a_key_may_come_in_any_clients_header(header: str, api: Api) -> None:
    submitted(api, "ann", "mine")
    _, text = api.key("ann")
    assert api.anyone.get("/v1/jobs/mine", headers={header: text}).status_code == 200
    assert api.anyone.get("/v1/jobs/mine", headers={header: text + "x"}).status_code == 401


def test_another_owners_job_is_as_if_it_were_not_there(api: Api) -> None:
    submitted(api, "ann", "hers")
    bob = api.client("bob")
    answers = [bob.get(f"/v1/jobs/{name}") for name in ("hers", "nobodys")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace("hers", "nobodys") == answers[1].text
    assert bob.get("/v1/jobs/ann~hers").status_code in (400, 404)


def test_an_admin_sees_everybodys(api: Api) -> None:
    submitted(api, "ann", "hers")
    admin = api.client("root", "admin")
    assert admin.get("/v1/jobs/ann~hers").json()["owner"] == "ann"


def test_a_key_without_the_scope_is_refused_by_name(api: Api) -> None:
    answer = api.client("ann", "submit").get("/v1/jobs/x")
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert "read" in answer.json()["detail"]


def test_a_revoked_key_opens_nothing(api: Api) -> None:
    key, text = api.key()
    headers = {"X-API-Key": text}
    assert api.anyone.get("/v1/jobs/x", headers=headers).status_code == 404
    api.service.keys.revoke(key.id)
    assert api.anyone.get("/v1/jobs/x", headers=headers).status_code == 401


def test_a_key_that_asks_too_often_is_told_when_to_come_back(api: Api) -> None:
    client = api.client("ann", limits=Allowance(requests_per_minute=2))
    first = client.get("/v1/jobs/x")
    assert (first.status_code, first.headers["X-RateLimit-Limit"]) == (404, "2")
    client.get("/v1/jobs/x")
    refused = client.get("/v1/jobs/x")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["X-RateLimit-Remaining"] == "0"


def test_a_route_that_is_not_there_is_a_problem_too(api: Api) -> None:
    answer = api.anyone.get("/v2/nothing")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert answer.headers["content-type"] == "application/problem+json"
