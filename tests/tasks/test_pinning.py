"""Real workers on two pretend GPUs: each child has its own, and a dead one's slot is taken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from celery.exceptions import WorkerShutdown
from celery.worker import state

from farm.audio import flac
from farm.cli.jobs import facts
from farm.contents import details
from farm.ledger import Ledger
from farm.schema import to_json
from farm.storage.local import LocalStore
from farm.tasks.strict import strict
from farm.voices import revocation
from farm.voices.pinning import content_digest
from tests.running import tone
from tests.tasks.real_worker import ROOT, Worker, until, worker

LINES = "".join(
    json.dumps({"id": f"l{n}", "text": f"Line {n} [[slow 0.2]] is read aloud by whoever is free."})
    + "\n"
    for n in range(160)
)


def test_each_child_sees_one_device_and_a_killed_childs_replacement_takes_the_freed_one(
    redis_url: str, tmp_path: Path
) -> None:
    with worker(redis_url, tmp_path) as made:
        made.submit(LINES, kind="batch", title="t")
        notes = made.spoken_by(2)
        assert sorted(note["visible"] for note in notes.values()) == ["0", "1"]
        for note in notes.values():
            assert (note["device"], note["threads"], note["loaded"]) == ("cuda:0", "1", [])
        killed = next(pid for pid, note in notes.items() if note["visible"] == "1")
        os.kill(killed, signal.SIGKILL)
        (fresh,) = made.spoken_by(3).keys() - notes.keys()
        after = until(lambda: {**note} if (note := made.spoken_by(3)[fresh])["said"] else {})
        assert (after["visible"], after["device"]) == ("1", "cuda:0")
        assert after["said"][0] == "Good morning.", "it warms up before it takes work"
        assert made.farm.farm.ledger.slots("tone") == 2
        made.record(lambda record: len(record["devices"]) == 2)
        assert_the_slots_are_told(made)
        assert made.end() == 0


def use(folder: Path, seconds: float) -> None:
    """Have a host remember a voice that takes so long for what warms it up."""
    parameters = {"seconds_per_pass": seconds}
    digest = content_digest("tone", parameters, {})
    recent = folder / "cache" / "recent" / "tone.jsonl"
    recent.parent.mkdir(parents=True)
    recent.write_bytes(to_json(tone(digest=digest, parameters=parameters)))


def greeted(made: Worker) -> list[int]:
    """Wait until two children have begun to greet; they."""

    def found() -> list[int]:
        return [pid for pid, note in made.spoken_by(2).items() if note["said"]]

    until(lambda: len(found()) == 2)
    return found()


def test_a_worker_that_is_told_to_stop_waits_for_no_voice_that_loads(
    redis_url: str, tmp_path: Path
) -> None:
    use(tmp_path, 120)
    with worker(redis_url, tmp_path) as made:
        children = greeted(made)
        assert made.end() == 0
        assert not any(map(psutil.pid_exists, children))
        said = made.log.read_text()
        assert "Traceback" not in said
        assert "died while it warmed up" not in said
    assert [*(tmp_path / "cache" / "recent").glob("*.warming")] == [], "nobody died of it"


def test_a_worker_that_is_told_to_stop_while_it_starts_does_not_count_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Celery does next, and calls those that were ended such that could not start."""
    kind = strict(lambda *_: None)
    monkeypatch.setattr(state, "should_stop", 0)
    with pytest.raises(WorkerShutdown):
        object.__new__(kind).on_ready()


def test_a_child_that_could_not_warm_up_is_not_ended_in_the_midst_of_its_work(
    redis_url: str, tmp_path: Path
) -> None:
    use(tmp_path, 0.1)
    for slot in ("cuda:0#0.0", "cuda:1#0.1"):  # nobody can note there that he begins
        (tmp_path / "cache" / "recent" / f"tone.{slot}.warming").symlink_to("nowhere/at/all")
    with worker(redis_url, tmp_path) as made:
        made.submit("A line [[slow]] [[slow]] is read.")
        until(lambda: any(note["said"] for note in made.spoken_by(1).values()))
        assert made.end() == 0
        assert len(made.farm.segments()) == 1


def test_all_children_of_one_device_warm_up_each_for_itself(redis_url: str, tmp_path: Path) -> None:
    use(tmp_path, 1)
    options = {"FARM_DEVICES": "cpu", "FARM_PER_DEVICE": "2", "FARM_WARM": "1"}
    with worker(redis_url, tmp_path, **options) as made:
        assert len(greeted(made)) == 2
        assert made.end() == 0
        assert "died while it warmed up" not in made.log.read_text()


def test_a_host_loses_a_revoked_voice_when_a_worker_starts(redis_url: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "voices"
    for name in ("ann", "bob"):
        (cache / name / "digest").mkdir(parents=True)
        (cache / name / "digest" / "model.onnx").write_bytes(b"a voice")
    LocalStore(tmp_path / "store").put(revocation("ann"), b"{}")
    with worker(redis_url, tmp_path) as made:
        until(lambda: not (cache / "ann").exists())
        assert (cache / "bob" / "digest" / "model.onnx").exists()
        until(lambda: "voice ann was revoked: removed from" in made.log.read_text())
        assert made.end() == 0


def assert_the_slots_are_told(made: Worker) -> None:
    """In what `farm jobs show` prints, and in every segment."""
    found = details(made.farm.farm, "j")
    assert set(found["devices"]) == {"cuda:0#0", "cuda:1#0"}
    assert sum(found["devices"].values()) == found["misses"]
    assert "cuda:1#0 (" in dict(facts(found, time.time()))["devices"]
    store = made.farm.farm.store
    comments = [flac.decode(store.get(key))[1] for key in made.farm.segments()]
    assert {each["DEVICE"] for each in comments} == {"cuda:0#0", "cuda:1#0"}


def test_a_child_that_loses_its_device_is_replaced_and_its_chunk_comes_back(
    redis_url: str, tmp_path: Path
) -> None:
    """The same segment poisons every device it meets: one of a child, two of its own processes."""
    with worker(redis_url, tmp_path) as made:
        begin = time.monotonic()
        made.submit("One is here. Two [[poison]] is there. Three is nowhere.")
        first = made.spoken_by(1)
        until(lambda: made.farm.control.tick() and len(made.spoken_by(1)) > len(first), 30)
        assert time.monotonic() - begin < 30, "the chunk came back"
        record = made.record(lambda record: record["segments"] == record["segments_total"])
        assert (record["segments"], record["failed"]) == (3, 1)
        (lost,) = made.farm.farm.ledger.failures("j")
        reason = "it ends the process that speaks it: asked to lose the device by "
        assert lost["error"].startswith(reason)
        # A dead child has a process id until its parent looks.
        until(lambda: sum(not psutil.pid_exists(pid) for pid in made.spoken_by(3)) == 3, 30)
        assert made.log.read_text().count("its device is lost: asked to lose the device") == 1
        assert made.process.poll() is None


def test_a_gpu_that_is_not_there_is_told_when_the_worker_starts(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FARM_")}
    run = subprocess.run(
        [sys.executable, "-m", "farm.cli", "worker", "--family", "piper", "--devices", "cuda:99"],
        env={
            **kept,
            "FARM_BROKER_URL": "redis://:secret@127.0.0.1:1/0",
            "FARM_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("farm: ")
    assert "cuda:99" in run.stderr
    assert run.stderr.count("\n") == 1


@contextmanager
def celery(url: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Celery's own command with the app of a family, on one slot."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FARM_")}
    variables = {"FARM_BROKER_URL": url, "FARM_HOME": str(folder), "FARM_PER_DEVICE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "workers.onnx", "worker", *options],
        env={**kept, **variables, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=60)
        process.kill()
        process.communicate()


def test_celerys_own_command_runs_the_same_worker(redis_url: str, tmp_path: Path) -> None:
    ledger = Ledger(redis_url)
    with celery(redis_url, tmp_path) as process:
        until(lambda: ledger.slots("onnx") == 1)
        assert len(psutil.Process(process.pid).children()) == 1
    ledger.redis.close()


def test_more_children_than_slots_are_refused(redis_url: str, tmp_path: Path) -> None:
    with celery(redis_url, tmp_path, "-c", "5") as process:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert said.startswith("farm: 1 slots and 5 children: leave -c out")


def test_the_apps_for_celerys_own_command_serve_their_families_queues() -> None:
    code = (
        "import importlib\n"
        "for family in ('onnx', 'piper', 'yourtts'):\n"
        "    app = importlib.import_module(f'workers.{family}').app\n"
        "    print(*app.amqp.queues.consume_from, app.conf.worker_concurrency)\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FARM_")}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "FARM_BROKER_URL": "redis://:secret@127.0.0.1:1/0", "FARM_CHILDREN": "3"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        f"tts.{family}.now tts.{family} 3" for family in ("onnx", "piper", "yourtts")
    ]
