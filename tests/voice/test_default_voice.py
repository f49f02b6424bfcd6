"""The default voice: the committed pair, merged, spoken by Piper, judged by a stranger's ears."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from piper import PiperVoice, SynthesisConfig

from farm.merge import DURATIONS, merge
from training.check import BY_CHANCE, RECOGNISED, backwards, digit_error, recognised, speaker
from training.settings import HELD_OUT, HOP, VOICE

FloatArray = npt.NDArray[np.float32]

SENTENCES = HELD_OUT.read_text("utf-8").splitlines()

#: Every third sentence is enough to tell a broken voice, and takes seconds.
SPOKEN = SENTENCES[::3][:12]

#: One sentence of some 14 seconds.
LONG = "; ".join(text.rstrip(".?") for text in SENTENCES[:6])

#: The largest difference between a row of a batch and the row alone (full scale is 1).
BATCH_ERROR = 1e-3


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The voice as set-up makes it."""
    path = tmp_path_factory.mktemp("voice") / "slt.onnx"
    merge(VOICE / "acoustic.onnx", VOICE / "vocoder.onnx", path)
    copyfile(VOICE / "voice.json", f"{path}.json")
    return path


@pytest.fixture(scope="module")
def voice(merged: Path) -> PiperVoice:
    return PiperVoice.load(merged, include_alignments=True)


@pytest.fixture(scope="module")
def session(merged: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(merged, providers=["CPUExecutionProvider"])


def ids_of(voice: PiperVoice, text: str) -> list[int]:
    (phonemes,) = voice.phonemize(text)
    return list(voice.phonemes_to_ids(phonemes))


def speak(
    session: onnxruntime.InferenceSession, rows: Sequence[Sequence[int]], length: float = 1.0
) -> FloatArray:
    """Speak rows of ids as one batch, padded with zeros: (B, samples)."""
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.zeros((len(rows), lengths.max()), np.int64)
    for place, row in zip(ids, rows, strict=True):
        place[: len(row)] = row
    feed = {"input": ids, "input_lengths": lengths, "scales": np.array([0, length, 0], np.float32)}
    audio: FloatArray = session.run(["output"], feed)[0]
    return audio[:, 0, 0]


def test_the_merged_voice_has_the_signature_of_piper(
    session: onnxruntime.InferenceSession,
) -> None:
    inputs = [(value.name, value.type, len(value.shape)) for value in session.get_inputs()]
    assert inputs == [
        ("input", "tensor(int64)", 2),
        ("input_lengths", "tensor(int64)", 1),
        ("scales", "tensor(float)", 1),
    ]
    (output,) = session.get_outputs()
    assert (output.name, output.type) == ("output", "tensor(float)")
    assert output.shape[1:3] == [1, 1]


def test_the_only_ceil_of_the_graph_holds_the_durations(merged: Path) -> None:
    nodes = onnx.load(str(merged)).graph.node
    assert [list(node.output) for node in nodes if node.op_type == "Ceil"] == [[DURATIONS]]


def test_the_pair_stays_small_enough_to_commit() -> None:
    assert sum((VOICE / f"{name}.onnx").stat().st_size for name in ("acoustic", "vocoder")) < 20e6


def test_merging_twice_gives_the_same_bytes(merged: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / "other-name.onnx"
    merge(VOICE / "acoustic.onnx", VOICE / "vocoder.onnx", again)
    assert again.read_bytes() == merged.read_bytes()


def test_merging_leaves_nothing_beside_the_voice(tmp_path: Path) -> None:
    merge(VOICE / "acoustic.onnx", VOICE / "vocoder.onnx", tmp_path / "voice.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["voice.onnx"]


def test_a_pair_in_the_wrong_order_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vocoder\.onnx maps \['mel', 'mel_lengths'\]"):
        merge(VOICE / "vocoder.onnx", VOICE / "acoustic.onnx", tmp_path / "voice.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_merged_voice_is_not_merged_again(merged: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected"):
        merge(merged, VOICE / "vocoder.onnx", tmp_path / "voice.onnx")


def test_the_configuration_is_what_piper_reads(voice: PiperVoice) -> None:
    config = json.loads((VOICE / "voice.json").read_text("utf-8"))
    assert (config["dataset"], config["language"]["code"]) == ("slt", "en_US")
    assert (voice.config.sample_rate, voice.config.hop_length) == (16_000, HOP)
    assert (voice.config.espeak_voice, voice.config.num_speakers) == ("en-us", 1)


def test_piper_speaks_and_times_every_phoneme(voice: PiperVoice) -> None:
    (chunk,) = voice.synthesize(SENTENCES[0], include_alignments=True)
    assert chunk.phoneme_alignments is not None
    assert chunk.phoneme_id_samples is not None
    assert len(chunk.phoneme_id_samples) == len(chunk.phoneme_ids)
    assert sum(part.num_samples for part in chunk.phoneme_alignments) == len(
        chunk.audio_float_array
    )
    assert 2.0 < len(chunk.audio_float_array) / chunk.sample_rate < 5.0


@pytest.mark.parametrize("text", ["Yes.", "Chapter One", "Oh, no; why?", " ".join(SENTENCES[:9])])
def test_samples_are_durations_times_hop(voice: PiperVoice, text: str) -> None:
    for chunk in voice.synthesize(text, include_alignments=True):
        assert chunk.phoneme_id_samples is not None
        assert chunk.phoneme_id_samples.sum() == len(chunk.audio_float_array)
        assert len(chunk.audio_float_array) % HOP == 0


def test_a_row_of_a_batch_is_what_it_is_alone(
    voice: PiperVoice, session: onnxruntime.InferenceSession
) -> None:
    rows = [ids_of(voice, text) for text in ("Yes.", *SENTENCES[:5], LONG)]
    together = speak(session, rows)
    for row, padded in zip(rows, together, strict=True):
        (alone,) = speak(session, [row])
        assert np.abs(padded[: len(alone)] - alone).max() < BATCH_ERROR
        assert not padded[len(alone) :].any()


def test_the_same_sentence_gives_the_same_samples(merged: Path, voice: PiperVoice) -> None:
    row = ids_of(voice, SENTENCES[1])
    sessions = [onnxruntime.InferenceSession(merged) for _ in range(2)]
    first, second, third = (speak(one, [row]) for one in (*sessions, sessions[0]))
    assert first.tobytes() == second.tobytes() == third.tobytes()


def test_the_length_scale_stretches_the_sentence(
    voice: PiperVoice, session: onnxruntime.InferenceSession
) -> None:
    row = ids_of(voice, SENTENCES[2])
    plain, slow = (speak(session, [row], length).shape[1] for length in (1.0, 1.5))
    assert slow / plain == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize("row", [[1, 0, 2], [1, 2], [1, 0, 10, 0, 2], [0, 0, 0]])
def test_a_sentence_without_sounds_is_short_and_quiet(
    session: onnxruntime.InferenceSession, row: list[int]
) -> None:
    audio = speak(session, [row])
    assert HOP <= audio.shape[1] <= 16_000
    assert np.abs(audio).max() < 0.05


@pytest.mark.parametrize("text", ["Yes", "Chapter One", "Why?", SENTENCES[3].rstrip(".")])
def test_a_text_ends_in_silence_with_or_without_an_end_mark(voice: PiperVoice, text: str) -> None:
    (chunk,) = voice.synthesize(text, SynthesisConfig(normalize_audio=False))
    assert np.abs(chunk.audio_float_array[-HOP:]).max() < 0.02


def test_sounds_that_the_voice_never_learnt_are_spoken_like_their_neighbours(
    voice: PiperVoice, session: onnxruntime.InferenceSession
) -> None:
    known, foreign = (ids_of(voice, f"[[ {sounds} ]]") for sounds in ("lˈɑːk", "lˈɑːx"))
    assert known != foreign
    assert np.array_equal(speak(session, [known]), speak(session, [foreign]))


def test_the_level_leaves_room_and_is_not_silent(voice: PiperVoice) -> None:
    config = SynthesisConfig(normalize_audio=False)
    for text in SPOKEN:
        (chunk,) = voice.synthesize(text, config)
        assert 0.2 < np.abs(chunk.audio_float_array).max() < 1.0
        assert abs(chunk.audio_float_array.mean()) < 0.005


def test_a_recogniser_tells_which_sentence_was_spoken(voice: PiperVoice) -> None:
    assert recognised(speaker(voice), SENTENCES, SPOKEN) >= RECOGNISED


def test_the_recogniser_is_not_fooled_by_speech_played_backwards(voice: PiperVoice) -> None:
    assert recognised(backwards(speaker(voice)), SENTENCES, SPOKEN) <= BY_CHANCE


def test_a_recogniser_hears_the_digits(voice: PiperVoice) -> None:
    assert digit_error(speaker(voice)) < 0.15
