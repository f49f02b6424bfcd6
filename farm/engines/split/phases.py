"""Convolutions of one axis as taps, and of a signal held as its even and its odd moments. Pure.

A convolution is its taps: at moment t it gives the sum over shifts s of `taps[s] @ x[t + s]`. If
a signal x is held as two phases x0[n] = x[2n] and x1[n] = x[2n + 1], every phase of the result is
a sum of two convolutions, A x0 + B x1 and C x0 + A x1, with half of the taps each. Where the
shifts of A are among those of B and C, that takes three: M = A (x0 + x1), then M + (B - A) x1 and
M + (C - A) x0 (fast FIR algorithms: Parker and Parhi 1997, Journal of VLSI Signal Processing 17,
75-92; a 2 x 2 Toeplitz product). A kernel of 11 costs 17 taps for two moments, not 22.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from farm.audio import Samples

#: Shift to weights [O, I].
Taps = Mapping[int, Samples]


@dataclass(frozen=True, eq=False)
class Kernel:
    """A convolution as ONNX has it, over an axis of one and over time."""

    weight: Samples
    """[O, I, 1, K]."""
    dilation: int
    begin: int
    end: int
    """Zeros before and behind the signal, so that stride x N moments give N."""


def convolution(weight: Samples, begin: int, dilation: int) -> Taps:
    """Return the taps of a `Conv`, of weights [O, I, K] and zeros before the signal."""
    return {each * dilation - begin: weight[:, :, each] for each in range(weight.shape[2])}


def transposed(weight: Samples, stride: int) -> Taps:
    """Return the taps of a `ConvTranspose` without pads: `stride` moments as one, [stride * O, I].

    Its weights are [I, O, K]. Shifts are 0 and less.
    """
    whole = -(-weight.shape[2] // stride)
    filled = np.pad(weight, ((0, 0), (0, 0), (0, whole * stride - weight.shape[2])))
    blocks = filled.transpose(2, 1, 0).reshape(whole, -1, weight.shape[0])
    return {-each: blocks[each] for each in range(whole)}


def together(taps: Taps, moments: int) -> Taps:
    """Return the taps that give so many moments as one, [moments * O, I]."""
    shifts = range(min(taps), max(taps) + moments)
    none = np.zeros_like(next(iter(taps.values())))
    return {
        shift: np.concatenate([taps.get(shift - moment, none) for moment in range(moments)])
        for shift in shifts
    }


def part(taps: Taps, given: int, made: int = 0, phases: int = 2) -> Taps:
    """Return the taps on phase `given` of a signal that add to phase `made` of the result."""
    shifts = {shift: shift + made - given for shift in taps}
    return {moved // phases: taps[shift] for shift, moved in shifts.items() if moved % phases == 0}


def shared(taps: Taps) -> tuple[Taps, Taps, Taps]:
    """Return A, B - A and C - A of two phases."""
    same = part(taps, 0, 0)
    return same, _less(part(taps, 1, 0), same), _less(part(taps, 0, 1), same)


def saved(taps: Taps) -> int:
    """Return how many taps fewer `shared` takes for two moments; below 1: it does not pay."""
    return 2 * len(taps) - sum(map(len, shared(taps)))


def _less(taps: Taps, other: Taps) -> Taps:
    none = np.float32(0)
    return {
        shift: np.asarray(taps.get(shift, none) - other.get(shift, none), np.float32)
        for shift in sorted({*taps, *other})
    }


def kernel(taps: Taps, stride: int = 1) -> Kernel:
    """Return the convolution that has some taps, zeros between them where they are uneven."""
    within = {*taps, 0} if min(taps) > 0 or max(taps) < 0 else {*taps}
    first, last = min(within), max(within)
    dilation = math.gcd(*(shift - first for shift in within)) or 1
    none = np.zeros_like(next(iter(taps.values())))
    weight = np.stack([taps.get(s, none) for s in range(first, last + 1, dilation)], axis=-1)
    return Kernel(weight[:, :, np.newaxis], dilation, -first, max(0, last - stride + 1))
