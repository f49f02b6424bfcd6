"""What clients send cannot pass for a line of a log, or steer the terminal that shows it."""

from __future__ import annotations

import io
import logging

import pytest

from farm.cli.logs import Plain
from farm.cli.printing import printable

FORGED = "a\n2026-01-01 00:00:00,000 ERROR forged\r\x1b[2J\x1b]0;title\x07\x85\u2028b\u202ec"


def logged(text: str, error: Exception | None = None) -> str:
    """What a log says of a text and an error."""
    stream = io.StringIO()
    told = logging.StreamHandler(stream)
    told.setFormatter(Plain("%(asctime)s %(levelname)s %(message)s"))
    what = (type(error), error, None) if error else None
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "%s", (text,), what)
    told.handle(record)
    return stream.getvalue()


def test_only_an_entrys_first_line_begins_at_the_margin() -> None:
    first, *rest = logged(FORGED, ValueError(FORGED)).splitlines()
    assert " WARNING a" in first
    assert len(rest) > 2
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("text", [FORGED, "".join(map(chr, range(0xA0)))])
def test_nothing_in_a_log_or_on_a_terminal_is_a_control_character(text: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in logged(text, ValueError(text)))
    assert printable(text).isprintable()


def test_what_was_said_can_be_read() -> None:
    assert "Été — 你好 \\x1b[31m" in logged("Été — 你好 \x1b[31m")
