"""The arrays between the parts: noise, padding and masks. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.audio import Samples


def seed(digest: str) -> int:
    """Turn a segment's digest into the seed of its noise."""
    return int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8], "big")


def noise(seed: int, stream: int, shape: tuple[int, int]) -> Samples:
    """Draw normal noise, row after row: the first rows are the same however many there are."""
    bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))
    return np.random.Generator(bits).standard_normal(shape, np.float32)


def padded(arrays: Sequence[NDArray[Any]], least: int = 0) -> NDArray[Any]:
    """Stack arrays whose last axes differ in length, zeros behind all that are not the longest.

    The last axis of the result holds `least` values at least.
    """
    longest = max(least, *(each.shape[-1] for each in arrays))
    if len(arrays) == 1 and longest == arrays[0].shape[-1]:
        return arrays[0][np.newaxis]
    whole = np.zeros((len(arrays), *arrays[0].shape[:-1], longest), arrays[0].dtype)
    for row, each in zip(whole, arrays, strict=True):
        row[..., : each.shape[-1]] = each
    return whole


def mask(lengths: Sequence[int], least: int = 0) -> Samples:
    """Return ones [B, 1, longest] for what counts of each item, zeros behind."""
    return padded([np.ones((1, length), np.float32) for length in lengths], least)
