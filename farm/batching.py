"""Cut work in pieces, and run a batch so that one bad segment costs only itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from farm.audio import Audio
from farm.errors import EngineError, OutOfMemory
from farm.jobs import Segment, Voice

#: Seconds of compute that a chunk should take: long beside the queue's 5 ms, short for a sentence
#: that waits behind it.
CHUNK_COMPUTE_S = 1.5
#: Seconds of audio that a chunk holds at least and at most, whatever the voice costs.
CHUNK_AUDIO_S = (10.0, 300.0)
#: Characters of ordinary text that are spoken in a second at speed 1.
CHARACTERS_PER_S = 15.0

Outcome = Audio | EngineError


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
    run: list[Segment] = []
    seconds = 0.0
    for segment in segments:
        length = audio_seconds(segment)
        if run and seconds + length > limit:
            yield run
            run, seconds = [], 0.0
        run.append(segment)
        seconds += length
    if run:
        yield run


def cut(segments: Sequence[Segment], budget: int) -> Iterator[list[Segment]]:
    """Cut segments in batches whose padded size (count x longest text) stays within a budget.

    A budget of 1 (a CPU's: padding costs more there than batching saves) gives one segment a
    batch. Neighbours are batched as they come: sort by length first.
    """
    batch: list[Segment] = []
    for segment in segments:
        longest = max(len(s.text) for s in [*batch, segment])
        if batch and (len(batch) + 1) * longest > budget:
            yield batch
            batch = []
        batch.append(segment)
    if batch:
        yield batch


def run(
    speak: Callable[[Sequence[Segment]], list[Audio]], batch: Sequence[Segment]
) -> list[Outcome]:
    """Speak a batch; halve it where it does not fit, and take it apart where it fails.

    Returns the signal or the error of every segment, in order.

    Raises:
        OutOfMemory: a single segment does not fit.
    """
    try:
        spoken = speak(batch)
        if len(spoken) != len(batch):
            raise EngineError(f"the engine gave {len(spoken)} signals for {len(batch)} segments")
        return list(spoken)
    except OutOfMemory:
        if len(batch) == 1:
            raise
    except EngineError as error:
        if len(batch) == 1:
            return [error]
    middle = len(batch) // 2
    return run(speak, batch[:middle]) + run(speak, batch[middle:])
