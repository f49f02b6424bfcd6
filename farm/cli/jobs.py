"""`farm jobs`: list, show, watch, fetch, cancel, retry, rm, pause, resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from farm import contents, lifecycle, revising, standing
from farm.cli import checking, listing, watching
from farm.cli.printing import JsonOption, out, print_json, print_table
from farm.cli.session import session
from farm.contents import Record
from farm.errors import NotFound
from farm.farm import Farm
from farm.jobs import State

app = typer.Typer(help="Jobs: list, show, watch and steer them.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id, or the beginning of it.")]
JobsArgument = Annotated[
    list[str], typer.Argument(metavar="JOB", help="Ids, or the beginnings of them.")
]

#: Outputs, failures and warnings that `show` prints; `--json` has them all.
SHOWN = 20

HEADINGS = ("JOB", "STATE", "KIND", "PROGRESS", "AGE", "TITLE")

#: Seconds to the units in which an age is said.
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    live: Annotated[
        bool, typer.Option("--live", help="Only those Redis knows; quick on a large store.")
    ] = False,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with session() as joined:
        found = listing.records(joined.farm, limit, live=live, state=state)
    if json:
        print_json(found)
    elif found:
        print_table([HEADINGS, *(row(record, time.time()) for record in found)])


@app.command()
def show(job: JobArgument, json: JsonOption = False) -> None:
    """Show a job: its state, counts, outputs, and what could not be spoken, or not whole."""
    with session() as joined:
        found = contents.details(joined.farm, listing.resolve(joined.farm, job))
    if json:
        print_json(found)
    else:
        print_details(found, time.time())


@app.command()
def watch(job: JobArgument, json: JsonOption = False) -> None:
    """Follow a job to its end; exit code 1 where something of it could not be spoken."""
    with session() as joined:
        name = listing.resolve(joined.farm, job)
        watching.watch(joined.farm, name, quiet=json)
        found = contents.record(joined.farm, name)
    if json:
        print_json(found)
    else:
        out.print(f"{name} {found['state']}: {progress(found)}")
    raise typer.Exit(bool(found["failed"]))


@app.command()
def fetch(
    job: JobArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")],
    json: JsonOption = False,
) -> None:
    """Write the files of an ended job to a folder, as `farm book` does."""
    checking.check_folder(output)
    with session() as joined:
        name = listing.resolve(joined.farm, job)
        try:
            listed = contents.manifest(joined.farm, name)
        except NotFound:
            state = standing.show(joined.farm, name)["state"]
            raise NotFound(f"job {name} is {state} and has no files") from None
        files = watching.fetch_all(joined.farm, listed, output)
    if json:
        print_json(files)
    else:
        out.print("\n".join(file["path"] for file in files), markup=False)


@app.command()
def cancel(jobs: JobsArgument, json: JsonOption = False) -> None:
    """Stop jobs at once; what was spoken stays for the next run."""
    _each(jobs, lambda farm, job: {"state": lifecycle.cancel(farm, job).value}, json)


@app.command()
def pause(jobs: JobsArgument, json: JsonOption = False) -> None:
    """Hold jobs until they are resumed."""
    _each(jobs, lambda farm, job: {"state": lifecycle.pause(farm, job).value}, json)


@app.command()
def resume(jobs: JobsArgument, json: JsonOption = False) -> None:
    """Go on with paused jobs."""
    _each(jobs, lambda farm, job: {"state": lifecycle.resume(farm, job).value}, json)


@app.command()
def retry(jobs: JobsArgument, json: JsonOption = False) -> None:
    """Run ended jobs again; only what is not stored is spoken. `watch` follows them."""
    _each(jobs, lambda farm, job: {"revision": revising.retry(farm, job)}, json)


@app.command()
def rm(
    jobs: JobsArgument,
    force: Annotated[bool, typer.Option("--force", help="Cancel what still runs first.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete jobs with their outputs; spoken segments stay for other jobs."""
    _each(jobs, lambda farm, job: remove(farm, job, force), json)


def remove(farm: Farm, job: str, force: bool) -> Record:
    """Delete a job; one that still runs only by force.

    Raises:
        Conflict: it still runs.
    """
    if force and not State(standing.show(farm, job)["state"]).terminal:
        lifecycle.cancel(farm, job)
    lifecycle.remove(farm, job)
    return {"removed": True}


def _each(names: list[str], act: Callable[[Farm, str], Record], json: bool) -> None:
    """Do something to each job, and say what became of it."""
    done = []
    with session() as joined:
        for job in [listing.resolve(joined.farm, name) for name in names]:
            done.append({"job": job, **act(joined.farm, job)})
            if not json:
                out.print(said(done[-1]))
    if json:
        print_json(done)


def said(done: Record) -> str:
    """Say in a line what was done to a job."""
    if "revision" in done:
        return f"{done['job']} revision {done['revision']}"
    return f"{done['job']} {done.get('state', 'removed')}"


def row(record: Record, now: float) -> tuple[str, ...]:
    """Return a job's line of the list."""
    named = record["job"], record["state"], record["kind"]
    return (*named, progress(record), age(now - record["created"]), record["title"])


def progress(record: Record) -> str:
    """Say how far a job is, in segments; `+` while more are being planned."""
    done, total = record.get("segments", 0), record.get("segments_total", 0)
    if not total:
        return "-"
    known = record.get("pages_total") and record["pages_done"] == record["pages_total"]
    share = f" {100 * done // total}%" if known else "+"
    lost = f", {record['failed']} failed" if record.get("failed") else ""
    return f"{done}/{total}{share}{lost}"


def age(seconds: float) -> str:
    """Say a length of time in its largest unit."""
    size, unit = next((each for each in _AGES if seconds >= each[0]), _AGES[-1])
    return f"{max(0, int(seconds // size))} {unit}"


def print_details(found: Record, now: float) -> None:
    """Print all that is known of a job."""
    print_table(list(facts(found, now)))
    rows = [_output_row(file) for file in found["outputs"]]
    _print_some("outputs", rows)
    _print_some("failures", [_failure_row(lost) for lost in found["failures"]])
    _print_some("warnings", [_warning_row(notice) for notice in found["warnings"]])


def facts(found: Record, now: float) -> Iterator[tuple[str, str]]:
    """Yield a job's facts with their names."""
    for name in (
        "job",
        "state",
        "error",
        "kind",
        "title",
        "voice",
        "owner",
        "priority",
        "revision",
    ):
        if found.get(name):
            yield name, str(found[name])
    yield "age", age(now - found["created"])
    if found.get("begun") and found.get("ended"):
        yield "took", f"{found['ended'] - found['begun']:.1f} s, with its turns to wait for"
    if "segments_total" not in found:
        return
    yield "items", f"{found['items_done']} of {found['items_total']}"
    yield "segments", progress(found)
    yield "hits", f"{found['hits']} of the segments were stored already"
    yield "misses", f"{found['misses']} of the segments had to be spoken"
    if found.get("warned"):
        yield "warned", f"{found['warned']} of the segments were spoken with something missing"
    if found["rtf"] is not None:
        spent, made = found["compute_ms"] / 1000, found["audio_ms"] / 1000
        yield "spoken", f"{made:.1f} s of audio in {spent:.1f} s of compute, RTF {found['rtf']}"
    if found.get("devices"):
        yield "devices", ", ".join(f"{name} ({n})" for name, n in found["devices"].items())
    if found.get("seconds"):
        yield "length", f"{found['seconds']:.1f} s"


def _output_row(file: Record) -> tuple[str, ...]:
    seconds = f"{file['seconds']:.1f} s" if file.get("seconds") else ""
    return "", file["name"], file["format"], seconds, f"{file['size']} bytes"


def _failure_row(lost: Record) -> tuple[str, ...]:
    text = f"{lost['text']!r}: " if lost.get("text") else ""
    return "", f"item {lost['id']}", f"{text}{lost['error']}"


def _warning_row(notice: Record) -> tuple[str, ...]:
    many = f" ({notice['segments']} segments)" if notice["segments"] > 1 else ""
    text = f"{notice['text']!r}: " if notice["text"] else ""
    return "", f"item {notice['id']}", f"{text}{notice['message']}{many}"


def _print_some(name: str, rows: list[tuple[str, ...]]) -> None:
    if rows:
        out.print(name)
        print_table(rows[:SHOWN])
    if len(rows) > SHOWN:
        out.print(f"  and {len(rows) - SHOWN} more; --json prints all")
