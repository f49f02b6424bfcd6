"""A zero-shot voice of two graphs: sizes, alphabet and languages are its config's."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile

from farm.engines import load
from farm.engines.cloning import speakers
from farm.engines.yourtts_onnx import YourTtsOnnx
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from tests.engines.cloning.tiny_pair import CONFIG, HOP, SIZE, make_voice


def say(text: str, language: str = "", **prosody: Any) -> Segment:
    return Segment("d" * 64, text, "pair", Prosody(**prosody), language)


def replaced(voice: Voice, **fields: Any) -> Voice:
    return Voice(**{**voice.__dict__, **fields})


def test_a_pair_speaks_with_the_speakers_d_vector(tmp_path: Path) -> None:
    engine = load(make_voice(tmp_path), tmp_path, "cpu")
    ann, bob = engine.speak([say("ab"), say("ab", speaker="bob")])
    expected = np.repeat([2, 3], 2 * HOP) * np.float32(0.01)
    np.testing.assert_allclose(ann.samples, expected, atol=1e-7)
    np.testing.assert_allclose(bob.samples, 2 * expected, atol=1e-7)
    assert [(each.symbol, each.samples) for each in ann.timings] == [("a", 32), ("b", 32)]


def test_speed_and_warnings_reach_the_audio(tmp_path: Path) -> None:
    engine = load(make_voice(tmp_path), tmp_path, "cpu")
    (audio,) = engine.speak([say("A 7", speed=2.0)])
    assert len(audio.samples) == 2 * HOP
    assert audio.warnings == ("the voice has no character '7'",)


def test_phonemes_of_espeak_are_spelled_in_pipers_order(tmp_path: Path) -> None:
    pytest.importorskip("piper", reason="espeak-ng comes with piper-tts")
    ids = {"_": [0], "^": [1], "$": [2], "h": [5], "ə": [6], "l": [7], "o": [8], "ʊ": [9]}
    config = CONFIG | {"espeak": {"voice": "en-us"}, "phoneme_id_map": ids}
    engine = load(make_voice(tmp_path, config), tmp_path, "cpu")
    (audio,) = engine.speak([say("hello")])
    spoken = np.rint(audio.samples[:: 2 * HOP] * 100).astype(int).tolist()
    assert spoken == [1, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 2]
    assert [each.symbol for each in audio.timings] == ["h", "ə", "l", "o", "ʊ"]
    assert audio.warnings == ("the voice has no character 'ˈ'",)


def test_the_voices_own_d_vector_is_read_or_made_of_its_references(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    speakers.write(tmp_path / "own.npy", np.full(SIZE, 0.03, np.float32))
    for name, peak in (("a.wav", 0.1), ("b.wav", 0.3)):
        soundfile.write(tmp_path / name, np.full(16_000, peak), 16_000, "FLOAT")
    heard = replaced(voice, files={**voice.files, "reference": "a.wav", "reference_2": "b.wav"})
    stored = replaced(heard, files={**heard.files, "d_vector": "own.npy"})
    for each, loudness in ((voice, 0.01), (heard, 0.2), (stored, 0.03)):
        (audio,) = load(each, tmp_path, "cpu").speak([say("a")])
        np.testing.assert_allclose(audio.samples, np.clip(2 * loudness, -1, 1), atol=1e-6)


@pytest.fixture
def heard(tmp_path: Path) -> Voice:
    """A voice that is whoever speaks in a reference."""
    voice = make_voice(tmp_path)
    soundfile.write(tmp_path / "a.wav", np.full(16_000, 0.1), 16_000, "FLOAT")
    return replaced(voice, files={**voice.files, "reference": "a.wav"})


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Peaks of the recordings that were embedded."""
    found: list[float] = []
    embed = YourTtsOnnx.embed

    def noted(self: YourTtsOnnx, samples: Any, sample_rate: int) -> Any:
        found.append(float(samples.max()))
        return embed(self, samples, sample_rate)

    monkeypatch.setattr(YourTtsOnnx, "embed", noted)
    return found


def loud(voice: Voice, folder: Path) -> float:
    return float(load(voice, folder, "cpu").speak([say("a")])[0].samples.max()) / 2


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob(".d_vector*"))


def test_references_are_embedded_once_per_voice_and_host(
    heard: Voice, embedded: list[float], tmp_path: Path
) -> None:
    for _ in range(3):
        assert loud(heard, tmp_path) == pytest.approx(0.1)
    assert len(embedded) == 1
    assert kept(tmp_path) == [tmp_path / f".d_vector-{heard.digest}.npy"]
    assert stat.S_IMODE(kept(tmp_path)[0].stat().st_mode) == 0o600
    soundfile.write(tmp_path / "a.wav", np.full(16_000, 0.3), 16_000, "FLOAT")
    assert loud(replaced(heard, digest="3" * 64), tmp_path) == pytest.approx(0.3)
    assert len(embedded) == 2


def test_processes_that_load_a_voice_at_once_embed_its_reference_once(
    heard: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("fork")
    together = context.Barrier(2)
    log = tmp_path / "embedded"

    def slowly(_: YourTtsOnnx, samples: Any, __: int) -> Any:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.5)
        return np.full(SIZE, samples.max(), np.float32)

    def child() -> None:
        together.wait(20)
        assert loud(heard, tmp_path) == pytest.approx(0.1)

    monkeypatch.setattr(YourTtsOnnx, "embed", slowly)
    children = [context.Process(target=child) for _ in range(2)]
    for each in children:
        each.start()
    for each in children:
        each.join(30)
    assert [each.exitcode for each in children] == [0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_a_process_that_dies_while_it_embeds_keeps_nobody_waiting(
    heard: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("fork")
    begun = context.Event()

    def hang(*_: Any) -> Any:
        begun.set()
        time.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(YourTtsOnnx, "embed", hang)
        child = context.Process(target=loud, args=(heard, tmp_path))
        child.start()
        assert begun.wait(20)
    threading.Timer(0.3, child.kill).start()
    assert loud(heard, tmp_path) == pytest.approx(0.1)
    child.join(10)
    assert child.exitcode == -signal.SIGKILL
    assert kept(tmp_path) == [tmp_path / f".d_vector-{heard.digest}.npy"]


@pytest.mark.parametrize("content", [b"", np.ones(SIZE - 1), np.zeros(SIZE), np.full(SIZE, np.nan)])
def test_a_kept_d_vector_that_is_none_is_made_again(
    heard: Voice, embedded: list[float], tmp_path: Path, content: Any
) -> None:
    path = tmp_path / f".d_vector-{heard.digest}.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content.astype(np.float32))
    for _ in range(2):
        assert loud(heard, tmp_path) == pytest.approx(0.1)
    assert len(embedded) == 1
    assert kept(tmp_path) == [path]


def test_where_nothing_can_be_kept_the_voice_speaks_anyway(
    heard: Voice, embedded: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f".d_vector-{heard.digest}.npy").mkdir()
    for _ in range(2):
        assert loud(heard, tmp_path) == pytest.approx(0.1)
    assert len(embedded) == 2
    assert "a d-vector is not kept in" in caplog.text


def test_a_voice_can_be_lent_while_the_engine_runs(tmp_path: Path) -> None:
    engine = load(make_voice(tmp_path), tmp_path, "cpu")
    assert isinstance(engine, YourTtsOnnx)
    recording = np.full(8000, 0.25, np.float32)
    with engine.speakers.lent(engine.embed(recording, 16_000)) as name:
        (audio,) = engine.speak([say("a", speaker=name)])
    np.testing.assert_allclose(audio.samples, 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (say("a", "zh"), "does not speak 'zh', only en-us"),
        (say("a", speaker="eve"), "has no speaker 'eve'; its speakers: ann, bob"),
        (say("a", pitch=1.0), "engine 'yourtts_onnx' cannot change the pitch"),
        (say("a", energy=0.5), "engine 'yourtts_onnx' cannot change the energy"),
        (say("a", speed=0.0), "speed 0.0 is not valid"),
        (say("!"), "nothing to pronounce in '!'"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(
    segment: Segment, message: str, tmp_path: Path
) -> None:
    engine = load(make_voice(tmp_path), tmp_path, "cpu")
    with pytest.raises(EngineError) as caught:
        engine.speak([segment])
    assert message in str(caught.value)


def _without(field: str) -> Callable[[dict[str, Any]], None]:
    return lambda config: config.pop(field)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without("hop_length"), "no field 'hop_length'"),
        (_without("languages"), "no field 'languages'"),
        (lambda config: config["audio"].update(sample_rate=8000), "says 16000 Hz but its config"),
        (lambda config: config["d_vector"].update(size=512), "'ann' has 64 numbers"),
        (lambda config: config.update(hop_length=32), "check hop_length in its config"),
        (lambda config: config.update(speakers=[]), "is no config of a voice"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    spoil: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    config = copy.deepcopy(CONFIG)
    spoil(config)
    voice = make_voice(tmp_path, config)
    with pytest.raises(EngineError) as caught:
        load(voice, tmp_path, "cpu").speak([say("a")])
    assert message in str(caught.value)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    files = {**voice.files, "model": "vocoder.onnx"}
    with pytest.raises(EngineError, match=r"its model takes .*'mel'"):
        load(replaced(voice, files=files), tmp_path, "cpu")
    with pytest.raises(EngineError, match="names no 'model' file; it has config"):
        load(replaced(voice, files={"config": "config.json"}), tmp_path, "cpu")
    engine = load(replaced(voice, files={**voice.files, "encoder": "model.onnx"}), tmp_path, "cpu")
    assert isinstance(engine, YourTtsOnnx)
    with pytest.raises(EngineError, match=r"model.onnx' cannot be read"):
        engine.embed(np.ones(8000, np.float32), 8000)
    files = {**voice.files, "encoder": "acoustic.onnx"}
    engine = load(replaced(voice, files=files), tmp_path, "cpu")
    assert isinstance(engine, YourTtsOnnx)
    with pytest.raises(EngineError, match="is no speaker encoder"):
        engine.embed(np.ones(8000, np.float32), 8000)


def test_a_config_that_is_no_json_is_refused(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EngineError, match=r"config.json' is no config of a voice"):
        load(voice, tmp_path, "cpu")


def test_a_single_graph_that_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    voice = make_voice(tmp_path)
    files = {role: name for role, name in voice.files.items() if role != "vocoder"}
    onnx.checker.check_model(str(tmp_path / "acoustic.onnx"))
    with pytest.raises(EngineError, match="is not as 'farm export yourtts' makes it"):
        load(replaced(voice, files=files), tmp_path, "cpu")
