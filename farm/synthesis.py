"""The farm on one screen: a chunk's segments become objects in the store.

    is it there?  ->  speak (one forward pass a batch)  ->  encode, put if absent
    threads           this thread                           threads

The three overlap within a chunk, so a slow store does not keep the device waiting. The call
returns after the last put; `Booth.spoken` is called before, when the device is free.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from farm import batching, keys
from farm.audio import Audio, flac
from farm.engines import Engine
from farm.errors import EngineError, EngineFailed
from farm.jobs import Segment, Voice
from farm.plans import Chunk, Failure
from farm.storage import Store

log = logging.getLogger(__name__)

#: Store requests under way at once: enough for 50 ms a request beside segments of 20 ms.
REQUESTS = 8
#: Segments spoken but not stored yet; bounds the memory of a slow store.
UNSTORED = 32
#: What is told of a segment whose phones the engine does not read.
UNREAD = "the voice takes no phonemes: what has some is read as it is written"
#: Deaths of a worker with the same segment in flight before that segment is given up untried. After
#: the first it is spoken in a process of its own, so these are others' doing, or take the host.
ATTEMPTS = 100


@dataclass
class Spoken:
    """What became of a chunk."""

    segments: int = 0
    hits: int = 0
    misses: int = 0
    audio_ms: int = 0
    compute_ms: int = 0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Booth:
    """Where a chunk is spoken: a loaded voice, and the store for what it says."""

    engine: Engine
    voice: Voice
    store: Store
    scope: str
    device: str
    budget: int = 1
    """Padded characters a forward pass may hold; 1: one segment a pass."""
    flight: Callable[[Sequence[str]], None] = lambda _: None
    """Called with the digests of the next passes, before them, and with none after the last."""
    allowed: Callable[[], None] = lambda: None
    """Called before the first forward pass, beside the first store requests; may raise."""
    alone: Callable[[Segment], Audio] | None = None
    """Speaks a suspect in a process of its own, raising as an engine; None: it is spoken here."""
    spoken: Callable[[Spoken], None] = lambda _: None
    """Called after the last forward pass, while the last signals are still being stored."""

    def speak(self, chunk: Chunk, suspects: Mapping[str, int] | None = None) -> Spoken:
        """Speak what is not in the store yet.

        `suspects` are segments that were in flight when an earlier worker died, with the
        number of deaths: they run `alone`, after all others.

        Raises:
            Unavailable: the store or the device failed; nothing stored is lost.
            FarmError: what `allowed` raises.
        """
        suspects = suspects or {}
        unique = {s.digest: s for s in chunk.segments}
        innocent = [s for s in unique.values() if s.digest not in suspects]
        flights = [*batching.flights(batching.cut(innocent, self.budget), self.voice.rtf)]
        flights += [[[unique[digest]]] for digest in suspects if digest in unique]
        spoken = Spoken(segments=len(chunk.segments))
        errors: dict[str, str] = {}
        with ThreadPoolExecutor(REQUESTS) as pool:
            allowed = pool.submit(self.allowed)
            present = {d: pool.submit(self.store.exists, self._key(d)) for d in unique}
            allowed.result()
            puts: deque[Future[None]] = deque()
            for flight in flights:
                missing = [[s for s in batch if not present[s.digest].result()] for batch in flight]
                for segment, outcome in self._fly(missing, suspects, spoken):
                    if isinstance(outcome, EngineError):
                        errors[segment.digest] = str(outcome)
                        continue
                    spoken.audio_ms += round(outcome.seconds * 1000)
                    puts.append(pool.submit(self._keep, segment, outcome, errors))
                    if len(puts) >= UNSTORED:
                        puts.popleft().result()
            spoken.hits = len(chunk.segments) - spoken.misses
            if spoken.misses:
                self.flight([])
            self.spoken(spoken)
            for put in puts:
                put.result()
        spoken.failures = [
            Failure(item, segment.text, errors[segment.digest], segment.digest)
            for segment, item in zip(chunk.segments, chunk.items, strict=True)
            if segment.digest in errors
        ]
        return spoken

    def _fly(
        self, batches: list[list[Segment]], suspects: Mapping[str, int], spoken: Spoken
    ) -> Iterator[tuple[Segment, batching.Outcome]]:
        """Record a flight, and yield what becomes of its segments."""
        if digests := [segment.digest for batch in batches for segment in batch]:
            self.flight(digests)
        for batch in batches:
            yield from zip(batch, self._run(batch, suspects, spoken), strict=True)

    def _run(
        self, segments: list[Segment], suspects: Mapping[str, int], spoken: Spoken
    ) -> list[batching.Outcome]:
        """Speak one batch, and count what it cost."""
        if not segments:
            return []
        spoken.misses += len(segments)
        deaths = suspects.get(segments[0].digest, 0)
        if deaths >= ATTEMPTS:
            return [EngineError(f"a worker died {deaths} times while it spoke this text")]
        begin = time.perf_counter()
        speak = self._speak_alone if deaths and self.alone else self.engine.speak
        outcomes = batching.run(speak, segments, self.engine.sample_rate)
        spoken.compute_ms += round((time.perf_counter() - begin) * 1000)
        for outcome in outcomes:
            if isinstance(outcome, EngineFailed):
                log.warning("voice %s: %s", self.voice.id, outcome, exc_info=outcome.__cause__)
        return outcomes

    def _speak_alone(self, suspects: Sequence[Segment]) -> list[Audio]:
        assert self.alone is not None
        return [self.alone(each) for each in suspects]

    def _key(self, digest: str) -> str:
        return keys.segment(self.scope, self.voice.digest, digest)

    def _keep(self, segment: Segment, audio: Audio, errors: dict[str, str]) -> None:
        comments = {"TEXT": segment.text, "VOICE": self.voice.id, "DEVICE": self.device}
        if segment.phones and not self.engine.reads_ipa:
            audio = replace(audio, warnings=(*audio.warnings, UNREAD))
        try:
            data = flac.encode(audio, comments)
        except EngineError as error:
            errors[segment.digest] = str(error)
            return
        self.store.put(self._key(segment.digest), data, if_absent=True, durable=False)
