"""`farm export yourtts`: what it writes, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm import voices
from farm.cli import app
from farm.errors import EngineError, Unavailable
from farm.export import EXPORTS, Wish, export
from tests.exports import export as made
from tests.exports.your_voices import LICENCE, exported


def test_the_written_voice_is_one_of_a_catalogue() -> None:
    folder = exported()
    found = voices.catalogue([folder])
    assert [*found] == ["your-onnx"]
    pinned = voices.pin(found["your-onnx"])
    assert (pinned.engine, pinned.family, pinned.language) == ("yourtts_onnx", "onnx", "en")
    assert (pinned.licence, pinned.sample_rate) == (LICENCE, 16_000)


def test_importing_the_registry_and_its_command_loads_no_torch() -> None:
    script = (
        "import sys, farm.export, farm.cli.exporting;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'TTS', 'onnxruntime')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_an_unknown_kind_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match="unknown kind 'xtts': choose one of forward-tts, yourtts"
    ):
        export("xtts", Wish(tmp_path, tmp_path, "v"))


def test_an_export_that_is_not_installed_names_the_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXPORTS, "yourtts", "farm.export.ghost:export")
    with pytest.raises(Unavailable, match=r"install the extras 'farm\[yourtts,onnx\]'"):
        export("yourtts", Wish(tmp_path, tmp_path, "v"))


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")
    result = CliRunner().invoke(app, ["export", "yourtts", str(tmp_path), str(tmp_path / "out")])
    assert isinstance(result.exception, EngineError)
    assert "is no YourTTS checkpoint: it lacks ['config.json', 'config_se.json'" in str(
        result.exception
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "field", "value", "message"),
    [
        ("config.json", '"use_phonemes": false', '"use_phonemes": true', "speaks phonemes"),
        ("config.json", "multilingual_cleaners", "english_cleaners", "text cleaner 'engl"),
        ("config_se.json", '"do_trim_silence": false', '"do_trim_silence": true', "cannot be exp"),
        ("config_se.json", '"use_torch_spec": true', '"use_torch_spec": false', "cannot be expo"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    file: str, field: str, value: str, message: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(made("yourtts"), source)
    pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")
    text = (source / file).read_text()
    assert field in text
    (source / file).write_text(text.replace(field, value))
    with pytest.raises(EngineError, match=message):
        export("yourtts", Wish(source, tmp_path / "out", "v"))
    assert not (tmp_path / "out").exists()


def test_the_command_prints_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ghost.py").write_text(
        "from farm.export import Exported\n"
        "def export(wish): return Exported((wish.target / wish.voice,), 1e-7, 1.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(EXPORTS, "yourtts", "ghost:export")
    result = CliRunner().invoke(app, ["export", "yourtts", "a", str(tmp_path / "me"), "--json"])
    assert json.loads(result.stdout) == {
        "files": [str(tmp_path / "me" / "me")],
        "difference": 1e-7,
        "similarity": 1.0,
    }
