"""Supervised processes: what they leave on disk."""

from __future__ import annotations

import os
import signal
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
