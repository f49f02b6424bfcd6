"""What the processes of a farm under test note of their own work; mutations; a farm's version.

On the path of the rig's processes only (`tests.faults.rig`); Python imports it at its start. Every
unit of work and every forward pass is a line before it and a line after it, in a file that all of
them append to: what was spoken when, and by whom, known without a counter of the farm's.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from farm import engines
from farm import farm as hold
from farm.audio import Audio
from farm.engines import Engine, load
from farm.jobs import Segment, Voice
from farm.ledger import ledger
from farm.stages import STAGES, Outcome
from farm.storage.s3 import S3Store
from farm.tasks import messages
from farm.work import Work

#: Seconds that each unit and each forward pass takes longer, so that a fault meets somebody.
PAUSE_S = float(os.environ["FAULTS_PAUSE_S"])

_notes = os.open(os.environ["FAULTS_NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
_here = threading.local()


def _note(what: str, ref: str, digests: Sequence[str] = ()) -> None:
    """Append a line in one write, which no other process's falls into."""
    row = [round(time.monotonic(), 4), os.getpid(), what, ref, *digests]
    os.write(_notes, (json.dumps(row) + "\n").encode())


class _Noted(Engine):
    """An engine whose forward passes are noted."""

    def __init__(self, inner: Engine) -> None:
        self.sample_rate = inner.sample_rate
        self._inner = inner

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        ref, digests = getattr(_here, "ref", ""), [segment.digest for segment in segments]
        _note("speaks", ref, digests)
        time.sleep(PAUSE_S)
        audio = self._inner.speak(segments)
        _note("spoke", ref, digests)
        return audio


def _load(voice: Voice, folder: Path, device: str) -> Engine:
    return _Noted(load(voice, folder, device))


def _staged(stage: Callable[[Work], Outcome]) -> Callable[[Work], Outcome]:
    def noted(work: Work) -> Outcome:
        _here.ref = str(work.ref)
        _note("begins", _here.ref)
        if work.ref.stage != "chunk":  # whose passes take longer
            time.sleep(PAUSE_S)
        try:
            return stage(work)
        finally:
            _note("ends", str(work.ref))

    return noted


def _changed(lua: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in lua, old
        lua = lua.replace(old, new)
    return lua


def _no_expiry() -> None:
    """A claim holds for weeks, whatever becomes of its holder."""
    ledger._LUA = _changed(ledger._LUA, ("LEASE_MS = 15000", "LEASE_MS = 2000000000"))


def _no_first_finish() -> None:
    """Every end of a page or a chunk counts, not only the first."""
    first = "if call('SETBIT', k, offset, 1) == 1 then return {} end"
    ledger._LUA = _changed(ledger._LUA, (first, "call('SETBIT', k, offset, 1)"))


def _no_put_if_absent() -> None:
    """The last write of an object wins."""
    write = S3Store._write

    def overwrite(self: S3Store, key: str, file: Any, if_absent: bool) -> bool:  # noqa: ARG001
        return write(self, key, file, if_absent=False)

    S3Store._write = overwrite  # type: ignore[method-assign]


_MUTATIONS = {
    "": lambda: None,
    "lease expiry": _no_expiry,
    "first finish": _no_first_finish,
    "put if absent": _no_put_if_absent,
}

for _module in (engines, hold):  # the first is where a process of its own for a suspect finds it
    setattr(_module, "load", _load)  # noqa: B010 (its type is the function itself)
for _name, _stage in STAGES.items():
    STAGES[_name] = _staged(_stage)
_MUTATIONS[os.environ.get("FAULTS_MUTATION", "")]()
messages.VERSION = int(os.environ.get("FAULTS_VERSION", messages.VERSION))
