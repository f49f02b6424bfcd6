"""What `farm export yourtts` makes, against PyTorch: samples, durations, d-vectors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from farm.engines import Engine, load
from farm.engines.yourtts_onnx import YourTtsOnnx
from farm.errors import EngineError
from farm.jobs import Prosody, Segment
from tests.exports import export
from tests.exports.your_voices import LICENCE, SPEAKERS, exported, onnx_voice, torch_voice

#: A wave of the issue's tolerance.
TOLERANCE = 1e-3

SILENT = {"noise_scale": 0.0, "noise_w": 0.0}

LINES = [
    ("No!", "en", SPEAKERS[0]),
    ("A short one.", "en-GB", SPEAKERS[1]),
    ("É uma frase; não é?", "pt-BR", SPEAKERS[2]),
    ("C'est-à-dire : où ?", "fr", SPEAKERS[0]),
    ("Tom & Jerry (again).", "en", SPEAKERS[2]),
    ("Les chats & les chiens dorment.", "fr-FR", SPEAKERS[1]),
    ("A sentence that is a good deal longer, is it not?", "en-US", SPEAKERS[0]),
    ("Ah", "pt", SPEAKERS[1]),
]
SEGMENTS = [
    Segment(f"{number:064d}", text, "v", Prosody(speaker=speaker, speed=0.9 + number / 20), tag)
    for number, (text, tag, speaker) in enumerate(LINES)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the export, whose parts are kept beside it."""
    path = tmp_path_factory.mktemp("export") / "voice"
    return Path(shutil.copytree(exported(), path))


def engine_of(folder: Path, **parameters: float | int | str) -> YourTtsOnnx:
    engine = load(onnx_voice(**parameters), folder, "cpu")
    assert isinstance(engine, YourTtsOnnx)
    return engine


@pytest.fixture(scope="module")
def original() -> Engine:
    """PyTorch, with the checkpoint's own noise."""
    pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")
    return load(torch_voice(), export("yourtts"), "cpu")


@pytest.mark.parametrize("batched", [0, 1])
@pytest.mark.parametrize("parameters", [SILENT, {}], ids=["silent", "noisy"])
def test_the_export_speaks_as_pytorch_does_in_any_company(
    batched: int, parameters: dict[str, float], folder: Path, original: Engine
) -> None:
    if parameters:
        original = load(torch_voice(**parameters), export("yourtts"), "cpu")
    expected = original.speak(SEGMENTS)
    found = engine_of(folder, batched=batched, **parameters).speak(SEGMENTS)
    for one, other in zip(expected, found, strict=True):
        assert len(one.samples) == len(other.samples)
        assert np.abs(one.samples - other.samples).max() < TOLERANCE
        assert one.timings == other.timings
        assert one.warnings == other.warnings


def test_readings_are_a_function_of_the_digest(folder: Path) -> None:
    engine = engine_of(folder)
    first, *_ = engine.speak(SEGMENTS)
    (again,) = engine_of(folder).speak(SEGMENTS[:1])
    np.testing.assert_array_equal(first.samples, again.samples)
    (other,) = engine.speak([Segment("e" * 64, *list(SEGMENTS[0].__dict__.values())[1:])])
    assert not np.array_equal(first.samples, other.samples)


def recording(seconds: float, rate: int) -> NDArray[np.float32]:
    """Something like a voice: a buzz that glides, louder and softer."""
    time = np.arange(int(seconds * rate)) / rate
    buzz = np.sign(np.sin(2 * np.pi * (110 * time + 8 * np.sin(2 * time))))
    return np.asarray(0.2 * buzz * (1.2 + np.sin(5 * time)), np.float32)


@pytest.mark.parametrize(
    ("seconds", "rate"), [(0.3, 16_000), (2.49, 16_000), (2.5, 16_000), (6.1, 16_000), (4, 44_100)]
)
def test_d_vectors_are_pytorchs(seconds: float, rate: int, folder: Path, original: Any) -> None:
    wave = recording(seconds, rate)
    expected, found = original.embed(wave, rate), engine_of(folder).embed(wave, rate)
    cosine = expected @ found / np.linalg.norm(expected) / np.linalg.norm(found)
    assert cosine > 0.999
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_loudness_of_a_recording_does_not_change_its_d_vector(folder: Path) -> None:
    engine, wave = engine_of(folder), recording(3, 16_000)
    loud, soft = engine.embed(wave, 16_000), engine.embed(wave * np.float32(0.1), 16_000)
    assert np.abs(loud - soft).max() < 1e-5


@pytest.mark.parametrize("lengths", [[1], [2, 9], [140, 1, 63, 17, 5, 90, 33, 2]])
def test_the_whole_graph_gives_lengths_and_durations(lengths: list[int], folder: Path) -> None:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    count = len(lengths)
    generator = np.random.default_rng(count)
    output, samples, durations = session.run(
        None,
        {
            "input": generator.integers(0, 60, (count, max(lengths))),
            "input_lengths": np.array(lengths),
            "scales": np.array([0.5, 1.2, 0.6], np.float32),
            "d_vector": generator.standard_normal((count, 512), np.float32),
            "langid": np.arange(count) % 3,
        },
    )
    assert durations.shape == (count, max(lengths))
    assert output.shape == (count, 1, samples.max())
    assert samples.tolist() == (256 * durations.sum(axis=1)).tolist()
    for row, length in zip(durations, lengths, strict=True):
        assert (row[:length] >= 1).all()
        assert not row[length:].any()


def test_the_export_says_what_it_is(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["licence"] == LICENCE
    assert config["audio"]["sample_rate"] == 16_000
    assert config["languages"] == {"en": 0, "fr-fr": 1, "pt-br": 2}
    assert config["d_vector"] == {"size": 512, "sample_rate": 16_000}
    assert sorted(config["speakers"]) == sorted(SPEAKERS)
    graph = onnx.load(folder / "model.onnx").graph
    assert [each.name for each in graph.input] == [
        "input", "input_lengths", "scales", "d_vector", "langid"
    ]  # fmt: skip
    assert [each.name for each in graph.output] == ["output", "output_lengths", "durations"]


def test_neither_torch_nor_coqui_is_needed_to_speak(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.engines.test_yourtts_onnx import SEGMENTS, engine_of, recording\n"
        f"engine = engine_of(Path({str(folder)!r}))\n"
        "engine.speak(SEGMENTS[:1]); engine.embed(recording(1, 16000), 16000)\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'TTS', 'librosa')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_frames_of_another_length_than_the_configs_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"hop_length": 300}))
    with pytest.raises(EngineError, match="frames of 256 samples, its config says 300"):
        load(onnx_voice(), tmp_path, "cpu")
