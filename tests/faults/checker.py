"""Judges what a farm left in its store. Imports nothing of the farm: what is promised, not how.

    verdict = check(Bucket(client, "farm", "prefix"), record, reference)

`record` has `accepted`, the jobs that a client was told are accepted (`name`, `owner`, `webhook`),
and `told`, the names of the jobs whose webhook came. `reference` is the store of an undisturbed
run of the same jobs, which were those of the owner `calm` if not of the same.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.homes import files_below

#: Milliseconds at either end of a segment in which it is faded: there samples only come nearer to
#: nothing.
FADE_MS = 5
#: Milliseconds of silence before and after an item.
EDGES_MS = {"book": (500, 1000), "batch": (0, 0), "speech": (0, 0)}
TERMINAL = {"completed", "failed", "cancelled", "expired"}

Samples = NDArray[np.int16]


class Objects(Protocol):
    """A store, as it is read here."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin so."""

    def get(self, key: str) -> bytes:
        """Return an object; KeyError where there is none."""

    def written(self) -> Mapping[str, int]:
        """Return how often each key was written, those times left out that followed a deletion."""


class Bucket:
    """A prefix of a bucket that keeps versions."""

    # Any: boto3 makes its clients while it runs.
    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, f"{prefix}/"

    def keys(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
        rows = [row for page in found for row in page.get("Contents", ())]
        return [row["Key"].removeprefix(self._prefix) for row in rows]

    def get(self, key: str) -> bytes:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except self._client.exceptions.NoSuchKey:
            raise KeyError(key) from None
        return bytes(found["Body"].read())

    def written(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
            for kind, one in (("Versions", 1), ("DeleteMarkers", -1)):
                for row in page.get(kind, ()):
                    counts[row["Key"].removeprefix(self._prefix)] += one
        return counts


class Folder:
    """A local folder, which keeps no versions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keys(self, prefix: str) -> list[str]:
        paths = files_below(self._folder)
        found = (path.relative_to(self._folder).as_posix() for path in paths)
        return sorted(key for key in found if key.startswith(prefix))

    def get(self, key: str) -> bytes:
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def written(self) -> Mapping[str, int]:
        return {}


@dataclass
class Verdict:
    """What was found."""

    complaints: list[str] = field(default_factory=list)
    """Empty: everything is as it was promised."""
    jobs: int = 0
    chunks: int = 0
    segments: int = 0
    lost: int = 0
    """Segments of plans that are not where they belong in the output."""
    duplicated: int = 0
    """Segments that are in an output more than once."""

    def expect(self, fact: bool, complaint: str) -> None:
        """Complain unless it is so."""
        if not fact:
            self.complaints.append(complaint)


def check(
    store: Objects, record: Mapping[str, Any], reference: Objects | None = None, calm: str = ""
) -> Verdict:
    """Judge every accepted job, and what lies beside them."""
    verdict = Verdict()
    written = store.written()
    for row in record["accepted"]:
        where = f"{row['owner']}'s {row['name']}"
        try:
            _check_job(store, row, verdict, written)
            if reference is not None:
                _compare(store, row, verdict, reference, calm or row["owner"])
        except (KeyError, StopIteration, ValueError) as error:
            verdict.expect(False, f"{where}: {type(error).__name__}: {error}")
        if row.get("webhook"):
            verdict.expect(row["name"] in record["told"], f"{where}: its webhook never came")
    for key in unfinished(store):
        verdict.expect(False, f"{key}: a marker of something unfinished")
    for key, count in written.items():
        if key.startswith("segments/"):
            verdict.expect(count <= 1, f"{key}: written {count} times")
    return verdict


def unfinished(store: Objects) -> list[str]:
    """Return the markers of jobs that are not at their end.

    Where an API was killed while it wrote a job, so that nobody was told that it is accepted, the
    marker of that may stay for an hour.
    """
    found = ((key, key.removeprefix("open/").rpartition("~")[0]) for key in store.keys("open/"))
    return [key for key, job in found if store.keys(f"jobs/{job}/spec.json")]


def _check_job(
    store: Objects,
    row: Mapping[str, Any],
    verdict: Verdict,
    written: Mapping[str, int],
) -> None:
    owner, name = row["owner"], row["name"]
    job = store.get(f"names/{owner}/{name}").decode()
    called = f"jobs/{owner}~{name}~"
    specs = [key for key in store.keys(called) if key.endswith("/spec.json")]
    verdict.expect(specs == [f"jobs/{job}/spec.json"], f"{name}: accepted as {specs}")
    for revision in range(1, _current(store, job) + 1):
        folder = f"jobs/{job}/rev/{revision}"
        status = json.loads(store.get(f"{folder}/status.json"))
        verdict.expect(status["state"] == "completed", f"{name}: {status['state']}")
        times = written.get(f"{folder}/status.json", 1)
        verdict.expect(times == 1, f"{name}: {times} terminal records")
        _check_revision(store, folder, status, verdict)
    verdict.jobs += 1


def _compare(
    store: Objects, row: Mapping[str, Any], verdict: Verdict, reference: Objects, calm: str
) -> None:
    """Compare what was made of a job at last with what an undisturbed farm made of it."""
    found, wanted = (
        _outputs(s, owner, row["name"]) for s, owner in ((store, row["owner"]), (reference, calm))
    )
    same = found == wanted and bool(wanted)
    verdict.expect(same, f"{row['name']}: other bytes than those of an undisturbed run")


def _current(store: Objects, job: str) -> int:
    try:
        return int(store.get(f"jobs/{job}/current"))
    except KeyError:
        return 1


def _outputs(store: Objects, owner: str, name: str) -> dict[str, str]:
    """Name to SHA-256 of everything that the manifest of a job's last revision lists."""
    job = store.get(f"names/{owner}/{name}").decode()
    manifest = json.loads(store.get(f"jobs/{job}/rev/{_current(store, job)}/manifest.json"))
    return {file["name"]: file["sha256"] for file in _files(manifest)}


def _files(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (manifest["package"], *(item.get("files", {}) for item in manifest["items"])):
        yield from group.values()


def _rows(store: Objects, prefix: str) -> list[dict[str, Any]]:
    """Every line of every page under a prefix, in order."""
    pages = [store.get(key).splitlines() for key in sorted(store.keys(prefix))]
    return [json.loads(line) for page in pages for line in page]


def _check_revision(
    store: Objects, folder: str, status: Mapping[str, Any], verdict: Verdict
) -> None:
    spec = json.loads(store.get("/".join([*folder.split("/")[:2], "spec.json"])))
    manifest = json.loads(store.get(f"{folder}/manifest.json"))
    parts = _rows(store, f"{folder}/plan/pages/")
    families = {voice["family"] for voice in spec["voices"].values()}
    chunks = [row for name in families for row in _rows(store, f"{folder}/plan/{name}/")]
    _check_counts(folder, status, parts, chunks, manifest, verdict)
    for file in _files(manifest):
        data = store.get(file["key"])
        whole = hashlib.sha256(data).hexdigest() == file["sha256"] and len(data) == file["size"]
        verdict.expect(whole, f"{file['key']}: not what the manifest says")
    for item in manifest["items"]:
        own = sorted(
            (part for part in parts if part["item"] == item["index"]),
            key=lambda part: part.get("number", 0),
        )
        planned = [segment for part in own for segment in part["segments"]]
        _check_item(store, spec, item, planned, verdict)
    verdict.chunks += len(chunks)


def _check_counts(
    folder: str,
    status: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    chunks: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    verdict: Verdict,
) -> None:
    """Compare the record's counters with the plan: nothing is counted twice, nothing is missing."""
    planned = sum(len(part["segments"]) for part in parts)
    wanted = {
        "segments_total": planned,
        "segments": planned,
        "chunks_total": len(chunks),
        "chunks_done": len(chunks),
        "items_total": len(manifest["items"]),
        "items_done": len(manifest["items"]),
        "failed": 0,
    }
    for name, value in wanted.items():
        verdict.expect(status[name] == value, f"{folder}: {name} is {status[name]}, not {value}")
    verdict.expect(
        status["hits"] + status["misses"] == planned,
        f"{folder}: {status['hits']} hits and {status['misses']} misses of {planned} segments",
    )
    spoken = Counter(s["digest"] for chunk in chunks for s in chunk["segments"])
    listed = Counter(s["digest"] for part in parts for s in part["segments"])
    verdict.expect(spoken == listed, f"{folder}: its chunks hold other segments than its pages")


def _check_item(
    store: Objects,
    spec: Mapping[str, Any],
    item: Mapping[str, Any],
    planned: Sequence[Mapping[str, Any]],
    verdict: Verdict,
) -> None:
    """Find every planned segment in the item's audio, at its place and nowhere else."""
    name = f"{spec['id']}, item {item['index']}"
    audio, rate = _decoded(store.get(item["files"]["flac"]["key"]))
    stored = [_decoded(store.get(_segment_key(spec, segment))) for segment in planned]
    verdict.expect({own for _, own in stored} <= {rate}, f"{name}: not at its segments' rate")
    signals = [signal for signal, _ in stored]
    head, tail = (round(ms * rate / 1000) for ms in EDGES_MS[spec["kind"]])
    starts, at, silent = [], head, np.ones(len(audio), bool)
    for number, (segment, signal) in enumerate(zip(planned, signals, strict=True)):
        starts.append(at)
        silent[at : at + len(signal)] = False
        wrong = _find(audio, signals, number, at, rate, verdict)
        verdict.expect(not wrong, f"{name}, segment {number}: {wrong}")
        last = number == len(planned) - 1
        at += len(signal) + (0 if last else round(segment.get("pause_ms", 0) * rate / 1000))
    verdict.segments += len(planned)
    whole = len(audio) == at + tail
    verdict.expect(whole, f"{name}: {len(audio)} samples, its segments and pauses have {at + tail}")
    verdict.expect(not audio[silent].any(), f"{name}: something sounds between its segments")
    if "marks" in item["files"]:
        marked = _marked(store, item, rate)
        near = [abs(a - b) <= rate / 1000 for a, b in zip(marked, starts, strict=False)]
        right = all(near) and len(marked) == len(starts)
        verdict.expect(right, f"{name}: marks where its segments are not")


def _find(
    audio: Samples, signals: Sequence[Samples], number: int, at: int, rate: int, verdict: Verdict
) -> str:
    """Look for one of an item's segments: return what is wrong, or nothing."""
    signal, edge = signals[number], round(FADE_MS * rate / 1000)
    inside = signal[edge : len(signal) - edge].tobytes()
    # What sounds like another one, or the beginning of another one, is there as often as they are.
    wanted = sum(_occurrences(each.tobytes(), inside) for each in signals)
    count = _occurrences(audio.tobytes(), inside)
    verdict.duplicated += count > wanted
    here = audio[at : at + len(signal)]
    if audio[at + edge : at + len(signal) - edge].tobytes() != inside:
        verdict.lost += 1
        return f"not at sample {at}; {count} times elsewhere"
    faded = np.abs(here.astype(int)) <= np.abs(signal.astype(int)) + 1
    if not faded.all():
        return "louder at its edges than it was spoken"
    return "" if count == wanted else f"{count} times in its item, not {wanted}"


def _occurrences(data: bytes, part: bytes) -> int:
    count, at = 0, data.find(part)
    while at >= 0:
        count += at % 2 == 0
        at = data.find(part, at + 1)
    return count


def _segment_key(spec: Mapping[str, Any], segment: Mapping[str, Any]) -> str:
    voice, digest = spec["voices"][segment["voice"]]["digest"], segment["digest"]
    return f"segments/{spec['owner']}/{voice}/{digest[:2]}/{digest}.flac"


def _marked(store: Objects, item: Mapping[str, Any], rate: int) -> list[float]:
    """Where the sentences of an item begin by its marks, in samples."""
    marks = [json.loads(line) for line in store.get(item["files"]["marks"]["key"]).splitlines()]
    return [mark["start_ms"] * rate / 1000 for mark in marks if mark["type"] == "sentence"]


def _decoded(data: bytes) -> tuple[Samples, int]:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    return samples, int(rate)
