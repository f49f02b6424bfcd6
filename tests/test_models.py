"""Loaded voices: those used last stay, within a bound of bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from farm.engines import Engine, load
from farm.errors import EngineError, OutOfMemory
from farm.models import Models
from tests.running import tone


def engine() -> Engine:
    return load(tone(), Path("none"), "cpu")


def kept(models: Models, *digests: str) -> list[str]:
    return [digest for digest in digests if digest in models]


def full(times: int) -> Callable[[], Engine]:
    """A load that finds the device full so many times."""
    left = [times]

    def load() -> Engine:
        if left[0]:
            left[0] -= 1
            raise OutOfMemory("full")
        return engine()

    return load


def test_the_voice_used_least_recently_makes_room() -> None:
    models = Models(100)
    for digest in ("a", "b"):
        models.add(digest, 50, engine)
    used = models["a"]
    models.add("c", 40, engine)
    assert kept(models, "a", "b", "c") == ["a", "c"]
    assert models["a"] is used
    assert models.bytes == 90


def test_as_many_make_room_as_it_takes() -> None:
    models = Models(100)
    for digest in ("a", "b", "c"):
        models.add(digest, 30, engine)
    models.add("d", 60, engine)
    assert kept(models, "a", "b", "c", "d") == ["c", "d"]


def test_room_is_made_before_a_voice_is_loaded() -> None:
    models = Models(100)
    models.add("a", 80, engine)
    seen: list[bool] = []

    def watched() -> Engine:
        seen.append("a" in models)
        return engine()

    models.add("b", 80, watched)
    assert seen == [False]


def test_a_voice_larger_than_the_bound_is_kept_alone() -> None:
    models = Models(100)
    models.add("a", 10, engine)
    models.add("huge", 1000, engine)
    assert kept(models, "a", "huge") == ["huge"]
    models.add("b", 10, engine)
    assert kept(models, "huge", "b") == ["b"]


def test_a_voice_that_does_not_fit_beside_others_is_tried_alone() -> None:
    models = Models(100)
    models.add("a", 10, engine)
    models.add("b", 10, full(1))
    assert kept(models, "a", "b") == ["b"]
    with pytest.raises(OutOfMemory):
        models.add("c", 10, full(2))
    assert kept(models, "b", "c") == []
    with pytest.raises(OutOfMemory):
        Models(100).add("d", 10, full(1))


def test_a_voice_that_cannot_be_loaded_leaves_no_trace() -> None:
    models = Models(100)

    def broken() -> Engine:
        raise EngineError("no model")

    with pytest.raises(EngineError):
        models.add("a", 10, broken)
    assert ("a" in models, models.bytes) == (False, 0)
    with pytest.raises(KeyError):
        models["a"]
