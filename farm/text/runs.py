"""Stretches of text in one style each, gathered into blocks: what a marked-up text is spoken as."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from farm.jobs import Block, Phones, Prosody
from farm.text.cutting import sentence_spans
from farm.text.sentences import more_than_ornament

Ends = Literal["clause", "sentence", "paragraph"]

_SPACE = re.compile(r"\s")
_CLAUSE = re.compile(r"[,;:—–，、；：]\s*$")
#: Marks that belong to what stands before them.
_LEADING = re.compile(r"[.,;:!?…。，、；：！？)\]”»）」』】]+")
_STOPPED = re.compile(r"[.!?…。！？][\"'”’»)\]」』）】]*\s*$")


@dataclass(frozen=True)
class Style:
    """How a stretch of text is spoken."""

    prosody: Prosody
    voice: str = ""
    """Empty: the item's."""
    language: str = ""
    """BCP 47; empty: the voice's."""
    whole: bool = False
    """The stretch is a sentence, or a part of one, whatever marks stand in it."""


@dataclass
class _Run:
    style: Style
    start: int
    """Characters of the source before it."""
    parts: list[str] = field(default_factory=list)
    anchors: list[tuple[int, int]] = field(default_factory=list)
    phones: list[Phones] = field(default_factory=list)
    length: int = 0
    source: int = 0
    spoken: bool = False

    def add(self, text: str, source: int, ipa: str = "") -> None:
        """Append a text that stands for so many characters of the source, perhaps its sounds."""
        if ipa:
            self.phones.append(Phones(self.length, self.length + len(text), ipa))
        if source != len(text):
            self._anchor()
        self.parts.append(_SPACE.sub(" ", text))
        self.length += len(text)
        self.source += source
        self.spoken = self.spoken or bool(ipa) or any(each.isalnum() for each in text)
        if source != len(text):
            self._anchor()

    def join(self, other: _Run) -> None:
        """Append another run, in this one's style."""
        self.parts += other.parts
        self.anchors += [(self.length + at, self.source + of) for at, of in other.anchors]
        for start, end, ipa in other.phones:
            self.phones.append(Phones(self.length + start, self.length + end, ipa))
        self.length += other.length
        self.source += other.source
        self.spoken = self.spoken or other.spoken

    def _anchor(self) -> None:
        here = (self.length, self.source)
        if self.anchors[-1:] != [here]:
            self.anchors.append(here)

    @property
    def text(self) -> str:
        """All of it, each white space a blank."""
        return "".join(self.parts)


class Blocks:
    """Gathers runs; every edge and pause makes blocks of those before it.

    A text that is spoken in several styles within one sentence becomes several blocks without a
    pause between them.
    """

    def __init__(self, usual: Style) -> None:
        """Begin; `usual` is how text is spoken where nothing else is said."""
        self.made: list[Block] = []
        self.position = 0
        """Characters of the source so far."""
        self.late_pause = False
        """Whether the last thing so far is a pause."""
        self.lost: list[str] = []
        """Paragraphs and sentences without a word in them that somebody may have meant."""
        self._usual = usual
        self._runs: list[_Run] = []

    def add(self, text: str, style: Style, source: int | None = None, ipa: str = "") -> None:
        """Append a text, which stands for so many characters of the source; None: its own.

        Nothing may stand for something: that is not spoken, and counts for where others are.
        With `ipa` these are its sounds.
        """
        if source is None and self._runs and (marks := _LEADING.match(text)):
            self._append(marks[0], self._runs[-1].style, None)
            text = text[marks.end() :]
        self._append(text, style, source, ipa)

    def _append(self, text: str, style: Style, source: int | None, ipa: str = "") -> None:
        length = len(text) if source is None else source
        if text:
            if not self._runs or self._runs[-1].style != style:
                self._runs.append(_Run(style, self.position))
            self._runs[-1].add(text, length, ipa)
        elif self._runs and length:
            self._runs[-1].add("", length)
        self.position += length

    def edge(self, ends: Ends) -> None:
        """End a sentence or a paragraph here."""
        begun = self._flush()
        if begun or (self.made and not self.late_pause and ends == "paragraph"):
            self._end(ends)

    def pause(self, milliseconds: int) -> bool:
        """Be silent here, for this long in place of the usual; False where nothing came before."""
        begun = self._flush()
        if not self.made:
            return False
        last = self.made[-1]
        before = (last.pause_ms or 0) if self.late_pause and not begun else 0
        self.made[-1] = replace(last, pause_ms=before + milliseconds, ends="")
        self.late_pause = True
        return True

    def _end(self, ends: Ends) -> None:
        kind: Literal["", "clause", "sentence"] = "" if ends == "paragraph" else ends
        self.made[-1] = replace(self.made[-1], ends=kind, pause_ms=None)

    def _flush(self) -> bool:
        """Make blocks of the runs so far; whether there was anything to speak."""
        silent = "".join(run.text for run in self._runs)
        runs, self._runs = _with_marks(self._runs), []
        if not runs:
            self.lost += filter(None, [more_than_ornament(silent).strip()])
            return False
        texts = [run.text for run in runs]
        whole, at = "".join(texts), 0
        ends = _sentence_ends(whole, self._usual.language) if len(runs) > 1 else set()
        for number, run in enumerate(runs):
            at += len(texts[number])
            stopped = _trimmed(whole, at) in ends and not run.style.whole
            if number + 1 < len(runs) and runs[number + 1].style.voice != run.style.voice:
                stopped = stopped or bool(_STOPPED.search(texts[number]))
            self.made.append(self._block(run, texts[number], stopped=stopped))
        self.late_pause = False
        return True

    def _block(self, run: _Run, text: str, *, stopped: bool) -> Block:
        style, usual = run.style, self._usual
        clause = bool(_CLAUSE.search(text))
        return Block(
            text,
            start=run.start,
            voice=style.voice,
            prosody=style.prosody if style.prosody != usual.prosody else None,
            language=style.language if style.voice or style.language != usual.language else "",
            pause_ms=None if stopped or clause else 0,
            ends="sentence" if stopped else "clause" if clause else "",
            whole=style.whole,
            anchors=tuple(run.anchors),
            phones=tuple(run.phones),
        )


def _with_marks(runs: list[_Run]) -> list[_Run]:
    """Let what cannot be pronounced, a mark or a blank, join the run before it, else after it."""
    joined: list[_Run] = []
    for run in runs:
        if joined and not run.spoken:
            joined[-1].join(run)
        elif joined and not joined[-1].spoken:
            joined[-1].style = run.style
            joined[-1].join(run)
        else:
            joined.append(run)
    return [run for run in joined if run.spoken]


def _sentence_ends(whole: str, language: str) -> set[int]:
    primary = language.lower().replace("_", "-").split("-")[0] or "en"
    return {_trimmed(whole, end) for _, end in sentence_spans(whole, primary)}


def _trimmed(whole: str, end: int) -> int:
    """The end of what stands before `end`, without the blanks there."""
    while end and whole[end - 1].isspace():
        end -= 1
    return end
