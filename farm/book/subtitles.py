"""Marks as subtitles (SubRip, WebVTT) and as lines of JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from farm.jobs import Mark
from farm.schema import to_json

#: Characters on a line and lines in a cue, as the BBC's and Netflix's guides have them.
LINE_LENGTH = 42
LINES = 2


@dataclass(frozen=True)
class Cue:
    """Lines shown together."""

    lines: tuple[str, ...]
    start_ms: int
    end_ms: int


def cues(marks: Iterable[Mark]) -> Iterator[Cue]:
    """Yield the sentences as cues of two lines at most, longer ones cut where a line ends.

    The marks come in order, each sentence followed by its words, if there are any; those time
    the cuts, else the characters do in proportion.
    """
    sentence: Mark | None = None
    words: list[Mark] = []
    for mark in marks:
        if mark.type == "word":
            words.append(mark)
            continue
        if sentence is not None:
            yield from _cut(sentence, words)
        sentence, words = mark, []
    if sentence is not None:
        yield from _cut(sentence, words)


def srt(marks: Iterable[Mark]) -> str:
    """Return SubRip text: numbered cues, times as hh:mm:ss,mmm."""
    return "".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + "".join(f"{line.replace('-->', '→')}\n" for line in cue.lines)
        + "\n"
        for number, cue in enumerate(cues(marks), 1)
    )


def vtt(marks: Iterable[Mark]) -> str:
    """Return WebVTT (W3C, 2019): cue text escaped, times as hh:mm:ss.mmm."""
    return "WEBVTT\n" + "".join(
        f"\n{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "".join(f"{_escaped(line)}\n" for line in cue.lines)
        for cue in cues(marks)
    )


def marks_json(marks: Iterable[Mark]) -> str:
    """Return every mark as one line of JSON, read again by `farm.schema.from_json(Mark, line)`."""
    return "".join(f"{to_json(mark).decode()}\n" for mark in marks)


#: What `Output.subtitles` may name; the name is the file's suffix too.
WRITERS: Mapping[str, Callable[[Iterable[Mark]], str]] = {
    "srt": srt,
    "vtt": vtt,
    "json": marks_json,
}


def _cut(sentence: Mark, words: Sequence[Mark]) -> Iterator[Cue]:
    lines = textwrap.wrap(" ".join(sentence.text.split()), LINE_LENGTH) or [""]
    if lines == [""]:
        return
    parts = [tuple(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]
    times = _times(sentence, words, parts)
    for number, part in enumerate(parts):
        yield Cue(part, times[number], max(times[number + 1], times[number] + 1))


def _times(sentence: Mark, words: Sequence[Mark], parts: Sequence[tuple[str, ...]]) -> list[int]:
    """Return when each part begins, and when the last one ends."""
    tokens = [" ".join(part).split() for part in parts]
    counts = [len(token) for token in tokens]
    exact = sum(counts) == len(words)
    sizes = counts if exact else [sum(map(len, part)) for part in parts]
    before = [sum(sizes[:number]) for number in range(1, len(parts))]
    length = sentence.end_ms - sentence.start_ms
    inner = [
        words[at].start_ms if exact else sentence.start_ms + length * at // sum(sizes)
        for at in before
    ]
    return [sentence.start_ms, *inner, sentence.end_ms]


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{ms:03}"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
