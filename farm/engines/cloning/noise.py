"""Noise of a segment: a function of its digest, whoever else is in the batch."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def draw(digest: str, stream: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Draw normal noise of shape (rows, columns), row by row: more rows leave the first alone.

    `stream` tells what the noise is for: noise of two streams has nothing in common.
    """
    seed = int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8], "big")
    generator = np.random.default_rng([seed, stream])
    return generator.standard_normal((rows, columns), dtype=np.float32)
