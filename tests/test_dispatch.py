from __future__ import annotations

import json
import multiprocessing
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from farm import dispatch, keys, lifecycle, stages, standing, work
from farm.dispatch import BUG_TRIES, IDLE_WINDOW, WINDOW
from farm.errors import OutOfMemory, StoreUnavailable
from farm.jobs import Output, Segment
from farm.ledger import Events, Ref, parse
from farm.schema import to_json
from farm.storage.local import LocalStore
from tests.running import Running, acting, quiet, running

TEXT = "One is here. Two is there.\n\nThree is nowhere."
LONG = "A sentence of some forty characters, yes. " * 60


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


class Down(LocalStore):
    """A store that does not answer its first calls of a kind."""

    def __init__(self, root: Path, part: str, times: int) -> None:
        super().__init__(root)
        self.part, self.left = part, times

    def _answer(self, key: str) -> None:
        if self.part in key and self.left > 0:
            self.left -= 1
            raise StoreUnavailable("the store is down")

    def get(self, key: str) -> bytes:
        self._answer(key)
        return super().get(key)

    def put(self, key: str, data: bytes, **how: Any) -> bool:
        self._answer(key)
        return super().put(key, data, **how)

    def put_file(self, key: str, path: Path, **how: Any) -> bool:
        self._answer(key)
        return super().put_file(key, path, **how)


def test_a_message_delivered_twice_is_done_once(farm: Running) -> None:
    farm.submit(TEXT)
    while farm.queue:
        ref, _ = farm.queue[0]
        farm.step()
        farm.results.append((ref, dispatch.perform(farm.farm, str(ref))))
    assert farm.show()["state"] == "completed"
    assert farm.performed() == {"read": 1, "page": 1, "chunk": 1, "items": 1, "package": 1}
    skipped = [result["skipped"] for _, result in farm.results if "skipped" in result]
    assert skipped == ["done", "done", "done", "done", "gone"]
    assert farm.count("segments") == 3


def test_a_unit_that_another_holds_is_left_to_it(farm: Running) -> None:
    farm.submit(TEXT)
    ref = farm.until("chunk")
    assert farm.farm.ledger.claim(ref, "somebody").verdict == "go"
    assert farm.step()[1] == {"skipped": "held"}
    assert farm.segments() == []


def test_a_message_of_a_removed_job_is_dropped(farm: Running) -> None:
    farm.submit(TEXT)
    lifecycle.cancel(farm.farm, "j")
    lifecycle.remove(farm.farm, "j")
    farm.drain()
    assert [result for _, result in farm.results] == [{"skipped": "gone"}]
    assert list(farm.farm.store.list("")) == []


def test_a_document_that_cannot_be_read_fails_its_job_with_the_reason(farm: Running) -> None:
    farm.submit(b"PK\3\4 no book", kind="book", name="a.epub")
    _, result = farm.step()
    record = json.loads(farm.farm.store.get(keys.status("j", 1)))
    assert record["state"] == "failed"
    assert record["error"] == result["failed"]
    assert "a.epub" in record["error"]
    assert not farm.queue
    assert not farm.farm.store.exists(keys.open_marker("j", 1))


@pytest.mark.parametrize("kind", ["book", "batch", "speech"])
def test_a_job_of_nothing_fails_and_says_so(kind: Any, farm: Running) -> None:
    farm.submit("\n", kind=kind, name="empty.txt")
    assert farm.finish() == "failed"
    assert farm.show()["error"]


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        ("spec.json", "read"),
        ("input/", "read"),
        ("plan/source", "read"),
        ("plan/head", "read"),
        ("plan/pages", "page"),
        ("plan/tone", "page"),
        ("segments/", "chunk"),
        ("/items/", "items"),
        ("/runs/", "items"),
        ("manifest", "package"),
    ],
)
def test_a_store_that_is_down_for_a_while_costs_only_time(
    part: str, stage: str, redis_url: str, tmp_path: Path
) -> None:
    store = Down(tmp_path / "store", part, 0)
    with running(redis_url, tmp_path, store) as farm, quiet():
        farm.submit(TEXT, created=1.0)
        store.left = 3
        assert farm.finish() == "completed"
        assert store.left == 0
        waited = [ref.stage for ref, result in farm.results if "waiting" in result]
        assert waited
        assert set(waited) == {stage}
        assert farm.count("segments") == 3


def test_what_waits_says_why(redis_url: str, tmp_path: Path) -> None:
    store = Down(tmp_path / "store", "segments/", 1)
    with running(redis_url, tmp_path, store) as farm:
        farm.submit(TEXT)
        ref = farm.until("chunk")
        assert farm.step()[1] == {"waiting": "the store is down"}
        waiting = [data for _, kind, data in Events(farm.farm.ledger).of("j") if kind == "waiting"]
        assert waiting == [{"reason": "the store is down", "tries": 1, "unit": str(ref)}]


def test_an_outage_never_fails_a_job_however_long(redis_url: str, tmp_path: Path) -> None:
    store = Down(tmp_path / "store", "/items/", BUG_TRIES + 5)
    with running(redis_url, tmp_path, store) as farm, quiet():
        farm.submit(TEXT)
        assert farm.finish() == "completed"
        waits = sum("waiting" in result for _, result in farm.results)
        assert waits == BUG_TRIES + 5


def test_a_bug_fails_its_job_after_some_tries_and_names_itself(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(_: object) -> None:
        raise RuntimeError("a bug")

    farm.submit(TEXT)
    farm.until("chunk")
    monkeypatch.setattr(farm.farm, "engine", bug)
    farm.farm.engines.keep_only("")
    with quiet():
        assert farm.finish() == "failed"
    assert farm.show()["error"] == "chunk: RuntimeError: a bug"
    assert sum("waiting" in result for _, result in farm.results) == BUG_TRIES


def test_an_engine_that_fails_at_everything_fails_its_job_and_says_how(farm: Running) -> None:
    def bug(_: Sequence[Segment]) -> None:
        raise RuntimeError("a bug")

    acting(farm, bug)
    farm.submit(TEXT)
    with quiet():
        assert farm.finish() == "failed"
    errors = [row["error"] for row in standing.failures(farm.farm, "j")]
    assert errors == 3 * ["the engine failed: RuntimeError: a bug"]
    assert farm.performed()["chunk"] == 1


def test_a_device_that_is_full_for_a_while_costs_only_time(farm: Running) -> None:
    left = [BUG_TRIES + 1]

    def full(_: Sequence[Segment]) -> None:
        if left[0]:
            left[0] -= 1
            raise OutOfMemory("full")

    acting(farm, full)
    farm.submit(TEXT)
    assert farm.finish() == "completed"
    assert farm.count("failed") == 0


def test_a_lost_segment_is_spoken_again_and_nothing_else(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("items")
    whole = farm.segments()
    farm.farm.store.delete(whole[1])
    with quiet():
        _, result = farm.step()
    assert "is not in the store any more" in result["restarted"]
    farm.drain()
    assert farm.show()["state"] == "completed"
    assert farm.segments() == whole
    assert (farm.count("hits"), farm.count("misses")) == (2, 1)
    assert farm.count("items_done") == 1


def test_a_damaged_segment_is_mended(farm: Running) -> None:
    farm.submit(TEXT, title="T")
    farm.drain()
    sound = farm.item()
    key = farm.segments()[0]
    farm.farm.store.put(key, b"fLaC, or so it says")
    farm.submit(TEXT, job="k", title="T")
    with quiet():
        assert farm.finish("k") == "completed"
    assert farm.item(job="k") == sound
    assert farm.farm.store.get(key).startswith(b"fLaC\0")


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("page", "source"),
        ("chunk", "tone"),
        ("items", "pages"),
        ("items", "source"),
        ("package", "head"),
        ("package", "runs"),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_plan_that_is_damaged_is_made_again(
    stage: str, kind: str, damage: str, farm: Running
) -> None:
    farm.submit(TEXT, title="T")
    farm.drain()
    sound = farm.item()
    farm.submit(TEXT, job="k", title="T")
    farm.until(stage)
    (key,) = [key for key in farm.farm.store.list("jobs/k/rev/1/") if f"/{kind}" in key]
    if damage == "gone":
        farm.farm.store.delete(key)
    else:
        farm.farm.store.put(key, farm.farm.store.get(key)[:-7])
    forget_what_is_read()
    with quiet():
        _, result = farm.step()
        assert result["restarted"].startswith(f"{key!r} in the store is damaged: ")
        assert farm.finish("k") == "completed"
    assert farm.item(job="k") == sound
    assert farm.count("misses", "k") == 0


def forget_what_is_read() -> None:
    """What this process has read of a plan is not as another's, which reads it now."""
    work.forget()


def test_a_damaged_spec_is_waited_for_and_the_job_not_lost(farm: Running) -> None:
    spec = farm.submit(TEXT)
    whole = farm.farm.store.get(keys.spec("j"))
    farm.farm.store.put(keys.spec("j"), whole[:-7])
    with quiet():
        _, result = farm.step()
    assert result["waiting"].startswith("'jobs/j/spec.json' in the store is damaged: ")
    farm.farm.store.put(keys.spec("j"), to_json(spec))
    assert farm.finish() == "completed"


def test_what_an_earlier_life_was_still_assembling_counts_after_a_restart(farm: Running) -> None:
    lines = "".join(f'{{"id": "l{n}", "text": "Line {n} is this."}}\n' for n in range(60))
    farm.submit(lines, kind="batch")
    first = farm.until("items")
    claim = farm.farm.ledger.claim(first, "slow")
    assert claim.verdict == "go"
    farm.queue.popleft()
    lifecycle.restart(farm.farm, "j", 1)
    stages.items(work.Work(farm.farm, first, claim, "slow"))
    assert farm.finish() == "completed"
    assert len(farm.manifest()["items"]) == 60
    assert all(farm.farm.store.exists(key) for key in files(farm))


def files(farm: Running) -> list[str]:
    return [f["key"] for row in farm.manifest()["items"] for f in row["files"].values()]


def test_a_segment_that_kills_its_worker_costs_one_and_is_given_up_in_processes_of_its_own(
    redis_url: str, tmp_path: Path
) -> None:
    """Real deaths: each chunk is performed by a process of its own."""
    text = "One is here. Two [[crash]] is there. Three is nowhere."
    with running(redis_url, tmp_path) as farm:
        farm.submit(text)
        ref = farm.until("chunk")
        farm.queue.clear()
        assert perform_apart(ref, redis_url, tmp_path) == -signal.SIGKILL
        farm.hurry()
        farm.control.tick()
        assert [ref for ref, _ in farm.queue] == [ref]
        farm.queue.clear()
        assert perform_apart(ref, redis_url, tmp_path) == 0
        farm.hurry()
        farm.control.tick()
        assert farm.finish() == "completed"
        (failure,) = standing.failures(farm.farm, "j")
        assert failure["error"] == "it ends the process that speaks it: signal SIGKILL"
        assert "[[crash]]" in failure["text"]
        assert len(farm.segments()) == 2


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.faults)])
def test_a_segment_is_not_condemned_for_the_faults_that_it_was_in_flight_at(
    kills: int, redis_url: str, tmp_path: Path
) -> None:
    """Its worker is killed over and over while it speaks, of which it is innocent."""
    count = 2 * kills + 8
    texts = [f"Number {n} [[slow]] is a sentence that takes its time." for n in range(count)]
    with running(redis_url, tmp_path) as farm, quiet():
        farm.submit(" ".join(texts))
        chance, flown = random.Random(kills), set[str]()
        while kills:
            child = apart(farm.until("chunk"), redis_url, tmp_path)
            child.join(chance.uniform(0.2, 1.5))
            if child.exitcode is None:
                child.kill()
                child.join()
                kills -= 1
            farm.queue.clear()
            farm.hurry()
            farm.control.tick()
            farm.queue.rotate(chance.randrange(len(farm.queue)))
            flown |= set(farm.redis.hkeys("farm:attempts:j"))
        assert flown
        assert farm.finish() == "completed"
        assert farm.count("failed") == 0
        assert len(farm.segments()) == count


def perform_apart(ref: Ref, url: str, folder: Path) -> int:
    """Perform a unit in a process of its own; 0 if it lived."""
    child = apart(ref, url, folder)
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode


def apart(ref: Ref, url: str, folder: Path) -> multiprocessing.process.BaseProcess:
    """Begin to perform a unit in a process of its own."""
    child = multiprocessing.get_context("fork").Process(target=_child, args=(ref, url, folder))
    child.start()
    return child


def _child(ref: Ref, url: str, folder: Path) -> None:
    with running(url, folder) as farm:
        dispatch.perform(farm.farm, str(ref))


def test_a_claim_is_renewed_while_its_unit_is_worked_on(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "RENEW_S", 0.02)
    ends: list[float] = []

    def slow(_: Sequence[Segment]) -> None:
        over = time.monotonic() + 20
        while len(set(ends)) < 2 and time.monotonic() < over:
            ends.append(float(farm.redis.zscore("farm:leases", str(ref))))
            time.sleep(0.01)

    acting(farm, slow)
    farm.submit("One.")
    ref = farm.until("chunk")
    farm.drain()
    assert ends[-1] > ends[0]


def test_work_whose_claim_was_lost_ends_harmlessly_and_is_renewed_no_more(
    farm: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "RENEW_S", 0.1)
    others: list[Any] = []

    def overtaken(_: Sequence[Segment]) -> None:
        if others:
            return
        verdict = "held"
        while verdict == "held":  # a renewal may come between
            farm.hurry()
            verdict = farm.farm.ledger.claim(ref, "another").verdict
        others.append(verdict)
        until_ms = farm.redis.zscore("farm:leases", str(ref))
        time.sleep(0.4)
        others.append(farm.redis.zscore("farm:leases", str(ref)) == until_ms)

    acting(farm, overtaken)
    farm.submit(TEXT)
    ref = farm.until("chunk")
    _, result = farm.step()
    assert others == ["go", True]
    assert (result["segments"], result["misses"]) == (3, 3)
    told = [record.message for record in caplog.records]
    said = [line for line in told if line.startswith(f"{ref}: no claim to renew")]
    assert said == [f"{ref}: no claim to renew: stopped, another's, or just done"]
    assert farm.finish() == "completed"
    assert farm.count("segments") == 3
    assert dispatch.perform(farm.farm, str(ref))["skipped"] in ("done", "gone")


def test_the_window_of_a_family_follows_its_live_slots(farm: Running) -> None:
    lines = "".join(
        f'{{"id": "l{n}", "text": {json.dumps(f"Line {n}. " + LONG[:400])}}}\n' for n in range(40)
    )
    farm.submit(lines, kind="batch")
    farm.step()
    farm.step()
    assert chunks(farm) == IDLE_WINDOW
    farm.farm.ledger.beat("tone", "w", 3)
    assert dispatch.top_up(farm.farm, "tone") == 3 * WINDOW - IDLE_WINDOW
    assert chunks(farm) == 3 * WINDOW
    while farm.queue[0][0].stage != "chunk":
        farm.queue.rotate(-1)
    farm.step()
    assert chunks(farm) == 3 * WINDOW


def chunks(farm: Running) -> int:
    return sum(ref.stage == "chunk" for ref, _ in farm.queue)


def test_speech_that_somebody_waits_for_is_sent_whole(farm: Running) -> None:
    farm.submit(LONG)
    while farm.queue and farm.queue[0][0].stage != "chunk":
        farm.step()
    assert chunks(farm) == farm.count("chunks_total") > IDLE_WINDOW
    assert {ref.lane for ref, _ in farm.queue if ref.stage == "chunk"} == {"tone.now"}


def test_labels_tell_a_person_what_a_message_is_about(farm: Running) -> None:
    labels: dict[str, str] = {}
    farm.submit('{"id": "a", "text": "One."}\n{"id": "b", "text": "Two."}', kind="batch", title="T")
    while farm.queue:
        ref, label = farm.queue[0]
        labels[ref.stage] = label
        farm.step()
    assert labels == {
        "read": "T",
        "page": "page 0",
        "chunk": "tone, items 0-1",
        "items": "0@0,1@0",
        "package": "0",
    }


def test_what_cannot_be_sent_is_the_control_processs(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("chunk")
    send, sent = farm.farm.send, []

    def broken(ref: Ref, label: str) -> None:
        sent.append((ref, label))
        raise StoreUnavailable("no broker")

    farm.farm.send = broken
    with quiet():
        assert farm.step()[1]["segments"] == 3
    assert [ref.stage for ref, _ in sent] == ["items"]
    farm.farm.send = send
    assert farm.finish() == "completed"
    assert farm.performed()["chunk"] == 1


def test_a_result_is_a_few_numbers(farm: Running) -> None:
    farm.submit(TEXT, output=Output("wav", subtitles=("srt",)))
    farm.drain()
    for ref, result in farm.results:
        assert len(json.dumps(result)) < 300, ref
    chunk = next(result for ref, result in farm.results if ref.stage == "chunk")
    assert set(chunk) == {
        *("segments", "hits", "misses", "audio_ms", "compute_ms", "failed", "device")
    }


def test_a_ref_that_is_none_is_refused(farm: Running) -> None:
    with pytest.raises(Exception, match="does not name a unit of work"):
        dispatch.perform(farm.farm, "nonsense")
    assert parse("tone/chunk/j/1/0.0").queue == "tts.tone"
