"""`farm voices`, with tiny Piper voices in a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from farm import builtin, voices
from farm.audio import Audio, Timing
from farm.cli import adding, installing, trying
from farm.config import read_settings
from farm.errors import Conflict, EngineError, InvalidInput, NotFound, UnknownVoice
from farm.jobs import Voice
from farm.text import examples
from tests.cli.conftest import Command
from tests.engines.tiny_piper import SAMPLE_RATE, make_voice

Data = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("home")

VOICE = Voice("v", "0" * 64, "piper", "piper", "en", 8_000)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny Piper voice that a person has downloaded."""
    make_voice(tmp_path / "downloads")
    return tmp_path / "downloads" / "tiny.onnx"


@pytest.fixture
def tiny(command: Command, model: Path) -> Path:
    """The same, added; its YAML."""
    assert command("voices", "add", model).exit_code == 0
    return model.parent.parent / "home" / "voices" / "tiny.yaml"


def signal(*samples: float, rate: int = 8_000) -> Audio:
    array = np.array(samples, np.float32)
    return Audio(array, rate, (Timing("a", len(samples)),))


def trial(*spoken: Audio, again: tuple[Audio, ...] = ()) -> trying.Trial:
    return trying.Trial(VOICE, spoken, again or spoken, 0.5)


def test_the_command_line_loads_no_runtime_of_the_engines() -> None:
    code = (
        "import sys, farm.cli\n"
        "loaded = {'onnxruntime', 'torch', 'piper', 'boto3', 'wetext'} & set(sys.modules)\n"
        "print(*loaded)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_the_built_in_voices_are_listed_without_a_farm(
    data: Data, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no Redis to be found
    flite, row, pair, vits = data("voices", "list")
    assert (flite["id"], flite["engine"], flite["family"]) == ("flite", "yourtts_onnx", "onnx")
    assert (pair["id"], pair["engine"], pair["family"]) == ("slt-pair", "fastspeech2", "onnx")
    assert (vits["id"], vits["engine"], vits["family"]) == ("slt-vits", "vits", "onnx")
    assert (
        row
        | {
            "id": "slt",
            "engine": "piper",
            "family": "piper",
            "language": "en",
            "languages": ["en"],
            "sample_rate": 16_000,
        }
        == row
    )
    assert row["licence"].startswith("Apache-2.0")
    assert [path.name for path in home.iterdir()] == ["built-in"]


@pytest.mark.usefixtures("tiny")
def test_the_list_has_a_line_for_each_voice(command: Command) -> None:
    lines = command("voices", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "LANGUAGE", "ENGINE", "SAMPLE_RATE", "LICENCE"]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["flite", "en", "yourtts_onnx", "16000"],
        ["slt", "en", "piper", "16000"],
        ["slt-pair", "en", "fastspeech2", "16000"],
        ["slt-vits", "en", "vits", "16000"],
        ["tiny", "en-US", "piper", str(SAMPLE_RATE)],
    ]


def test_a_voice_that_lacks_a_file_is_listed_with_the_reason(
    tiny: Path, data: Data, command: Command
) -> None:
    (tiny.parent / "tiny" / "tiny.onnx").unlink()
    row = data("voices", "list")[-1]
    assert row["id"] == "tiny"
    assert "is no file" in row["error"]
    assert "is no file" in command("voices", "list").stdout


def test_the_settings_name_further_folders(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "beep.yaml").write_text("engine: tone\nlanguage: en\n")
    monkeypatch.setenv("FARM_VOICES", json.dumps([str(folder)]))
    names = [row["id"] for row in data("voices", "list")]
    assert names == ["beep", "flite", "slt", "slt-pair", "slt-vits"]


def test_voices_beside_the_settings_file_are_found_unless_others_are_named(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs" / "voices"
    folder.mkdir(parents=True)
    (folder / "beep.yaml").write_text("engine: tone\nlanguage: en\n")
    monkeypatch.chdir(tmp_path)
    assert data("voices", "list")[0]["id"] == "beep"
    monkeypatch.setenv("FARM_VOICES", "[]")
    assert data("voices", "list")[0]["id"] != "beep"


def test_show_says_where_a_voice_comes_from(tiny: Path, data: Data, command: Command) -> None:
    shown = data("voices", "show", "tiny")
    assert shown["path"] == str(tiny)
    assert shown["digest"] == voices.pin(voices.read(tiny)).digest
    assert f"path         {tiny}\n" in command("voices", "show", "tiny").stdout


def test_an_unknown_voice_is_named_with_the_choices(command: Command) -> None:
    for verb in ("show", "check"):
        with pytest.raises(
            UnknownVoice, match="unknown voice 'nobody': choose one of flite, slt, slt-pair"
        ):
            command("voices", verb, "nobody")


def test_an_added_voice_is_copied_and_can_speak(model: Path, data: Data, home: Path) -> None:
    added = data(
        "voices", "add", model, "--id", "mine", "--language", "en-GB", "--licence", "CC0-1.0"
    )
    assert (added["id"], added["language"], added["licence"]) == ("mine", "en-GB", "CC0-1.0")
    assert yaml.safe_load((home / "voices" / "mine.yaml").read_text()) == {
        "id": "mine",
        "engine": "piper",
        "language": "en-GB",
        "licence": "CC0-1.0",
        "files": {"model": "mine/mine.onnx", "config": "mine/mine.onnx.json"},
    }
    assert (home / "voices" / "mine" / "mine.onnx").read_bytes() == model.read_bytes()
    with trying.loaded(voices.read(home / "voices" / "mine.yaml"), "cpu") as (voice, engine):
        assert len(engine.speak(trying.segments(voice))) == 3


def test_language_and_id_come_from_the_model_if_not_given(tiny: Path, data: Data) -> None:
    assert tiny.read_text().count("language") == 0
    assert data("voices", "show", "tiny")["language"] == "en-US"


@pytest.mark.usefixtures("tiny")
def test_an_id_that_is_taken_is_refused(model: Path, command: Command) -> None:
    with pytest.raises(Conflict, match=r"'tiny' is there already .*--replace"):
        command("voices", "add", model)
    with pytest.raises(Conflict, match="'slt' is there already"):
        command("voices", "add", model, "--id", "slt")


def test_a_voice_is_replaced_whole(tiny: Path, model: Path, command: Command, home: Path) -> None:
    before = voices.pin(voices.read(tiny)).digest
    (home / "voices" / "tiny" / "old.txt").write_text("left over")
    make_voice(model.parent, timed=False)
    command("voices", "add", model, "--replace", "--licence", "MIT")
    assert voices.pin(voices.read(tiny)).digest != before
    assert voices.read(tiny).licence == "MIT"
    assert sorted(path.name for path in (home / "voices").iterdir()) == ["tiny", "tiny.yaml"]
    assert sorted(path.name for path in (home / "voices" / "tiny").iterdir()) == [
        "tiny.onnx",
        "tiny.onnx.json",
    ]


def test_a_voice_is_replaced_below_a_home_that_is_not_absolute(
    model: Path, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FARM_HOME")
    for _ in range(2):
        assert command("voices", "add", model, "--replace").exit_code == 0
    assert voices.read(tmp_path / ".farm" / "voices" / "tiny.yaml").id == "tiny"


def test_the_built_in_voice_can_be_replaced_on_this_host(
    model: Path, data: Data, home: Path
) -> None:
    data("voices", "add", model, "--id", "slt", "--replace")
    row = data("voices", "list")[1]
    assert row["path"] == str(home / "voices" / "slt.yaml")


def test_a_voice_of_another_folder_is_not_replaced(
    model: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "tiny.yaml").write_text("engine: tone\nlanguage: en\n")
    monkeypatch.setenv("FARM_VOICES", json.dumps([str(tmp_path / "more")]))
    with pytest.raises(Conflict, match="which goes first: remove it there"):
        command("voices", "add", model, "--replace")


def without_config(model: Path) -> Path:
    model.with_name("tiny.onnx.json").unlink()
    return model


def with_a_linked_config(model: Path) -> Path:
    config = model.with_name("tiny.onnx.json")
    config.rename(model.with_name("elsewhere.json"))
    config.symlink_to("elsewhere.json")
    return model


def linked(model: Path) -> Path:
    model.with_name("link.onnx").symlink_to(model.name)
    return model.with_name("link.onnx")


def of_text(model: Path) -> Path:
    model.write_text("no model")
    return model


def with_a_bad_config(model: Path) -> Path:
    model.with_name("tiny.onnx.json").write_text("{}")
    return model


def that_speaks_nan(model: Path) -> Path:
    make_voice(model.parent, broken=True)
    return model


def of_another_kind(model: Path) -> Path:
    return model.rename(model.with_suffix(".pt"))


def missing(model: Path) -> Path:
    return model.with_name("none.onnx")


@pytest.mark.parametrize(
    ("change", "error", "line"),
    [
        (missing, NotFound, "no model '.*none.onnx'"),
        (without_config, NotFound, "no config '.*tiny.onnx.json', which belongs beside the model"),
        (linked, InvalidInput, "is a symbolic link: give the model itself"),
        (with_a_linked_config, InvalidInput, "is a symbolic link: give the config itself"),
        (of_another_kind, InvalidInput, "a Piper voice is a model named <voice>.onnx"),
        (of_text, InvalidInput, "is no ONNX model"),
        (with_a_bad_config, InvalidInput, r"tiny.onnx': tiny.yaml: language: neither given"),
        (that_speaks_nan, EngineError, "no finite signal"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_voice_is_refused_and_leaves_nothing(
    change: Callable[[Path], Path],
    error: type[Exception],
    line: str,
    model: Path,
    command: Command,
    home: Path,
) -> None:
    path = change(model)
    with pytest.raises(error, match=line):
        command("voices", "add", path)
    assert list((home / "voices").glob("*")) == []
    assert list((home / "voices").glob(".*")) == []


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--id", "../up", "voice '../up' is not valid"),
        ("--id", "with space", "voice 'with space' is not valid"),
        ("--language", "english please", "language 'english please' is not valid"),
    ],
)
def test_options_that_cannot_be_are_refused(
    option: str, value: str, line: str, model: Path, command: Command
) -> None:
    with pytest.raises(InvalidInput, match=line):
        command("voices", "add", model, option, value)


def test_a_home_that_cannot_be_written_is_one_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "file"))
    run = subprocess.run(
        [sys.executable, "-m", "farm.cli", "voices", "add", model],
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert run.returncode == 1
    assert run.stderr == f"farm: cannot write '{tmp_path / 'file'}': Not a directory\n"


def test_a_good_voice_passes_and_its_speed_is_kept(tiny: Path, data: Data) -> None:
    with tiny.open("a") as file:
        file.write("rtf: 0.9  # a guess\nowner: ann\n")
    digest = voices.pin(voices.read(tiny)).digest
    found = data("voices", "check", "tiny")
    assert {each["state"] for each in found["findings"]} == {"ok"}
    assert voices.read(tiny).rtf == found["rtf"] < 0.9
    assert voices.read(tiny).owner == "ann"
    assert voices.pin(voices.read(tiny)).digest == digest
    assert tiny.read_text().count("rtf:") == 1


def test_the_check_of_the_built_in_voice_changes_nothing(command: Command, home: Path) -> None:
    before = voices.read(builtin.prepare(home) / "slt.yaml").rtf
    result = command("voices", "check", "slt")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ok"] * 6
    (yaml_file,) = (home / "built-in").rglob("slt.yaml")
    assert voices.read(yaml_file).rtf == before


def test_a_voice_that_speaks_nan_fails_and_keeps_no_speed(
    tiny: Path, home: Path, command: Command
) -> None:
    make_voice(home / "voices" / "tiny", broken=True)
    result = command("voices", "check", "tiny")
    assert result.exit_code == 1
    assert result.stdout.startswith("failed   speaks       voice 'tiny': the model gave no finite")
    assert "rtf" not in tiny.read_text()


def test_a_voice_that_draws_noise_is_warned_of(tiny: Path, home: Path, data: Data) -> None:
    make_voice(home / "voices" / "tiny", noisy=True)
    with tiny.open("a") as file:
        file.write("parameters: {noise_scale: 0.01}\n")
    found = {each["check"]: each for each in data("voices", "check", "tiny")["findings"]}
    assert found["repeatable"]["state"] == "warning"
    assert "noise_scale: 0" in found["repeatable"]["mend"]


@pytest.mark.usefixtures("tiny")
def test_a_voice_without_timings_is_warned_of(home: Path, data: Data) -> None:
    make_voice(home / "voices" / "tiny", timed=False)
    found = {each["check"]: each["state"] for each in data("voices", "check", "tiny")["findings"]}
    assert found["timings"] == "warning"


@pytest.mark.parametrize(
    ("spoken", "check", "state", "line"),
    [
        (signal(0.1, -0.5), "signal", "ok", "peak -6.0 dBFS"),
        (signal(0.1, 1.0), "signal", "failed", "50.0% of the samples are clipped"),
        (signal(*[0.1] * 1999, 1.0), "signal", "ok", "not clipped"),
        (signal(0.0, 0.0), "signal", "failed", "silence"),
        (signal(0.1, float("nan")), "signal", "failed", "NaN or infinity"),
        (signal(0.1, float("inf")), "signal", "failed", "NaN or infinity"),
        (signal(0.1), "speaks", "ok", "1 sentences"),
        (signal(), "speaks", "failed", "1 of 1 sentences are empty"),
        (signal(0.1), "sample rate", "ok", "8000 Hz"),
        (signal(0.1, rate=16_000), "sample rate", "failed", "engine [16000] Hz"),
        (signal(0.1), "timings", "ok", "add up"),
        (replace(signal(0.1), timings=(Timing("a", 2),)), "timings", "failed", "1 of 1 do not"),
        (replace(signal(0.1), timings=()), "timings", "warning", "none"),
    ],
)
def test_what_a_voice_said_is_judged(spoken: Audio, check: str, state: str, line: str) -> None:
    finding = trying.judge(trial(spoken), still=True)[check]
    assert finding.state == state
    assert line in finding.text


@pytest.mark.parametrize(
    ("again", "still", "state"),
    [(0.1, True, "ok"), (0.1, False, "ok"), (0.2, True, "warning"), (0.2, False, "failed")],
)
def test_a_voice_must_say_the_same_twice_at_least_without_noise(
    again: float, still: bool, state: str
) -> None:
    found = trying.judge(trial(signal(0.1), again=(signal(again),)), still)
    assert found["repeatable"].state == state


def test_the_speed_is_compute_per_audio_of_both_readings() -> None:
    second = signal(*[0.1] * 8_000)
    assert trying.Trial(VOICE, (second,), (second,), 0.2468).rtf == 0.123
    assert trying.Trial(VOICE, (signal(),), (signal(),), 0.2).rtf == 0


@pytest.mark.parametrize("language", sorted(examples.SENTENCES))
def test_every_language_has_three_sentences(language: str) -> None:
    said = trying.segments(replace(VOICE, language=language))
    assert len(said) == 3
    assert len({segment.digest for segment in said}) == 3


def test_a_language_without_sentences_of_its_own_says_the_english() -> None:
    english = [each.text for each in trying.segments(VOICE)]
    assert [each.text for each in trying.segments(replace(VOICE, language="xx"))] == english


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("engine: tone\n", "engine: tone\nrtf: 0.5\n"),
        ("engine: tone", "engine: tone\nrtf: 0.5\n"),
        ("rtf: 1\nengine: tone # x\n", "engine: tone # x\nrtf: 0.5\n"),
        (
            "engine: tone\nparameters:\n  rtf: 3\n",
            "engine: tone\nparameters:\n  rtf: 3\nrtf: 0.5\n",
        ),
    ],
)
def test_a_measured_speed_leaves_the_rest_of_a_yaml_as_it_is(
    text: str, kept: str, tmp_path: Path
) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(text)
    adding.keep_rtf(voices.read(path), 0.5)
    assert path.read_text() == kept


def test_own_voices_are_told_from_the_built_in(tiny: Path, home: Path) -> None:
    settings = read_settings()
    assert installing.is_own(settings, voices.read(tiny))
    for built_in in (home / "built-in").rglob("*.yaml"):
        assert not installing.is_own(settings, voices.read(built_in))
