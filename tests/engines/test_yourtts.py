"""YourTTS by PyTorch, against coqui-tts's own inference on the same checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from farm.audio import Audio
from farm.engines import Engine, load
from farm.errors import EngineError, Unavailable
from farm.jobs import Prosody, Segment, Voice
from tests.exports import export
from tests.exports.your_voices import CHECKPOINT, LANGUAGES, SPEAKERS, torch_voice

pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=all")

import torch
from TTS.config import load_config
from TTS.tts.models.vits import Vits
from TTS.tts.utils.speakers import SpeakerManager

from farm.engines.cloning import passes, speakers
from farm.engines.yourtts import YourTts, _device, mapped

SILENT = {"noise_scale": 0.0, "noise_w": 0.0}

#: Text, tag, Coqui's language, speaker; of eight lengths.
LINES = [
    ("No!", "en", "en", SPEAKERS[0]),
    ("A short one.", "en-GB", "en", SPEAKERS[1]),
    ("É uma frase; não é?", "pt-BR", "pt-br", SPEAKERS[2]),
    ("C'est-à-dire : où ?", "fr", "fr-fr", SPEAKERS[0]),
    ("Tom & Jerry (again).", "en", "en", SPEAKERS[2]),
    ("Les chats & les chiens dorment.", "fr-FR", "fr-fr", SPEAKERS[1]),
    ("A sentence that is a good deal longer, is it not?", "en-US", "en", SPEAKERS[0]),
    ("Ah", "pt", "pt-br", SPEAKERS[1]),
]


def segment(row: tuple[str, str, str, str], **prosody: Any) -> Segment:
    text, tag, _, speaker = row
    digest = f"{sum(map(ord, text)):064d}"
    return Segment(digest, text, "yourtts", Prosody(speaker=speaker, **prosody), tag)


SEGMENTS = [segment(row) for row in LINES]


def engine_of(**parameters: float | int | str) -> YourTts:
    engine = load(torch_voice(**parameters), export("yourtts"), "cpu")
    assert isinstance(engine, YourTts)
    return engine


@pytest.fixture(scope="module")
def silent() -> YourTts:
    return engine_of(**SILENT)


@pytest.fixture(scope="module")
def noisy() -> YourTts:
    return engine_of()


@pytest.fixture(scope="module")
def coqui() -> Any:
    """Coqui's own model, without noise."""
    folder = export("yourtts")
    config = load_config(folder / "config.json")
    model = Vits(config)
    model.load_checkpoint(config, folder / "model_file.pth", eval=True)
    model.inference_noise_scale = model.inference_noise_scale_dp = 0.0
    return model


def by_coqui(model: Any, rows: list[tuple[str, str, str, str]], engine: YourTts) -> Any:
    """Run Coqui's inference on a batch."""
    ids = [model.tokenizer.text_to_ids(text, language=language) for text, _, language, _ in rows]
    padded = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    for row, each in zip(padded, ids, strict=True):
        row[: len(each)] = torch.tensor(each)
    d_vectors = np.stack([engine.speakers.find(speaker) for *_, speaker in rows])
    return model.inference(
        padded,
        {
            "x_lengths": torch.tensor(list(map(len, ids))),
            "d_vectors": torch.from_numpy(d_vectors),
            "language_ids": torch.tensor([LANGUAGES[language] for _, _, language, _ in rows]),
        },
    )


def test_each_line_sounds_as_from_coquis_own_inference(silent: YourTts, coqui: Any) -> None:
    for row, one in zip(LINES, SEGMENTS, strict=True):
        expected = by_coqui(coqui, [row], silent)["model_outputs"].numpy().reshape(-1)
        (audio,) = silent.speak([one])
        assert len(audio.samples) == len(expected), row
        assert np.abs(audio.samples - expected).max() < 1e-5


def test_speakers_and_languages_are_heard(silent: YourTts) -> None:
    def say(tag: str, speaker: str) -> NDArray[np.float32]:
        return silent.speak([segment(("bonjour", tag, "", speaker))])[0].samples

    first = say("en", SPEAKERS[0])
    for other in (say("fr", SPEAKERS[0]), say("en", SPEAKERS[1])):
        assert len(first) != len(other) or np.abs(first - other).max() > 0.01


@pytest.mark.parametrize("parameters", [SILENT, {}], ids=["silent", "noisy"])
def test_company_in_a_padded_batch_changes_nothing_audible(
    parameters: dict[str, float], silent: YourTts, noisy: YourTts
) -> None:
    batched = engine_of(batched=1, **parameters).speak(SEGMENTS)
    alone = (silent if parameters else noisy).speak(SEGMENTS)
    for one, many in zip(alone, batched, strict=True):
        assert len(one.samples) == len(many.samples)
        assert np.abs(one.samples - many.samples).max() < 1e-5
        assert one.timings == many.timings


def test_a_segment_has_one_reading_and_another_digest_another(noisy: YourTts) -> None:
    (first,), (again,) = (noisy.speak([SEGMENTS[1]]) for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    (other,) = noisy.speak([Segment("e" * 64, *list(SEGMENTS[1].__dict__.values())[1:])])
    assert (
        len(other.samples) != len(first.samples)
        or np.abs(other.samples - first.samples).max() > 1e-3
    )


def test_nothing_is_appended_and_timings_add_up(silent: YourTts) -> None:
    (audio,) = silent.speak([SEGMENTS[1]])
    assert sum(each.samples for each in audio.timings) == len(audio.samples)
    assert [each.symbol for each in audio.timings] == list("a short one.")
    assert len({each.samples for each in audio.timings}) > 2
    assert np.abs(audio.samples[-512:]).max() > 1e-3


def test_an_item_of_a_batch_is_cut_where_it_ends(silent: YourTts, coqui: Any) -> None:
    lengths = by_coqui(coqui, LINES, silent)["durations"].sum([1, 2]).long() * 256
    batched = engine_of(batched=1, **SILENT).speak(SEGMENTS)
    assert [len(each.samples) for each in batched] == lengths.tolist()


def test_speed_and_volume_are_honoured(silent: YourTts) -> None:
    row = LINES[6]
    plain, slow, quiet = silent.speak(
        [segment(row), segment(row, speed=0.5), segment(row, volume=-6.0)]
    )
    assert 1.6 < slow.seconds / plain.seconds < 2.1
    np.testing.assert_allclose(quiet.samples, plain.samples * 10 ** (-6 / 20), atol=1e-6)


def coquis_d_vector(path: Path) -> NDArray[np.float64]:
    folder = export("yourtts")
    manager = SpeakerManager(
        encoder_model_path=folder / "model_se.pth", encoder_config_path=folder / "config_se.json"
    )
    return np.array(manager.compute_embedding_from_clip(path))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, noisy: YourTts) -> Path:
    """Something like a voice, at 22,050 Hz."""
    path = tmp_path_factory.mktemp("reference") / "a.wav"
    audio: Audio = noisy.speak([SEGMENTS[6]])[0]
    soundfile.write(path, audio.samples, 22_050, "FLOAT")
    return path


@pytest.mark.filterwarnings("ignore:.*slated for removal:DeprecationWarning")  # librosa's readers
def test_a_d_vector_is_coquis(silent: YourTts, recording: Path) -> None:
    samples, rate = soundfile.read(recording, dtype="float32")
    np.testing.assert_allclose(silent.embed(samples, rate), coquis_d_vector(recording), atol=1e-5)


def test_a_clone_speaks_with_its_references_d_vector_or_the_stored_one(
    tmp_path: Path, recording: Path
) -> None:
    shutil.copytree(export("yourtts"), tmp_path, dirs_exist_ok=True)
    shutil.copy(recording, tmp_path / "a.wav")
    heard = cloned(tmp_path, {"reference": "a.wav"})
    speakers.write(tmp_path / "a.npy", heard.speakers.find(""))
    stored = cloned(tmp_path, {"reference": "a.wav", "d_vector": "a.npy"})
    row = ("Hello there.", "en", "en", "")
    (first,), (second,) = heard.speak([segment(row)]), stored.speak([segment(row)])
    np.testing.assert_array_equal(first.samples, second.samples)
    (other,) = stored.speak([segment((*row[:3], SPEAKERS[0]))])
    assert (
        len(other.samples) != len(first.samples)
        or np.abs(other.samples - first.samples).max() > 1e-3
    )


def cloned(folder: Path, files: dict[str, str]) -> YourTts:
    voice = Voice(**{**torch_voice().__dict__, "files": CHECKPOINT | files, "parameters": {}})
    engine = load(voice, folder, "cpu")
    assert isinstance(engine, YourTts)
    return engine


def test_without_speaker_and_reference_nobody_speaks(silent: YourTts) -> None:
    engine = cloned(export("yourtts"), {})
    with pytest.raises(EngineError, match="needs a speaker: choose one of female-en-5, male-en-2"):
        engine.speak([segment(("Hello", "en", "en", ""))])
    with pytest.raises(EngineError, match="does not speak 'zh', only en, fr"):
        silent.speak([segment(("Hello", "zh", "", ""))])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model_file.pth", b"nothing", "model_file.pth'"),
        ("config.json", b"{}", "config.json'"),
        ("language_ids.json", b'{"en": 4}', r"ids \[4\] are not 0, 1, 2"),
        ("speakers.json", b'{"a": {}}', "speakers.json': KeyError: 'name'"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    shutil.copytree(export("yourtts"), tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=message):
        load(torch_voice(), tmp_path, "cpu")


def test_a_checkpoint_that_holds_code_is_not_run(tmp_path: Path) -> None:
    shutil.copytree(export("yourtts"), tmp_path, dirs_exist_ok=True)
    torch.save({"model": {}, "config": _Bomb()}, tmp_path / "model_file.pth")
    with pytest.raises(EngineError, match="holds more than weights, which is not loaded"):
        load(torch_voice(), tmp_path, "cpu")
    assert not (tmp_path / "exploded").exists()


class _Bomb:
    """Unpickled, it would run a function."""

    def __reduce__(self) -> Any:
        return print, ("exploded",)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    shutil.copytree(export("yourtts"), tmp_path, dirs_exist_ok=True)
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "model_file.pth")
    with pytest.raises(EngineError, match=r"model_file.pth': RuntimeError: .*Missing key"):
        load(torch_voice(), tmp_path, "cpu")


def test_paths_of_the_training_machine_are_passed_over(tmp_path: Path, silent: YourTts) -> None:
    shutil.copytree(export("yourtts"), tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "config.json").read_text()
    for name in ("d_vector_file", "speakers_file", "language_ids_file"):
        assert f'"{name}": null' in text
        text = text.replace(f'"{name}": null', f'"{name}": "/elsewhere/{name}"')
    (tmp_path / "config.json").write_text(text)
    engine: Engine = load(torch_voice(**SILENT), tmp_path, "cpu")
    np.testing.assert_array_equal(
        engine.speak([SEGMENTS[0]])[0].samples, silent.speak([SEGMENTS[0]])[0].samples
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_cuda_where_there_is_none_is_an_error_that_says_so() -> None:
    with pytest.raises(Unavailable, match="device 'cuda:0' is not there: this torch finds 0 CU"):
        load(torch_voice(), export("yourtts"), "cuda:0")


def test_an_unknown_device_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="unknown device 'tpu'"):
        load(torch_voice(), export("yourtts"), "tpu")


def test_torchs_errors_become_the_farms() -> None:
    with pytest.raises(EngineError, match="here: shape mismatch"), mapped("here"):
        raise RuntimeError("shape\n mismatch")
    with pytest.raises(Unavailable, match="here: out of memory"), mapped("here"):
        raise torch.OutOfMemoryError
    with pytest.raises(Unavailable, match="can't allocate"), mapped("here"):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


def test_the_spline_is_coquis_inside_its_bounds_and_the_identity_outside() -> None:
    from TTS.tts.layers.vits.transforms import piecewise_rational_quadratic_transform

    generator = torch.Generator().manual_seed(1)
    values = torch.linspace(-7, 7, 301).reshape(1, 1, 301)
    values = torch.cat([values, torch.tensor([[[-5.0, 5.0]]])], dim=2)
    widths, heights, slopes = (
        torch.randn(1, 1, 303, each, generator=generator) for each in (10, 10, 9)
    )
    expected, _ = piecewise_rational_quadratic_transform(
        values, widths, heights, slopes, inverse=True, tails="linear", tail_bound=5.0
    )
    found = passes.unspline(values, widths, heights, slopes, 5.0)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert torch.equal(found[values.abs() > 5], values[values.abs() > 5])


def test_a_card_convolves_with_all_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert _device("cuda:0") == "cuda:0"
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cuda.matmul.allow_tf32 is False
