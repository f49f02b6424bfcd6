"""`farm jobs`, against a real Redis and a real store."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farm import keys, standing
from farm.cli import jobs, listing
from farm.errors import Conflict, InvalidInput, JobError, NotFound
from farm.jobs import Output
from tests.cli.conftest import Command
from tests.running import Running

Data = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("farm")

LINES = "\n".join(
    json.dumps({"id": name, "text": text})
    for name, text in [("one", "First line."), ("two", "Second line [[fail]]"), ("three", "Third.")]
)


def spoken(farm: Running, job: str = "speech-aa11", text: str = "A sentence. And one.") -> str:
    """Bring a job to its end."""
    farm.submit(text, job)
    assert farm.finish(job) == "completed"
    return job


def test_no_jobs_are_an_empty_list(data: Data, command: Command) -> None:
    assert data("jobs", "list") == []
    assert command("jobs", "list").stdout == ""


def test_jobs_are_listed_newest_first(farm: Running, data: Data) -> None:
    for age_s, job in [(50, "b"), (500, "a"), (5, "c")]:
        farm.submit("Hello.", job, created=time.time() - age_s)
    assert [row["job"] for row in data("jobs", "list")] == ["c", "b", "a"]
    assert [row["job"] for row in data("jobs", "list", "--limit", "2")] == ["c", "b"]


@pytest.mark.parametrize("lost", [False, True])
def test_jobs_are_listed_by_their_state_however_many_came_later(
    lost: bool, farm: Running, data: Data
) -> None:
    farm.submit("Hello.", "old")
    data("jobs", "cancel", "old")
    for job in ("a", "b"):
        spoken(farm, job)
    if lost:
        farm.redis.flushall()
    for state, expected in (("cancelled", ["old"]), ("completed", ["b", "a"]), ("failed", [])):
        found = data("jobs", "list", "--state", state, "--limit", "2")
        assert [row["job"] for row in found] == expected


def test_a_line_of_the_list_says_state_kind_progress_age_and_title(
    farm: Running, command: Command
) -> None:
    farm.submit("Hello. And more.", "job-1", title="Greetings", created=time.time() - 130)
    assert farm.finish("job-1") == "completed"
    headings, line = command("jobs", "list").stdout.splitlines()
    assert headings.split() == ["JOB", "STATE", "KIND", "PROGRESS", "AGE", "TITLE"]
    assert line.split() == [
        *["job-1", "completed", "speech", "2/2", "100%", "2", "min", "Greetings"]
    ]


def test_a_job_without_a_title_is_listed_by_its_file(farm: Running, data: Data) -> None:
    farm.submit("Hello.", "job-1", name="hello.txt")
    assert [row["title"] for row in data("jobs", "list")] == ["hello.txt"]


def test_a_title_cannot_move_the_cursor(farm: Running, command: Command) -> None:
    farm.submit("Hello.", "job-1", title="Red \x1b[31m alert\nnext")
    assert "\x1b" not in command("jobs", "list").stdout
    assert len(command("jobs", "list").stdout.splitlines()) == 2


def test_what_redis_forgot_is_listed_from_the_store(farm: Running, data: Data) -> None:
    spoken(farm, "ended")
    farm.submit("Hello.", "waiting", created=time.time() - 60)
    farm.redis.flushall()
    rows = data("jobs", "list")
    assert [(row["job"], row["state"]) for row in rows] == [
        ("ended", "completed"),
        ("waiting", "queued"),
    ]
    assert data("jobs", "list", "--live") == []


def test_the_list_leaves_out_the_jobs_of_another_farm(
    farm: Running, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken(farm, "ours")
    monkeypatch.setenv("FARM_ID", "another")
    assert data("jobs", "list") == []


def test_a_job_without_its_spec_is_no_job(farm: Running, data: Data) -> None:
    farm.farm.store.put("jobs/late/rev/1/attempt/x/spec.json", b"{}")
    assert data("jobs", "list") == []


def test_a_listing_reads_every_page_of_the_ledger(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        farm.submit("Hello.", f"job-{number}")
    monkeypatch.setattr(listing, "PAGE", 2)
    assert sorted(listing.live_ids(farm.farm)) == [f"job-{number}" for number in range(5)]


def test_show_says_hits_and_misses(farm: Running, command: Command, data: Data) -> None:
    spoken(farm, "first", "The same. Only once.")
    spoken(farm, "second", "The same. Something else.")
    shown = data("jobs", "show", "second")
    assert (shown["hits"], shown["misses"]) == (1, 1)
    text = command("jobs", "show", "second").stdout
    assert "hits      1 of the segments were stored already\n" in text
    assert "misses    1 of the segments had to be spoken\n" in text


def test_show_says_how_long_an_ended_job_took_and_its_priority(
    farm: Running, command: Command, data: Data
) -> None:
    farm.submit("Hello.", "job-1", priority="bulk")
    assert "\ntook" not in command("jobs", "show", "job-1").stdout
    farm.finish("job-1")
    shown = data("jobs", "show", "job-1")
    said = dict(
        line.split(maxsplit=1) for line in command("jobs", "show", "job-1").stdout.splitlines()[:9]
    )
    assert said["priority"] == "bulk"
    assert said["took"] == f"{shown['ended'] - shown['begun']:.1f} s, with its turns to wait for"


def test_show_has_the_real_time_factor_of_what_was_spoken(farm: Running, data: Data) -> None:
    spoken(farm, "first", "The same.")
    shown = data("jobs", "show", "first")
    assert shown["rtf"] == round(shown["compute_ms"] / shown["audio_ms"], 4)
    spoken(farm, "second", "The same.")
    assert data("jobs", "show", "second")["rtf"] is None


def test_show_lists_the_outputs_of_the_manifest(
    farm: Running, data: Data, command: Command
) -> None:
    spoken(farm, "job-1")
    (file,) = [each for each in data("jobs", "show", "job-1")["outputs"] if each["format"] == "wav"]
    assert len(farm.farm.store.get(file["key"])) == file["size"]
    assert file["seconds"] > 0
    assert f"{file['name']}  wav" in command("jobs", "show", "job-1").stdout


def test_show_names_what_failed_with_item_sentence_and_error(
    farm: Running, data: Data, command: Command
) -> None:
    farm.submit(LINES, "lines", "batch")
    assert farm.finish("lines") == "completed"
    (lost,) = data("jobs", "show", "lines")["failures"]
    assert lost["id"] == "two"
    assert "[[fail]]" in lost["text"]
    assert "asked to fail" in lost["error"]
    text = command("jobs", "show", "lines").stdout
    assert "failures\n  item two  'Second line [[fail]]': asked to fail" in text
    assert "3/3 100%, 1 failed" in text


def test_show_names_the_items_that_held_nothing_to_speak(farm: Running, data: Data) -> None:
    lines = [{"id": "good", "text": "Hi."}, {"id": "stars", "text": "***"}, {"id": "bad"}]
    farm.submit("\n".join(map(json.dumps, lines)), "lines", "batch")
    farm.finish("lines")
    lost = {row["id"]: row["error"] for row in data("jobs", "show", "lines")["failures"]}
    assert lost == {"bad": "line 3: 'text' is missing", "stars": "nothing to speak in '***'"}


def test_show_prints_no_more_than_a_screen_of_outputs(
    farm: Running, command: Command, data: Data
) -> None:
    rows = [json.dumps({"id": f"l{number}", "text": "Hi."}) for number in range(30)]
    farm.submit("\n".join(rows), "many", "batch")
    farm.finish("many")
    outputs = data("jobs", "show", "many")["outputs"]
    text = command("jobs", "show", "many").stdout
    assert f"  and {len(outputs) - jobs.SHOWN} more; --json prints all\n" in text
    assert len([line for line in text.splitlines() if line.startswith("  l")]) == jobs.SHOWN


def test_a_job_that_waits_can_be_shown(farm: Running, command: Command, data: Data) -> None:
    farm.submit("Hello.", "job-1")
    assert data("jobs", "show", "job-1")["outputs"] == []
    assert "state     queued\n" in command("jobs", "show", "job-1").stdout
    farm.redis.flushall()
    assert "state     queued\n" in command("jobs", "show", "job-1").stdout


def test_a_failed_job_is_shown_with_its_reason(farm: Running, command: Command) -> None:
    farm.submit(" \n", "job-1", name="blank.txt")
    assert farm.finish("job-1") == "failed"
    assert "error     nothing to speak\n" in command("jobs", "show", "job-1").stdout


@pytest.mark.parametrize("typed", ["book-12ab", "book-12", "book", "b"])
def test_the_beginning_of_an_id_is_enough(farm: Running, data: Data, typed: str) -> None:
    farm.submit("Hello.", "book-12ab")
    farm.submit("Hello.", "speech-1")
    assert data("jobs", "show", typed)["job"] == "book-12ab"


def test_an_ambiguous_beginning_names_the_jobs(farm: Running, command: Command) -> None:
    for number in range(7):
        farm.submit("Hello.", f"job-{number}")
    with pytest.raises(Conflict, match=r"of 7 jobs: job-0, .*job-4, \.\.\.; give more"):
        command("jobs", "show", "job")


def test_an_id_that_others_begin_with_means_itself(farm: Running, data: Data) -> None:
    farm.submit("Hello.", "job")
    farm.submit("Hello.", "job-2")
    assert data("jobs", "show", "job")["job"] == "job"


def test_an_unknown_job_is_named(command: Command) -> None:
    with pytest.raises(NotFound, match="no job 'nothing'; `farm jobs list` shows them"):
        command("jobs", "cancel", "nothing")


@pytest.mark.parametrize("typed", ["../etc", "a/b", "", "*"])
def test_what_can_be_no_id_is_refused(command: Command, typed: str) -> None:
    with pytest.raises(InvalidInput, match="is not valid"):
        command("jobs", "show", typed)


def test_watch_returns_when_the_job_has_ended(farm: Running, command: Command, data: Data) -> None:
    spoken(farm, "job-1")
    assert command("jobs", "watch", "job").stdout == "job-1 completed: 2/2 100%\n"
    assert data("jobs", "watch", "job")["state"] == "completed"


def test_watching_a_job_that_failed_fails(farm: Running, command: Command) -> None:
    farm.submit(" ", "job-1", name="blank.txt")
    farm.finish("job-1")
    with pytest.raises(JobError, match="nothing to speak"):
        command("jobs", "watch", "job-1")


def test_fetch_writes_the_files_of_a_job_of_any_kind(
    farm: Running, command: Command, data: Data, tmp_path: Path
) -> None:
    farm.submit(LINES, "lines", "batch")
    farm.finish("lines")
    folder = tmp_path / "made" / "lines"
    said = command("jobs", "fetch", "li", "-o", folder).stdout.splitlines()
    listed = [
        each for each in data("jobs", "show", "lines")["outputs"] if each["format"] != "marks"
    ]
    assert said == [str(folder / each["name"]) for each in listed]
    assert [Path(path).stat().st_size for path in said] == [each["size"] for each in listed]
    assert json.loads((folder / "manifest.json").read_bytes())["job"] == "lines"


def test_a_fetched_book_comes_without_the_chapters_that_are_in_it(
    farm: Running, data: Data, tmp_path: Path
) -> None:
    how = Output("m4a", "m4b", subtitles=("srt",))
    farm.submit("# One\n\nHello.\n", "book", "book", output=how, title="Up / ../ and away")
    farm.finish("book")
    (m4b, whole, one) = data("jobs", "fetch", "book", "-o", tmp_path / "book")
    assert [each["format"] for each in (m4b, whole, one)] == ["m4b", "srt", "srt"]
    assert Path(m4b["path"]).parent == Path(one["path"]).parent == tmp_path / "book"
    assert Path(m4b["path"]).read_bytes() == farm.farm.store.get(m4b["key"])


def test_a_job_that_has_no_files_yet_is_not_fetched(
    farm: Running, command: Command, tmp_path: Path
) -> None:
    farm.submit("Hello.", "job-1")
    with pytest.raises(NotFound, match="job job-1 is queued and has no files"):
        command("jobs", "fetch", "job-1", "-o", tmp_path / "none")


def test_a_cancelled_job_does_no_more(farm: Running, command: Command) -> None:
    farm.submit("Hello.", "job-1")
    assert command("jobs", "cancel", "job-1").stdout == "job-1 cancelled\n"
    farm.drain()
    assert farm.show("job-1")["state"] == "cancelled"
    assert farm.segments() == []


def test_what_has_ended_cannot_be_cancelled_paused_or_resumed(
    farm: Running, command: Command
) -> None:
    spoken(farm, "job-1")
    for verb in ("cancel", "pause", "resume"):
        with pytest.raises(Conflict, match="'job-1' has ended already"):
            command("jobs", verb, "job-1")


def test_a_paused_job_waits_until_it_is_resumed(farm: Running, command: Command) -> None:
    farm.submit("Hello. And more.", "job-1", kind="book")
    farm.until("page")
    assert command("jobs", "pause", "job-1").stdout == "job-1 paused\n"
    farm.drain()
    assert farm.show("job-1")["state"] == "paused"
    assert farm.segments() == []
    assert command("jobs", "resume", "job-1").stdout == "job-1 running\n"
    assert farm.finish("job-1") == "completed"


def test_several_jobs_at_once(farm: Running, data: Data) -> None:
    for job in ("a", "b"):
        farm.submit("Hello.", job)
    assert data("jobs", "cancel", "a", "b") == [
        {"job": "a", "state": "cancelled"},
        {"job": "b", "state": "cancelled"},
    ]


def test_a_retry_is_a_new_revision_that_speaks_only_what_is_missing(
    farm: Running, command: Command, data: Data
) -> None:
    farm.submit(LINES, "lines", "batch")
    farm.finish("lines")
    assert command("jobs", "retry", "lines").stdout == "lines revision 2\n"
    assert farm.finish("lines") == "completed"
    shown = data("jobs", "show", "lines")
    assert (shown["revision"], shown["hits"], shown["misses"]) == (2, 2, 1)


def test_a_running_job_is_not_retried(farm: Running, command: Command) -> None:
    farm.submit("Hello.", "job-1")
    with pytest.raises(Conflict, match="has not ended"):
        command("jobs", "retry", "job-1")


def test_removing_a_job_deletes_its_outputs_and_keeps_its_segments(
    farm: Running, command: Command, data: Data
) -> None:
    spoken(farm, "job-1")
    kept = farm.segments()
    assert command("jobs", "rm", "job-1").stdout == "job-1 removed\n"
    assert list(farm.farm.store.list("jobs/")) == []
    assert farm.segments() == kept
    assert data("jobs", "list") == []


def test_a_running_job_is_removed_by_force_only(farm: Running, command: Command) -> None:
    farm.submit("Hello.", "job-1")
    with pytest.raises(Conflict, match="has not ended"):
        command("jobs", "rm", "job-1")
    assert farm.farm.store.exists(keys.spec("job-1"))
    command("jobs", "rm", "--force", "job-1")
    assert list(farm.farm.store.list("jobs/")) == []
    assert list(farm.farm.store.list("open/")) == []


def test_force_also_removes_what_has_ended(farm: Running, command: Command) -> None:
    spoken(farm, "job-1")
    command("jobs", "rm", "--force", "job-1")
    with pytest.raises(NotFound):
        standing.current(farm.farm, "job-1")


def test_an_error_is_one_line_and_an_exit_code() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "farm.cli", "jobs", "show", "none"], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stderr == "farm: no job 'none'; `farm jobs list` shows them\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
     (86_399, "23 h"), (86_400, "1 d"), (400 * 86_400, "400 d")],
)  # fmt: skip
def test_an_age_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert jobs.age(seconds) == said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "-"),
        ({"segments_total": 0}, "-"),
        ({"segments": 3, "segments_total": 9, "pages_total": 0, "pages_done": 1}, "3/9+"),
        ({"segments": 3, "segments_total": 9, "pages_total": 2, "pages_done": 1}, "3/9+"),
        ({"segments": 3, "segments_total": 9, "pages_total": 2, "pages_done": 2}, "3/9 33%"),
        (
            {"segments": 9, "segments_total": 9, "pages_total": 1, "pages_done": 1, "failed": 2},
            "9/9 100%, 2 failed",
        ),
    ],
)
def test_progress_is_a_share_once_all_is_planned(counts: dict[str, int], said: str) -> None:
    assert jobs.progress(counts) == said
