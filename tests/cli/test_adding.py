"""`farm voices add` of a folder: its YAML says what it is, or its files tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from farm import voices
from farm.errors import EngineError, InvalidInput
from tests.cli.conftest import Command
from tests.engines.tiny_piper import make_voice

Data = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a tiny Piper voice."""
    make_voice(tmp_path / "some voice")
    return tmp_path / "some voice"


def told(folder: Path, **fields: Any) -> None:
    """Have a folder say what its voice is."""
    files = {"model": "tiny.onnx", "config": "tiny.onnx.json"}
    (folder / "voice.yaml").write_text(yaml.safe_dump({"files": files, **fields}))


def test_a_folder_without_a_yaml_is_recognised_by_its_files(folder: Path, data: Data) -> None:
    added = data("voices", "add", folder, "--licence", "MIT")
    assert (added["id"], added["engine"], added["licence"]) == ("tiny", "piper", "MIT")
    file = voices.read(Path(added["path"]))
    assert voices.pin(file).language == "en-US"
    assert {path.parent.name for path in file.files.values()} == {"tiny"}


def test_a_model_whose_name_says_nothing_is_named_after_its_folder(
    folder: Path, data: Data
) -> None:
    for end in ("onnx", "onnx.json"):
        (folder / f"tiny.{end}").rename(folder / f"model.{end}")
    assert data("voices", "add", folder)["id"] == "some-voice"
    assert data("voices", "add", folder, "--id", "mine")["id"] == "mine"


def test_a_folders_yaml_is_believed_but_for_what_the_command_says(folder: Path, data: Data) -> None:
    parameters = {"noise_scale": 0, "noise_w": 0}
    told(folder, id="ann", engine="piper", licence="MIT", parameters=parameters, rtf=0.5)
    added = data("voices", "add", folder, "--language", "en-GB")
    assert (added["id"], added["language"], added["licence"]) == ("ann", "en-GB", "MIT")
    assert (added["parameters"], added["rtf"]) == (parameters, 0.5)
    assert data("voices", "add", folder, "--id", "bob", "--licence", "CC0-1.0")["licence"] != "MIT"


@pytest.mark.parametrize("yaml_there", [False, True])
def test_a_link_in_a_folder_is_refused(
    yaml_there: bool, folder: Path, command: Command, home: Path
) -> None:
    (folder / "tiny.onnx").rename(folder.parent / "real.onnx")
    (folder / "tiny.onnx").symlink_to(folder.parent / "real.onnx")
    if yaml_there:
        told(folder, id="ann", engine="piper")
    with pytest.raises(InvalidInput, match="is a symbolic link: give the model itself"):
        command("voices", "add", folder)
    assert not (home / "voices").exists()


def test_a_folder_that_holds_no_voice_is_refused(tmp_path: Path, command: Command) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"empty' holds no ONNX model, but nothing"):
        command("voices", "add", tmp_path / "empty")
    make_voice(tmp_path / "odd", broken=True)
    with pytest.raises(EngineError, match="no finite signal"):
        command("voices", "add", tmp_path / "odd")
