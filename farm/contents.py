"""What there is to know of a job: its record, what it made, and what it holds, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from farm import keys, standing
from farm.errors import NotFound
from farm.farm import Farm
from farm.jobs import Segment, Spec
from farm.plans import Head, Part, Passage
from farm.schema import from_json

Record = dict[str, Any]

#: Jobs that one call reads at most, whether it finds what was wanted or not.
LOOKED_AT = 1_000


def record(farm: Farm, job: str) -> Record:
    """Return a job's record, with its file's name where it has no title."""
    found = standing.show(farm, job)
    if not found.get("title") or "created" not in found:
        spec = farm.spec(job)
        known = {"kind": spec.kind, "owner": spec.owner, "voice": spec.voice}
        found = {**known, "created": spec.created, **found, "title": spec.title or spec.name}
    return found


def manifest(farm: Farm, job: str) -> dict[str, Any]:
    """Return the list of a job's outputs; `NotFound` before it has any."""
    key = keys.manifest(job, standing.current(farm, job))
    return dict(json.loads(farm.store.get(key)))


def lines(farm: Farm, job: str) -> Iterator[bytes]:
    """Yield the rows of a job's manifest, one an item, in JSON that is not read: they are many.

    Raises:
        NotFound: it has no outputs yet.
    """
    with farm.store.open(keys.manifest(job, standing.current(farm, job))) as stream:
        yield from told(stream)


def told(manifest: BinaryIO) -> Iterator[bytes]:
    """Yield the rows of an open manifest, one an item, in JSON that is not read."""
    manifest.readline()
    yield from (line.rstrip(b",\n") for line in manifest if line.startswith(b"{"))


def rows(farm: Farm, job: str, offset: int, count: int) -> Iterator[Record]:
    """Yield so many rows of a job's manifest from one on; raises as `lines` does."""
    yield from map(json.loads, islice(lines(farm, job), offset, offset + count))


def failures(farm: Farm, job: str) -> list[Record]:
    """Return what could not be spoken, by item; then the items that held nothing to speak."""
    found = lines(farm, job)
    try:
        told = [json.loads(line) for line in found if b'"error": ' in line or b'"failed": ' in line]
    except NotFound:
        told = []
    return list(_failures(told, list(standing.failures(farm, job))))


def details(farm: Farm, job: str) -> Record:
    """Return a job's record with its real-time factor, outputs, failures and warnings."""
    found = record(farm, job)
    listed = _manifest(farm, job)
    lost = list(_failures(listed["items"], list(standing.failures(farm, job))))
    made = {"outputs": list(outputs(listed)), "failures": lost, "warnings": _warnings(listed)}
    return {**found, "rtf": rtf(found), **made}


def rtf(record: Record) -> float | None:
    """Seconds of compute per second of audio that this revision spoke; None: it spoke none."""
    audio_ms = record.get("audio_ms", 0)
    return round(record["compute_ms"] / audio_ms, 4) if audio_ms else None


def _manifest(farm: Farm, job: str) -> Record:
    try:
        return manifest(farm, job)
    except NotFound:
        return {"package": {}, "items": []}


def _failures(items: Sequence[Record], lost: list[Record]) -> Iterator[Record]:
    names = {row["index"]: row["id"] for row in items}
    for row in lost:
        yield {**row, "id": names.get(row["item"], str(row["item"]))}
    told = {row["item"] for row in lost}
    for row in items:
        if row.get("error") and row["index"] not in told:
            yield {"item": row["index"], "text": "", "error": row["error"], "id": row["id"]}


def _warnings(listed: Record) -> list[Record]:
    """Return what was spoken with something missing, by item."""
    rows = [(row, notice) for row in listed["items"] for notice in row.get("warnings", ())]
    return [{"item": row["index"], "id": row["id"], **notice} for row, notice in rows]


def outputs(listed: Record) -> Iterator[Record]:
    """Yield every file of a manifest: the package first, then item by item."""
    for format_, file in listed["package"].items():
        yield {"item": None, "format": format_, **file}
    for row in listed["items"]:
        yield from _files(row)


def _files(row: Record) -> Iterator[Record]:
    for format_, file in row.get("files", {}).items():
        yield {"item": row["id"], "format": format_, **file}


def some_outputs(farm: Farm, job: str, offset: int, count: int) -> tuple[list[Record], bool]:
    """Return the files of so many items from one on, and whether there are more items.

    The package's files come before those of the first item. None before the job has any.
    """
    try:
        found = list(rows(farm, job, offset, count + 1))
        package = _package(farm, job) if not offset else {}
    except NotFound:
        return [], False
    return list(outputs({"package": package, "items": found[:count]})), len(found) > count


def _package(farm: Farm, job: str) -> Record:
    """Return the package's files, which the manifest's first line tells."""
    with farm.store.open(keys.manifest(job, standing.current(farm, job))) as stream:
        return dict(json.loads(stream.readline() + b"]}")["package"])


def page(
    farm: Farm, owner: str, count: int, after: str = "", wanted: Callable[[Record], bool] = bool
) -> tuple[list[Record], str]:
    """Return an owner's jobs, the newest first, that are `wanted`, and where to go on from.

    That is the `after` of the next call, empty where there is nothing more. A page may be short,
    even empty, though there is more: a call reads `LOOKED_AT` jobs at most.
    """
    found: list[Record] = []
    begins = keys.index(owner)
    rows = farm.store.list(begins, after=begins + after if after else "")
    last = ""
    for last in islice(rows, LOOKED_AT):
        try:
            row = record(farm, keys.indexed(last))
        except NotFound:
            continue  # being submitted, or removed
        if keys.index(owner, float(row["created"]), row["job"]) != last:
            continue  # somebody's who submitted the same, and was not the first
        if wanted(row):
            found.append(row)
        if len(found) == count:
            break
    else:
        last = last if next(rows, "") else ""
    return found, last.removeprefix(begins)


def cursor(owner: str, created: float, job: str) -> str:
    """Return what `page` takes as `after` to go on behind a job."""
    return keys.index(owner, created, job).removeprefix(keys.index(owner))


def items(farm: Farm, job: str, offset: int, count: int) -> list[Record]:
    """Return a job's items from one on: what they are and, as far as that is known, their files.

    An item has `index id title level segments spoken files`, perhaps `error failed seconds`;
    `segments` counts those planned so far, `spoken` those that are done.
    """
    revision = standing.current(farm, job)
    made = _made(farm, job, revision, offset, count)
    found: dict[int, Record] = {}
    for number in range(_page_of(farm, job, revision, offset), _pages(farm, job, revision)):
        for passage, part in _plan(farm, job, revision, number):
            index = passage.item.index
            if index >= offset + count:
                break
            if index >= offset:
                row = found.setdefault(index, _item(passage, made.get(index, {})))
                row["segments"] += len(part.segments) if part else 0
                row["parts"].append(passage.number)
        else:
            continue
        break
    _count_spoken(farm, job, found)
    return [found[index] for index in sorted(found)]


def _item(passage: Passage, made: Record) -> Record:
    item = passage.item
    row = {"index": item.index, "id": item.id, "title": item.title, "level": item.level}
    known = {name: made[name] for name in ("seconds", "failed", "error") if made.get(name)}
    return {**row, "segments": 0, "files": made.get("files", {}), **known, "parts": []}


def _count_spoken(farm: Farm, job: str, rows: dict[int, Record]) -> None:
    for index, row in rows.items():
        parts = row.pop("parts")
        if row["files"] or row.get("error"):
            row["spoken"] = row["segments"]
        else:
            spoken, counts = farm.ledger.progress(job, index, parts)
            row["spoken"] = row["segments"] if spoken else sum(counts)


def _made(farm: Farm, job: str, revision: int, offset: int, count: int) -> dict[int, Record]:
    """Return what was made of some items so far, by index."""
    if farm.store.exists(keys.manifest(job, revision)):
        return {row["index"]: row for row in rows(farm, job, offset, count)}
    found: dict[int, Record] = {}
    for key in farm.ledger.runs(job):
        span = keys.run_span(key)
        if span.stop <= offset or offset + count <= span.start:
            continue
        for line in farm.store.get(key).splitlines():
            row = json.loads(line)
            found[row.get("index", 0)] = row
    return found


def segments(farm: Farm, job: str, item: int) -> list[Record]:
    """Return the segments of an item that are planned, with the store keys of their audio.

    Raises:
        NotFound: there is no such item, or it is not read yet.
    """
    revision, spec = standing.current(farm, job), farm.spec(job)
    rows: list[Record] = []
    parts = None
    for number in range(_page_of(farm, job, revision, item), _pages(farm, job, revision)):
        for passage, part in _plan(farm, job, revision, number):
            if passage.item.index == item:
                parts = passage.parts
                held: Sequence[Segment] = part.segments if part else ()
                rows += [_segment(spec, segment) for segment in held]
        if parts is None or passage.item.index > item or passage.number + 1 == parts:
            break
    if parts is None:
        raise NotFound(f"job {job!r} has no item {item}, or it is not read yet")
    return rows


def _segment(spec: Spec, segment: Segment) -> Record:
    voice = spec.voices[segment.voice]
    return {
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "voice": segment.voice,
        "language": segment.language,
        "take": segment.prosody.take,
        "pause_ms": segment.pause_ms,
        "digest": segment.digest,
        "key": keys.segment(spec.owner, voice.digest, segment.digest),
    }


def _pages(farm: Farm, job: str, revision: int) -> int:
    """Count the pages that are read."""
    try:
        return from_json(Head, farm.store.get(keys.head(job, revision))).pages
    except NotFound:
        begins = keys.revision(job, revision, "plan", "source") + "/"
        return sum(1 for _ in farm.store.list(begins))


def _page_of(farm: Farm, job: str, revision: int, item: int) -> int:
    """Find the page that an item begins on: pages hold items in order, long ones on several."""
    low, high = 0, _pages(farm, job, revision)
    while low + 1 < high:
        middle = (low + high) // 2
        first = next(_passages(farm, job, revision, middle))
        begins_here = first.item.index < item or (first.item.index == item and not first.number)
        low, high = (middle, high) if begins_here else (low, middle)
    return low


def _passages(farm: Farm, job: str, revision: int, page: int) -> Iterator[Passage]:
    for row in farm.store.get(keys.plan(job, revision, "source", page)).splitlines():
        yield from_json(Passage, row)


def _plan(farm: Farm, job: str, revision: int, page: int) -> Iterator[tuple[Passage, Part | None]]:
    """Yield a page's passages and what is planned of them, where it is planned."""
    passages = list(_passages(farm, job, revision, page))
    try:
        rows = farm.store.get(keys.plan(job, revision, "pages", page)).splitlines()
    except NotFound:
        yield from ((passage, None) for passage in passages)
        return
    yield from zip(passages, (from_json(Part, row) for row in rows), strict=True)
