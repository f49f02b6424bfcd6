"""What the farm asks of the operating system about its processes: to keep, tie and end them."""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
#: glibc's mallopt(3): what is freed at the end of the heap stays up to so many bytes, and blocks of
#: less than so many bytes come from the heap.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _HEAP_BYTES = 64 << 20, 32 << 20
#: Found here: between fork and exec another thread's lock may forbid to look for it.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
#: Seconds that a child may take to end by itself.
STOP_S = 8.0
#: Bytes of a log, after which it becomes `.1` in place of the last one.
LOG_BYTES = 16 << 20
#: Seconds of life after which a child's end says nothing about its start.
HEALTHY_S = 60.0


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process a signal when its parent ends (Linux: prctl(2))."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, number)


def keep_freed_memory() -> None:
    """Have the C library use freed memory again instead of giving it back (glibc: mallopt(3)).

    A process that takes and frees signals of some 100 kB all day spends a tenth of its time on
    the pages that are taken from it and given to it again.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_MMAP_THRESHOLD, _HEAP_BYTES)


def compute_in_long_slices() -> None:
    """Have the kernel interrupt this process less often (Linux: SCHED_BATCH of sched(7)).

    Where more processes compute than there are processors, each finds its caches as it left them
    more often. Threads that begin afterwards do the same.
    """
    if sys.platform == "linux":
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@contextmanager
def ends_if_hanging(seconds: float) -> Iterator[None]:
    """Have this process end should the block take longer, with what its threads did on stderr.

    A thread that needs no interpreter counts the time, so native code that does not return is
    ended, too. One block at a time; 0 seconds: it may take for ever.
    """
    if seconds:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def locked(path: Path, kind: int) -> Iterator[IO[str] | None]:
    """Hold a lock on a file; None when another process's lock forbids it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file


@dataclass
class Child:
    """A supervised process: started again when it ends, with a growing pause."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    not_before: float = 0.0
    inherits: tuple[int, ...] = ()
    """Descriptors that stay open in the process, such as a port's: it outlives the process."""
    niceness: int = 0
    """How far it stands back where processors are short (nice(2))."""

    def keep(self, environment: dict[str, str]) -> None:
        """Start the process if it is not running and its pause is over; keep its log small."""
        self._bound_log()
        if self.process is not None and self.process.poll() is not None:
            log.warning("%s ended with %s", self.name, self.process.returncode)
            self.signal(signal.SIGKILL)  # what it leaves behind
            self.process = None
            healthy = time.monotonic() - self.started > HEALTHY_S
            self.restarts = 1 if healthy else self.restarts + 1
            self.not_before = time.monotonic() + min(10.0, 0.5 * 2 ** min(self.restarts, 5))
        if self.process is None and time.monotonic() >= self.not_before:
            with self.log.open("ab") as output:
                self.started = time.monotonic()
                self.process = subprocess.Popen(
                    self.command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    pass_fds=self.inherits,
                    preexec_fn=self._begin,
                )

    def _bound_log(self) -> None:
        """Set a long log aside; the process, which only appends, goes on with an empty one."""
        with suppress(OSError):  # none yet, or a full disk
            if self.log.stat().st_size > LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
                os.truncate(self.log, 0)

    def _begin(self) -> None:
        os.nice(self.niceness)
        die_with_parent()

    def signal(self, number: int) -> None:
        """Signal the process, with SIGKILL its whole group."""
        if self.process is None:
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            elif self.process.poll() is None:
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            pass


def stop(children: list[Child]) -> None:
    """End processes: ask, wait, then kill with all they started."""
    for child in children:
        child.signal(signal.SIGTERM)
    end = time.monotonic() + STOP_S
    for child in children:
        if child.process is not None:
            try:
                child.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s is killed", child.name)
        child.signal(signal.SIGKILL)
        if child.process is not None:
            child.process.wait()
