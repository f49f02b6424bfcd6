"""What a client asks for, in whatever dialect, to a draft that can be accepted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from farm.api.service import Service
from farm.errors import InvalidInput
from farm.jobs import Kind, Output, Priority, Prosody, Spec
from farm.submission import Draft
from farm.text.lines import Line, read_lines

#: Speeds that a voice is asked for.
SLOWEST, FASTEST = 0.25, 4.0


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


def draft(held: Service, owner: str, wish: Wish, data: bytes | Path) -> Draft:
    """Pin the voices that a job may use, and count its characters.

    Raises:
        InvalidInput: the speed is none that a voice is asked for.
        UnknownVoice: this owner has no such voice.
    """
    if not SLOWEST <= wish.prosody.speed <= FASTEST:
        raise InvalidInput(f"speed {wish.prosody.speed!r} is outside {SLOWEST} to {FASTEST}")
    voice = wish.voice or held.settings.voice
    voices = held.studio.pin({voice, *_voices_named(held, owner, wish, data)}, owner)
    spec = Spec(
        id="",
        kind=wish.kind,
        farm="",
        owner="",
        input="",
        voice=voice,
        voices=voices,
        created=0.0,
        title=wish.title,
        language=wish.language,
        prosody=wish.prosody,
        output=wish.output,
        priority=wish.priority,
        labels=wish.labels,
        pauses=wish.pauses,
        name=wish.name,
        deadline=time.time() + wish.deadline_s if wish.deadline_s else 0.0,
        ttl_s=wish.ttl_s,
        webhook=wish.webhook,
    )
    return Draft(spec, data, _characters(data))


def _voices_named(held: Service, owner: str, wish: Wish, data: bytes | Path) -> set[str]:
    """Return the voices that lines name and their owner has; any other fails its line."""
    if wish.kind != "batch" or not isinstance(data, Path):
        return set()
    with data.open("rb") as stream:
        named = {line.voice for line in read_lines(stream) if isinstance(line, Line)}
    return named & held.studio.voices(owner).keys()


def _characters(data: bytes | Path) -> int:
    """Count what an input costs its key: bytes of a file, characters of a text."""
    if isinstance(data, Path):
        return data.stat().st_size
    return len(data.decode("utf-8", errors="replace"))
