from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from farm import control as control_module
from farm import keys, lifecycle, standing
from farm.control import LOCK_S, Control
from farm.errors import LedgerUnavailable
from farm.jobs import Output, Prosody, State
from farm.ledger import Ledger, Ref
from farm.storage.local import LocalStore
from tests.homes import until
from tests.running import RATE, Running, quiet, running

BOOK = Path(__file__).parent.parent / "farm" / "data" / "sample" / "late-letters.epub"
TEXT = "One is here. Two is there.\n\nThree is nowhere."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


@pytest.fixture
def other(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    """A second process's hold on the same farm."""
    with running(redis_url, tmp_path) as farm:
        yield farm


def batch(count: int) -> str:
    texts = (f"Line {n} of many is spoken here, and it goes on for a while." for n in range(count))
    rows = (json.dumps({"id": f"l{n}", "text": text}) for n, text in enumerate(texts))
    return "\n".join(rows)


def test_a_lost_message_is_sent_again(farm: Running) -> None:
    farm.submit(TEXT)
    lost, _ = farm.queue.popleft()
    farm.control.tick()
    assert not farm.queue
    farm.hurry()
    with quiet():
        farm.control.tick()
    assert list(farm.queue) == [(lost, "again")]
    assert farm.finish() == "completed"


@pytest.mark.parametrize("stage", ["read", "page", "chunk", "items", "package"])
def test_a_unit_whose_worker_died_is_done_by_another(stage: str, farm: Running) -> None:
    farm.submit(TEXT)
    dead = farm.until(stage)
    assert farm.farm.ledger.claim(dead, "died").verdict == "go"
    assert farm.step()[1] == {"skipped": "held"}
    farm.control.tick()
    assert not farm.queue
    farm.hurry()
    with quiet():
        farm.control.tick()
    assert [ref for ref, _ in farm.queue] == [dead]
    farm.drain()
    assert farm.show()["state"] == "completed"
    assert (farm.count("segments"), farm.count("misses")) == (3, 3)


def test_a_job_of_a_newer_farm_is_left_to_it_and_holds_up_no_other(farm: Running) -> None:
    spec = farm.submit(TEXT, "newer", ttl_s=60)
    stored = json.loads(farm.farm.store.get(keys.spec("newer")))
    farm.farm.store.put(keys.spec("newer"), json.dumps({**stored, "schema": 2}).encode())
    farm.farm.store.put(keys.due(1.0, "newer"), b"")
    with quiet():
        (read, _), *_ = farm.queue
        result = farm.step()[1]
        assert result == {"too_new": "written with schema 2 by a newer farm; this one knows 1"}
        farm.redis.flushall()
        farm.submit(TEXT)
        assert farm.finish() == "completed"
    assert farm.farm.store.exists(keys.open_marker("newer", 1))
    assert farm.farm.store.exists(keys.due(1.0, "newer"))
    farm.farm.store.put(keys.spec("newer"), json.dumps(stored).encode())
    assert farm.finish("newer") == "completed"
    assert (read.job, spec.id) == ("newer", "newer")


def test_windows_are_filled_at_every_look(farm: Running) -> None:
    farm.submit(batch(60), kind="batch")
    while farm.queue[0][0].stage != "chunk":
        farm.step()
    before = len(farm.queue)
    farm.farm.ledger.beat("tone", "w", 4)
    farm.control.tick()
    assert len(farm.queue) == 8 > before


@pytest.mark.parametrize("stage", ["read", "page", "chunk", "items", "package"])
def test_a_wiped_redis_is_noticed_and_every_job_taken_up(stage: str, farm: Running) -> None:
    farm.control.tick()
    farm.submit(TEXT)
    farm.until(stage)
    spoken = len(farm.segments())
    farm.redis.flushall()
    farm.queue.clear()
    with quiet():
        assert farm.control.tick()
    assert [ref.stage for ref, _ in farm.queue] == ["read"]
    farm.drain()
    assert farm.show()["state"] == "completed"
    assert farm.count("misses") == 3 - spoken
    assert farm.count("hits") == spoken


def test_a_unit_that_was_under_way_when_redis_was_wiped_does_no_harm(farm: Running) -> None:
    farm.control.tick()
    farm.submit(TEXT)
    waiting = [farm.queue[0]]
    for stage in ("page", "chunk", "items", "package"):
        farm.until(stage)
        waiting.append(farm.queue[0])
    farm.redis.flushall()
    farm.queue.clear()
    with quiet():
        farm.control.tick()
    again = farm.queue.popleft()
    farm.queue.extend([*reversed(waiting), again, *waiting])
    farm.drain()
    assert farm.show()["state"] == "completed"
    assert farm.count("segments") == farm.count("segments_total") == 3


def undisturbed(url: str, folder: Path, data: str | Path, **job: object) -> dict[str, str]:
    """The outputs of a job that nothing happened to."""
    with running(url, folder / "quiet") as farm:
        farm.submit(data, **job)  # type: ignore[arg-type]
        assert farm.finish() == "completed"
        outputs = farm.outputs()
        farm.redis.flushall()
    shutil.rmtree(folder / "quiet")
    return outputs


@pytest.mark.parametrize("chunks_done", [1, 3])
def test_a_book_whose_redis_is_wiped_half_way_is_the_same_in_every_byte(
    chunks_done: int, redis_url: str, tmp_path: Path
) -> None:
    text = "# One\n\n" + "A sentence of words, and more. " * 12 + "\n\n# Two\n\n" + batch(6)
    output = Output("mp3", "m4b", ("mp3",), ("srt",))
    job = {"kind": "book", "name": "a.md", "output": output, "title": "Two Chapters"}
    expected = undisturbed(redis_url, tmp_path, text, **job)
    assert len(expected) == 10
    with running(redis_url, tmp_path) as farm, quiet():
        farm.control.tick()
        farm.submit(text, **job)  # type: ignore[arg-type]
        while farm.performed()["chunk"] < chunks_done:
            farm.step()
        spoken = len(farm.segments())
        assert spoken > 0
        farm.redis.flushall()
        farm.queue.clear()
        farm.control.tick()
        assert farm.finish() == "completed"
        assert farm.outputs() == expected
        assert len(farm.segments()) == farm.count("misses") + spoken


def test_of_two_control_processes_one_works(farm: Running, other: Running) -> None:
    farm.submit(TEXT)
    farm.queue.clear()
    farm.hurry()
    with quiet():
        assert farm.control.tick()
        assert not other.control.tick()
        assert farm.control.tick()
    assert len(farm.queue) == 1
    assert not other.queue


def test_the_other_control_process_takes_over_when_the_lock_runs_out(
    farm: Running, other: Running
) -> None:
    assert farm.control.tick()
    assert 0 < farm.redis.pttl("farm:control") <= LOCK_S * 1000
    farm.redis.pexpire("farm:control", 1)
    time.sleep(0.02)
    assert other.control.tick()
    assert not farm.control.tick()
    farm.redis.delete("farm:control")
    assert farm.control.tick()


def test_two_control_processes_and_two_workers_bring_many_jobs_to_their_end_once(
    farm: Running, other: Running
) -> None:
    for n in range(4):
        farm.submit(TEXT, job=f"j{n}")
    for round_ in range(60):
        for each in (farm, other):
            if each.queue:
                each.step()
            if round_ % 5 == 0:
                each.control.tick()
    assert [farm.show(f"j{n}")["state"] for n in range(4)] == ["completed"] * 4
    assert farm.performed() + other.performed() == dict.fromkeys(
        ("read", "page", "chunk", "items", "package"), 4
    )


class Silent(LocalStore):
    """A store that does not answer whoever asks it what is unfinished, until it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.answers = threading.Event(), threading.Event()

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        if prefix == keys.OPEN:
            self.asked.set()
            assert self.answers.wait(60)
        return super().list(prefix, after=after)


def test_a_store_that_does_not_answer_holds_up_no_claim_that_ran_out(
    redis_url: str, tmp_path: Path
) -> None:
    store, over = Silent(tmp_path / "store"), threading.Event()
    with running(redis_url, tmp_path, store) as farm:
        farm.submit(TEXT)
        dead = farm.until("chunk")
        assert farm.farm.ledger.claim(dead, "died").verdict == "go"
        farm.queue.clear()
        thread = threading.Thread(target=farm.control.run, args=(over,))
        with quiet():
            thread.start()
            try:
                assert store.asked.wait(30)
                farm.hurry()
                until(lambda: [ref for ref, _ in farm.queue] == [dead], 30)
            finally:
                over.set()
                store.answers.set()
                thread.join()


def test_what_fails_for_no_reason_of_the_worlds_ends_the_control_process(farm: Running) -> None:
    def fail(prefix: str, *, after: str = "") -> Iterator[str]:
        raise RuntimeError(f"a bug in listing {prefix!r} after {after!r}")

    farm.farm.store.list = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="a bug"):
        farm.control.run(threading.Event())


def test_a_cancelled_job_is_not_sent_again(farm: Running) -> None:
    farm.submit(TEXT)
    farm.until("chunk")
    lifecycle.cancel(farm.farm, "j")
    farm.queue.clear()
    farm.hurry()
    farm.control.tick()
    assert not farm.queue
    assert farm.show()["state"] == "cancelled"


def test_one_job_that_cannot_be_taken_up_does_not_stop_the_others(farm: Running) -> None:
    farm.submit(TEXT)
    farm.farm.store.put(keys.open_marker("a-first", 1), b"")
    farm.redis.flushall()
    farm.queue.clear()
    with quiet():
        farm.control.tick()
    assert farm.finish() == "completed"


def test_jobs_that_a_dead_client_left_unsent_are_found_in_time(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "RECOVER_EVERY", 3)
    farm.control.tick()
    farm.submit(TEXT)
    farm.queue.clear()
    farm.farm.ledger.remove("j")
    with quiet():
        looks = 0
        while not farm.queue:
            farm.control.tick()
            looks += 1
            assert looks <= 3
    assert farm.finish() == "completed"


def test_the_control_process_waits_for_redis_and_goes_on(
    farm: Running, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "TICK_S", 0.01)

    class Away(Ledger):
        looks = 0

        def lock(self, holder: str, seconds: int) -> bool:
            self.looks += 1
            if self.looks < 3:
                raise LedgerUnavailable("Redis is away")
            return super().lock(holder, seconds)

    ledger = Away(redis_url)
    over = threading.Event()
    farm.submit(TEXT)
    farm.queue.clear()
    farm.farm.ledger.remove("j")

    def send(ref: Ref, label: str) -> None:
        farm.queue.append((ref, label))
        over.set()

    live, farm.farm.ledger, farm.farm.send = farm.farm.ledger, ledger, send
    with quiet():
        Control(farm.farm).run(over)
    farm.farm.ledger = live
    ledger.redis.close()
    assert ledger.looks >= 3
    assert [ref.stage for ref, _ in farm.queue] == ["read"]


def test_the_sample_book_becomes_an_audiobook(farm: Running) -> None:
    output = Output("m4a", "m4b", (), ("srt",))
    farm.submit(BOOK, kind="book", name=BOOK.name, output=output)
    assert farm.finish() == "completed"
    manifest = farm.manifest()
    titles = [row["title"] for row in manifest["items"]]
    assert len(titles) >= 3
    check_files(farm, manifest, [{"m4a", "marks", "srt"}] * len(titles))
    assert set(manifest["package"]) == {"m4b", "srt"}
    found = chapters(farm.farm.store.get(manifest["package"]["m4b"]["key"]))
    assert [title for title, _, _ in found] == titles
    for (_, start, end), row in zip(found, manifest["items"], strict=True):
        assert end - start == pytest.approx(row["seconds"], abs=2 * 1024 / RATE)  # AAC's frames
    record = farm.show()
    assert record["failed"] == 0
    assert record["segments"] == record["segments_total"] > 100
    assert record["items_done"] == record["items_total"] == len(titles)
    assert State(record["state"]) is State.COMPLETED


def check_files(farm: Running, manifest: dict[str, object], kinds: list[set[str]]) -> None:
    """Every file of a manifest is stored, with the digest and size that it says."""
    items = manifest["items"]
    assert isinstance(items, list)
    assert [set(row.get("files", {})) for row in items] == kinds
    for row in items:
        for file in row.get("files", {}).values():
            data = farm.farm.store.get(file["key"])
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
            assert len(data) == file["size"]


def chapters(book: bytes) -> list[tuple[str, float, float]]:
    """Title, start and end in seconds of each chapter, as FFmpeg reads them."""
    with av.open(io.BytesIO(book)) as container:
        return [
            (
                chapter["metadata"]["title"],
                chapter["start"] * float(chapter["time_base"] or 0),
                chapter["end"] * float(chapter["time_base"] or 0),
            )
            for chapter in container.chapters()
        ]


LINES = b"""{"id": "one", "text": "The first line."}
{"id": "two", "text": "The second line.", "voice": "low", "speed": 2, "format": "flac"}

{"id": "three", "text": "The third line.", "voice": "nobody"}
{"id": "four", "text": "The fourth line.", "format": "tape"}
{"id": "five" "text": "Not JSON."}
{"id": "six", "text": "Not [[fail]] to be said."}
{"id": "one", "text": "An id again."}
{"id": "seven", "text": "* * *"}
{"id": "eight", "text": "The last line."}
"""

ERRORS = {
    "three": "line 4: unknown voice 'nobody'; choose one of low, tone",
    "four": "line 5: unknown format 'tape'; choose one of wav, flac, mp3, opus, m4a",
    "line-6": "line 6: not JSON: Expecting ',' delimiter (column 15)",
    "six": "no segment could be spoken: asked to fail by 'Not [[fail]] to be said.'",
    "seven": "nothing to speak in '* * *'",
}


def test_a_batch_goes_on_past_bad_lines_and_lists_them(farm: Running) -> None:
    farm.submit(LINES, kind="batch")
    assert farm.finish() == "completed"
    manifest = farm.manifest()
    rows = {row["id"]: row for row in manifest["items"] if row["index"] != 6}
    assert {name: row["error"] for name, row in rows.items() if "error" in row} == ERRORS
    spoken = {"one": {"wav"}, "two": {"flac"}, "eight": {"wav"}}
    listed = [(row["id"], row["index"]) for row in manifest["items"]]
    kinds = [spoken.get(name, set()) if index != 6 else set() for name, index in listed]
    check_files(farm, manifest, kinds)
    assert "stands on an earlier line" in manifest["items"][6]["error"]
    assert rows["two"]["seconds"] == pytest.approx(len("The second line.") * 0.03, abs=0.01)
    failures = {row["item"]: row["error"] for row in standing.failures(farm.farm, "j")}
    assert failures[5] == "asked to fail by 'Not [[fail]] to be said.'"
    assert failures[2] == ERRORS["three"]
    assert sorted(failures) == [2, 3, 4, 5, 6, 7]
    assert farm.count("failed") == 6


def test_a_batch_of_bad_lines_only_fails_with_the_first_reason(farm: Running) -> None:
    farm.submit(b"not JSON\n[]\n", kind="batch")
    assert farm.finish() == "failed"
    assert farm.show()["error"].startswith("line 1: not JSON")
    assert len(farm.manifest()["items"]) == 2


def test_a_jobs_own_speed_holds_for_lines_that_name_none(farm: Running) -> None:
    lines = b'{"id": "a", "text": "Hello there."}\n{"id": "b", "text": "Hello there.", "speed": 1}'
    farm.submit(lines, kind="batch", prosody=Prosody(speed=2.0, pitch=1.0))
    assert farm.finish() == "completed"
    speeds = {s.prosody for s in farm.planned()}
    assert speeds == {Prosody(speed=2.0, pitch=1.0), Prosody(speed=1.0, pitch=1.0)}


def test_one_changed_word_costs_one_segment(farm: Running) -> None:
    lines = batch(20)
    farm.submit(lines, job="a", kind="batch")
    farm.drain()
    farm.submit(lines.replace("Line 7 of many", "Line 7 of plenty"), job="b", kind="batch")
    farm.drain()
    assert (farm.count("misses", "b"), farm.count("hits", "b")) == (1, 19)


def test_one_segment_that_was_in_flight_at_fifty_deaths_is_spoken(farm: Running) -> None:
    farm.submit("One is here, and innocent.")
    for number in range(50):
        ref = farm.until("chunk")
        claim = farm.farm.ledger.claim(ref, f"holder {number}")
        assert claim.verdict == "go"
        (segment,) = farm.planned()
        assert claim.suspects == ({segment.digest: number} if number else {})
        farm.farm.ledger.flight(ref, f"holder {number}", [segment.digest])
        farm.queue.clear()
        farm.hurry()
        farm.control.tick()
    assert farm.finish() == "completed"
    assert farm.count("failed") == 0
    assert len(farm.segments()) == 1
