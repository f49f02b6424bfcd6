"""Sixteen-bit rounding."""

from __future__ import annotations

import numpy as np

from farm.audio.pcm import from_int16, to_int16


def test_every_sixteen_bit_value_survives_the_way_to_float_and_back() -> None:
    values = np.arange(-32_768, 32_768).astype(np.int16)
    np.testing.assert_array_equal(to_int16(from_int16(values)), values)


def test_rounding_is_to_the_nearest_step_and_clips_at_the_ends() -> None:
    steps = np.array([0.4, 0.6, -0.6, 32_767.9, 40_000, -40_000], np.float32) / np.float32(32_768)
    assert to_int16(steps).tolist() == [0, 1, -1, 32_767, 32_767, -32_768]
