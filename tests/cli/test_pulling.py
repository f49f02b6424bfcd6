"""`farm voices pull`, from a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import yaml

from farm import voices
from farm.cli import cloning, trying
from farm.errors import Conflict, EngineError, InvalidInput, NotFound, Unavailable
from tests.cli.conftest import Command
from tests.engines.tiny_piper import SAMPLE_RATE, make_voice
from tests.exports import export, your_voices
from tests.hub import COMMIT, Hub, serving

Data = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("home")

PIPER = "rhasspy/piper-voices"
BASE = "en/en_US/tiny/medium/en_US-tiny-medium"
CARD = b"# Model card\n\n* Language: en_US\n\n## Dataset\n\n* License: CC BY 4.0\n"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one Piper voice; the library's settings, read at its import, point there."""
    with serving() as there:
        make_voice(tmp_path / "made")
        model = (tmp_path / "made" / "tiny.onnx").read_bytes()
        config = (tmp_path / "made" / "tiny.onnx.json").read_bytes()
        there.add(
            PIPER,
            {
                "README.md": b"---\nlicense: mit\n---\n# Voices\n",
                f"{BASE}.onnx": model,
                f"{BASE}.onnx.json": config,
                "en/en_US/tiny/medium/MODEL_CARD": CARD,
                "en/en_US/tiny/medium/samples/speaker_0.mp3": b"no",
            },
        )
        there.add("ann/mine", {"small.onnx": model, "small.onnx.json": config})
        settings = {
            "ENDPOINT": there.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": there.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
        }
        for name, value in settings.items():
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        yield there


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_piper_voice_is_pulled_by_its_name_and_speaks(hub: Hub, data: Data, home: Path) -> None:
    pulled = data("voices", "pull", "piper:en_US-tiny-medium")
    files = hub.repos[PIPER]
    sums = {"model": sha256(files[f"{BASE}.onnx"]), "config": sha256(files[f"{BASE}.onnx.json"])}
    assert pulled == {
        "id": "en_US-tiny-medium",
        "engine": "piper",
        "language": "en-US",
        "licence": "CC BY 4.0",
        "source": f"hf:{PIPER}/en/en_US/tiny/medium@{COMMIT}",
        "sha256": sums,
        "path": str(home / "voices" / "en_US-tiny-medium.yaml"),
    }
    written = yaml.safe_load(Path(pulled["path"]).read_text())
    assert written["sha256"] == sums
    assert written["sample_rate"] == SAMPLE_RATE
    file = voices.read(Path(pulled["path"]))
    assert not any(path.is_symlink() for path in file.files.values())
    with trying.loaded(file, "cpu") as (voice, engine):
        assert engine.speak(trying.segments(voice))[0].seconds > 0.1


@pytest.mark.usefixtures("hub")
def test_licence_and_digests_are_shown(command: Command) -> None:
    shown = command("voices", "pull", "hf:ann/mine").stdout
    assert "licence           not stated: ask before you publish with it\n" in shown
    assert "sha256 of model" in shown
    shown = command("voices", "pull", "piper:en_US-tiny-medium", "--licence", "CC0-1.0").stdout
    assert "licence           CC0-1.0\n" in shown


def test_the_repositorys_card_states_the_licence_where_the_model_has_none(
    hub: Hub, data: Data
) -> None:
    del hub.repos[PIPER]["en/en_US/tiny/medium/MODEL_CARD"]
    assert data("voices", "pull", "piper:en_US-tiny-medium")["licence"] == "mit"


@pytest.mark.usefixtures("hub")
def test_a_repository_with_one_voice_needs_no_more_than_its_name(data: Data) -> None:
    pulled = data("voices", "pull", "hf:ann/mine@main", "--id", "small-one", "--language", "en-GB")
    assert (pulled["id"], pulled["language"], pulled["licence"]) == ("small-one", "en-GB", "")
    assert data("voices", "show", "small-one")["source"] == f"hf:ann/mine@{COMMIT}"


def test_a_download_that_broke_off_is_resumed_where_it_was(
    hub: Hub, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 100)
    hub.breaks = [400, 0, 300]
    data("voices", "pull", "hf:ann/mine")
    assert len(hub.repos["ann/mine"]["small.onnx"]) > 400
    assert hub.downloads("small.onnx") == ["", "bytes=400-"]
    assert hub.downloads("small.onnx.json") == ["", "bytes=300-"]


def test_what_arrives_must_be_what_the_hub_lists(hub: Hub, command: Command, home: Path) -> None:
    hub.lies = {"small.onnx"}
    for _ in range(2):  # a spoiled file is not taken for good the next time
        with pytest.raises(Unavailable, match=r"'small.onnx' .* but the hub lists [0-9a-f]{64}"):
            command("voices", "pull", "hf:ann/mine")
    assert list((home / "voices").glob("*")) == []
    hub.lies = set()
    assert command("voices", "pull", "hf:ann/mine").exit_code == 0


def test_a_file_that_is_not_what_was_pulled_is_refused(hub: Hub, data: Data) -> None:
    pulled = data("voices", "pull", "hf:ann/mine")
    file = voices.read(Path(pulled["path"]))
    model = hub.repos["ann/mine"]["small.onnx"]
    file.files["model"].write_bytes(model + b"\0")
    with pytest.raises(InvalidInput, match=rf"but {sha256(model)} was pulled: pull it again"):
        voices.pin(file)
    assert "was pulled" in data("voices", "show", "small")["error"]


@pytest.mark.usefixtures("hub")
def test_a_taken_id_is_refused_before_the_model_is_downloaded(hub: Hub, command: Command) -> None:
    with pytest.raises(Conflict, match="'slt' is there already"):
        command("voices", "pull", "hf:ann/mine", "--id", "slt")
    assert hub.requests == []
    command("voices", "pull", "hf:ann/mine")
    with pytest.raises(Conflict, match="'small' is there already"):
        command("voices", "pull", "hf:ann/mine")
    assert command("voices", "pull", "hf:ann/mine", "--replace").exit_code == 0
    assert hub.downloads("small.onnx") == [""]


@pytest.mark.parametrize(
    ("source", "error", "line"),
    [
        ("piper:tiny", InvalidInput, "such as piper:en_US-lessac-medium"),
        ("tiny", InvalidInput, "'tiny' is no source of voices"),
        ("hf:ann", InvalidInput, "'ann' is no repository: give owner/name"),
        ("hf:ann/../x", InvalidInput, "is no repository"),
        ("piper:en_US-nobody-low", NotFound, "there are en_US-tiny-medium"),
        ("piper:xx_XX-nobody-low", NotFound, "xx/xx_XX/nobody/low"),
        ("hf:bob/none", NotFound, "no repository 'bob/none@main' in the hub"),
        ("hf:ann/mine@v9", NotFound, "no repository 'ann/mine@v9' in the hub"),
        ("hf:ann/mine/deep", NotFound, "'ann/mine/deep@main'"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_the_hub_does_not_have_is_named(
    source: str, error: type[Exception], line: str, command: Command
) -> None:
    with pytest.raises(error, match=line):
        command("voices", "pull", source)


def test_a_repository_that_wants_its_terms_accepted_says_so(hub: Hub, command: Command) -> None:
    hub.gated = {"ann/mine"}
    with pytest.raises(NotFound, match="accept its terms in a browser, then set HF_TOKEN"):
        command("voices", "pull", "hf:ann/mine")


def test_what_is_no_voice_is_refused_with_what_was_found(hub: Hub, command: Command) -> None:
    torch = {"config.json": b"{}", "model.safetensors": b"x"}
    hub.add("ann/torch", torch)
    with pytest.raises(InvalidInput, match=r"no ONNX model, but config.json, model.safetensors"):
        command("voices", "pull", "hf:ann/torch")
    hub.add("ann/text", {"model.onnx": b"text"})
    with pytest.raises(InvalidInput, match=r"is no ONNX model.*; found: model 'model.onnx'"):
        command("voices", "pull", "hf:ann/text")


@pytest.mark.parametrize(
    ("name", "language", "rate"),
    [("mms", "", 16_000), ("sherpa_icefall", "", 22_050), ("coqui", "en", 16_000)],
)
def test_other_forms_of_vits_are_told_by_their_files(
    name: str, language: str, rate: int, hub: Hub, data: Data
) -> None:
    made = export(name)
    files = {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()}
    if name == "mms":  # as optimum lays it out
        files["onnx/model.onnx"] = files.pop("model.onnx")
    hub.add("ann/vits", files)
    options = ["--language", language] if language else []
    pulled = data("voices", "pull", "hf:ann/vits", *options)
    assert (pulled["id"], pulled["engine"]) == ("vits", "vits")
    file = voices.read(Path(pulled["path"]))
    assert (file.sample_rate, file.language.split("-")[0]) == (rate, "en")
    bare = replace(file, sample_rate=0)  # as a person would write it
    assert voices.pin(bare) == voices.pin(file)


@pytest.mark.parametrize("engine", ["yourtts", "yourtts_onnx"])
def test_a_yourtts_is_pulled_as_a_checkpoint_or_as_exported(
    engine: str, hub: Hub, data: Data
) -> None:
    pytest.importorskip("TTS", reason="coqui-tts is not installed")
    folder = export("yourtts") if engine == "yourtts" else your_voices.exported()
    hub.add("ann/zero", {path.name: path.read_bytes() for path in folder.iterdir()})
    pulled = data("voices", "pull", "hf:ann/zero")
    assert (pulled["id"], pulled["engine"], pulled["language"]) == ("zero", engine, "en")
    file = voices.read(Path(pulled["path"]))
    assert file.parameters == {"speaker": your_voices.SPEAKERS[0]}
    assert cloning.choose({"zero": file}, "") == file


def test_of_several_models_one_must_be_named(hub: Hub, data: Data, command: Command) -> None:
    mine = hub.repos["ann/mine"]
    hub.add("ann/two", {**mine, **{f"deep/{name}": content for name, content in mine.items()}})
    with pytest.raises(InvalidInput, match=r"2 models: choose one of deep/small.onnx, small.onnx"):
        command("voices", "pull", "hf:ann/two")
    with pytest.raises(InvalidInput, match=r"no model 'big.onnx': choose one of"):
        command("voices", "pull", "hf:ann/two", "--model", "big.onnx")
    pulled = data("voices", "pull", "hf:ann/two", "--model", "deep/small.onnx")
    assert pulled["source"] == f"hf:ann/two@{COMMIT}"
    assert data("voices", "pull", "hf:ann/two/deep", "--id", "deep")["id"] == "deep"


def test_a_hub_that_does_not_answer_is_one_line(
    hub: Hub, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert hub.url
    with pytest.raises(Unavailable, match=r"^the hub, for 'ann/mine@main': [^\n]+$"):
        command("voices", "pull", "hf:ann/mine")


def test_the_librarys_settings_choose_the_mirror_and_forbid_the_network(
    hub: Hub, tmp_path: Path, home: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FARM_", "HF_"))}
    environment |= {"FARM_HOME": str(home), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    environment["TQDM_POSITION"] = "-1"  # progress is shown, though this is no terminal

    def pull(id_: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "farm.cli", "voices", "pull", "hf:ann/mine", "--json"]
        return subprocess.run(
            [*command, "--id", id_],
            env={**environment, **more},
            capture_output=True,
            text=True,
        )

    lost = pull("one")
    assert lost.returncode == 1
    assert lost.stderr == "farm: offline, and 'ann/mine@main' was not downloaded before\n"
    assert hub.requests == []
    first = pull("one", HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url)
    assert first.returncode == 0, first.stderr
    assert "small.onnx" in first.stderr  # the progress
    asked = len(hub.requests)
    again = pull("two")
    assert again.returncode == 0, again.stderr
    assert len(hub.requests) == asked
    one, two = (json.loads(run.stdout) for run in (first, again))
    assert one["sha256"] == two["sha256"]
    assert one["source"] == two["source"]


def test_a_voice_that_speaks_nan_leaves_nothing(hub: Hub, command: Command, home: Path) -> None:
    made = home.parent / "broken"
    make_voice(made, broken=True)
    files = {f"nan.{end}": (made / f"tiny.{end}").read_bytes() for end in ("onnx", "onnx.json")}
    hub.add("ann/nan", files)
    with pytest.raises(EngineError, match=r"'hf:ann/nan': .*no finite signal"):
        command("voices", "pull", "hf:ann/nan")
    assert list((home / "voices").iterdir()) == []
