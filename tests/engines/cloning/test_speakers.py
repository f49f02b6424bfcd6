"""Who a zero-shot voice can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farm.engines.cloning.speakers import Speakers, read, write
from farm.errors import EngineError

ANN, BOB = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def test_a_speaker_is_found_by_name() -> None:
    speakers = Speakers("v", 3, {"ann": ANN, "bob": BOB})
    found = speakers.find("bob")
    assert found.dtype == np.float32
    assert found.tolist() == BOB.tolist()
    assert speakers.names == ("ann", "bob")


def test_without_a_name_the_voices_own_speaks_then_the_default_then_the_only_one() -> None:
    speakers = Speakers("v", 3, {"ann": ANN, "bob": BOB}, "bob")
    assert speakers.find("").tolist() == BOB.tolist()
    speakers.become([0, 0, 1])
    assert speakers.find("").tolist() == [0, 0, 1]
    assert speakers.find("ann").tolist() == ANN.tolist()
    assert Speakers("v", 3, {"ann": ANN}).find("").tolist() == ANN.tolist()


def test_nobody_is_chosen_in_silence() -> None:
    with pytest.raises(EngineError, match="'v' needs a speaker: choose one of ann, bob"):
        Speakers("v", 3, {"bob": BOB, "ann": ANN}).find("")
    with pytest.raises(EngineError, match="needs a speaker: choose one of none; clone one"):
        Speakers("v", 3, {}).find("")


def test_an_unknown_speaker_is_an_error_with_the_choices() -> None:
    with pytest.raises(EngineError, match="'v' has no speaker 'eve'; its speakers: ann, bob"):
        Speakers("v", 3, {"ann": ANN, "bob": BOB}).find("eve")
    with pytest.raises(EngineError, match="has no speaker 'eve'"):
        Speakers("v", 3, {"ann": ANN, "bob": BOB}, "eve")


def test_a_voice_is_lent_as_long_as_anybody_holds_it() -> None:
    speakers = Speakers("v", 3, {"ann": ANN})
    with speakers.lent(BOB) as name:
        with speakers.lent(BOB) as same, speakers.lent([0, 0, 2]) as other:
            assert name == same != other
            assert speakers.find(other).tolist() == [0, 0, 2]
        assert speakers.find(name).tolist() == BOB.tolist()
        assert speakers.names == ("ann",)
    for gone in (name, other):
        with pytest.raises(EngineError, match=r"its speakers: ann$"):
            speakers.find(gone)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1, 2], "has 2 numbers, voice 'v' takes 3"),
        ([0, 0, 0], "is zero or not finite"),
        ([1, float("nan"), 0], "is zero or not finite"),
    ],
)
def test_a_d_vector_that_cannot_be_is_refused(vector: list[float], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        Speakers("v", 3, {"eve": vector})


def test_a_stored_d_vector_comes_back(tmp_path: Path) -> None:
    write(tmp_path / "d.npy", ANN.astype(np.float32))
    assert read(tmp_path / "d.npy").tolist() == ANN.tolist()


def test_pickles_and_other_files_are_no_d_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("nothing")
    for name in ("pickle.npy", "text.npy", "missing.npy"):
        with pytest.raises(EngineError, match=rf"{name}' is no d-vector"):
            read(tmp_path / name)
