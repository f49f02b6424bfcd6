"""A batch on the command line: which voices its lines name, and its files and results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm import keys, lifecycle
from farm.assembly import ItemRecord
from farm.audio.replacing import replacing
from farm.cli.session import catalogue
from farm.cli.watching import console, manifest, records
from farm.config import Settings
from farm.errors import JobError, NotFound
from farm.farm import Farm
from farm.text.lines import Line, read_lines

#: Lines that could not be spoken, of which the terminal hears.
SHOWN = 20


def voices_named(path: Path, settings: Settings) -> set[str]:
    """Return the voices that a file's lines name and this host knows; others fail their line."""
    known = catalogue(settings)
    with path.open("rb") as stream:
        named = {line.voice for line in read_lines(stream) if isinstance(line, Line)}
    return {voice for voice in named if voice and voice in known}


def fetch(farm: Farm, record: Mapping[str, Any], folder: Path) -> tuple[int, int]:
    """Write every line's file and results.jsonl; return how many were spoken and how many not.

    The first `SHOWN` that were not are said on the terminal.

    Raises:
        JobError: the job ended before there was anything to fetch.
    """
    job, done, failed = record["job"], 0, 0
    try:
        listed = manifest(farm, job)
    except NotFound:
        raise JobError(record.get("error") or f"job {job} is {record['state']}") from None
    lost: dict[int, str] = {}
    for row in lifecycle.failures(farm, job):
        lost.setdefault(row["item"], row["error"])
    with replacing(folder / "results.jsonl") as path, path.open("w", encoding="utf-8") as results:
        for item in records(listed):
            spoken = bool(item.files) and not item.failed
            done, failed = done + spoken, failed + (not spoken)
            row = _row(farm, item, folder, lost)
            if "error" in row and failed <= SHOWN:
                console.print(
                    f"{item.id}: {row['error']}", soft_wrap=True, markup=False, highlight=False
                )
            results.write(json.dumps(row, ensure_ascii=False) + "\n")
    farm.store.get_file(keys.manifest(job, listed["revision"]), folder / "manifest.json")
    return done, failed


def _row(farm: Farm, item: ItemRecord, folder: Path, lost: dict[int, str]) -> dict[str, object]:
    row: dict[str, object] = {"id": item.id}
    for file in item.files.values():
        farm.store.get_file(file.key, folder / file.name)
        row |= {"file": file.name, "seconds": file.seconds}
    if item.error or item.failed:
        row["error"] = lost.get(item.index) or item.error
    return row
