"""Read a batch's lines, JSON one by one, in bounded memory; a bad line never stops the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO

from farm.errors import InvalidInput
from farm.jobs import check_id
from farm.text.ssml import voices_of

#: Bytes of a line that is read; the text of a long chapter. A longer line is named and skipped.
LONGEST_LINE = 2**20
#: Bytes read at once while the rest of too long a line is skipped.
_PIECE = 64 * 1024
_FIELDS = ("id", "text", "ssml", "voice", "speed", "format")
#: `check_id` says the same, and repeats the id in its message.
_LONGEST_ID = 128
SLOWEST, FASTEST = 0.25, 4.0


_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True)
class Line:
    """One thing to speak."""

    number: int
    """From 1, as an editor counts."""
    id: str
    text: str
    """Empty where there is SSML."""
    voice: str = ""
    """Empty: the job's."""
    speed: float = 0.0
    """Relative to the voice's own pace; 0: the job's."""
    format: str = ""
    """Empty: the job's."""
    ssml: str = ""
    """In place of a text; not looked into yet."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Every voice that it names; its SSML may name several, unless it cannot be read."""
        own = (self.voice,) if self.voice else ()
        try:
            return own + (voices_of(self.ssml) if self.ssml else ())
        except InvalidInput:
            return own


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be spoken, and why."""

    number: int
    id: str
    """Empty where the line has none that can be read."""
    error: str


def read_lines(
    stream: BinaryIO, formats: Collection[str] = (), *, longest: int = LONGEST_LINE
) -> Iterator[Line | BadLine]:
    """Yield every line that is not blank, good or bad, in order.

    A line is an object with `id`, either `text` or `ssml`, and perhaps `voice`, `speed` (0.25 to
    4) and `format` (one of `formats`; any where none are given). Ids must differ: eight bytes are
    kept of each.
    Text is UTF-8, with or without a byte order mark.
    """
    seen: set[bytes] = set()
    for number, raw in enumerate(_raw_lines(stream, longest), start=1):
        if raw is None:
            yield BadLine(number, "", f"line {number} is longer than {longest} bytes; cut its text")
        elif raw.strip():
            yield _line(number, raw, seen, formats)


def _raw_lines(stream: BinaryIO, longest: int) -> Iterator[bytes | None]:
    """Yield lines; None in place of one that is too long, which is skipped piece by piece."""
    first = True
    while raw := stream.readline(longest + 1):
        if len(raw) > longest and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(_PIECE)
            yield None
        else:
            yield raw.removeprefix(b"\xef\xbb\xbf") if first else raw
        first = False


def _line(number: int, raw: bytes, seen: set[bytes], formats: Collection[str]) -> Line | BadLine:
    known = ""
    try:
        fields = _object(raw)
        known = _id(fields)
        _unique(known, seen)
        return Line(
            number,
            known,
            _text(fields),
            _voice(fields),
            _speed(fields),
            _format(fields, formats),
            _ssml(fields),
        )
    except InvalidInput as error:
        return BadLine(number, known, f"line {number}: {error}")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error.msg} (column {error.colno})") from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput(f"not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(
            f'not an object but {_KINDS[type(value)]}; write {{"id": ..., "text": ...}}'
        )
    unknown = next((key for key in value if key not in _FIELDS), None)
    if unknown is not None:
        raise InvalidInput(f"unknown field {unknown[:40]!r}; valid: {', '.join(_FIELDS)}")
    return value


def _id(fields: dict[str, Any]) -> str:
    value = fields.get("id")
    if value is None:
        raise InvalidInput("'id' is missing")
    text = _string("id", value)
    if len(text) > _LONGEST_ID:
        raise InvalidInput(f"id {text[:20]!r}... has {len(text)} characters; {_LONGEST_ID} at most")
    return check_id(text)


def _unique(value: str, seen: set[bytes]) -> None:
    digest = blake2b(value.encode(), digest_size=8).digest()
    if digest in seen:
        raise InvalidInput(f"id {value!r} stands on an earlier line; ids must differ")
    seen.add(digest)


def _text(fields: dict[str, Any]) -> str:
    if fields.get("ssml") is not None:
        if fields.get("text") is not None:
            raise InvalidInput("there are both 'text' and 'ssml'; give one of them")
        return ""
    if fields.get("text") is None:
        raise InvalidInput("'text' is missing")
    return _filled("text", fields["text"])


def _ssml(fields: dict[str, Any]) -> str:
    return "" if fields.get("ssml") is None else _filled("ssml", fields["ssml"])


def _filled(field: str, given: object) -> str:
    value = _string(field, given)
    if not value.strip():
        raise InvalidInput(f"{field!r} is empty")
    return value


def _voice(fields: dict[str, Any]) -> str:
    value = fields.get("voice")
    return "" if value is None else check_id(_string("voice", value), "voice")


def _speed(fields: dict[str, Any]) -> float:
    value = fields.get("speed")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"'speed' is {_KINDS[type(value)]}; it must be a number")
    if not SLOWEST <= value <= FASTEST:
        raise InvalidInput(f"speed {value!r} is outside {SLOWEST} to {FASTEST}")
    return float(value)


def _format(fields: dict[str, Any], formats: Collection[str]) -> str:
    value = fields.get("format")
    if value is None:
        return ""
    chosen = _string("format", value)
    if formats and chosen not in formats:
        raise InvalidInput(f"unknown format {chosen[:40]!r}; valid: {', '.join(sorted(formats))}")
    return chosen


def _string(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{field!r} is {_KINDS[type(value)]}; it must be a string")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(f"{field!r} holds half a character (a lone surrogate)")
    return value
