"""The log as a person reads it: nothing that a client sends can pass for a line of its own."""

from __future__ import annotations

import logging
import re

#: Characters that move the cursor, end a line, or turn the direction of what follows.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_INDENT = "\n    "


class Plain(logging.Formatter):
    """Escapes control characters, and indents all but an entry's first line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write an entry."""
        text = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], super().format(record))
        return text.replace("\n", _INDENT)


def set_up() -> None:
    """Log warnings to standard error."""
    told = logging.StreamHandler()
    told.setFormatter(Plain("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[told])
