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


def end_well() -> None:
    """Have SIGTERM and SIGINT end this process with 0.

    A web server takes both over while it runs, and raises the one that it got once more when it
    has stopped.
    """

    def end(*_: object) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
