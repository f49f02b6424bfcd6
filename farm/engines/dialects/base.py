"""What a VITS voice expects of those who speak through it: plain data, whoever exported it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farm.audio import Timing
from farm.errors import EngineError


@dataclass(frozen=True)
class Tokens:
    """A text as the numbers that a model was trained on."""

    ids: tuple[int, ...]
    symbols: tuple[str, ...]
    """What each id stands for; empty: padding, which belongs to the symbol before it."""
    missing: tuple[str, ...] = ()
    """Symbols or words of the text that the voice lacks, in order, each once: left out."""

    @property
    def heard(self) -> bool:
        """Whether anything is pronounced: a letter, a digit or a phone, not marks alone."""
        return any(character.isalnum() for symbol in self.symbols for character in symbol)


@dataclass(frozen=True)
class Dialect:
    """How to speak to one model."""

    name: str
    """`mms`, `coqui`, `sherpa` or `piper`."""
    sample_rate: int
    """Hz."""
    tokenise: Callable[[str, str], Tokens]
    """Text and one of `languages` to tokens."""
    languages: tuple[str, ...]
    """As the model names them; the first is its default."""
    language_ids: bool = False
    """Whether the model takes the place of a language in `languages` as an input."""
    reads_ipa: bool = False
    """Whether its symbols are espeak-ng's phonemes, so that sounds may be put into a text."""
    speakers: Mapping[str, int] = field(default_factory=dict)
    """By name, or by number where they have none; empty: a single voice."""
    hop: int = 256
    """Samples of a frame, where a graph runs whole and does not show it."""
    noise: float = 0.667
    length: float = 1.0
    noise_w: float = 0.8
    """Scales where neither the graph nor the voice says, as VITS names them."""


@dataclass(frozen=True)
class Files:
    """A voice's files by role, and what its graph says of itself."""

    what: str
    """Names the voice in errors."""
    roles: Mapping[str, Path]
    inputs: tuple[str, ...]
    metadata: Mapping[str, str]

    def path(self, role: str, why: str) -> Path:
        """Return the file of a role, or raise `EngineError` saying why it is needed."""
        if role not in self.roles:
            raise EngineError(
                f"{self.what} has no {role!r} file, {why}; it names {', '.join(sorted(self.roles))}"
            )
        return self.roles[role]

    def json(self, role: str, why: str) -> dict[str, Any]:
        """Read the JSON object of a role, or raise `EngineError`."""
        path = self.path(role, why)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EngineError(f"{self.what}: {str(path)!r} is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise EngineError(f"{self.what}: {str(path)!r} holds no JSON object")
        return content

    def lines(self, role: str, why: str) -> list[str]:
        """Read the lines of a role's text file, without their ends, or raise `EngineError`."""
        path = self.path(role, why)
        try:
            return path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"{self.what}: cannot read {str(path)!r}: {error}") from error


def encode(symbols: Iterable[str], known: Mapping[str, int]) -> Tokens:
    """Number symbols; those that are not known are left out and named."""
    symbols = list(symbols)
    kept = [each for each in symbols if each in known]
    missing = dict.fromkeys(each for each in symbols if each not in known and not _silent(each))
    return Tokens(tuple(known[each] for each in kept), tuple(kept), tuple(missing))


def _silent(symbol: str) -> bool:
    """Whether nobody would hear that it is left out: spaces, punctuation, control characters."""
    return all(unicodedata.category(each)[0] in "ZPC" for each in symbol)


def spaced(tokens: Tokens, blank: int) -> Tokens:
    """Put the blank before, between and after tokens (VITS, `commons.intersperse`)."""
    ids, symbols = [blank], [""]
    for number, symbol in zip(tokens.ids, tokens.symbols, strict=True):
        ids += [number, blank]
        symbols += [symbol, ""]
    return Tokens(tuple(ids), tuple(symbols), tokens.missing)


def framed(tokens: Tokens, first: int, last: int) -> Tokens:
    """Put the ids of begin and end around tokens."""
    return Tokens((first, *tokens.ids, last), ("", *tokens.symbols, ""), tokens.missing)


def joined(parts: Iterable[Tokens]) -> Tokens:
    """Put tokens one after another."""
    parts = list(parts)
    return Tokens(
        tuple(number for part in parts for number in part.ids),
        tuple(symbol for part in parts for symbol in part.symbols),
        tuple(dict.fromkeys(each for part in parts for each in part.missing)),
    )


def timings(symbols: Sequence[str], samples: Sequence[int]) -> tuple[Timing, ...]:
    """One timing a symbol: padding counts to the symbol before it, at the start to the first.

    `samples` is how long each id lasts.
    """
    found: list[Timing] = []
    early = 0
    for symbol, length in zip(symbols, samples, strict=True):
        if symbol:
            found.append(Timing(symbol, early + length))
            early = 0
        elif found:
            found[-1] = Timing(found[-1].symbol, found[-1].samples + length)
        else:
            early += length
    return tuple(found)


def numbered(count: int) -> dict[str, int]:
    """Speakers without names, by their numbers."""
    return {str(number): number for number in range(count)}
