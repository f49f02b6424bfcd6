from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farm import keys, lifecycle, recovery, revising, standing
from farm.audio import Audio
from farm.engines import Engine
from farm.errors import (
    Conflict,
    EngineError,
    InvalidInput,
    LedgerUnavailable,
    NotFound,
    StoreUnavailable,
    Unavailable,
)
from farm.jobs import Output, Segment, State
from farm.ledger import Ledger, Ref
from farm.planning import PAUSES_MS
from farm.storage.local import LocalStore
from tests.running import Running, quiet, running, tone

TEXT = "One is here. Two is there.\n\nThree is nowhere."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


class Brittle(LocalStore):
    """A store whose process dies at the n-th write from now."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.left = 1_000_000

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("died")

    def put(self, key: str, data: bytes, **how: Any) -> bool:
        self._count()
        return super().put(key, data, **how)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)


class Moody(Engine):
    """Speaks nothing that holds one of these words."""

    def __init__(self, inner: Engine, *words: str) -> None:
        self.sample_rate = inner.sample_rate
        self.words = words
        self.said: list[str] = []
        self._inner = inner

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        for segment in segments:
            self.said.append(segment.text)
            if any(word in segment.text for word in self.words):
                raise EngineError(f"will not say {segment.text!r}")
        return self._inner.speak(segments)


def moody(farm: Running, *words: str) -> Moody:
    engine = Moody(farm.farm.engines[tone().digest], *words)
    farm.farm.engines[tone().digest] = engine
    return engine


def test_a_job_goes_from_accepted_to_completed(farm: Running) -> None:
    farm.submit(TEXT, title="Numbers")
    assert farm.show()["state"] == "queued"
    farm.drain()
    record = farm.show()
    assert record["state"] == "completed"
    assert record["title"] == "Numbers"
    assert (record["segments"], record["misses"], record["hits"]) == (3, 3, 0)
    assert (record["pages_done"], record["items_done"], record["chunks_done"]) == (1, 1, 1)
    assert record["seconds"] == farm.manifest()["items"][0]["seconds"]


@pytest.mark.parametrize("gap", ["\n\n", "\r\n\r\n", "\n \t\n\n"])
def test_empty_lines_part_the_paragraphs_of_a_text(gap: str, farm: Running) -> None:
    farm.submit(f"One is here{gap}Two is there{gap}")
    farm.drain()
    text = f"One is here{gap}Two is there"
    found = farm.planned()
    assert [text[s.start : s.end] for s in found] == ["One is here", "Two is there"]
    assert {s.pause_ms for s in found} == {PAUSES_MS["paragraph"]}


def test_a_text_that_is_not_utf_8_fails_with_the_place(farm: Running) -> None:
    farm.submit(b"na\xefve")
    farm.drain()
    assert farm.show()["error"] == "the text is not UTF-8 (byte 2)"


def test_what_a_client_was_told_is_in_the_store_before_any_message(farm: Running) -> None:
    spec = farm.submit(TEXT)
    assert farm.farm.store.exists(keys.open_marker("j", 1))
    assert farm.farm.store.get(spec.input) == TEXT.encode()
    assert farm.farm.spec("j") == spec


def test_a_file_may_be_submitted(farm: Running, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(TEXT)
    farm.submit(path)
    assert farm.finish() == "completed"


def test_the_same_id_is_accepted_once(farm: Running) -> None:
    farm.submit(TEXT)
    assert not lifecycle.submit(farm.farm, farm.spec(), b"Something else.")
    assert len(farm.queue) == 1
    farm.drain()
    assert not lifecycle.submit(farm.farm, farm.spec(), b"Something else.")
    assert not farm.queue
    assert farm.count("segments") == 3


@pytest.mark.parametrize("job", ["../up", "", "a/b", ".hidden", "x" * 129])
def test_an_id_that_is_no_part_of_a_key_is_refused(job: str, farm: Running) -> None:
    with pytest.raises(InvalidInput, match="job id"):
        lifecycle.submit(farm.farm, farm.spec(job), b"Hello.")
    assert list(farm.farm.store.list("")) == []


def test_an_owner_that_is_no_part_of_a_key_is_refused(farm: Running) -> None:
    spec = replace(farm.spec(), owner="a/b")
    with pytest.raises(InvalidInput, match="owner 'a/b'"):
        lifecycle.submit(farm.farm, spec, b"Hello.")


@pytest.mark.parametrize("writes", range(5))
def test_a_submit_that_dies_at_any_write_is_either_not_accepted_or_brought_to_its_end(
    writes: int, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Brittle(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        store.left = writes
        try:
            lifecycle.submit(farm.farm, farm.spec(), TEXT.encode())
            accepted = True
        except StoreUnavailable:
            accepted = False
        store.left = 1_000_000
        assert accepted == (writes >= 4)
        farm.queue.clear()
        farm.control.tick()
        if store.exists(keys.spec("j")):
            assert farm.finish() == "completed"
        else:
            assert not farm.queue
            farm.submit(TEXT)
            assert farm.finish() == "completed"
        monkeypatch.setattr(recovery, "WRITING_S", -1.0)
        recovery.recover(farm.farm)
        assert list(store.list("open/")) == []


def test_of_a_submit_that_died_nothing_stays(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lines").write_text(TEXT)
    store = Brittle(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        store.left = 1
        with pytest.raises(StoreUnavailable):
            lifecycle.submit(farm.farm, farm.spec(), tmp_path / "lines")
        store.left = 1_000_000
        recovery.recover(farm.farm)
        assert list(store.list("open/")) != []
        monkeypatch.setattr(recovery, "WRITING_S", -1.0)
        recovery.recover(farm.farm)
        assert list(store.list("")) == []


class Mute(Ledger):
    """A ledger whose process dies before the first message."""

    def send(self, ref: Ref) -> bool:
        raise LedgerUnavailable(f"died before {ref}")


def test_a_submit_that_dies_between_ledger_and_message_is_taken_up(
    farm: Running, redis_url: str
) -> None:
    live, farm.farm.ledger = farm.farm.ledger, Mute(redis_url)
    with quiet():
        assert lifecycle.submit(farm.farm, farm.spec(), TEXT.encode())
    farm.farm.ledger.redis.close()
    farm.farm.ledger = live
    assert farm.farm.ledger.knows("j")
    assert not farm.queue
    assert recovery.recover(farm.farm) == 0
    farm.drain()
    assert farm.show()["state"] == "completed"


def test_recovery_leaves_running_jobs_alone(farm: Running) -> None:
    farm.submit(TEXT)
    waiting = list(farm.queue)
    assert recovery.recover(farm.farm) == 0
    farm.step()
    assert recovery.recover(farm.farm) == 0
    assert [ref.stage for ref, _ in farm.queue] == ["page"]
    assert waiting[0][0].stage == "read"
    farm.drain()
    assert farm.performed() == {"read": 1, "page": 1, "chunk": 1, "items": 1, "package": 1}


def test_recovery_leaves_other_farms_jobs_alone(farm: Running) -> None:
    assert lifecycle.submit(farm.farm, replace(farm.spec(), farm="elsewhere"), TEXT.encode())
    farm.redis.flushall()
    farm.queue.clear()
    assert recovery.recover(farm.farm) == 0
    assert not farm.queue
    assert farm.farm.store.exists(keys.open_marker("j", 1))


def test_the_end_is_recorded_once_and_the_open_marker_goes(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("package")
    assert farm.farm.store.exists(keys.open_marker("j", 1))
    farm.drain()
    assert not farm.farm.store.exists(keys.open_marker("j", 1))
    record = json.loads(farm.farm.store.get(keys.status("j", 1)))
    assert record == farm.show()
    lifecycle.close(farm.farm, "j", 1, State.FAILED, "too late")
    assert json.loads(farm.farm.store.get(keys.status("j", 1))) == record
    assert farm.show()["state"] == "completed"


def test_a_death_between_the_end_and_its_record_is_made_good(
    redis_url: str, tmp_path: Path
) -> None:
    store = Brittle(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        farm.submit(TEXT)
        farm.until("package")
        store.left = 0
        farm.step()
        assert not store.exists(keys.status("j", 1))
        assert farm.show()["state"] == "finalizing"
        store.left = 1_000_000
        assert recovery.recover(farm.farm) == 0
        assert json.loads(store.get(keys.status("j", 1)))["state"] == "completed"
        assert not store.exists(keys.open_marker("j", 1))


def test_a_job_is_shown_from_its_record_when_redis_has_forgotten_it(farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    before = farm.show()
    farm.redis.flushall()
    assert farm.show() == before


def test_an_unknown_job_is_named(farm: Running) -> None:
    for act in (standing.show, lifecycle.cancel, revising.retry, lifecycle.remove):
        with pytest.raises(NotFound, match="no job 'nope'"):
            act(farm.farm, "nope")


def test_a_cancelled_job_stops_at_once_and_keeps_its_segments(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("items")
    assert lifecycle.cancel(farm.farm, "j") is State.CANCELLED
    farm.drain()
    assert farm.show()["state"] == "cancelled"
    assert farm.performed()["items"] == 0
    assert len(farm.segments()) == 3
    assert not farm.farm.store.exists(keys.open_marker("j", 1))
    assert not farm.farm.store.exists(keys.manifest("j", 1))


def test_a_cancel_outlives_redis(farm: Running) -> None:
    farm.submit(TEXT)
    farm.redis.flushall()
    farm.queue.clear()
    lifecycle.cancel(farm.farm, "j")
    assert farm.show()["state"] == "cancelled"
    assert recovery.recover(farm.farm) == 0
    assert not farm.queue


def test_a_cancel_that_died_half_way_is_carried_out(farm: Running) -> None:
    farm.submit(TEXT)
    farm.farm.store.put(keys.revision("j", 1, "cancel"), b"")
    recovery.recover(farm.farm)
    farm.drain()
    assert farm.show()["state"] == "cancelled"
    assert farm.performed() == {}


@pytest.mark.parametrize("act", [lifecycle.cancel, lifecycle.pause, lifecycle.resume])
def test_an_ended_job_cannot_be_stopped(act: Any, farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    with pytest.raises(Conflict, match="'j' has ended already"):
        act(farm.farm, "j")
    assert farm.show()["state"] == "completed"


def test_a_paused_job_speaks_nothing_until_it_is_resumed(farm: Running) -> None:
    farm.submit(TEXT)
    farm.step()
    assert lifecycle.pause(farm.farm, "j") is State.PAUSED
    farm.drain()
    assert farm.show()["state"] == "paused"
    assert farm.performed()["chunk"] == 0
    assert lifecycle.resume(farm.farm, "j") is State.RUNNING
    farm.control.tick()
    farm.drain()
    assert farm.show()["state"] == "completed"


def test_a_pause_outlives_redis(farm: Running) -> None:
    farm.submit(TEXT)
    lifecycle.pause(farm.farm, "j")
    farm.redis.flushall()
    farm.queue.clear()
    assert recovery.recover(farm.farm) == 1
    farm.drain()
    assert farm.show()["state"] == "paused"
    lifecycle.resume(farm.farm, "j")
    assert farm.finish() == "completed"


def test_a_resumed_job_stays_resumed_when_redis_is_lost(farm: Running) -> None:
    farm.submit(TEXT)
    lifecycle.pause(farm.farm, "j")
    lifecycle.resume(farm.farm, "j")
    farm.redis.flushall()
    farm.queue.clear()
    recovery.recover(farm.farm)
    assert farm.finish() == "completed"


def test_failures_are_listed_while_a_job_runs_and_after_it(farm: Running) -> None:
    moody(farm, "Two")
    farm.submit(TEXT)
    farm.until("items")
    live = list(standing.failures(farm.farm, "j"))
    farm.drain()
    farm.redis.flushall()
    (failure,) = standing.failures(farm.farm, "j")
    assert [failure] == live
    assert failure["text"] == "Two is there."
    assert failure["error"] == "will not say 'Two is there.'"
    assert failure["item"] == 0
    rows = farm.farm.store.get(keys.revision("j", 1, "failures.jsonl")).splitlines()
    assert [json.loads(row) for row in rows] == [failure]
    assert farm.show()["failed"] == 1
    assert farm.manifest()["items"][0]["failed"] == 1


def test_a_retry_speaks_only_what_had_failed(farm: Running) -> None:
    engine = moody(farm, "Two")
    farm.submit(TEXT)
    assert farm.finish() == "completed"
    short = farm.manifest()["items"][0]["seconds"]
    engine.words, engine.said = (), []
    assert revising.retry(farm.farm, "j") == 2
    assert farm.finish() == "completed"
    assert engine.said == ["Two is there."]
    record = farm.show()
    assert (record["revision"], record["hits"], record["misses"], record["failed"]) == (2, 2, 1, 0)
    assert farm.manifest(revision=2)["items"][0]["seconds"] > short
    assert list(standing.failures(farm.farm, "j")) == []
    assert farm.manifest(revision=1)["items"][0]["seconds"] == short


def test_a_retry_of_a_sound_job_gives_the_same_bytes(farm: Running) -> None:
    farm.submit(TEXT, output=Output("mp3"))
    farm.drain()
    revising.retry(farm.farm, "j")
    farm.drain()
    assert farm.outputs(revision=2) == farm.outputs(revision=1)


def test_a_cancelled_job_can_be_retried(farm: Running) -> None:
    farm.submit(TEXT)
    lifecycle.cancel(farm.farm, "j")
    farm.queue.clear()
    revising.retry(farm.farm, "j")
    assert farm.finish() == "completed"


def test_a_running_job_is_neither_retried_nor_removed(farm: Running) -> None:
    farm.submit(TEXT)
    for act in (revising.retry, lifecycle.remove):
        with pytest.raises(Conflict, match="cancel it first"):
            act(farm.farm, "j")
    assert farm.finish() == "completed"


@pytest.mark.parametrize("writes", [3, 4])
def test_a_retry_that_dies_after_any_write_is_taken_up(
    writes: int, redis_url: str, tmp_path: Path
) -> None:
    store = Brittle(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        farm.submit(TEXT)
        farm.drain()
        store.left = writes
        live, farm.farm.ledger = farm.farm.ledger, Ledger("unix:///nowhere/redis.sock")
        with suppress(Unavailable):
            revising.retry(farm.farm, "j")
        store.left, farm.farm.ledger = 1_000_000, live
        assert recovery.recover(farm.farm) == 1
        assert farm.finish() == "completed"
        assert farm.show()["revision"] == 2


def test_a_removed_job_leaves_only_segments(farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    lifecycle.remove(farm.farm, "j")
    assert list(farm.farm.store.list("jobs/")) == []
    assert len(farm.segments()) == 3
    with pytest.raises(NotFound):
        farm.show()


def test_a_removed_jobs_id_may_be_used_by_another(farm: Running) -> None:
    farm.submit(TEXT)
    farm.drain()
    first = farm.item()
    lifecycle.remove(farm.farm, "j")
    farm.submit("Quite another text, in another format.", output=Output("flac"))
    assert farm.finish() == "completed"
    assert farm.count("segments_total") == 1
    assert set(farm.manifest()["items"][0]["files"]) == {"flac"}
    assert farm.item(kind="flac") != first
