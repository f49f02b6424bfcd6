"""Messages of other versions, and messages that are no work of a farm, with a real worker."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from farm import dispatch, keys
from farm.errors import InvalidInput
from farm.ledger import Events, Ref, Roster
from farm.tasks import messages
from farm.tasks.messages import VERSION
from tests.running import running
from tests.tasks.real_worker import Worker, until, worker

LANE = "tone"


def test_a_message_says_which_unit_for_people_too_and_its_version() -> None:
    ref = Ref("tone", "chunk", "j", 1, "0.0")
    said = messages.arguments(ref, "tone, item 0")
    assert said == {"ref": str(ref), "job": "j", "what": "tone, item 0", "version": VERSION}
    asked = messages.read(said)
    assert (asked.ref, asked.job, asked.what, asked.too_new) == (ref, "j", "tone, item 0", "")


def test_a_message_without_a_version_is_of_the_first_and_known() -> None:
    assert messages.read({"ref": "tone/chunk/j/1/0.0"}).too_new == ""


def test_a_message_of_a_newer_farm_is_read_whatever_else_it_holds() -> None:
    said = {"ref": "tone/chunk/j/1/0.0", "version": VERSION + 1, "more": [1]}
    assert messages.read(said).too_new == (
        f"the message has version {VERSION + 1}, and this worker knows {VERSION}"
    )


@pytest.mark.parametrize(
    "said",
    [{}, {"ref": 3}, {"ref": "x"}, {"ref": "tone/chunk/../1/0.0"}, {"ref": "a", "version": ""}],
)
def test_arguments_that_name_no_unit_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        messages.read(said)


def test_a_unit_that_is_put_off_comes_back_to_whoever_can_do_it(
    redis_url: str, tmp_path: Path
) -> None:
    with running(redis_url, tmp_path) as farm:
        farm.submit("One is here. Two is there.")
        ref = farm.until("chunk")
        farm.queue.clear()
        for tries in (1, 2):
            before = time.time()
            dispatch.postpone(farm.farm, ref, "too new")
            due = farm.redis.zscore("farm:leases", str(ref)) / 1000
            assert due > before + 0.9 * 2 ** (tries - 1)
            waiting = [
                data for _, kind, data in Events(farm.farm.ledger).of("j") if kind == "waiting"
            ]
            assert waiting[-1] == {"reason": "too new", "tries": tries, "unit": str(ref)}
            farm.hurry()
            farm.control.tick()
            assert farm.queue.popleft()[0] == ref
        assert farm.finish() == "completed"
        assert (farm.count("failed"), farm.count("misses")) == (0, 2)


def envelope(body: Any, headers: Mapping[str, Any], **properties: Any) -> str:
    """A message as kombu writes it into a list of Redis."""
    tag = str(uuid.uuid4())
    info = {"exchange": "", "routing_key": f"tts.{LANE}"}
    content = body if isinstance(body, str) else json.dumps(body)
    return json.dumps(
        {
            "body": base64.b64encode(content.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": dict(headers),
            "properties": {
                "body_encoding": "base64",
                "correlation_id": tag,
                "delivery_info": info,
                "delivery_mode": 2,
                "delivery_tag": tag,
                "priority": 0,
            },
            **properties,
        }
    )


def task(name: str, **arguments: Any) -> str:
    """A message of Celery's protocol."""
    id_ = str(uuid.uuid4())
    return envelope([[], arguments, {}], {"lang": "py", "task": name, "id": id_, "root_id": id_})


HOSTILE = {
    "no JSON at all": "junk",
    "JSON that is no envelope": '{"body": 3}',
    "a list": "[1, 2]",
    "a task that is not ours": task("os.system", command="true"),
    "a task of Celery's own": task("celery.backend_cleanup"),
    "a map of Celery's own": task("celery.map", task="farm.read", it=[[]]),
    "no unit": task("farm.synthesize", command="true"),
    "a unit that is none": task("farm.synthesize", ref="../../etc/passwd", version=VERSION),
    "a task without an id": envelope([[], {}, {}], {"lang": "py", "task": "os.system"}),
    "headers of another shape": envelope([[], {}, {}], {"task": ["farm.read"], "id": {}}),
    "no headers": envelope({"task": 3}, {}),
    "a pickle": envelope(
        "gASVCg==",
        {"task": "farm.read", "id": "1"},
        **{"content-type": "application/x-python-serialize"},
    ),
    "a body that is no JSON": envelope("{[", {"task": "farm.read", "id": "2"}),
    "a body of another shape": envelope("3", {"task": "farm.read", "id": "3"}),
    "an end long ago": envelope([[], {}, {}], {"task": "farm.read", "id": "4", "expires": [1]}),
    "a time that is none": envelope([[], {}, {}], {"task": "farm.read", "id": "5", "eta": "x"}),
}


def test_what_is_no_work_of_the_farm_is_refused_and_listed_and_the_worker_goes_on(
    redis_url: str, tmp_path: Path
) -> None:
    with worker(redis_url, tmp_path) as made:
        for message in HOSTILE.values():
            made.farm.redis.lpush(f"tts.{LANE}", message)
        made.submit("One is here. Two is there.")
        made.record(lambda record: record["segments"] == record["segments_total"] == 2)
        roster = Roster(made.farm.farm.ledger)
        refused = until(lambda: len(rows := roster.refused()) >= len(HOSTILE) and rows)
        assert len(refused) == len(HOSTILE)  # type: ignore[arg-type]
        assert all(set(row) == {"where", "why", "at"} for row in refused)  # type: ignore[union-attr]
        assert made.process.poll() is None
        assert made.farm.redis.llen(f"tts.{LANE}") == 0
        assert until(lambda: made.farm.redis.hlen("unacked") == 0)
        assert_only_ours_ran(made)
        assert made.end() == 0


def assert_only_ours_ran(made: Worker) -> None:
    said = made.log.read_text()
    assert said.count("is refused") == len(HOSTILE)
    assert "Traceback" not in said
    assert "exited with" not in said


def test_a_newer_message_waits_for_a_newer_worker_and_nothing_is_lost(
    redis_url: str, tmp_path: Path
) -> None:
    with worker(redis_url, tmp_path) as made:
        newer: list[Ref] = []

        def send(ref: Ref, label: str) -> None:
            """As a newer farm does, the first two times."""
            if ref.stage != "chunk" or len(newer) >= 2:
                made.send(ref, label)
                return
            newer.append(ref)
            said = {**messages.arguments(ref, label), "version": VERSION + 1}
            made.farm.redis.lpush(ref.queue, task("farm.synthesize", **said))

        made.farm.farm.send = send
        made.submit("One is here. Two is there.")
        record = made.record(lambda record: record["segments"] == record["segments_total"] == 2)
        assert len(newer) == 2
        assert record["failed"] == 0
        events = Events(made.farm.farm.ledger).of("j")
        reasons = {data["reason"] for _, kind, data in events if kind == "waiting"}
        assert reasons == {
            f"the message has version {VERSION + 1}, and this worker knows {VERSION}"
        }
        assert Roster(made.farm.farm.ledger).refused() == []


def test_a_child_rests_after_work_of_a_newer_schema_and_nothing_is_lost(
    redis_url: str, tmp_path: Path
) -> None:
    with worker(redis_url, tmp_path, FARM_DEVICES="cuda:0") as made:
        held: list[tuple[Ref, str]] = []

        def send(ref: Ref, label: str) -> None:
            held.append((ref, label)) if ref.stage == "chunk" else made.send(ref, label)

        def given_back() -> list[str]:
            events = Events(made.farm.farm.ledger).of("j")
            return [data["reason"] for _, kind, data in events if kind == "waiting"]

        store, key = made.farm.farm.store, keys.spec("j")
        made.farm.farm.send = send
        made.submit(" ".join(f"This is sentence {n}." for n in range(40)))
        stored = store.get(key)
        store.put(key, json.dumps({**json.loads(stored), "schema": 2}).encode())
        assert len(held) > 1
        for ref, label in held:
            made.send(ref, label)
        until(given_back)
        time.sleep(2)
        assert given_back() == ["written with schema 2 by a newer farm; this one knows 1"]
        store.put(key, stored)
        made.farm.farm.send = made.send
        record = made.record(lambda record: record["chunks_done"] == record["chunks_total"])
        assert (record["segments"], record["failed"]) == (40, 0)
