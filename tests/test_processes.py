"""Processes: what supervised ones leave on disk, and what freed memory costs."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from farm import processes
from farm.processes import Child
from tests.homes import until


def test_a_long_log_is_set_aside_and_its_process_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 1_000)
    log, aside = tmp_path / "talker.log", tmp_path / "talker.log.1"
    child = Child("talker", ["sh", "-c", "while :; do echo on and on; sleep 0.001; done"], log)
    child.keep(dict(os.environ))
    assert child.process is not None
    first = child.process.pid
    try:
        until(lambda: log.stat().st_size > 1_000)
        child.keep(dict(os.environ))
        assert aside.stat().st_size > 1_000
        aside.unlink()
        until(lambda: log.stat().st_size > 1_000)  # it goes on, and does not leave a hole
        assert b"\0" not in log.read_bytes()
        child.keep(dict(os.environ))
        assert aside.exists()
        assert child.process.pid == first
    finally:
        child.signal(signal.SIGKILL)
        child.process.wait()


#: Each buffer is longer than those before, which glibc by itself maps anew.
BUFFERS = """
import resource, sys
from farm import processes
if sys.argv[1] == "kept":
    processes.keep_freed_memory()
for size in range(200_000, 2_000_000, 20_000):
    bytearray(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", BUFFERS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_used_again() -> None:
    assert faults("given back") - faults("kept") > 10_000


#: Prints the policy and the niceness of the process, and the policy of a thread that begins later.
POLICIES = """
import concurrent.futures, os
from farm import processes
os.nice(5)
processes.compute_in_long_slices()
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(os.sched_getscheduler(0), os.nice(0), pool.submit(os.sched_getscheduler, 0).result())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_process_and_its_threads_compute_in_long_slices_and_stay_nice() -> None:
    command = [sys.executable, "-c", POLICIES]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == [str(os.SCHED_BATCH), "5", str(os.SCHED_BATCH)]
