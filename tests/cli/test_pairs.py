"""FastSpeech 2 voices of PaddleSpeech are recognised by what their graphs take and give."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from farm import voices
from farm.cli import trying
from farm.errors import EngineError, InvalidInput
from tests.cli.conftest import Command
from tests.cli.test_pulling import hub
from tests.exports import export
from tests.hub import Hub

__all__ = ["hub"]

Data = Callable[..., Any]

#: The first of them downloads PaddleSpeech.
pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.timeout(600)]

MAP, CONFIG = "phone_id_map.txt", "default.yaml"
PAIR = {"a.onnx": "fastspeech2_csmsc.onnx", "b.onnx": "hifigan.onnx", MAP: MAP, CONFIG: CONFIG}
#: Names that say nothing, in an order that says nothing.
THREE = {
    "a.onnx": "cnndecoder_postnet.onnx",
    "b.onnx": "mb_melgan.onnx",
    "c.onnx": "cnndecoder_encoder.onnx",
    "d.onnx": "cnndecoder_decoder.onnx",
    **{name: name for name in (MAP, CONFIG, "speech_stats.npy", "pitch_stats.npy")},
}
SPEAKERS = PAIR | {
    "a.onnx": "fastspeech2_aishell3.onnx",
    "speaker_id_map.txt": "speaker_id_map.txt",
}


def holding(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder of exports under other names."""
    folder.mkdir()
    for name, source in files.items():
        shutil.copyfile(export("paddle") / source, folder / name)
    return folder


@pytest.mark.parametrize(
    ("files", "roles"),
    [
        (
            PAIR | {"speech_stats.npy": "speech_stats.npy"},  # one graph does without
            {"acoustic": "a.onnx", "vocoder": "b.onnx", "phones": MAP, "acoustic_config": CONFIG},
        ),
        (
            SPEAKERS,
            {
                "acoustic": "a.onnx",
                "vocoder": "b.onnx",
                "phones": MAP,
                "acoustic_config": CONFIG,
                "speakers": "speaker_id_map.txt",
            },
        ),
        (
            THREE,
            {
                "acoustic": "c.onnx",
                "decoder": "d.onnx",
                "postnet": "a.onnx",
                "vocoder": "b.onnx",
                "phones": MAP,
                "acoustic_config": CONFIG,
                "stats": "speech_stats.npy",
                "pitch": "pitch_stats.npy",
            },
        ),
    ],
    ids=["one graph", "speakers", "three graphs"],
)
def test_a_folder_is_added_by_what_its_graphs_are(
    files: dict[str, str], roles: Mapping[str, str], tmp_path: Path, data: Data
) -> None:
    added = data("voices", "add", holding(tmp_path / "my-voice", files), "--id", "csmsc")
    assert (added["id"], added["engine"], added["language"]) == ("csmsc", "fastspeech2", "zh")
    assert added["sample_rate"] == 24_000
    file = voices.read(Path(added["path"]))
    assert {role: path.name for role, path in file.files.items()} == roles
    with trying.loaded(file, "cpu") as (voice, engine):
        assert engine.speak(trying.segments(voice))[0].seconds > 0.5


def test_a_vocoder_that_gives_a_spectrum_is_one_too(tmp_path: Path, command: Command) -> None:
    folder = holding(tmp_path / "pair", PAIR)
    shutil.copyfile(export("vocos") / "same.onnx", folder / "b.onnx")
    with pytest.raises(EngineError, match="do not fit: sample_rate 24000 against 22050"):
        command("voices", "add", folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b.onnx": None}, "holds nothing where one vocoder of a FastSpeech 2 voice"),
        ({"c.onnx": "mb_melgan.onnx"}, "holds b.onnx, c.onnx where one vocoder"),
        ({"a.onnx": None}, "holds nothing where one acoustic model"),
        ({"c.onnx": "fastspeech2_aishell3.onnx"}, "holds a.onnx, c.onnx where one acoustic model"),
        ({"a.onnx": "cnndecoder_encoder.onnx"}, "holds nothing where one decoder"),
        ({"b.onnx": MAP}, "'b.onnx' is no ONNX model"),
        ({CONFIG: None}, "does not say its sample rate: give it with --sample-rate"),
        ({MAP: CONFIG}, "is not `symbol id`"),
    ],
)
def test_a_folder_that_lacks_a_part_or_has_it_twice_is_refused(
    change: dict[str, str | None], words: str, tmp_path: Path, command: Command, home: Path
) -> None:
    wanted: dict[str, str | None] = {**PAIR, **change}
    files = {name: source for name, source in wanted.items() if source}
    with pytest.raises((InvalidInput, EngineError), match=words):
        command("voices", "add", holding(tmp_path / "pair", files))
    assert not (home / "voices").exists()


def test_a_voice_of_a_repository_is_pulled_with_its_vocoder(
    hub: Hub, data: Data, command: Command
) -> None:
    more = PAIR | {"c.onnx": "fastspeech2_aishell3.onnx"}
    files = {
        f"zh/{name}": (export("paddle") / source).read_bytes() for name, source in more.items()
    }
    hub.add("ann/mandarin", {"README.md": b"---\nlicense: apache-2.0\n---\n", **files})
    with pytest.raises(InvalidInput, match=r"holds zh/a.onnx, zh/c.onnx where one acoustic model"):
        command("voices", "pull", "hf:ann/mandarin")
    pulled = data("voices", "pull", "hf:ann/mandarin", "--model", "a.onnx")
    assert (pulled["id"], pulled["language"], pulled["licence"]) == ("a", "zh", "apache-2.0")
    assert set(pulled["sha256"]) == {"acoustic", "vocoder", "phones", "acoustic_config"}
    hub.add("ann/two", {**files, f"en/{MAP}": b"AH0 0\n"})
    with pytest.raises(InvalidInput, match="holds 2 voices: name the folder of one"):
        command("voices", "pull", "hf:ann/two")


def test_the_symbols_of_a_map_tell_its_language(tmp_path: Path, command: Command) -> None:
    folder = holding(tmp_path / "pair", PAIR)
    (folder / MAP).write_text("x 0\ny 1\n")
    with pytest.raises(InvalidInput, match="does not say its language: give it with --language"):
        command("voices", "add", folder)


def test_a_rate_that_no_file_says_is_given(tmp_path: Path, data: Data) -> None:
    folder = holding(tmp_path / "pair", {name: PAIR[name] for name in PAIR if name != CONFIG})
    added = data("voices", "add", folder, "--sample-rate", "24000", "--language", "zh-CN")
    assert (added["language"], added["sample_rate"]) == ("zh-CN", 24_000)


def test_the_yaml_of_the_page_on_mandarin_says_it_without_guessing(
    tmp_path: Path, data: Data
) -> None:
    named = {
        "fastspeech2_csmsc.onnx": PAIR["a.onnx"],
        "hifigan_csmsc.onnx": PAIR["b.onnx"],
        MAP: MAP,
    }
    folder = holding(tmp_path / "pair", named)
    page = (Path(__file__).parents[2] / "docs/mandarin.md").read_text(encoding="utf-8")
    (folder / "voice.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    added = data("voices", "add", folder)
    assert (added["id"], added["language"], added["sample_rate"]) == ("csmsc", "zh-CN", 24_000)
