"""How the commands that run until they are told to stop are told so."""

from __future__ import annotations

import os
import signal
import threading


def until_told() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over


def end_well() -> None:
    """Have SIGTERM and SIGINT end this process with 0, at once.

    An exception would come in the midst of whatever runs, such as an import, that makes another
    of it. A web server takes both over while it runs (`farm.serving.server`).
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
