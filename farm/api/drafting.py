"""What a client asks for, in whatever dialect, to a draft that can be accepted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from farm.api.service import Service
from farm.errors import InvalidInput, blaming
from farm.jobs import Kind, Output, Priority, Prosody, Spec, Voice
from farm.submission import Draft, digest
from farm.survey import Survey, survey, survey_speech
from farm.text import Lexicons, lexicon


@dataclass(frozen=True)
class Wish:
    """A job, as far as a client says."""

    kind: Kind
    voice: str = ""
    """Empty: the settings'."""
    title: str = ""
    name: str = ""
    """Of the file: its suffix tells the format where its content does not."""
    language: str = ""
    prosody: Prosody = Prosody()
    output: Output = Output()
    priority: Priority = "normal"
    labels: Mapping[str, str] = field(default_factory=dict)
    pauses: Mapping[str, int] = field(default_factory=dict)
    deadline_s: int = 0
    """Seconds from now in which it must be finished; 0: it has all the time."""
    ttl_s: int = 0
    webhook: str = ""
    front_matter: bool = False
    lexicons: tuple[bytes, ...] = ()
    """PLS documents, not looked into yet."""
    source: str = ""
    """Field of the request that its text came in."""

    @property
    def named_lexicons(self) -> dict[str, bytes]:
        """Its lexicons by the names under which they are stored."""
        return {lexicon.named(data): data for data in self.lexicons}


@contextmanager
def on_disk(data: bytes | Path) -> Iterator[Path]:
    """Have an input as a file during the block."""
    if isinstance(data, Path):
        yield data
        return
    with tempfile.NamedTemporaryFile(prefix="farm-input-") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


def look(wish: Wish, data: bytes | Path) -> Survey:
    """Find out what an input holds; `InvalidInput` where it cannot be read."""
    with blaming(wish.source):
        if wish.kind == "speech" and isinstance(data, bytes):
            return survey_speech(data, wish.name)
        with on_disk(data) as path:
            return survey(wish.kind, path, wish.name, front_matter=wish.front_matter)


def read_lexicons(wish: Wish) -> Lexicons:
    """Read the lexicons that come with a wish; `InvalidInput` where one cannot be read."""
    with blaming("lexicons"):
        return Lexicons([lexicon.read(each) for each in wish.lexicons])


def asked(wish: Wish, data: bytes | Path) -> Spec:
    """Return a wish as a spec without voices, with the digest by which it is known again."""
    spec = Spec(
        id="",
        kind=wish.kind,
        farm="",
        owner="",
        input="",
        voice=wish.voice,
        voices={},
        created=0.0,
        title=wish.title,
        language=wish.language,
        prosody=wish.prosody,
        output=wish.output,
        priority=wish.priority,
        labels=wish.labels,
        pauses=wish.pauses,
        name=wish.name,
        front_matter=wish.front_matter,
        ttl_s=wish.ttl_s,
        webhook=wish.webhook,
        lexicons=tuple(wish.named_lexicons),
    )
    return replace(spec, request=digest(spec, data))


def pin(held: Service, owner: str, wish: Wish) -> dict[str, Voice]:
    """Pin the voice that is wished for, or the usual one; by its id."""
    with blaming("voice"):
        return held.studio.pin({wish.voice or held.settings.voice}, owner)


def draft(held: Service, owner: str, wish: Wish, data: bytes | Path) -> Draft:
    """Read an input through, pin the voices that it may use, and count its characters.

    Raises:
        InvalidInput: the input cannot be read, or an address or a format is none that the farm
            takes.
        UnknownVoice: this owner has no such voice.
    """
    if wish.output.readalong and wish.kind != "book":
        said = f"a read-along EPUB is made of a book, not of a {wish.kind}"
        raise InvalidInput(said, field="output", value="readalong")
    if wish.front_matter and wish.kind != "book":
        said = f"a {wish.kind} has no front matter; a book has"
        raise InvalidInput(said, field="front_matter", value=True)
    if wish.webhook:
        with blaming("webhook"):
            held.outgoing.check(wish.webhook)
    read_lexicons(wish)
    found = look(wish, data)
    voices = pin(held, owner, wish)
    named, unspoken = set(found.voices), set[str]()
    if wish.kind == "batch":  # a line with an unknown or revoked voice fails by itself
        unspoken = {name for name in named if not held.studio.speaks(name, owner)}
        named -= unspoken
    with blaming(wish.source):
        voices |= held.studio.pin(named - voices.keys(), owner)
    spec = replace(
        asked(wish, data),
        voice=wish.voice or held.settings.voice,
        voices=voices,
        others=held.studio.others(owner, unspoken) if unspoken else {},
        deadline=time.time() + wish.deadline_s if wish.deadline_s else 0.0,
    )
    return Draft(spec, data, found.characters, wish.named_lexicons)
