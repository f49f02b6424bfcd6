"""`farm voices clone`, with a tiny pair of graphs that speaks as loud as its reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from farm import voices
from farm.cli import cloning, trying
from farm.errors import Conflict, EngineError, InvalidInput, UnknownVoice
from farm.jobs import Voice
from farm.schema import from_json
from farm.storage.local import LocalStore
from tests.cli.conftest import Command
from tests.engines.cloning.tiny_pair import make_voice
from tests.exports import your_voices
from tests.receivers import receiver

Data = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("home")

CONSENT = "Ann Smith, 2026-11-22"


@pytest.fixture
def base(home: Path) -> Path:
    """A voice that can clone, of this host; its YAML."""
    folder = home / "voices"
    made = make_voice(folder / "pair")
    fields = {
        "engine": made.engine,
        "language": "en",
        "licence": "CC0-1.0",
        "files": {role: f"pair/{name}" for role, name in made.files.items()},
        "parameters": dict(made.parameters),
        "rtf": 0.02,
    }
    (folder / "pair.yaml").write_text(yaml.safe_dump(fields))
    return folder / "pair.yaml"


def recorded(path: Path, peak: float = 0.2, seconds: float = 4.0, rate: int = 16_000) -> Path:
    """Record noise whose greatest sample is known: the tiny encoder's d-vector is that."""
    drawn = np.random.default_rng(1).uniform(-0.9 * peak, 0.9 * peak, round(seconds * rate))
    drawn[0] = peak
    soundfile.write(path, drawn, rate, "FLOAT")
    return path


def spoken(file: voices.VoiceFile) -> float:
    """The peak of what a voice says."""
    with trying.loaded(file, "cpu") as (voice, engine):
        (audio,) = engine.speak(trying.segments(voice)[:1])
    return float(np.abs(audio.samples).max())


@pytest.mark.usefixtures("base")
def test_a_clone_speaks_like_its_reference(data: Data, home: Path, tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.wav", 0.02)
    made = data("voices", "clone", "ann", "--reference", heard, "--consent", CONSENT)
    path = home / "voices" / "ann.yaml"
    assert made == {
        "id": "ann",
        "path": str(path),
        "consent": CONSENT,
        "base": "pair",
        "speech_s": 4.0,
    }
    file = voices.read(path)
    assert spoken(file) == pytest.approx(27 * 0.02, rel=0.01)  # z is the 27th symbol
    assert sorted(file.files) == ["config", "d_vector", "model", "vocoder"]
    assert (file.licence, file.rtf, file.consent) == ("CC0-1.0", 0.02, CONSENT)
    assert [each.read_bytes() for each in file.references] == [heard.read_bytes()]


@pytest.mark.parametrize("engine", ["yourtts", "yourtts_onnx"])
def test_a_real_yourtts_clones(engine: str, command: Command, home: Path, tmp_path: Path) -> None:
    pytest.importorskip("TTS", reason="coqui-tts is not installed")
    folder = home / "voices" / "base"
    make = your_voices.torch_voice_in if engine == "yourtts" else your_voices.onnx_voice_in
    made = make(folder)
    files = {role: f"base/{name}" for role, name in made.files.items()}
    fields = {"engine": engine, "language": "en", "files": files}
    (home / "voices" / "base.yaml").write_text(yaml.safe_dump(fields))
    heard = recorded(tmp_path / "a.wav", seconds=5.0, rate=22_050)
    command("voices", "clone", "ann", "--reference", heard, "--consent", CONSENT)
    file = voices.read(home / "voices" / "ann.yaml")
    assert {"d_vector", "model"} <= set(file.files)
    assert not {"encoder", "encoder_config", "speakers"} & set(file.files)
    assert np.load(file.files["d_vector"]).shape == (512,)
    assert spoken(file) > 0


@pytest.mark.usefixtures("base")
def test_the_d_vector_of_several_references_is_their_mean(
    command: Command, home: Path, tmp_path: Path
) -> None:
    options: list[str | Path] = []
    for name, peak in (("a.wav", 0.1), ("b.flac", 0.3)):
        options += ["--reference", recorded(tmp_path / name.replace("flac", "wav"), peak, 2.0)]
    command("voices", "clone", "two", *options, "--consent", CONSENT, "--base", "pair")
    vector = np.load(home / "voices" / "two" / "d_vector.npy")
    np.testing.assert_allclose(vector, 0.2, atol=1e-6)


@pytest.mark.usefixtures("base")
def test_consent_goes_with_the_voice_and_the_recordings_stay(
    command: Command, home: Path, tmp_path: Path
) -> None:
    heard = recorded(tmp_path / "a.wav")
    command("voices", "clone", "ann", "--reference", heard, "--consent", f"  {CONSENT}\n")
    store = LocalStore(tmp_path / "store")
    voice = voices.publish(voices.read(home / "voices" / "ann.yaml"), store)
    assert voice.consent == CONSENT
    stored = from_json(Voice, store.get(f"voices/ann/{voice.digest}/voice.json"))
    assert stored == voice
    assert not any("reference" in key for key in store.list(""))
    assert any(key.endswith("d_vector.npy") for key in store.list(""))


@pytest.mark.usefixtures("base")
def test_a_clone_is_shown_with_its_consent(command: Command, data: Data, tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.wav")
    said = command("voices", "clone", "ann", "--reference", heard, "--consent", CONSENT).stdout
    assert said == (
        "cloned ann from 4.0 s of speech in 1 recordings; try it with: farm voices check ann\n"
    )
    assert data("voices", "show", "ann")["consent"] == CONSENT


@pytest.mark.parametrize(
    ("recording", "line"),
    [
        ({"seconds": 2.0}, "2.0 s of speech"),
        ({"seconds": 61.0}, "61.0 s of speech"),
        ({"rate": 8_000}, "has 8000 Hz"),
    ],
)
@pytest.mark.usefixtures("base")
def test_recordings_that_will_not_do_are_refused(
    recording: dict[str, Any], line: str, command: Command, tmp_path: Path, home: Path
) -> None:
    heard = recorded(tmp_path / "a.wav", **recording)
    with pytest.raises(InvalidInput, match=line):
        command("voices", "clone", "ann", "--reference", heard, "--consent", CONSENT)
    assert not (home / "voices" / "ann.yaml").exists()


@pytest.mark.usefixtures("base")
def test_a_recording_at_an_address_is_fetched_and_none_from_inside(
    data: Data, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = recorded(tmp_path / "a.wav", 0.02).read_bytes()
    with receiver() as there:
        there.answer = lambda _: (200, {"Content-Type": "audio/wav"}, heard)
        address = f"{there.url}/recordings/ann.wav?token=x"
        clone = ["voices", "clone", "ann", "--reference", address, "--consent", CONSENT]
        with pytest.raises(InvalidInput, match="not public"):
            data(*clone)
        assert there.got == []
        monkeypatch.setenv("FARM_WEBHOOK_NETWORKS", '["127.0.0.0/8"]')
        assert data(*clone)["speech_s"] == 4.0
    file = voices.read(home / "voices" / "ann.yaml")
    assert [each.read_bytes() for each in file.references] == [heard]


@pytest.mark.usefixtures("base")
def test_a_recording_that_is_none_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(EngineError, match=r"reference '.*a.wav' cannot be read"):
        command("voices", "clone", "x", "--reference", tmp_path / "a.wav", "--consent", CONSENT)


@pytest.mark.usefixtures("base")
def test_without_consent_nothing_is_cloned(command: Command, tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.wav")
    assert command("voices", "clone", "ann", "--reference", heard).exit_code == 2
    with pytest.raises(InvalidInput, match=r"no consent: give --consent"):
        command("voices", "clone", "ann", "--reference", heard, "--consent", "  ")


def test_the_base_must_be_one_that_can_clone(
    command: Command, base: Path, tmp_path: Path, home: Path
) -> None:
    heard = recorded(tmp_path / "a.wav")
    clone = ["voices", "clone", "ann", "--reference", heard, "--consent", CONSENT]
    with pytest.raises(InvalidInput, match="'slt' cannot clone: voices that can: flite, pair"):
        command(*clone, "--base", "slt")
    with pytest.raises(UnknownVoice, match="unknown voice 'nobody'"):
        command(*clone, "--base", "nobody")
    (home / "voices" / "twin.yaml").write_text(base.read_text())
    with pytest.raises(InvalidInput, match="--base: voices that can: flite, pair, twin"):
        command(*clone)
    for path in (home / "voices").glob("*.yaml"):
        path.unlink()
    assert command(*clone, "--json").exit_code == 0, "the one that ships with the farm"
    assert json.loads(command("voices", "show", "ann", "--json").stdout)["engine"] == "yourtts_onnx"


@pytest.mark.usefixtures("base")
def test_a_clone_of_a_taken_name_is_refused(command: Command, tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.wav")
    for name in ("pair", "slt"):
        with pytest.raises(Conflict, match=f"'{name}' is there already"):
            command("voices", "clone", name, "--reference", heard, "--consent", CONSENT)
    clone = ["voices", "clone", "ann", "--reference", heard, "--consent", CONSENT]
    command(*clone)
    assert command(*clone, "--replace").exit_code == 0


@pytest.mark.usefixtures("base")
def test_a_clone_cannot_clone(command: Command, data: Data, tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.wav")
    command("voices", "clone", "ann", "--reference", heard, "--consent", CONSENT)
    known = {row["id"]: row for row in data("voices", "list")}
    assert known["ann"]["consent"] == CONSENT
    file = voices.read(Path(known["ann"]["path"]))
    with pytest.raises(InvalidInput, match="'ann' cannot clone"):
        cloning.choose({"ann": file}, "ann")
    assert json.dumps(known["pair"]["consent"]) == '""'
