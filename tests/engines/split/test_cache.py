"""Parts on disk: found again, never trusted, never needed."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest

from farm.engines.split.cache import parts
from farm.errors import EngineError
from tests.engines.split.originals import model


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A model of its own, beside an empty folder for its parts."""
    shutil.copy(model("piper"), tmp_path / "voice.onnx")
    return tmp_path / "voice.onnx"


def folders(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_a_model_is_cut_once(copied: Path) -> None:
    cache = copied.parent / "parts"
    first = parts(copied, cache)
    (folder,) = folders(cache)
    written = (folder / "split.json").stat()
    assert parts(copied, cache) == first
    assert (folder / "split.json").stat().st_mtime_ns == written.st_mtime_ns
    assert folders(cache) == [folder]


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "split.json"])
def test_parts_that_are_not_what_was_written_are_made_again(copied: Path, name: str) -> None:
    cache = copied.parent / "parts"
    first = parts(copied, cache)
    (folder,) = folders(cache)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert parts(copied, cache) == first
    assert (folder / name).read_bytes() == content


def test_another_model_has_other_parts(copied: Path) -> None:
    cache = copied.parent / "parts"
    parts(copied, cache)
    changed = onnx.load(copied)
    changed.doc_string = "changed"
    onnx.save(changed, copied)
    parts(copied, cache)
    assert len(folders(cache)) == 2


def test_weights_in_files_beside_the_model_count(copied: Path) -> None:
    cache = copied.parent / "parts"
    whole = onnx.load(copied)
    onnx.save(whole, copied, save_as_external_data=True, location="weights", size_threshold=0)
    before = parts(copied, cache)
    weights = bytearray((copied.parent / "weights").read_bytes())
    weights[1000:1004] = b"\0\0\0\0"
    (copied.parent / "weights").write_bytes(weights)
    after = parts(copied, cache)
    assert len(folders(cache)) == 2
    assert (before.encoder, before.flow, before.decoder) != (
        after.encoder,
        after.flow,
        after.decoder,
    )


def test_many_may_cut_at_once(copied: Path) -> None:
    cache = copied.parent / "parts"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: parts(copied, cache), range(4)))
    assert all(each == made[0] for each in made)
    assert len(folders(cache)) == 1


def test_without_a_place_for_them_parts_are_made_each_time(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = copied.parent / "parts"
    cache.write_text("no folder")
    assert parts(copied, cache).seams.hop == 256
    assert f"the parts of {copied} are not kept in {cache}" in caplog.text


@pytest.mark.parametrize("content", [b"no graph", None])
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "voice.onnx").write_bytes(content)
    with pytest.raises(EngineError, match=r"voice.onnx' is no ONNX model"):
        parts(tmp_path / "voice.onnx", tmp_path)
