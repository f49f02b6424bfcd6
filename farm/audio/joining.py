"""Segments and pauses into one signal, sample by sample, one segment in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from farm.audio.signal import Audio, Samples

#: Milliseconds over which a segment's edges are faded, so that no cut is heard as a click.
FADE_MS = 5


@dataclass(frozen=True)
class Span:
    """Where a piece lies in its item, in samples at the item's rate."""

    start: int
    end: int


def count(ms: float, sample_rate: int) -> int:
    """Return how many samples so many milliseconds are."""
    return round(ms * sample_rate / 1000)


def silence(ms: float, sample_rate: int) -> Samples:
    """Return so many milliseconds of zeros, shape (samples,)."""
    return np.zeros(count(ms, sample_rate), np.float32)


def fade(samples: Samples, sample_rate: int, ms: float = FADE_MS) -> Samples:
    """Return a copy whose first and last milliseconds rise from and fall to zero.

    The ramp is half a raised cosine; a signal shorter than two ramps gets shorter ones.
    """
    length = min(count(ms, sample_rate), len(samples) // 2)
    return _ramped(_ramped(samples, length)[::-1], length)[::-1]


def _ramped(samples: Samples, length: int) -> Samples:
    """Return a copy whose first samples rise from zero."""
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
    risen = samples.astype(np.float32, copy=True)
    risen[:length] *= ramp
    return risen


def faded(pieces: Iterable[Samples], sample_rate: int) -> Iterator[Samples]:
    """Yield a signal that comes in pieces as `fade` gives it whole, but for its last milliseconds.

    These are held back until there is more, or no more. Yields no empty block.
    """
    length, head = count(FADE_MS, sample_rate), True
    held = np.zeros(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        if len(held) > 2 * length:
            ready, held = held[:-length], held[-length:]
            yield _ramped(ready, length) if head else ready
            head = False
    last = fade(held, sample_rate) if head else _ramped(held[::-1], length)[::-1]
    if len(last):
        yield last


def resample(audio: Audio, sample_rate: int) -> Samples:
    """Return a signal's samples at another rate: `resampled_length` of them (soxr, HQ)."""
    if audio.sample_rate == sample_rate:
        return audio.samples
    wanted = resampled_length(len(audio.samples), audio.sample_rate, sample_rate)
    finer = soxr.resample(audio.samples, audio.sample_rate, sample_rate, quality="HQ")
    # soxr rounds a half either way.
    return np.pad(finer, (0, max(0, wanted - len(finer))))[:wanted].astype(np.float32)


def resampled_length(samples: int, from_rate: int, to_rate: int) -> int:
    """Return how many samples a signal has at another rate, rounded half up, exactly."""
    return (2 * samples * to_rate + from_rate) // (2 * from_rate)


def join(
    pieces: Iterable[tuple[Audio, int]], sample_rate: int, head_ms: int = 0, tail_ms: int = 0
) -> Iterator[Samples]:
    """Yield an item's signal: silence, each piece faded at both ends with its pause, silence.

    Takes pieces as (signal, milliseconds of pause after it); a piece of another rate is
    resampled. Holds one piece at a time; yields no empty block.
    """
    for block in _blocks(pieces, sample_rate, head_ms, tail_ms):
        if len(block):
            yield block


def spans(lengths: Iterable[tuple[int, int]], sample_rate: int, head_ms: int = 0) -> Iterator[Span]:
    """Yield where `join` puts each piece.

    Takes (samples at the item's rate, milliseconds of pause after it); see `resampled_length`.
    """
    at = count(head_ms, sample_rate)
    for length, pause_ms in lengths:
        yield Span(at, at + length)
        at += length + count(pause_ms, sample_rate)


def _blocks(
    pieces: Iterable[tuple[Audio, int]], sample_rate: int, head_ms: int, tail_ms: int
) -> Iterator[Samples]:
    yield silence(head_ms, sample_rate)
    for audio, pause_ms in pieces:
        yield fade(resample(audio, sample_rate), sample_rate)
        yield silence(pause_ms, sample_rate)
    yield silence(tail_ms, sample_rate)
