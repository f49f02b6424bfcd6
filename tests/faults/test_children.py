"""Real worker children whose engine leaks, hangs, dies, or gives what is no speech."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from farm import standing
from farm.audio import flac
from farm.ledger import Events
from tests.faults.misbehaving import ACTS, LEAK, SIGNALS
from tests.tasks.real_worker import Worker, worker

ENGINE = "tests.faults.misbehaving:Misbehaving"
#: Seconds for a pass in these tests.
PASS_S = 2
#: What ends a child, how its parent tells, and how the job does.
DEADLY = {
    "segv": ("signal 11 (SIGSEGV)", "signal SIGSEGV"),
    "exit": ("exitcode 3", "exit code 3"),
    "kill": ("signal 9 (SIGKILL)", "signal SIGKILL"),
    "spin": ("exitcode 1", f"it hangs, for {PASS_S} s at least"),
    "native": ("exitcode 1", f"it hangs, for {PASS_S} s at least"),
    "keyboard": ("", "signal SIGINT"),
}
MEANT_WELL = "of the batch is spoken by whoever is free and has nothing else to do, as it is the"


@contextmanager
def misbehaving(url: str, folder: Path, **environment: str) -> Iterator[Worker]:
    chosen = {"PRETEND_ENGINE": ENGINE, "FARM_PASS_S": str(PASS_S), **environment}
    with worker(url, folder, **chosen) as made:
        yield made


def lines(marks: Sequence[str]) -> str:
    """A line for each mark among lines without; an empty mark is a line without, too."""
    texts = [f"Line {n} {MEANT_WELL} {n} [[{mark}]]." for n, mark in enumerate(marks)]
    rows = [{"id": f"l{n}", "text": text.replace(" [[]]", "")} for n, text in enumerate(texts)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def ended(made: Worker) -> dict[str, Any]:
    """The record of the job when every segment is spoken or given up, and nothing is lost."""
    record = made.record(
        lambda record: (
            bool(record["pages_done"])
            and record["pages_done"] == record["pages_total"]
            and record["segments"] == record["segments_total"]
        )
    )
    made.farm.drain()
    return record


def failed(made: Worker) -> dict[str, str]:
    """Mark to error of what could not be spoken; each mark once."""
    rows = list(standing.failures(made.farm.farm, "j"))
    found = {re.findall(r"\[\[(\w+)\]\]", row["text"])[0]: row["error"] for row in rows}
    assert len(found) == len(rows)
    return found


def asked(made: Worker) -> Counter[str]:
    """How many processes tried each mark."""
    tried = [set(re.findall(r"\[\[(\w+)\]\]", path.read_text())) for path in made.notes.iterdir()]
    return Counter(mark for marks in tried for mark in marks)


def assert_all_is_sound(made: Worker, spoken: int) -> None:
    """Whatever is stored is whole, and as long as its text."""
    keys = made.farm.segments()
    assert len(keys) == spoken
    for key in keys:
        audio, comments = flac.decode(made.farm.farm.store.get(key))
        assert audio.seconds > 0.02 * len(comments["TEXT"])
        assert abs(audio.samples).max() > 0.1


def test_whatever_an_engine_gives_or_raises_costs_its_own_line_and_no_child(
    redis_url: str, tmp_path: Path
) -> None:
    odd = ["memory", "recursion", "system", "runtime", "count", *SIGNALS]
    marks = [mark for each in odd for mark in (each, "")]
    with misbehaving(redis_url, tmp_path) as made:
        made.submit(lines(marks), kind="batch")
        record = ended(made)
        assert record["failed"] == len(odd)
        errors = failed(made)
        assert errors.keys() == set(odd)
        assert errors["recursion"].startswith("the engine failed: RecursionError: maximum")
        assert errors["count"] == "the engine gave 2 signals for 1 segments"
        assert errors["silence"].startswith("the engine gave")
        assert "of silence for" in errors["silence"]
        assert_all_is_sound(made, record["segments_total"] - len(odd))
        assert asked(made) == dict.fromkeys([*odd], 1)
        assert "exited with" not in made.log.read_text()
        assert made.end() == 0


@pytest.mark.parametrize(
    "marks",
    [("segv",), pytest.param(tuple(DEADLY), marks=pytest.mark.faults)],
    ids=["one", "all"],
)
def test_a_text_that_ends_its_worker_costs_three_processes_and_its_own_line(
    marks: tuple[str, ...], redis_url: str, tmp_path: Path
) -> None:
    with misbehaving(redis_url, tmp_path) as made:
        made.submit(lines([each for mark in marks for each in ("", mark, "")]), kind="batch")
        record = ended(made)
        errors = failed(made)
        assert errors.keys() == set(marks)
        assert record["failed"] == len(marks)
        for mark in marks:
            assert errors[mark].startswith(f"it ends the process that speaks it: {DEADLY[mark][1]}")
        assert_all_is_sound(made, record["segments_total"] - len(marks))
        assert max(asked(made)[mark] for mark in marks) <= 3
        said = made.log.read_text()
        assert all(DEADLY[mark][0] in said for mark in marks)
        assert 0 < said.count("exited with") <= len(marks), "one child for each"
        assert made.end() == 0


def test_a_child_that_leaks_is_replaced_between_chunks_and_no_chunk_is_spoken_twice(
    redis_url: str, tmp_path: Path
) -> None:
    bound, chunks = 300 << 20, 20
    with misbehaving(redis_url, tmp_path, FARM_CHILD_BYTES=str(bound)) as made:
        made.submit(lines(["leak"] * chunks), kind="batch")
        record = ended(made)
        assert (record["failed"], record["hits"]) == (0, 0)
        assert record["misses"] == record["segments_total"] == len(made.farm.segments())
        # Two children that are never replaced would hold all of it.
        assert 2 < chunks * LEAK / bound <= asked(made)["leak"] <= chunks
        assert not made.farm.redis.exists("farm:attempts:j")
        assert "exited with" not in made.log.read_text()
        waits = [kind for _, kind, _ in Events(made.farm.farm.ledger).of("j") if kind == "waiting"]
        assert waits == []
        assert made.end() == 0


def test_every_act_is_tried_somewhere() -> None:
    assert set(DEADLY) | {"leak", "memory", "recursion", "system", "runtime"} == set(ACTS)
