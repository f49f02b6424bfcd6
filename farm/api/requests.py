"""What clients ask for in the farm's own dialect; a field that nobody knows is refused."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from farm.audio.formats import FORMATS
from farm.book.subtitles import WRITERS
from farm.jobs import Edit, Output, Prosody
from farm.text.lexicon import LARGEST, MOST_LEXICONS
from farm.text.prosody_values import LONGEST_PAUSE_MS

#: Characters of a text, and lines of a batch, that come within a request's JSON.
TEXT_CHARACTERS = 1_000_000
LINES = 10_000
#: A year.
LONGEST_S = 366 * 86_400

#: Fields of which a job has one.
_SOURCES = ("text", "lines", "input")
#: What the names of labels begin with that other dialects mark their jobs with.
RESERVED = ("openai.", "azure.")


def _own(name: str) -> str:
    if name.startswith(RESERVED):
        raise ValueError(f"names that begin with {' or '.join(RESERVED)} are the farm's own")
    return name


VoiceId = Annotated[str, StringConstraints(max_length=128)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]
LabelName = Annotated[Label, AfterValidator(_own)]
PlsText = Annotated[str, StringConstraints(min_length=1, max_length=LARGEST)]
Audio = Literal["wav", "flac", "mp3", "opus", "m4a"]
assert set(Audio.__args__) == set(FORMATS)  # type: ignore[attr-defined]
Also = Literal[Audio, "readalong"]
Format = Literal[Also, "m4b"]
End = Literal["clause", "sentence", "paragraph", "heading"]
Subtitles = Literal["srt", "vtt", "json"]
assert set(Subtitles.__args__) == set(WRITERS)  # type: ignore[attr-defined]


class Body(BaseModel):
    """A request's JSON."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Line(Body):
    """One line of a batch."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    text: Annotated[str, StringConstraints(max_length=TEXT_CHARACTERS)]
    voice: VoiceId = ""
    speed: Annotated[float, Field(ge=0.25, le=4)] | None = None
    format: Audio | None = None


class Making(Body):
    """What is made of the items."""

    format: Format | None = None
    """Of each item's file; `m4b`: one audiobook, `readalong`: an EPUB that is heard while it is
    read, of a book only. Null: m4b for a book, flac otherwise."""
    also: Annotated[list[Also], Field(max_length=6)] = []
    """Further formats in which each item is written; `readalong` as above."""
    subtitles: Annotated[list[Subtitles], Field(max_length=3)] = []
    loudness: Annotated[float, Field(ge=-40, le=-5)] | None = -19.0
    """Integrated loudness (BS.1770, LUFS) of each item; null: as spoken."""

    def output(self, kind: str) -> Output:
        """Return it as the farm has it."""
        wanted = self.format or ("m4b" if kind == "book" else "flac")
        return Output(
            format="m4a" if wanted in ("m4b", "readalong") else wanted,
            package="m4b" if wanted == "m4b" else "",
            formats=tuple(name for name in self.also if name != "readalong"),
            subtitles=tuple(self.subtitles),
            loudness=self.loudness,
            readalong="readalong" in (wanted, *self.also),
        )


class Options(Body):
    """A job, apart from what it speaks."""

    kind: Literal["speech", "batch", "book"]
    voice: VoiceId = ""
    """Empty: the farm's default; `GET /v1/audio/voices` lists them."""
    title: Annotated[str, StringConstraints(max_length=500)] = ""
    language: Annotated[str, StringConstraints(max_length=35)] = ""
    """BCP 47, in place of what a document says it is in; empty: as it says, else the voice's."""
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    pitch: Annotated[float, Field(ge=-24, le=24)] = 0.0
    """Semitones, where the voice's engine can."""
    volume: Annotated[float, Field(ge=-40, le=20)] = 0.0
    """Decibels."""
    speaker: Annotated[str, StringConstraints(max_length=128)] = ""
    """Of a voice with several."""
    output: Making = Making()
    priority: Literal["normal", "bulk"] = "normal"
    labels: Annotated[dict[LabelName, Label], Field(max_length=20)] = {}
    pauses: dict[End, Annotated[int, Field(ge=0, le=LONGEST_PAUSE_MS)]] = {}
    """Milliseconds of silence after such an end."""
    front_matter: bool = False
    """Speak an EPUB's navigation, cover, title and copyright pages, too; nothing else has them."""
    deadline_s: Annotated[int, Field(ge=0, le=LONGEST_S)] = 0
    """Not finished in so many seconds, it expires; 0: it has all the time."""
    ttl_s: Annotated[int, Field(ge=0, le=LONGEST_S)] = 0
    """Deleted, outputs and all, so many seconds after its end; 0: kept."""
    webhook: Annotated[str, StringConstraints(max_length=2000)] = ""
    """Told of its end; see docs/webhooks.md."""
    lexicons: Annotated[list[PlsText], Field(max_length=MOST_LEXICONS)] = []
    """Pronunciations: PLS documents, or the `file-...` of some that `POST /v1/files` has taken; of
    several that have a word the first counts. See docs/lexicons.md."""
    dry_run: bool = False
    """Answer what it would be, and store nothing."""

    def prosody(self) -> Prosody:
        """Return how it is spoken."""
        return Prosody(self.speed, self.pitch, volume=self.volume, speaker=self.speaker)


class NewJob(Options):
    """A job and what it speaks: `text`, `lines`, or `input`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in _SOURCES]}
    )

    text: Annotated[str, StringConstraints(max_length=TEXT_CHARACTERS)] | None = None
    """Of a speech, or of a book in Markdown or plain text; SSML where it begins so."""
    lines: Annotated[list[Line], Field(max_length=LINES)] | None = None
    """Of a batch; more of them come as a file."""
    input: Annotated[str, StringConstraints(max_length=500)] | None = None
    """Something that is in the store: `file-...` of `POST /v1/files`, or a key below
    `uploads/<owner>/`."""
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    """The document's file name: its suffix tells the format where its content does not."""

    @property
    def source(self) -> str:
        """The field that has what it speaks."""
        return next(name for name in _SOURCES if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _has_one_input(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give one of text, lines and input, not {' and '.join(given) or 'none'}"
            )
        if (self.lines is not None) != (self.kind == "batch") and self.input is None:
            wanted = "lines" if self.kind == "batch" else "text"
            raise ValueError(f"a {self.kind} has {wanted}, not {given[0]}")
        return self


class Change(Body):
    """Another text, or another reading, of one segment."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["text"]}, {"required": ["take"]}]}
    )

    item: Annotated[int, Field(ge=0)]
    start: Annotated[int, Field(ge=0)]
    """As `GET .../segments` has it."""
    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    """Spoken instead; empty: as it was."""
    take: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Number of the reading; 0: as it was."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text and not self.take:
            raise ValueError("give a text, a take, or both")
        return self

    def edit(self) -> Edit:
        """Return it as the farm has it."""
        return Edit(self.item, self.start, self.text, self.take)


class Changes(Body):
    """Changes that make a job's next revision."""

    edits: Annotated[list[Change], Field(min_length=1, max_length=1000)]
