from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from farm.errors import InvalidInput
from farm.survey import BOOK_BYTES, SPEECH_BYTES, survey


@pytest.mark.parametrize(("kind", "most"), [("speech", SPEECH_BYTES), ("book", BOOK_BYTES)])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.ssml"])
def test_a_text_that_would_fill_the_memory_is_refused_by_its_size(
    kind: str, most: int, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(b"Hello. ")
    os.truncate(path, most + 1)
    with pytest.raises(InvalidInput, match=f"{most + 1} bytes: {most} at most"):
        survey(kind, path, name)  # type: ignore[arg-type]


def test_an_epub_may_be_larger_for_it_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", b"x")
    os.truncate(path, BOOK_BYTES + 1)
    with pytest.raises(InvalidInput, match=r"epub|EPUB|ZIP"):
        survey("book", path, "a.epub")


def test_a_text_of_just_the_limit_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * SPEECH_BYTES)
    assert survey("speech", path, "a.txt").characters == SPEECH_BYTES
