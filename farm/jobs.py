"""The farm's plain data: frozen, JSON both ways (`farm.schema`), ignorant of Celery and engines.

A job (`Spec`) is read into `Item`s, one audio output each. An item's text is planned into
`Segment`s, the smallest thing spoken; `farm.plans` has what stands between the two.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from farm.errors import InvalidInput

#: What an id must look like before it may become part of a key, a path or a queue's message.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")


class State(StrEnum):
    """Where a job stands. A partial failure is a count, not a state."""

    QUEUED = "queued"
    PLANNING = "planning"
    RUNNING = "running"
    PAUSED = "paused"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens to a revision in this state."""
        return self in (State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED)


Kind = Literal["speech", "batch", "book"]
Priority = Literal["normal", "bulk"]


@dataclass(frozen=True)
class Voice:
    """A voice pinned by the digest of everything that decides how it sounds."""

    id: str
    digest: str
    engine: str
    family: str
    language: str
    sample_rate: int
    licence: str = ""
    consent: str = ""
    """Whose voice it is and when they agreed, where it is a clone."""
    rtf: float = 0.1
    """Seconds of compute per second of audio on the family's usual device; sizes the chunks."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Role (`model`, `config`) to file name within `voices/<id>/<digest>/`."""
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    """BCP 47, where its model speaks several; empty: its own only, or nobody here knows."""


@dataclass(frozen=True)
class Prosody:
    """How a segment is spoken, apart from its voice."""

    speed: float = 1.0
    """Relative to the voice's own pace."""
    pitch: float = 0.0
    """Semitones."""
    energy: float = 1.0
    """Loudness of the voice itself, relative to its own, where an engine models it."""
    volume: float = 0.0
    """Decibels."""
    speaker: str = ""
    """A speaker of a multi-speaker voice; empty: the voice's default."""
    take: int = 1
    """Another number gives another reading."""


class Phones(NamedTuple):
    """How a stretch of a text sounds, whatever is written there."""

    start: int
    """Its first character."""
    end: int
    """One past its last."""
    ipa: str


@dataclass(frozen=True)
class Block:
    """A paragraph or heading of an item, as its source has it."""

    text: str
    heading: bool = False
    start: int = 0
    """Characters before it in the item's source text."""
    voice: str = ""
    """Empty: the item's."""
    prosody: Prosody | None = None
    """None: the item's."""
    language: str = ""
    """BCP 47; empty: the item's."""
    pause_ms: int | None = None
    """Silence after it, which may be in the midst of a sentence; None: by what ends there."""
    ends: Literal["", "clause", "sentence"] = ""
    """What ends with it; empty: the paragraph or heading."""
    whole: bool = False
    """It is one sentence, or a part of one, whatever marks stand in it."""
    anchors: tuple[tuple[int, int], ...] = ()
    """Where its text is not its source's own: a character of the text, and the one of the source
    (both from its start) that stands there; in between, positions go in proportion."""
    phones: tuple[Phones, ...] = ()
    """In order, apart from each other."""

    def in_source(self, at: int) -> int:
        """Return where a character of its text stands in the item's source text."""
        return self.start + _between(self.anchors, at)

    def anchors_from(self, start: int, end: int) -> tuple[tuple[int, int], ...]:
        """Return the anchors of a part of its text, from the part's start."""
        if not self.anchors:
            return ()
        first = _between(self.anchors, start)
        held = [(at - start, of - first) for at, of in self.anchors if start < at <= end]
        return ((0, 0), *held)

    def phones_from(self, start: int, end: int) -> tuple[Phones, ...]:
        """Return the sounds in a part of its text, from the part's start."""
        held = (each for each in self.phones if start <= each.start and each.end <= end)
        return tuple(Phones(each.start - start, each.end - start, each.ipa) for each in held)

    def in_text(self, position: int) -> int:
        """Return which character of its text is spoken for one of the item's source text."""
        back = [(source, at) for at, source in self.anchors]
        return _between(back, position - self.start)


def _between(anchors: Sequence[tuple[int, int]], at: int) -> int:
    """Map a position by the anchors around it."""
    number = bisect_right(anchors, at, key=lambda anchor: anchor[0])
    if not number:
        return at
    first, start = anchors[number - 1]
    if number == len(anchors):
        return start + at - first
    last, end = anchors[number]
    return start + (at - first) * (end - start) // (last - first)


@dataclass(frozen=True)
class Item:
    """One audio output to be: a text, a line, a chapter."""

    index: int
    id: str
    title: str = ""
    level: int = 1
    """Depth in the table of contents, from 1."""
    blocks: tuple[Block, ...] = ()
    voice: str = ""
    prosody: Prosody | None = None
    """None: the job's."""
    format: str = ""
    error: str = ""
    """Why this item cannot be spoken; it is listed, and its neighbours go on."""
    warnings: tuple[str, ...] = ()
    """What its document asks for and the farm does otherwise."""
    language: str = ""
    """BCP 47; empty: the job's."""


@dataclass(frozen=True)
class Segment:
    """A sentence-sized piece: what is spoken, and the pause after it."""

    digest: str
    """Names the stored audio: a function of every input that the engine reads."""
    text: str
    """As spoken: normalised."""
    voice: str
    prosody: Prosody = Prosody()
    language: str = ""
    """BCP 47; empty: the voice's own."""
    pause_ms: int = 0
    start: int = 0
    """First character in the item's source text."""
    end: int = 0
    phones: tuple[Phones, ...] = ()
    """Sounds of parts of its text, in order, for engines that read IPA."""


@dataclass(frozen=True)
class Output:
    """What is made of the items, and how it is named."""

    format: str = "flac"
    """Of each item's file; a line's own format goes before it."""
    package: str = ""
    """`m4b`, `azure` (a ZIP), or nothing for separate files."""
    formats: tuple[str, ...] = ()
    """Further formats in which each item is written."""
    subtitles: tuple[str, ...] = ()
    """`srt`, `vtt`, `json` (marks)."""
    loudness: float | None = -19.0
    """Integrated loudness (BS.1770, LUFS) that each item is brought to; None: as spoken."""
    sample_rate: int = 0
    """Hertz; 0: the voice's."""
    bit_rate: int = 0
    """Bits per second, of formats that lose something; 0: the format's own."""
    options: tuple[str, ...] = ()
    """Of the package `azure`: `words`, `sentences` (boundary files), `joined` (one audio)."""
    readalong: bool = False
    """Whether a read-along EPUB is made of it, beside the package."""


@dataclass(frozen=True)
class Edit:
    """A wish about one segment, which every later revision of its job keeps."""

    item: int
    start: int
    """`Segment.start` of the one that is meant: where its text begins in the item's source."""
    text: str = ""
    """What is spoken there instead, normalised like any other text; empty: as it was."""
    take: int = 0
    """Another reading; 0: as it was."""


@dataclass(frozen=True)
class Spec:
    """A job as accepted: durable in the store before the client hears so."""

    id: str
    kind: Kind
    farm: str
    owner: str
    input: str
    """Store key of the text, the lines or the document."""
    voice: str
    """The voice of every item that names none."""
    voices: Mapping[str, Voice]
    """Every voice that the job may use, pinned."""
    created: float
    """Unix seconds."""
    title: str = ""
    language: str = ""
    """BCP 47; empty: the document's, else the voice's."""
    prosody: Prosody = Prosody()
    output: Output = Output()
    priority: Priority = "normal"
    labels: Mapping[str, str] = field(default_factory=dict)
    pauses: Mapping[str, int] = field(default_factory=dict)
    """Milliseconds after a `clause`, `sentence`, `paragraph`, `heading`; others by default."""
    name: str = ""
    """The file's own name, which tells its format where its content does not."""
    front_matter: bool = False
    """Whether an EPUB's navigation, cover, title and copyright pages are spoken, too."""
    request: str = ""
    """Digest of the request it was made from: the same id with another one is a conflict."""
    key: str = ""
    """Id of the API key that it came with."""
    deadline: float = 0.0
    """Unix seconds; not finished by then, it expires. 0: it has all the time."""
    ttl_s: int = 0
    """Seconds after its end until it is deleted with its outputs; 0: it is kept."""
    webhook: str = ""
    """Address that is told of its end."""
    lexicons: tuple[str, ...] = ()
    """Pronunciation lexicons among its input, by name, which is a digest of their content; of
    several that have a word the first counts."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Voices that were there besides: why its text cannot have one, or nothing where it could."""


@dataclass(frozen=True)
class Mark:
    """A stretch of an item's audio and the source text that it speaks."""

    type: Literal["sentence", "word"]
    text: str
    start_ms: int
    end_ms: int
    source_start: int
    source_end: int


def check_id(value: str, what: str = "id") -> str:
    """Return an id that may become part of a key, or raise `InvalidInput`."""
    if not ID.fullmatch(value) or ".." in value:
        valid = "letters, digits, '_', '.', '~', '-', 128 at most, beginning with a letter or digit"
        raise InvalidInput(f"{what} {value!r} is not valid: {valid}", value=value, valid=valid)
    return value
