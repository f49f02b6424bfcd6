"""What a cut graph refuses, and what it takes besides."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from farm.engines.base import Decoding
from farm.engines.split import Split, seed
from farm.engines.split.arrays import mask, noise, padded
from farm.engines.split.decoder import MASK
from farm.errors import EngineError
from tests.engines.split.originals import opened, several, utterance


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


class Recorded:
    """A session that notes the frames of every run."""

    def __init__(self, inner: onnxruntime.InferenceSession) -> None:
        self.widths: list[int] = []
        self.runs = 0
        self.get_inputs = inner.get_inputs
        self._run = inner.run

    def run(self, outputs: None, feeds: dict[str, Any]) -> list[Any]:
        self.runs += 1
        if MASK in feeds:
            self.widths.append(feeds[MASK].shape[2])
        found: list[Any] = self._run(outputs, feeds)
        return found


@pytest.fixture(scope="module")
def split(cache: Path) -> Split:
    return opened("piper_speakers", cache)


def test_nothing_to_say_gives_nothing(split: Split) -> None:
    assert split.speak([]) == []


def test_windows_of_one_shape_change_no_item(split: Split, cache: Path) -> None:
    parameters = {"batched": 1, "window": 48, "fixed_window": 1}
    shaped = opened("piper_speakers", cache, parameters)
    utterances = several(split)
    for each, reading in zip(utterances, shaped.speak(utterances), strict=True):
        alone = split.speak([each])[0].samples
        np.testing.assert_allclose(reading.samples, alone, atol=1e-5)


def test_the_shape_of_windows_may_be_chosen_only_where_the_voice_has_not(cache: Path) -> None:
    assert opened("piper_speakers", cache).decoding is None, "one segment at a time"
    assert opened("piper_speakers", cache, {"batched": 1}).decoding == Decoding(False)
    for own in (0, 1):
        split = opened("piper_speakers", cache, {"batched": 1, "fixed_window": own})
        assert split.decoding is None


def test_both_shapes_of_windows_give_the_same_within_a_thousandth(
    split: Split, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batching = opened("piper_speakers", cache, {"batched": 1, "window": 900})
    assert batching.decoding
    utterances, decoder = several(split), Recorded(batching._decoder)
    monkeypatch.setattr(batching, "_decoder", decoder)
    behind_masks = batching.speak(utterances)
    assert max(decoder.widths) < 900
    decoder.widths.clear()
    batching.decoding.fixed = True
    for one, other in zip(behind_masks, batching.speak(utterances), strict=True):
        assert np.abs(one.samples - other.samples).max() < 1e-3
    assert {*decoder.widths} == {900}


@pytest.mark.parametrize("batched", [0, 1])
def test_a_stream_decodes_one_window_before_each_piece(
    split: Split, cache: Path, batched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    streaming = opened("piper_speakers", cache, {"batched": batched})
    decoder = Recorded(streaming._decoder)
    monkeypatch.setattr(streaming, "_decoder", decoder)
    each = several(split)[4]
    pieces = []
    for number, piece in enumerate(streaming.stream(each, window=48), 1):
        assert (decoder.runs, len(piece.frames)) == (number, 0)
        pieces.append(piece.samples)
    assert len(pieces) > 2
    whole = streaming.speak([each])[0].samples
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


def test_a_speaker_must_be_said(split: Split) -> None:
    nameless = dataclasses.replace(utterance(split, 5, seed=1), extra={})
    with pytest.raises(EngineError, match=r"piper_speakers wants 'sid' .* it takes \('sid',\)"):
        split.speak([nameless])


def test_no_ids_cannot_be_spoken(split: Split) -> None:
    empty = dataclasses.replace(utterance(split, 5, seed=1), ids=np.zeros(0, np.int64))
    with pytest.raises(EngineError, match="without ids cannot be spoken"):
        split.speak([empty])


@pytest.mark.parametrize("length", [0.0, -1.0, 1e6, float("nan"), float("inf")])
def test_durations_that_cannot_be_are_refused(split: Split, length: float) -> None:
    strange = dataclasses.replace(utterance(split, 5, seed=1), length=length)
    with pytest.raises(EngineError, match=f"5 ids at length scale {length!r} last"):
        split.speak([strange])


def test_an_id_that_the_graph_does_not_know_is_an_engine_error(split: Split) -> None:
    unknown = dataclasses.replace(utterance(split, 5, seed=1), ids=np.array([1, 99_999]))
    with pytest.raises(EngineError, match=r"^piper_speakers: "):
        split.speak([unknown])


def test_one_id_is_spoken_and_one_frame_too(split: Split) -> None:
    short = utterance(split, 1, seed=1, length=1e-3)
    reading = split.speak([short])[0]
    assert reading.frames.tolist() == [1]
    assert len(reading.samples) == split.hop


def test_seeds_are_stable_across_versions() -> None:
    assert seed("d" * 64) == 15_641_885_123_061_693_343
    assert seed("a") != seed("b")


def test_noise_of_a_prefix_is_the_prefix_of_the_noise() -> None:
    long = noise(7, 1, (50, 8))
    np.testing.assert_array_equal(noise(7, 1, (20, 8)), long[:20])
    assert not np.array_equal(noise(7, 0, (50, 8)), long)
    assert long.dtype == np.float32


def test_padding_is_zero_and_masked() -> None:
    rows = [np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)]
    assert padded(rows)[1].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert padded(rows[1:], 2).tolist() == [[[1, 0], [1, 0]]]
    assert mask([3, 1], 4).tolist() == [[[1, 1, 1, 0]], [[1, 0, 0, 0]]]
