"""Graphs with Piper's inputs that mask what pads a batch: which these are, and one pass for many.

    input int64 [B, T], input_lengths int64 [B], scales float32 [3] = noise, length, noise of the
    durations; and further inputs, a row for each utterance

The scales are the whole batch's, so each of them has a pass of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.engines.split import Reading, Utterance
from farm.engines.split.arrays import padded
from farm.errors import EngineError

Speak = Callable[[Sequence[Utterance]], list[Reading]]
"""One pass of a graph: utterances of the same scales."""

#: Most by which a sample may differ between an utterance alone and in a batch: below -50 dBFS.
ALIKE = 1e-3
#: Ids of the utterance that tries a graph, and of the one beside it: so that the padding is wider
#: than what a vocoder looks at.
_TRIED, _BESIDE = 8, 80
#: Ids that it consists of: letters, in the tables of espeak's phonemes.
_FIRST, _KINDS = 14, 12


def feeds(utterances: Sequence[Utterance], extra: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the inputs of one pass; `extra` are the names of the further ones."""
    first = utterances[0]
    return {
        "input": padded([each.ids for each in utterances]),
        "input_lengths": np.array([len(each.ids) for each in utterances], np.int64),
        "scales": np.array([first.noise, first.length, first.noise_w], np.float32),
        **{name: np.stack([each.extra[name] for each in utterances]) for name in extra},
    }


def spoken(speak: Speak, utterances: Sequence[Utterance], together: bool) -> list[Reading]:
    """Speak all utterances, in the order given: those of the same scales in one pass, or alone."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for number, each in enumerate(utterances):
        groups[(each.noise, each.length, each.noise_w) if together else number].append(number)
    found: dict[int, Reading] = {}
    for numbers in groups.values():
        readings = speak([utterances[number] for number in numbers])
        found.update(zip(numbers, readings, strict=True))
    return [found[number] for number in range(len(utterances))]


def masks(speak: Speak, extra: Mapping[str, NDArray[Any]]) -> bool:
    """Try whether a graph says the same of an utterance alone and beside a much longer one.

    `extra` is a row for each further input. No: it takes no batch, hears what pads one, draws
    noise, does not give frames to cut by, or says nothing here.
    """
    tried, beside = (
        Utterance(_FIRST + np.arange(count) % _KINDS, seed=0, extra=extra)
        for count in (_TRIED, _BESIDE)
    )
    try:
        alone, among = speak([tried])[0], speak([tried, beside])[0]
    except EngineError:
        return False
    if not len(alone.frames) or not np.array_equal(alone.frames, among.frames):
        return False
    apart, peak = np.abs(alone.samples - among.samples), np.abs(alone.samples)
    return bool(apart.max(initial=0) < ALIKE and peak.max(initial=0) > 10 * ALIKE)
