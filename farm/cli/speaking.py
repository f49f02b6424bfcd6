"""What the commands that speak share: their jobs, run to the end, and what they say of them."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from farm import contents, keys, lifecycle, revising, standing
from farm.cli import checking, watching
from farm.cli.session import Session
from farm.contents import Record
from farm.farm import Farm
from farm.jobs import Kind, Output, Priority, Spec, State
from farm.schema import to_json

VoiceOption = Annotated[str, typer.Option("--voice", help="Voice; `farm voices list` shows all.")]
LanguageOption = Annotated[
    str,
    typer.Option("--language", help="Such as fr; without: what the document says, or the voice's."),
]
LexiconOption = Annotated[
    list[Path] | None,
    typer.Option("--lexicon", help="PLS file of pronunciations; of several the first counts."),
]
PauseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pause",
        help="Milliseconds after a clause, sentence, paragraph or heading: sentence=400.",
    ),
]
PriorityOption = Annotated[
    Priority, typer.Option("--priority", help="bulk: one turn to four of the normal jobs.")
]
SpeedOption = Annotated[float, typer.Option("--speed", help="0.25 to 4; 1: as the voice.")]

#: A voice that SSML names. By a pattern, as a parser would cost every command its loading; whether
#: the document is well-formed, and names others, the farm finds.
_VOICES = re.compile(r"<(?:\w+:)?voice\b[^<>]*?\bname\s*=\s*[\"']\s*([^\"'\s]+)")

out = Console(soft_wrap=True, highlight=False)


def make_spec(
    joined: Session, kind: Kind, name: str, content: str, voice: str, output: Output, **more: Any
) -> Spec:
    """Make the spec of a job whose id is a function of its content and options.

    So the same command again finds the job of the first one.
    """
    voices = joined.pin({voice or joined.settings.voice})
    pinned = next(iter(voices.values()))
    spec = Spec(
        id="",
        kind=kind,
        farm=joined.farm.id,
        owner="local",
        input="",
        voice=pinned.id,
        voices=voices,
        created=0,
        name=name,
        output=output,
        **more,
    )
    identity = hashlib.sha256(to_json(spec) + content.encode()).hexdigest()[:16]
    id_ = f"{kind}-{identity}"
    return replace(spec, id=id_, input=keys.job(id_, "input", "text"), created=time.time())


def speak(
    joined: Session,
    words: str,
    path: Path,
    voice: str,
    lexicons: Mapping[str, bytes] | None = None,
    **how: Any,
) -> tuple[Record, Record]:
    """Speak one text, or SSML, into a file; return its job's record and the file's.

    `how` are fields of the job's spec.
    """
    format_ = checking.format_of(path)
    ssml = words.lstrip("\ufeff \t\r\n").startswith(("<speak", "<?xml"))
    name = f"{path.stem}.ssml" if ssml else path.name
    how["lexicons"] = tuple(lexicons or ())
    spec = make_spec(joined, "speech", name, words, voice, Output(format_), **how)
    if ssml:
        spec = joined.cast(spec, _VOICES.findall(words))
    record = run(joined, spec, words.encode(), lexicons)
    (item,) = contents.manifest(joined.farm, spec.id)["items"]
    return record, watching.fetch(joined.farm, item["files"][format_], path)


def run(
    joined: Session, spec: Spec, data: bytes | Path, also: Mapping[str, bytes] | None = None
) -> dict[str, Any]:
    """Run a job to its end; return its record. `also` is its further input, by name.

    Raises:
        JobError: the job failed, was cancelled or expired.
        Unavailable: the farm could not go on; the same command does, later.
    """
    return watching.completed(follow(joined, spec, data, also))


def follow(
    joined: Session, spec: Spec, data: bytes | Path, also: Mapping[str, bytes] | None = None
) -> dict[str, Any]:
    """Submit a job, or join the one that the same command submitted before; wait for its end.

    One that ended badly, or with failed segments, is run again; only those are spoken. The
    record says `hits` for all segments that were stored before this command.
    """
    before = joined.patiently(lambda: _known(joined.farm, spec.id))
    record = joined.patiently(lambda: _taken_up(joined.farm, spec, data, also))
    if record is not None:
        return record
    return watching.since(before, joined.patiently(lambda: watching.follow(joined.farm, spec.id)))


def _known(farm: Farm, job: str) -> dict[str, Any]:
    """Return a job's record as it is; an empty one for a job that is new."""
    return standing.show(farm, job) if farm.store.exists(keys.spec(job)) else {}


def _taken_up(
    farm: Farm, spec: Spec, data: bytes | Path, also: Mapping[str, bytes] | None
) -> dict[str, Any] | None:
    """See to it that a job runs; return its record where there is nothing left to do."""
    if lifecycle.submit(farm, spec, data, also=also):
        return None
    record = standing.show(farm, spec.id)
    if record["state"] == State.COMPLETED and not record["failed"]:
        return {**record, "hits": record["segments"], "misses": 0}
    if State(record["state"]).terminal:
        revising.retry(farm, spec.id)
    elif record["state"] == State.PAUSED:
        lifecycle.resume(farm, spec.id)
    else:  # the command before this may have died on its way from the store to Redis
        lifecycle.begin(farm, spec, standing.current(farm, spec.id))
    return None


def summary(record: dict[str, Any], where: Path, lost: str = "") -> None:
    """Print what was made, in one line, and what was left out: `lost`, or so many segments."""
    hits, misses = record.get("hits", 0), record.get("misses", 0)
    seconds = record.get("seconds", 0)
    out.print(f"{where}  {seconds:.1f} s, {misses} segments spoken, {hits} were there already")
    if lost or record.get("failed"):
        lost = lost or f"{record['failed']} could not be spoken"
        out.print(f"{lost}: farm jobs show {record['job']}")
    if record.get("warned"):
        out.print(f"{record['warned']} lack something: farm jobs show {record['job']}")


def report(farm: Farm, record: Record, files: Sequence[Record], begin: float) -> Record:
    """Return for programs what a command made: its job's record, its files, what went wrong.

    `files` are as `watching.fetch` returns them, `begin` is what `time.monotonic` said at first.
    """
    details = contents.details(farm, record["job"])
    del details["outputs"]
    elapsed = round(time.monotonic() - begin, 3)
    return {**details, **record, "files": list(files), "elapsed_s": elapsed}
