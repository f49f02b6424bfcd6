"""What clients are shown of a job, and of what is in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from farm import keys
from farm.contents import Record
from farm.jobs import State

Milliseconds = Annotated[int, Field(ge=0)]
Unix = Annotated[float, Field(ge=0, description="Unix seconds")]


class Counts(BaseModel):
    """How far a revision is."""

    items_total: int = 0
    items_done: int = 0
    segments_total: int = 0
    """Planned so far: all of them when `planned` is true."""
    segments: int = 0
    """Spoken, or found stored."""
    hits: int = 0
    """Of these, found stored."""
    misses: int = 0
    """Of these, spoken."""
    failed: int = 0
    warned: int = 0
    characters: int = 0
    """Of text as spoken, planned so far."""


class Job(BaseModel):
    """A job, in its latest revision."""

    id: str
    object: Literal["job"] = "job"
    state: State
    revision: int
    kind: Literal["speech", "batch", "book"]
    owner: str
    title: str = ""
    voice: str
    priority: Literal["normal", "bulk"] = "normal"
    labels: dict[str, str] = Field(default_factory=dict)
    error: str = ""
    created: Unix
    begun: Unix | None = None
    ended: Unix | None = None
    counts: Counts
    planned: bool = False
    """Whether `counts` holds all there is to speak."""
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Part of the planned segments that is done; 1 only at the end."""
    eta_s: Annotated[float, Field(ge=0)] | None = None
    """Seconds still to go if nothing else is spoken meanwhile, by the measured cost of the voice;
    null while nobody can tell, and in lists."""
    audio_s: float = 0.0
    """Seconds of audio: of its outputs once it has ended, of its spoken segments before."""
    compute_s: float = 0.0
    """Seconds of compute that this revision has cost."""
    rtf: float | None = None
    """Seconds of compute per second of audio."""


def job(record: Record) -> Job:
    """Return what a client sees of `contents.record`."""
    counts = Counts(**{name: record.get(name, 0) for name in Counts.model_fields})
    state = State(record["state"])
    planned = bool(record.get("pages_total")) and record["pages_done"] == record["pages_total"]
    audio_s = record.get("seconds") or record.get("audio_ms", 0) / 1000
    compute_s = record.get("compute_ms", 0) / 1000
    spoken_s = record.get("audio_ms", 0) / 1000
    part = counts.segments / counts.segments_total if counts.segments_total else 0.0
    known = ("revision", "kind", "owner", "title", "voice", "priority", "labels", "error")
    return Job(
        **{name: record[name] for name in known if name in record},
        id=keys.called(record["job"]),
        state=state,
        created=record["created"],
        begun=record.get("begun"),
        ended=record.get("ended"),
        counts=counts,
        planned=planned or state.terminal,
        progress=1.0 if state is State.COMPLETED else min(part, 0.99),
        eta_s=record.get("eta_s"),
        audio_s=round(audio_s, 3),
        compute_s=round(compute_s, 3),
        rtf=round(compute_s / spoken_s, 4) if counts.misses and spoken_s else None,
    )


class Page(BaseModel):
    """A page of a list."""

    object: Literal["list"] = "list"


class Jobs(Page):
    """Jobs, the newest first."""

    data: list[Job]
    next_cursor: str | None = None
    """Give it as `cursor` to go on; null: there are no more."""


class File(BaseModel):
    """A file that a job made."""

    name: str
    format: str
    """`m4b`, `mp3`, `srt`, ...; `marks` are sentence and word marks, one JSON a line."""
    item: str | None = None
    """Id of the item it is made of; null: of the whole job."""
    size: int
    """Bytes."""
    sha256: str
    seconds: float = 0.0
    url: str
    """An address to fetch it at, without a key, until `expires`; ranges are answered."""
    expires: Unix


class Files(Page):
    """Files, those of the whole job first."""

    data: list[File]
    next_offset: int | None = None


class Item(BaseModel):
    """One audio output: the text, a line, a chapter."""

    index: int
    id: str
    title: str = ""
    level: int = 1
    segments: int
    """Planned so far."""
    spoken: int
    seconds: float | None = None
    failed: int = 0
    error: str = ""
    formats: list[str]
    """Of its files that are there."""


class Items(Page):
    """Items in order."""

    data: list[Item]
    next_offset: int | None = None


class Segment(BaseModel):
    """A sentence-sized piece of an item."""

    start: int
    """First character in the item's source text: names the segment in edits."""
    end: int
    text: str
    """As spoken."""
    voice: str
    take: int
    pause_ms: Milliseconds
    spoken: bool


class Segments(Page):
    """Segments of an item, in order."""

    data: list[Segment]


class Failure(BaseModel):
    """What could not be spoken."""

    item: int
    id: str = ""
    text: str = ""
    error: str


class Failures(Page):
    """What could not be spoken, and items in which there was nothing to speak."""

    data: list[Failure]
    next_offset: int | None = None


class Chapter(BaseModel):
    """An item of a document that was only looked at."""

    id: str
    title: str = ""
    level: int = 1
    characters: int


class Estimate(BaseModel):
    """What a job would be; nothing was stored."""

    object: Literal["estimate"] = "estimate"
    kind: Literal["speech", "batch", "book"]
    title: str = ""
    author: str = ""
    voice: str
    items: int
    chapters: list[Chapter]
    """The first thousand items."""
    characters: int
    """As written."""
    audio_s: float
    compute_s: float
    """Of all children together, by the voice's measured or stated cost."""
    wait_s: float
    """Divided by the children that are alive now; those of an idle farm."""
    warnings: list[str]


def item(row: Record) -> Item:
    """Return what a client sees of a row of `contents.items`."""
    fields: dict[str, Any] = {name: row[name] for name in Item.model_fields if name in row}
    return Item(**fields, formats=sorted(row["files"]))
