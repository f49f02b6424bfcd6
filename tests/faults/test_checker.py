"""The judge itself: it has nothing to say of a farm that was left alone, and sees what is wrong."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from farm.jobs import Kind, Output
from farm.submission import Draft, accept
from tests.faults.checker import Folder, Samples, Verdict, check
from tests.faults.work import sentences
from tests.running import Running, running

LINES, CHAPTERS = 3, 2
#: Sentences of each.
EACH = 3
RECORD: dict[str, Any] = {
    "accepted": [
        {"owner": "ann", "name": "lines", "webhook": False},
        {"owner": "ann", "name": "book", "webhook": True},
    ],
    "told": ["book"],
}


def submit(farm: Running, name: str, kind: Kind, data: str) -> None:
    spec = farm.spec(kind=kind, name="book.md", output=Output("flac", loudness=None))
    assert accept(farm.farm, Draft(spec, data.encode(), 0), "ann", name=name)[1]


@pytest.fixture(scope="module")
def made(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a farm that spoke a book and some lines."""
    folder = tmp_path_factory.mktemp("made")
    words = iter(sentences(1, (LINES + CHAPTERS) * EACH))

    def some() -> str:
        return " ".join(next(words) for _ in range(EACH))

    with running(redis_server, folder) as farm:
        farm.redis.flushall()
        rows = [json.dumps({"id": f"l{n}", "text": some()}) for n in range(LINES)]
        submit(farm, "lines", "batch", "\n".join(rows))
        book = [f"# Number {n}\n\n{some()}\n" for n in range(CHAPTERS)]
        submit(farm, "book", "book", "\n".join(book))
        farm.drain()
    return folder / "store"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A copy of that store, to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def judged(store: Path, **changes: Any) -> Verdict:
    return check(Folder(store), {**RECORD, **changes})


def one(store: Path, pattern: str) -> Path:
    return sorted(store.glob(f"jobs/ann~{pattern}"))[0]


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def remix(store: Path, change: Callable[[Samples], Samples]) -> None:
    """Change the first line's audio."""
    path = one(store, "lines~*/rev/1/attempt/*/items/00000.flac")
    samples, rate = soundfile.read(path, dtype="int16")
    data = io.BytesIO()
    soundfile.write(data, change(samples), rate, "PCM_16", format="FLAC")
    path.write_bytes(data.getvalue())


def without_the_end(samples: Samples) -> Samples:
    return samples[: len(samples) * 2 // 3]


def twice(samples: Samples) -> Samples:
    return np.concatenate([samples, samples])


def turned_round(samples: Samples) -> Samples:
    half = len(samples) // 2
    return np.concatenate([samples[half:], samples[:half]])


def test_there_is_nothing_to_say_of_a_farm_that_was_left_alone(made: Path) -> None:
    verdict = check(Folder(made), RECORD, Folder(made))
    assert verdict.complaints == []
    headings = CHAPTERS
    assert (verdict.jobs, verdict.segments) == (2, (LINES + CHAPTERS) * EACH + headings)
    assert verdict.chunks > 2
    assert (verdict.lost, verdict.duplicated) == (0, 0)


@pytest.mark.parametrize(
    ("change", "lost", "duplicated"),
    [(without_the_end, 1, 0), (twice, 0, EACH), (turned_round, EACH, 0)],
)
def test_audio_that_is_missing_or_doubled_or_in_another_order_is_found(
    store: Path, change: Callable[[Samples], Samples], lost: int, duplicated: int
) -> None:
    remix(store, change)
    verdict = judged(store)
    assert verdict.lost >= lost
    assert bool(verdict.lost) == bool(lost)
    assert verdict.duplicated == duplicated
    assert any("samples" in line or "at sample" in line for line in verdict.complaints)


def test_a_sound_between_two_segments_is_found(store: Path) -> None:
    def click(samples: Samples) -> Samples:
        quiet = np.flatnonzero(np.convolve(np.abs(samples), np.ones(400), "valid") == 0)
        samples = samples.copy()
        samples[quiet[0] + 200] = 1000
        return samples

    remix(store, click)
    assert any("something sounds" in line for line in judged(store).complaints)


@pytest.mark.parametrize("name", ["segments", "chunks_done", "items_done", "hits", "failed"])
def test_a_counter_that_counts_something_twice_is_found(store: Path, name: str) -> None:
    def count(status: dict[str, Any]) -> None:
        status[name] += 1

    rewrite(one(store, "book~*/rev/1/status.json"), count)
    assert any(name in line for line in judged(store).complaints)


def test_a_job_without_an_end_is_found(store: Path) -> None:
    one(store, "book~*/rev/1/status.json").unlink()
    assert any("status.json" in line for line in judged(store).complaints)


def test_a_job_that_failed_is_found(store: Path) -> None:
    rewrite(one(store, "book~*/rev/1/status.json"), lambda status: status.update(state="failed"))
    assert "book: failed" in judged(store).complaints


def test_a_job_that_was_accepted_and_is_not_there_is_found(store: Path) -> None:
    accepted = [*RECORD["accepted"], {"owner": "ann", "name": "third", "webhook": False}]
    assert judged(store, accepted=accepted).complaints == [
        "ann's third: KeyError: 'names/ann/third'"
    ]


def test_a_job_that_was_accepted_twice_is_found(store: Path) -> None:
    folder = next(store.glob("jobs/ann~book~*"))
    shutil.copytree(folder, folder.with_name("ann~book~00000000"))
    assert any("accepted as" in line for line in judged(store).complaints)


def test_a_webhook_that_never_came_is_found(store: Path) -> None:
    assert judged(store, told=[]).complaints == ["ann's book: its webhook never came"]


def test_a_marker_that_was_left_is_found(store: Path) -> None:
    job = next(store.glob("jobs/ann~book~*")).name
    (store / "open").mkdir(exist_ok=True)
    (store / "open" / f"{job}~1").write_text("0")
    (store / "open" / "never-accepted~1").write_text("0")
    assert judged(store).complaints == [f"open/{job}~1: a marker of something unfinished"]


def test_a_file_that_is_not_what_the_manifest_says_is_found(store: Path) -> None:
    path = one(store, "book~*/rev/1/attempt/*/items/00001.jsonl")
    path.write_bytes(path.read_bytes() + b"\n")
    assert any("not what the manifest says" in line for line in judged(store).complaints)


def test_other_bytes_than_those_of_an_undisturbed_run_are_found(store: Path, made: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["items"][0]["files"]["flac"]["sha256"] = "0" * 64

    rewrite(one(store, "book~*/rev/1/manifest.json"), change)
    verdict = check(Folder(store), RECORD, Folder(made))
    assert "book: other bytes than those of an undisturbed run" in verdict.complaints


class Versions(Folder):
    """A folder of which everything is said to have been written twice."""

    def written(self) -> Mapping[str, int]:
        return dict.fromkeys(self.keys(""), 2)


def test_a_segment_or_a_terminal_record_that_was_written_twice_is_found(made: Path) -> None:
    complaints = check(Versions(made), RECORD).complaints
    segments = Folder(made).keys("segments/")
    assert {f"{key}: written 2 times" for key in segments} < set(complaints)
    assert {"book: 2 terminal records", "lines: 2 terminal records"} < set(complaints)
