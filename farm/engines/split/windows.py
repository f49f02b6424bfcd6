"""Decoding in windows: a plan that depends on the number of frames alone. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Window:
    """Frames `start` ... `stop` are decoded together; `first` ... `last` of them are kept."""

    start: int
    stop: int
    first: int
    last: int


def plan(frames: int, most: int, context: int) -> list[Window]:
    """Cover frames with as few windows of at most `most` frames as possible, all of one size.

    Their kept parts join without overlap or gap; at least `context` frames lie between what is
    kept and an edge of its window that is no end of the signal.
    """
    if most <= 2 * context:
        raise ValueError(f"windows of {most!r} frames keep nothing between contexts of {context}")
    if frames <= most:
        return [Window(0, frames, 0, frames)]
    count = math.ceil((frames - 2 * context) / (most - 2 * context))
    each = math.ceil((frames - 2 * context) / count)
    size = each + 2 * context
    starts = [min(number * each, frames - size) for number in range(count)]
    firsts = [0, *(number * each + context for number in range(1, count)), frames]
    return [
        Window(start, start + size, first, last)
        for start, (first, last) in zip(starts, pairwise(firsts), strict=True)
    ]
