from __future__ import annotations

import json
from pathlib import Path

from farm import keys, recovery, webhooks
from farm.submission import find
from tests.api.conftest import Api, serving, wait_for

BODY = {"kind": "speech", "text": "Hello.", "output": {"format": "wav"}}
PRIVATE = ["http://127.0.0.1/x", "http://[::1]/", "http://169.254.169.254/", "http://2130706433/"]


def pending(api: Api) -> list[str]:
    return list(api.farm.store.list("webhooks/farm/pending/"))


def test_an_address_within_is_refused_and_nothing_is_written(api: Api) -> None:
    ann = api.client()
    for url in (*PRIVATE, "ftp://example.org", "no address"):
        answer = ann.post("/v1/jobs", json={**BODY, "webhook": url})
        assert (answer.status_code, answer.json()["status"]) == (400, 400), url
    assert list(api.farm.store.list("jobs/")) == []


def test_without_a_key_there_is_nothing_to_sign_with(api: Api) -> None:
    answer = api.anyone.post("/v1/jobs", json={**BODY, "webhook": "http://example.org/"})
    assert (answer.status_code, answer.json()["field"]) == (400, "webhook")


def test_a_finished_job_leaves_one_delivery_however_often_it_is_settled(
    redis_url: str, tmp_path: Path
) -> None:
    with serving(redis_url, tmp_path, webhook_networks=["127.0.0.0/8"]) as api:
        ann = api.client()
        body = {**BODY, "webhook": "http://127.0.0.1:9/"}
        assert ann.put("/v1/jobs/w", json=body).status_code == 202
        api.finish(ann, "w")
        (key,) = wait_for(lambda: pending(api))
        told = json.loads(api.farm.store.get(key))
        assert told["payload"]["type"] == "job.completed"
        assert told["payload"]["data"]["id"] == "w"
        api.farm.store.put(
            keys.open_marker(find(api.farm, "ann", "w").id, 1), b""
        )  # died before it took this away
        assert recovery.recover(api.farm) == 0
        assert pending(api) == [key]


def test_dead_deliveries_are_listed_and_replayed_by_their_owner(
    redis_url: str, tmp_path: Path
) -> None:
    with serving(redis_url, tmp_path, webhook_networks=["127.0.0.0/8"]) as api:
        ann = api.client()
        ann.put("/v1/jobs/w", json={**BODY, "webhook": "http://127.0.0.1:9/"})
        api.finish(ann, "w")
        (key,) = wait_for(lambda: pending(api))
        store, id_ = api.farm.store, key.rpartition("/")[2].removesuffix(".json")
        store.put(f"webhooks/farm/dead/ann/{id_}.json", store.get(key))
        store.delete(key)
        assert api.client("bob").get("/v1/webhooks/dead").json()["data"] == []
        assert api.client("bob").post(f"/v1/webhooks/dead/{id_}/replay").status_code == 404
        (row,) = ann.get("/v1/webhooks/dead").json()["data"]
        assert (row["id"], row["url"]) == (id_, "http://127.0.0.1:9/")
        assert ann.post(f"/v1/webhooks/dead/{id_}/replay").status_code == 202
        assert pending(api) == [key]
        assert list(webhooks.dead(store, "farm")) == []
