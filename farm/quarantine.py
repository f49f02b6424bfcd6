"""A segment that a worker died of is spoken in a process of its own, so that it can cost no other.

    the worker's child: voice, folder, device and segment as JSON  ->  stdin
    the process:        `LOADED` once the voice is, then a FLAC or a reason  ->  stdout

What ends that process after `LOADED` is the segment's doing, and nobody else's: a child that is
killed in the meantime proves nothing. Its stderr is the worker's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from farm import batching
from farm.audio import Audio, flac
from farm.engines import ENGINES, load
from farm.errors import EngineError, FarmError, OutOfMemory, Unavailable
from farm.jobs import Segment, Voice
from farm.processes import die_with_parent
from farm.schema import from_json, to_json

#: Processes that may end over the same segment before it is given up; with the child that it was
#: in flight in before, it has cost three.
TRIES = 2
#: Seconds that the voice may take to load.
LOAD_S = 300.0
#: Exit codes (sysexits.h): the segment cannot be spoken; it does not fit on the device.
REFUSED, NO_ROOM = 65, 75

LOADED = b"loaded\n"


@dataclass(frozen=True)
class Request:
    """What the process is to do."""

    voice: Voice
    folder: str
    device: str
    segment: Segment
    limit_s: float
    """Seconds for the forward pass; 0: as long as it takes."""
    maker: str
    """The engine's class, as the registry of the asking process has it."""


def speak(voice: Voice, folder: Path, device: str, segment: Segment, limit_s: float) -> Audio:
    """Speak one segment in a process of its own, within `limit_s` seconds (0: no limit).

    Raises:
        EngineError: it cannot be spoken, or ended its process `TRIES` times.
        OutOfMemory: it does not fit beside what this process has loaded.
        Unavailable: the voice could not be loaded there.
    """
    maker = ENGINES[voice.engine]
    request = Request(voice, str(folder), device, segment, limit_s, maker)
    for _ in range(TRIES):
        code, said = _run(to_json(request), limit_s)
        if not said.startswith(LOADED):
            raise Unavailable(f"voice {voice.id!r} does not load alone: {_end(code, limit_s)}")
        body = said.removeprefix(LOADED)
        if code == 0:
            return flac.decode(body)[0]
        if code == REFUSED:
            raise EngineError(body.decode())
        if code == NO_ROOM:
            raise OutOfMemory(body.decode())
    reason = body.decode(errors="replace") or _end(code, limit_s)
    raise EngineError(f"it ends the process that speaks it: {reason}")


def _run(request: bytes, limit_s: float) -> tuple[int, bytes]:
    """Run the process; return its exit code, as `subprocess` has it, and what it said."""
    command = [sys.executable, "-m", "farm.quarantine"]
    try:
        run = subprocess.run(
            command,
            input=request,
            stdout=subprocess.PIPE,
            timeout=LOAD_S + limit_s if limit_s else None,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return -signal.SIGALRM, error.stdout or b""
    return run.returncode, run.stdout


def _end(code: int, limit_s: float) -> str:
    """Describe how a process ended."""
    if code == -signal.SIGALRM:
        return f"it hangs, for {limit_s:g} s at least"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _main() -> None:
    die_with_parent(signal.SIGKILL)
    # What a library prints is not ours to say.
    said = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    request = from_json(Request, sys.stdin.buffer.read())
    ENGINES[request.voice.engine] = request.maker
    engine = load(request.voice, Path(request.folder), request.device)
    said.write(LOADED)
    # The kernel ends the process then, whatever holds the interpreter.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, request.limit_s)
    try:
        (outcome,) = batching.run(engine.speak, [request.segment], engine.sample_rate)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if isinstance(outcome, EngineError):
            raise outcome
        said.write(flac.encode(outcome, {}))
    except FarmError as error:
        said.write(str(error).encode())
        sys.exit(_code(error))


def _code(error: FarmError) -> int:
    if isinstance(error, EngineError):
        return REFUSED
    return NO_ROOM if isinstance(error, OutOfMemory) else 1


if __name__ == "__main__":
    _main()
