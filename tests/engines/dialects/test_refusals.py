"""Files that no dialect can read are refused, with what was found and what is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from farm.engines import dialects
from farm.errors import EngineError

SHERPA = ("x", "x_length", "noise_scale", "length_scale", "noise_scale_w")
COQUI = ("input", "input_lengths", "scales")
SAYS = {"sample_rate": "16000", "n_speakers": "1", "language": "English", "comment": "test"}
COQUI_CONFIG: dict[str, Any] = {
    "audio": {"sample_rate": 16_000},
    "text_cleaner": "basic_cleaners",
    "characters": {
        "characters_class": "TTS.tts.utils.text.characters.Graphemes",
        "characters": "cab",
        "punctuations": ".!",
        "pad": "<PAD>",
        "eos": None,
        "bos": None,
        "blank": None,
    },
}


def files(
    folder: Path,
    inputs: tuple[str, ...],
    metadata: Mapping[str, str] | None = None,
    **others: str | Mapping[str, Any],
) -> dict[str, Path]:
    """Write a model of these inputs that does nothing, and the files beside it; by role."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    graph = helper.make_graph([], "nothing", values, [])
    model = helper.make_model(graph)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, folder / "model.onnx")
    roles = {"model": folder / "model.onnx"}
    for role, content in others.items():
        text = content if isinstance(content, str) else json.dumps(content)
        roles[role] = folder / role
        roles[role].write_text(text, encoding="utf-8")
    return roles


def refused(roles: Mapping[str, Path], words: str) -> None:
    """Check that the files are refused in these words."""
    with pytest.raises(EngineError, match=words):
        dialects.read("voice 'v'", roles)


def test_a_graph_of_unknown_inputs_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    refused(files(tmp_path, ("text", "speed")), r"inputs text, speed and no metadata.*sherpa-onnx")


def test_sherpa_inputs_without_metadata_are_refused(tmp_path: Path) -> None:
    refused(files(tmp_path, SHERPA), "no metadata that tell who made it")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("not a model", encoding="utf-8")
    refused({"model": path}, "is no ONNX model")
    refused({"config": path}, "names no 'model' file; it has config")


@pytest.mark.parametrize(
    ("inputs", "metadata", "role"),
    [
        (("input_ids", "attention_mask"), {}, "config"),
        (COQUI, {}, "config"),
        (SHERPA, SAYS, "tokens"),
    ],
)
def test_a_missing_file_is_named_with_its_role(
    inputs: tuple[str, ...], metadata: dict[str, str], role: str, tmp_path: Path
) -> None:
    refused(files(tmp_path, inputs, metadata), f"voice 'v' has no '{role}' file, .*names model")


def test_a_lexicon_that_is_missing_is_named(tmp_path: Path) -> None:
    refused(files(tmp_path, SHERPA, SAYS, tokens="a 0\n"), "has no 'lexicon' file")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"comment": "melo"}, "MeloTTS voice, which wants tones"),
        ({"sample_rate": "high"}, "'sample_rate' is 'high', no number"),
        ({"sample_rate": "0", "frontend": "characters"}, "says no sample rate"),
        ({"comment": "piper"}, "no lexicon and its metadata no espeak-ng 'voice'"),
    ],
)
def test_metadata_that_cannot_be_are_refused(
    change: dict[str, str], words: str, tmp_path: Path
) -> None:
    refused(files(tmp_path, SHERPA, SAYS | change, tokens="a 0\n"), words)


@pytest.mark.parametrize("line", ["a b 1", "a", "a one"])
def test_a_line_of_tokens_that_is_none_is_shown(line: str, tmp_path: Path) -> None:
    roles = files(tmp_path, SHERPA, SAYS, tokens=f"_ 0\n{line}\n")
    refused(roles, f"line 2 of .* is {line!r}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text_cleaner": "my_cleaners"}, "wants the cleaner 'my_cleaners': known are basic_"),
        ({"text_cleaner": "uroman_cleaners"}, "wants the cleaner 'uroman_cleaners'"),
        ({"use_phonemes": True, "phonemizer": "gruut"}, "phonemizer gruut: only espeak is known"),
        ({"characters": None}, "no 'characters'"),
        ({"characters": {"characters_class": "my.Own"}}, "wants the characters 'Own'"),
        ({"audio": {}}, "says no sample rate"),
        ({"audio": []}, "says no sample rate"),
        ({"model_args": ["no"]}, "its config is not what was expected"),
    ],
)
def test_a_coqui_config_that_cannot_be_followed_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    refused(files(tmp_path, COQUI, config=COQUI_CONFIG | change), words)


def test_coqui_graphemes_are_sorted_behind_the_pad(tmp_path: Path) -> None:
    dialect = dialects.read("v", files(tmp_path, COQUI, config=COQUI_CONFIG))
    # <PAD> 0, a 1, b 2, c 3, . 4, ! 5; no blank: its id is the number of symbols.
    assert dialect.tokenise("Cab!", "").ids == (6, 3, 6, 1, 6, 2, 6, 5, 6)
    assert dialect.tokenise("dada", "").missing == ("d",)


def test_a_piper_voice_of_another_alphabet_belongs_to_the_engine_piper(tmp_path: Path) -> None:
    config = {"phoneme_type": "pinyin", "phoneme_id_map": {}, "audio": {"sample_rate": 16_000}}
    refused(files(tmp_path, COQUI, config=config), "'pinyin' phonemes: give it the engine 'piper'")


def test_a_voice_of_two_languages_names_both(tmp_path: Path) -> None:
    says = SAYS | {"language": "Chinese + English", "jieba": "1"}
    roles = files(tmp_path, SHERPA, says, tokens="a 0\n", lexicon="ok a\n")
    assert dialects.read("v", roles).languages == ("Chinese", "English")
