"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.audio.replacing import replacing
from farm.errors import StoreUnavailable


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.mp3"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.suffix == ".mp3"
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp3"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.mp3"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_said_with_the_path(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"book\.m4b.*No space left") as caught,
        replacing(tmp_path / "book.m4b"),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x" * 100_000)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_said_with_the_path(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"nowhere/a\.wav"),
        replacing(tmp_path / "nowhere" / "a.wav") as temporary,
    ):
        temporary.write_text("x")


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"
