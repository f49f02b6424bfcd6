"""Taps of convolutions, and signals in two phases, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from farm.engines.split import phases
from farm.engines.split.phases import Taps

Array = NDArray[np.float32]


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def apply(taps: Taps, signal: Array, count: int, stride: int = 1) -> Array:
    """Sum up what taps give at moments 0, stride ... of a signal [I, T] that is zero outside."""
    made = np.zeros((len(next(iter(taps.values()))), count), np.float32)
    for moment in range(count):
        for shift, weight in taps.items():
            if 0 <= stride * moment + shift < signal.shape[1]:
                made[:, moment] += weight @ signal[:, stride * moment + shift]
    return made


def symmetric(kernel: int, dilation: int) -> Taps:
    return phases.convolution(draw(4, 3, kernel), dilation * (kernel - 1) // 2, dilation)


@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 11])
def test_parts_of_all_phases_add_up_to_the_whole(kernel: int, dilation: int) -> None:
    taps, signal = symmetric(kernel, dilation), draw(3, 40)
    whole = apply(taps, signal, 40)
    for made in range(2):
        terms = [
            apply(part, signal[:, given::2], 20)
            for given in range(2)
            if (part := phases.part(taps, given, made))
        ]
        np.testing.assert_allclose(sum(terms), whole[:, made::2], atol=1e-5)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [3, 5, 7, 11])
def test_three_convolutions_do_the_work_of_four(kernel: int, dilation: int) -> None:
    taps, signal = symmetric(kernel, dilation), draw(3, 40)
    even, odd = signal[:, ::2], signal[:, 1::2]
    whole = apply(taps, signal, 40)
    same, from_odd, from_even = phases.shared(taps)
    middle = apply(same, even + odd, 20)
    np.testing.assert_allclose(middle + apply(from_odd, odd, 20), whole[:, ::2], atol=1e-5)
    np.testing.assert_allclose(middle + apply(from_even, even, 20), whole[:, 1::2], atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "dilation", "saved"), [(3, 1, 1), (5, 1, 1), (7, 1, 3), (11, 1, 5)]
)
def test_dense_kernels_gain_by_phases(kernel: int, dilation: int, saved: int) -> None:
    assert phases.saved(symmetric(kernel, dilation)) == saved


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 2), (3, 3), (7, 3), (11, 5)])
def test_others_do_not(kernel: int, dilation: int) -> None:
    assert phases.saved(symmetric(kernel, dilation)) <= 0


def test_many_moments_may_be_given_as_one() -> None:
    taps, signal = symmetric(7, 1), draw(3, 32)
    many = apply(phases.together(taps, 8), signal, 4, stride=8)
    np.testing.assert_allclose(
        many.reshape(8, 4, 4).transpose(1, 2, 0).reshape(4, 32), apply(taps, signal, 32), atol=1e-5
    )


@pytest.mark.parametrize(("kernel", "stride"), [(16, 8), (4, 2), (7, 4), (3, 4)])
def test_a_transposed_convolution_gives_the_moments_of_a_stride_at_once(
    kernel: int, stride: int
) -> None:
    weight, signal = draw(3, 2, kernel), draw(3, 10)
    wanted = np.zeros((2, 10 * stride + 4 * stride), np.float32)
    for moment in range(10):
        for place in range(kernel):
            wanted[:, moment * stride + place] += weight[:, :, place].T @ signal[:, moment]
    made = apply(phases.transposed(weight, stride), signal, 14)
    in_a_row = made.reshape(stride, 2, 14).transpose(1, 2, 0).reshape(2, -1)
    np.testing.assert_allclose(in_a_row, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("shifts", "dilation", "begin", "end"),
    [
        ((-3, 0, 3), 3, 3, 3),
        ((-2, -1, 2), 1, 2, 2),
        ((0,), 1, 0, 0),
        ((2, 4), 2, 0, 4),
        ((-4, -2), 2, 4, 0),
    ],
)
def test_a_kernel_covers_its_shifts_and_the_moment_itself(
    shifts: tuple[int, ...], dilation: int, begin: int, end: int
) -> None:
    taps = {shift: draw(2, 3) + shift for shift in shifts}
    made = phases.kernel(taps)
    assert (made.dilation, made.begin, made.end) == (dilation, begin, end)
    assert made.weight.shape[:3] == (2, 3, 1)
    for place in range(made.weight.shape[3]):
        wanted = taps.get(place * dilation - begin, np.zeros((2, 3)))
        np.testing.assert_array_equal(made.weight[:, :, 0, place], wanted)


def test_strides_leave_unread_what_is_behind_their_last_moment() -> None:
    made = phases.kernel({shift: draw(2, 3) for shift in range(-3, 19)}, stride=16)
    assert (made.begin, made.end) == (3, 3)
    assert phases.kernel({0: draw(2, 3)}, stride=4).end == 0
