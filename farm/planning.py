"""Text to plan: items to pages of passages, passages to segments, segments to chunks. Pure.

A page is a function of its passages and the spec, so pages can be planned in parallel, again
after a crash, and with the same result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from farm import batching, text
from farm.errors import EngineError, JobError
from farm.jobs import (
    Block,
    Chunk,
    Failure,
    Item,
    Page,
    Part,
    Passage,
    Prosody,
    Segment,
    Share,
    Spec,
    Voice,
)

#: Milliseconds of silence after a piece of text that ends so.
PAUSES_MS = {"clause": 120, "sentence": 350, "paragraph": 650, "heading": 1100}
#: Characters a segment holds at most; longer sentences are cut at clause ends.
SEGMENT_CHARACTERS = 400
#: Characters of a job's first pages, then of all others: the first speech should not wait for
#: the planning of much else.
PAGE_CHARACTERS = (2_000, 10_000, 40_000)
#: A chunk holds this part of its page's audio at least: numbers in words and slow speech must not
#: make more chunks of a page than the ledger takes (1,000; two neighbours are over this together).
PAGE_RUNS = 400
#: What an item counts for besides its text, so that a page of tiny lines stays small.
ITEM_CHARACTERS = 20

Phonemiser = Callable[[str], str]
"""Engine name to the name and version of what turns its text into phonemes."""


def _page_limits() -> Iterator[int]:
    yield from PAGE_CHARACTERS
    while True:
        yield PAGE_CHARACTERS[-1]


def _size(block: Block) -> int:
    return len(block.text) + 2


def _runs(item: Item, room: int, limit: int) -> Iterator[tuple[Block, ...]]:
    """Cut an item's blocks in runs: the first fits in `room`, the others in `limit`."""
    run: list[Block] = []
    left = room - ITEM_CHARACTERS
    for block in item.blocks:
        if run and _size(block) > left:
            yield tuple(run)
            run, left = [], limit
        run.append(block)
        left -= _size(block)
    yield tuple(run)


def pages(items: Iterable[Item]) -> Iterator[list[Passage]]:
    """Cut items in pages of about `PAGE_CHARACTERS`, as they come; a long item spans several."""
    limits = _page_limits()
    page: list[Passage] = []
    limit = room = next(limits)
    for item in items:
        if page and room <= ITEM_CHARACTERS:
            yield page
            page, limit = [], next(limits)
            room = limit
        runs = list(_runs(item, room, limit))
        for number, run in enumerate(runs):
            if number > 0:
                yield page
                page, limit = [], next(limits)
                room = limit
            page.append(Passage(replace(item, blocks=run), number, len(runs)))
            room -= ITEM_CHARACTERS + sum(map(_size, run))
    if page:
        yield page


def digest(spoken: str, voice: Voice, prosody: Prosody, language: str, phonemiser: str) -> str:
    """Name a segment's audio: SHA-256 over every input that the engine reads, in hex."""
    inputs = {
        "front end": text.FRONT_END,
        "phonemiser": phonemiser,
        "engine": voice.engine,
        "voice": voice.digest,
        "parameters": dict(voice.parameters),
        "sample rate": voice.sample_rate,
        "language": language,
        "text": spoken,
        **asdict(prosody),
    }
    canonical = json.dumps(inputs, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class _Speaker:
    """What all segments of a passage share."""

    voice: Voice
    prosody: Prosody
    language: str
    phonemiser: str
    pauses: Mapping[str, int]

    def segments(self, block: Block) -> Iterator[Segment]:
        found = text.sentences(block.text, self.language, SEGMENT_CHARACTERS)
        pieces = [piece for piece in found if piece.spoken]
        for position, piece in enumerate(pieces, start=1):
            last = "heading" if block.heading else "paragraph"
            boundary = last if position == len(pieces) else piece.boundary
            yield Segment(
                digest=digest(
                    piece.spoken, self.voice, self.prosody, self.language, self.phonemiser
                ),
                text=piece.spoken,
                voice=self.voice.id,
                prosody=self.prosody,
                language=self.language,
                pause_ms=self.pauses[boundary],
                start=block.start + piece.start,
                end=block.start + piece.end,
            )


def _speaker(item: Item, spec: Spec, phonemiser: Phonemiser) -> _Speaker:
    voice = spec.voices[item.voice or spec.voice]
    return _Speaker(
        voice,
        item.prosody or spec.prosody,
        spec.language or voice.language,
        phonemiser(voice.engine),
        {**PAUSES_MS, **spec.pauses},
    )


def plan(passages: Iterable[Passage], spec: Spec, phonemiser: Phonemiser) -> Page:
    """Plan one page. An item that cannot be planned is a failure of its own."""
    parts: list[Part] = []
    failures: list[Failure] = []
    characters = 0
    for passage in passages:
        part = _part(passage, spec, phonemiser)
        if part.error:
            failures.append(Failure(part.item, "", part.error))
        characters += sum(len(segment.text) for segment in part.segments)
        parts.append(part)
    return Page(tuple(parts), _chunks(parts, spec), tuple(failures), characters)


def _part(passage: Passage, spec: Spec, phonemiser: Phonemiser) -> Part:
    item, error = passage.item, passage.item.error
    segments: tuple[Segment, ...] = ()
    if not error:
        try:
            speaker = _speaker(item, spec, phonemiser)
            segments = tuple(s for block in item.blocks for s in speaker.segments(block))
        except (JobError, EngineError) as problem:
            error = str(problem)
    return Part(item.index, segments, passage.number, passage.parts, error)


def _chunks(parts: list[Part], spec: Spec) -> dict[str, tuple[Chunk, ...]]:
    """Cut a page's segments in chunks, by family: one voice each, and of similar length.

    Speech that somebody waits for stays in reading order.
    """
    by_voice: dict[str, list[tuple[Segment, Part]]] = {}
    for part in parts:
        for segment in part.segments:
            by_voice.setdefault(segment.voice, []).append((segment, part))
    seconds = sum(map(batching.audio_seconds, (s for part in parts for s in part.segments)))
    chunks: dict[str, list[Chunk]] = {}
    for name, pairs in by_voice.items():
        voice = spec.voices[name]
        if spec.kind != "speech":
            pairs.sort(key=lambda pair: len(pair[0].text))
        queue = iter(pairs)
        for run in batching.chunk((segment for segment, _ in pairs), voice, seconds / PAGE_RUNS):
            held = [next(queue)[1] for _ in run]
            chunks.setdefault(voice.family, []).append(_chunk(name, run, held))
    return {family: tuple(rows) for family, rows in chunks.items()}


def _chunk(voice: str, segments: list[Segment], parts: list[Part]) -> Chunk:
    here: dict[int, int] = {}
    for part in parts:
        here[part.item] = here.get(part.item, 0) + 1
    shares = tuple(
        Share(part.item, here[part.item], len(part.segments), part.number, part.parts)
        for part in {part.item: part for part in parts}.values()
    )
    return Chunk(voice, tuple(segments), tuple(part.item for part in parts), shares)
