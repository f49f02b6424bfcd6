"""How the commands that run until they are told to stop are told so."""

from __future__ import annotations

import signal
import threading


def until_told() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over
