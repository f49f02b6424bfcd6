"""A disk that is full: one line says so, nothing is left half-written, and it goes on with room."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farm.audio import flac
from farm.dispatch import BUG_TRIES
from farm.errors import StoreUnavailable
from farm.jobs import Output
from farm.ledger import Events
from farm.storage.atomic import TEMPORARY
from farm.storage.local import LocalStore
from tests.disks import Disk, small_disk
from tests.faults.undisturbed import outputs, rarely
from tests.running import Running, quiet, running

TEXT = "# One\n\nOne is here. Two is there.\n\n# Two\n\n" + "A sentence of words, and more. " * 20
JOB: dict[str, Any] = {
    "kind": "book",
    "name": "a.md",
    "output": Output("mp3", "m4b", ("mp3",), ("srt",)),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 40) as disk:
        yield disk


@pytest.fixture
def farm(redis_url: str, tmp_path: Path, disk: Disk) -> Iterator[Running]:
    """A farm whose store is on the small disk."""
    with running(redis_url, tmp_path, LocalStore(disk.folder / "store")) as farm, quiet():
        yield farm


@pytest.fixture(scope="module")
def expected(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outputs of the job that nothing happened to."""
    return outputs(redis_server, tmp_path_factory.mktemp("quiet"), TEXT, **JOB)


def waits(farm: Running) -> str:
    """Perform the next unit, which cannot be done now; what the farm says of it."""
    _, result = farm.step()
    reason = str(result["waiting"])
    assert "\n" not in reason
    (told,) = [data for _, type_, data in Events(farm.farm.ledger).of("j") if type_ == "waiting"]
    assert told["reason"] == reason
    return reason


@pytest.mark.parametrize(
    "stage", [rarely("read"), rarely("page"), "chunk", rarely("items"), rarely("package")]
)
def test_a_store_that_is_full_is_waited_for(
    stage: str, farm: Running, disk: Disk, expected: dict[str, str]
) -> None:
    farm.submit(TEXT, **JOB)
    farm.until(stage)
    disk.fill()
    assert waits(farm).startswith(f"cannot write '{disk.folder}/store/")
    assert not list(disk.folder.rglob(f"{TEMPORARY}*"))
    for key in farm.segments():
        flac.decode(farm.farm.store.get(key))
    disk.free()
    assert farm.finish() == "completed"
    assert farm.outputs() == expected


@pytest.mark.parametrize("stage", [rarely("read"), "items", rarely("package")])
def test_a_full_disk_for_temporary_files_is_waited_for(
    stage: str,
    redis_url: str,
    tmp_path: Path,
    disk: Disk,
    expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    with running(redis_url, tmp_path) as farm, quiet():
        farm.submit(TEXT, **JOB)
        farm.until(stage)
        disk.fill()
        assert "No space left on device" in waits(farm)
        assert [path.name for path in disk.folder.iterdir()] == ["ballast"]
        disk.free()
        assert farm.finish() == "completed"
        assert farm.outputs() == expected


def test_a_machine_without_any_room_for_temporary_files_loses_no_job(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a process has not written yet, Python finds no folder for them at all."""
    farm.submit(TEXT, **JOB)
    with monkeypatch.context() as full:
        full.setattr(tempfile, "tempdir", None)
        full.setattr(tempfile, "_candidate_tempdir_list", list)
        for _ in range(BUG_TRIES + 1):
            _, result = farm.step()
            assert "No usable temporary directory" in result["waiting"]
            farm.hurry()
            farm.control.tick()
    assert farm.finish() == "completed"


def test_no_job_is_accepted_that_cannot_be_kept(farm: Running, disk: Disk) -> None:
    disk.fill()
    with pytest.raises(StoreUnavailable, match=r"^cannot write .*: No space left on device$"):
        farm.submit(TEXT, **JOB)
    disk.free()
    farm.submit(TEXT, **JOB)
    assert farm.finish() == "completed"
