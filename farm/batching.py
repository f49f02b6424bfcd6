"""Cut work in pieces, and run a batch so that one bad segment costs only itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from farm.audio import Audio
from farm.errors import EngineError, EngineFailed, FarmError, OutOfMemory
from farm.jobs import Segment, Voice

#: Seconds of compute that a chunk should take: long beside the queue's 5 ms, short for a sentence
#: that waits behind it.
CHUNK_COMPUTE_S = 1.5
#: Seconds of audio that a chunk holds at least and at most, whatever the voice costs.
CHUNK_AUDIO_S = (10.0, 300.0)
#: Seconds of predicted compute that are recorded as in flight at once: asking Redis before each
#: forward pass of a quick voice would keep the device waiting for a fifteenth of the time.
FLIGHT_COMPUTE_S = 0.25
#: Characters of ordinary text that are spoken in a second at speed 1.
CHARACTERS_PER_S = 15.0
#: Seconds that a letter or digit takes at least at speed 1: a thirtieth of what a reader needs.
LETTER_S = 0.002
#: A signal that stays below it is nothing but zeros in 16 bits.
SILENCE = 2.0**-17
#: Decibels of volume below which a text is not meant to be heard.
INAUDIBLE_DB = -60.0

Outcome = Audio | EngineError

T = TypeVar("T")


def audio_seconds(segment: Segment) -> float:
    """Predict how long a segment will be, in seconds."""
    return len(segment.text) / CHARACTERS_PER_S / segment.prosody.speed


def chunk(
    segments: Iterable[Segment], voice: Voice, least_s: float = 0.0
) -> Iterator[list[Segment]]:
    """Cut segments, in the order given, in runs of about `CHUNK_COMPUTE_S` of predicted compute.

    A run may hold `least_s` seconds of audio, whatever that costs.
    """
    low, high = CHUNK_AUDIO_S
    limit = max(least_s, min(high, max(low, CHUNK_COMPUTE_S / voice.rtf)))
    return _runs(segments, audio_seconds, limit)


def cut(segments: Sequence[Segment], budget: int) -> Iterator[list[Segment]]:
    """Cut segments in batches whose padded size (count x longest) stays within a budget.

    A segment is as long as its text, or as a text that is spoken as long at the usual speed: both
    tokens and frames are padded. A budget of 1 (a CPU's: padding costs more there than batching
    saves) gives one segment a batch. Neighbours are batched as they come: sort by length first.
    """
    batch: list[Segment] = []
    for segment in segments:
        longest = max(len(s.text) / min(1.0, s.prosody.speed) for s in [*batch, segment])
        if batch and (len(batch) + 1) * longest > budget:
            yield batch
            batch = []
        batch.append(segment)
    if batch:
        yield batch


def flights(batches: Iterable[list[Segment]], rtf: float) -> Iterator[list[list[Segment]]]:
    """Group batches, in the order given, in flights of about `FLIGHT_COMPUTE_S` of compute."""
    return _runs(batches, lambda batch: rtf * sum(map(audio_seconds, batch)), FLIGHT_COMPUTE_S)


def _runs(things: Iterable[T], seconds: Callable[[T], float], limit: float) -> Iterator[list[T]]:
    """Cut things, in the order given, in runs of so many seconds at most, one thing at least."""
    run: list[T] = []
    taken = 0.0
    for thing in things:
        length = seconds(thing)
        if run and taken + length > limit:
            yield run
            run, taken = [], 0.0
        run.append(thing)
        taken += length
    if run:
        yield run


def run(
    speak: Callable[[Sequence[Segment]], list[Audio]],
    batch: Sequence[Segment],
    sample_rate: int = 0,
) -> list[Outcome]:
    """Speak a batch; halve it where it does not fit, and take it apart where it fails.

    Returns the signal or the error of every segment, in order. Whatever an engine raises or gives
    that is no signal at `sample_rate` Hz (0: at any) is an error of the segment that it is about.

    Raises:
        OutOfMemory: a single segment does not fit.
        FarmError: what else an engine may raise on purpose.
    """
    try:
        spoken = speak(batch)
        if len(spoken) != len(batch):
            raise EngineError(f"the engine gave {len(spoken)} signals for {len(batch)} segments")
        return [_judged(*each, sample_rate) for each in zip(batch, spoken, strict=True)]
    except OutOfMemory:
        if len(batch) == 1:
            raise
    except EngineError as error:
        if len(batch) == 1:
            return [error]
    except FarmError:
        raise
    except (Exception, SystemExit) as error:  # an engine is others' code: it may raise anything
        if len(batch) == 1:
            return [_unforeseen(error)]
    middle = len(batch) // 2
    return run(speak, batch[:middle], sample_rate) + run(speak, batch[middle:], sample_rate)


def _unforeseen(error: BaseException) -> EngineFailed:
    failed = EngineFailed(f"the engine failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


def _judged(segment: Segment, audio: Audio, sample_rate: int) -> Outcome:
    """Return a signal, or why it cannot be what was asked for."""
    wrong = _wrong(segment, audio, sample_rate)
    return EngineError(f"the engine gave {wrong}") if wrong else audio


def _wrong(segment: Segment, audio: Any, sample_rate: int) -> str:
    samples = getattr(audio, "samples", None)
    if not isinstance(audio, Audio) or not isinstance(samples, np.ndarray):
        return f"{type(audio).__name__}, no signal"
    if samples.ndim != 1 or samples.dtype != np.float32 or not len(samples):
        return f"a signal of shape {samples.shape} and {samples.dtype}, not (samples,) and float32"
    if sample_rate not in (0, audio.sample_rate):
        return f"a signal at {audio.sample_rate} Hz, not at {sample_rate}"
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        return f"a signal of {audio.seconds:.2f} s that holds NaN or infinity"
    letters = sum(map(str.isalnum, segment.text))
    if not letters or audio.warnings:  # where a sound is lacking, there is little to expect
        return ""
    if audio.seconds < letters * LETTER_S / segment.prosody.speed:
        return f"{audio.seconds:.3f} s for {letters} letters"
    if peak < SILENCE and segment.prosody.volume > INAUDIBLE_DB:
        return f"{audio.seconds:.2f} s of silence for {letters} letters"
    return ""
