"""`farm export forward-tts`: two of Coqui's checkpoints become a voice that speaks as they do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from farm import engines, voices
from farm.cli import app
from farm.errors import EngineError
from farm.export import Wish, export
from farm.jobs import Prosody, Segment
from tests.exports import export as made

pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")

KINDS = ("forward_tts", "forward_tts_convolutions", "forward_tts_speakers")
TEXT = "a rather longer sentence, is it not?"


def wish(kind: str, folder: Path, **changes: object) -> Wish:
    """Wish for an export of a checkpoint that a test may change."""
    shutil.copytree(made(kind) / "checkpoint", folder / "checkpoint")
    fields = {"language": "en", "licence": "none", "vocoder": folder / "checkpoint" / "vocoder"}
    given: dict[str, object] = {**fields, **changes}
    return Wish(folder / "checkpoint", folder / "out", "small", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_the_voice_speaks_as_the_checkpoints_do(kind: str, tmp_path: Path) -> None:
    exported = export("forward-tts", wish(kind, tmp_path))
    assert exported.difference < 1e-4
    assert exported.similarity is None
    assert {path.name for path in exported.files} == {
        path.name for path in (tmp_path / "out").iterdir()
    }
    file = voices.catalogue([tmp_path / "out"])["small"]
    voice = voices.pin(file)
    assert (voice.engine, voice.family, voice.sample_rate) == ("fastspeech2", "onnx", 22_050)
    engine = engines.load(voice, tmp_path / "out", "cpu")
    speaker = "bob" if kind == "forward_tts_speakers" else ""
    (audio,) = engine.speak([Segment("d" * 64, TEXT, "small", Prosody(speaker=speaker))])
    # Coqui's own inference; 5 frames of padding at either end, and an edge that hears them.
    golden = np.load(made(kind) / "golden.npz")["wav_1"][5 * 256 : -5 * 256]
    assert len(audio.samples) == len(golden)
    inside = slice(16 * 256, -16 * 256)
    np.testing.assert_allclose(audio.samples[inside], golden[inside], atol=1e-4)


def test_the_command_writes_the_voice_and_says_what_it_found(tmp_path: Path) -> None:
    wanted = wish("forward_tts", tmp_path)
    arguments = ["export", "forward-tts", str(wanted.source), str(wanted.target)]
    arguments += ["--vocoder", str(wanted.vocoder), "--language", "en"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "checked against PyTorch: samples differ by" in result.output
    assert "d-vectors" not in result.output
    assert "no --licence given" in result.output
    assert [*voices.catalogue([wanted.target])] == ["out"]
    again = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert again["similarity"] is None


def test_an_older_vocoder_that_holds_its_generator_alone_is_read(tmp_path: Path) -> None:
    import torch

    wanted = wish("forward_tts", tmp_path)
    path = tmp_path / "checkpoint" / "vocoder" / "model_file.pth"
    content = torch.load(path, weights_only=True)["model"]
    own = {name[8:]: each for name, each in content.items() if name.startswith("model_g.")}
    torch.save({"model": own, "model_disc": {}}, path)
    assert export("forward-tts", wanted).difference < 1e-4


def change(path: Path, **fields: object) -> None:
    """Change fields of a config; None takes one out."""
    told = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: each for name, each in told.items() if each is not None}))


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("config.json", {"use_phonemes": True, "phonemizer": "gruut"}, "wants the phonemizer gruu"),
        ("config.json", {"text_cleaner": "odd_cleaners"}, "odd_cleaners"),
        ("config.json", {"base_model": "vits"}, "is no ForwardTTS"),
        ("vocoder/config.json", {"generator_model": "melgan_generator"}, "is no HiFi-GAN"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    file: str, fields: dict[str, object], message: str, tmp_path: Path
) -> None:
    wanted = wish("forward_tts", tmp_path)
    change(wanted.source / file, **fields)
    with pytest.raises(EngineError, match=message):
        export("forward-tts", wanted)
    assert not wanted.target.exists()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    silent = wish("forward_tts", tmp_path / "a", language="")
    change(silent.source / "config.json", languages=None)
    with pytest.raises(EngineError, match="does not say its language"):
        export("forward-tts", silent)
    with pytest.raises(EngineError, match="name the folder of its vocoder"):
        export("forward-tts", wish("forward_tts", tmp_path / "b", vocoder=None))
    lacking = wish("forward_tts_speakers", tmp_path / "c")
    (lacking.source / "speakers.json").unlink()
    with pytest.raises(EngineError, match=r"has speakers but none of .*speaker_ids.json"):
        export("forward-tts", lacking)
    (lacking.source / "model_file.pth").unlink()
    with pytest.raises(EngineError, match=r"no checkpoint of Coqui's: it lacks \['model_file.pth'"):
        export("forward-tts", lacking)
