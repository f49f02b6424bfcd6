"""Follow a job on the terminal, and fetch what it made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from farm import contents, keys, standing
from farm.contents import Record
from farm.engines import FAMILIES
from farm.errors import JobError, Unavailable
from farm.farm import Farm
from farm.jobs import State
from farm.ledger import Events

#: Seconds between two looks at a job.
LOOK_S = 0.25
#: Seconds for which a job may wait for the world, with nothing done, before a command gives up.
PATIENCE_S = 8.0
#: Seconds between two looks whether Redis can write.
CHECK_S = 5.0
#: Seconds without an event after which a command looks for workers; a cold farm starts in fewer.
ALONE_S = 15.0

console = Console(stderr=True, highlight=False)


def watch(farm: Farm, job: str, quiet: bool = False) -> dict[str, Any]:
    """Show a job's progress until it has ended; return its record.

    Raises:
        JobError: the job failed, was cancelled or expired.
        Unavailable: the farm could not go on; the job stays and can be taken up again.
    """
    return completed(follow(farm, job, quiet))


def completed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a job that has been done, or raise `JobError` with the reason."""
    if record["state"] != State.COMPLETED:
        raise JobError(unfinished(record))
    return record


def unfinished(record: dict[str, Any]) -> str:
    """Say why a job is not done, and where to look."""
    job, error = record["job"], record.get("error")
    return f"{error}: farm jobs show {job}" if error else f"job {job} is {record['state']}"


def follow(farm: Farm, job: str, quiet: bool = False) -> dict[str, Any]:
    """Do as `watch`, but return the record of a job that ended badly, too."""
    record, patience = standing.show(farm, job), _Patience(farm, job)
    with _progress(quiet) as progress:
        bar = progress.add_task("waiting", total=None, speed="", eta="")
        begin = time.monotonic()
        start_audio = int(record.get("audio_ms", 0))
        while not State(record["state"]).terminal:
            time.sleep(LOOK_S)
            patience.look()
            record = standing.show(farm, job)
            _update(progress, bar, record, start_audio, time.monotonic() - begin)
    return record


def since(before: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Return a job's record with `misses` counted from an earlier record of the same run.

    What was spoken before that is a hit. An empty record, or one of another run, changes nothing.
    """
    misses = before.get("misses", 0) if before.get("begun") == record.get("begun") else 0
    if not misses:
        return record
    return {**record, "misses": record["misses"] - misses, "hits": record["hits"] + misses}


class _Patience:
    """Follows a job's events: units that wait for the world, and whether anything gets done."""

    def __init__(self, farm: Farm, job: str) -> None:
        """Begin after what has happened already: it may be mended."""
        self._farm, self._job = farm, job
        self._events = Events(farm.ledger)
        self._after, self._since, self._checked = "0", 0.0, 0.0
        self._stirred, self._told = time.monotonic(), False
        for id_, _, _ in self._events.of(job):
            self._after = id_

    def look(self) -> None:
        """Give up where nothing has been done for `PATIENCE_S` seconds, and say why."""
        if time.monotonic() > self._checked + CHECK_S:
            self._farm.ledger.check()  # otherwise no worker could say why it waits
            self._checked = time.monotonic()
        for id_, type_, data in self._events.of(self._job, self._after):
            self._after, self._stirred = id_, time.monotonic()
            if type_ != "waiting":
                self._since = 0.0
            elif not self._since:
                self._since = time.monotonic()
            elif time.monotonic() - self._since > PATIENCE_S:
                raise Unavailable(f"{data['reason']} (job {self._job} waits, and can go on later)")
        if not self._told and time.monotonic() - self._stirred > ALONE_S:
            self._stirred = time.monotonic()
            self._tell_of_missing_workers()

    def _tell_of_missing_workers(self) -> None:
        """Say once which family, of those that the job needs, has no worker."""
        engines = {voice.engine for voice in self._farm.spec(self._job).voices.values()}
        families = sorted({FAMILIES[engine] for engine in engines & FAMILIES.keys()})
        missing = [each for each in ("cpu", *families) if not self._farm.ledger.slots(each)]
        for family in missing[:1]:
            console.print(
                f"waiting: no worker of family {family!r} is running; start one with 'farm worker "
                f"--family {family}' (an embedded farm starts its own: see its "
                f"logs/worker-{family}.log)",
                soft_wrap=True,
                markup=False,
            )
            self._told = True


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} segments"),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[eta]}"),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden, transient=True) as progress:
        yield progress


def _update(
    progress: Progress, bar: TaskID, record: dict[str, Any], before_ms: int, elapsed: float
) -> None:
    done, total = record.get("segments", 0), record.get("segments_total", 0)
    audio_s = (record.get("audio_ms", 0) - before_ms) / 1000
    speed = f"{audio_s:.0f} s of audio, {audio_s / elapsed:.0f}x real time" if audio_s else ""
    known = record.get("pages_total") and record["pages_done"] == record["pages_total"]
    eta = f"{elapsed / done * (total - done):.0f} s to go" if known and done else ""
    state = "assembling" if total and done == total else record["state"]
    progress.update(
        bar, description=state, completed=done, total=total or None, speed=speed, eta=eta
    )


def fetch_all(farm: Farm, listed: Record, folder: Path) -> list[Record]:
    """Write a job's manifest and files into a folder; return the files with their paths.

    Not the marks, nor chapters that are in an M4B or an EPUB anyway.
    """
    hidden = {"marks"} | ({"m4a"} if {"m4b", "epub"}.intersection(listed["package"]) else set())
    rows = contents.outputs(listed)
    wanted = [row for row in rows if row["item"] is None or row["format"] not in hidden]
    path = folder / "manifest.json"
    farm.store.get_file(keys.manifest(listed["job"], listed["revision"]), path)
    return [fetch(farm, row, folder / row["name"]) for row in wanted]


def fetch(farm: Farm, file: Mapping[str, Any], path: Path) -> Record:
    """Write an output of a manifest to a local file; return it with its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    farm.store.get_file(file["key"], path)
    return {"path": str(path), **file}
