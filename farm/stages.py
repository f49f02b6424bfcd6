"""The way of a job: read, plan, speak, assemble, package. One function a stage.

A stage may be run twice and at any time; only the ledger's first record of it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from farm import keys, planning, publishing, quarantine, reading, revising, voices, warming
from farm.assembly import Bench, ItemRecord, Outbox, assemble, disk_errors
from farm.audio import Audio
from farm.calibration import Budgets, Setting
from farm.engines import Engine, phonemiser
from farm.errors import (
    JobError,
    OutOfMemory,
    UnknownVoice,
)
from farm.farm import Farm
from farm.jobs import Item, Segment, Spec, Voice
from farm.ledger import Ref
from farm.lifecycle import close
from farm.plans import Chunk, Failure, Head, Page, Part, Passage
from farm.records import gather
from farm.schema import to_json
from farm.storage import scratch
from farm.synthesis import Booth, Spoken
from farm.tape import Shelf
from farm.work import REQUESTS, Work, at_once, parsed, stored

#: Failures that the ledger keeps of a job at most; it counts the others.
FAILURES = 10_000

Outcome = tuple[dict[str, Any], list[Ref]]
"""A few numbers for people, and the units that follow."""


def read(work: Work) -> Outcome:
    """Cut a job's document in pages, each planned while the next is read."""
    farm, ref, spec = work.farm, work.ref, work.spec
    key = keys.head(ref.job, ref.revision)
    if farm.store.exists(key):
        head = parsed(Head, key, farm.store.get(key))
        for page in range(head.pages):
            _send_page(work, page)
    else:
        head = reading.read(farm.store, spec, ref.revision, lambda page: _send_page(work, page))
        farm.store.put(key, to_json(head))
    if not head.items:
        raise JobError(f"{spec.name or 'the text'}: nothing in it to speak")
    fields = {"title": spec.title or work.about.title}
    refs = farm.ledger.read_done(ref, head.pages, head.items, fields)
    return {"pages": head.pages, "items": head.items}, refs


def _send_page(work: Work, page: int) -> None:
    unit = replace(work.ref, stage="page", what=str(page))
    if work.farm.ledger.send(unit):
        work.farm.send(unit, f"page {page}")


def page(work: Work) -> Outcome:
    """Plan one page. What an earlier run of this stage stored stands: it is the same."""
    store, number = work.farm.store, work.ref.page
    source = work.plan_key("source", number)
    passages = [parsed(Passage, source, row) for row in stored(store, source).splitlines()]
    first = work.ref.revision == 1  # which has no edits
    edits = [] if first else revising.edits_of(work.farm, work.ref.job, work.ref.revision)
    planned = planning.plan(passages, work.spec, phonemiser, edits, work.lexicons)
    made = {kind: _lines(chunks) for kind, chunks in planned.chunks.items()}
    made["pages"] = _lines(planned.parts)

    def put(kind: str) -> bool:
        return store.put(work.plan_key(kind, number), made[kind], if_absent=True)

    at_once(put, made)
    record = _page_record(planned, ".now" if work.ref.lane.endswith(".now") else "")
    return {"segments": record["segments"]}, work.farm.ledger.planned(work.ref, record)


def _lines(rows: Any) -> bytes:
    return b"\n".join(map(to_json, rows))


def _page_record(planned: Page, suffix: str) -> dict[str, Any]:
    """Describe a planned page to the ledger."""
    return {
        "lanes": {
            f"{family}{suffix}": [_label(chunk) for chunk in chunks]
            for family, chunks in planned.chunks.items()
        },
        "segments": sum(len(part.segments) for part in planned.parts),
        "characters": planned.characters,
        "shares": [
            {"item": p.item, "here": 0, "total": 0, "number": p.number, "parts": p.parts}
            for p in planned.parts
            if not p.segments
        ],
        "failures": [asdict(failure) for failure in planned.failures],
    }


def _label(chunk: Chunk) -> str:
    first, last = min(chunk.items), max(chunk.items)
    items = f"item {first}" if first == last else f"items {first}-{last}"
    return f"{chunk.voice}, {items}"


def chunk(work: Work) -> Outcome:
    """Speak one chunk."""
    farm, ref, spec = work.farm, work.ref, work.spec
    key = work.plan_key(ref.lane.split(".")[0], ref.page)
    rows = work.chunks(key)
    wanted = parsed(Chunk, key, rows[ref.chunk] if ref.chunk < len(rows) else b"")
    voice = spec.voices[wanted.voice]
    # `allowed` asks, too, beside other store requests: a loaded voice need not wait for both.
    loaded = voice.digest in farm.engines
    engine = farm.engines[voice.digest] if loaded else farm.engine(voice)
    warming.note(farm, voice)
    booth = Booth(
        engine=engine,
        voice=voice,
        store=farm.store,
        scope=spec.owner,
        device=farm.slot.name,
        budget=_budget(work, engine, voice, wanted.segments),
        allowed=lambda: farm.refuse_revoked(voice),
        flight=lambda digests: farm.ledger.flight(ref, work.holder, digests),
        alone=lambda segment: _alone(farm, voice, segment),
        spoken=lambda spoken: work.spoken(_numbers(farm, spoken)),
    )
    try:
        spoken = booth.speak(wanted, work.claim.suspects)
    except OutOfMemory:
        farm.engines.keep_only(voice.digest)  # there is more room when the chunk comes back
        raise
    finally:
        _check_revoked(work, wanted)
    shares = [asdict(share) for share in wanted.shares]
    result = asdict(spoken) | {"shares": shares, "device": farm.slot.name}
    return _numbers(farm, spoken), farm.ledger.finish(ref, result)


def _alone(farm: Farm, voice: Voice, segment: Segment) -> Audio:
    """Speak a segment that a worker died of, in a process of its own."""
    folder = voices.fetch(voice, farm.store, farm.cache) if voice.files else farm.cache
    return quarantine.speak(voice, folder, farm.slot.device, segment, farm.pass_s)


def _budget(work: Work, engine: Engine, voice: Voice, segments: Sequence[Segment]) -> int:
    """What a forward pass may hold; the engine is set to decode as was measured.

    Measured with a chunk that nobody waits for.
    """
    budgets = work.farm.budgets
    if budgets is None:
        return 1
    setting = budgets.known(voice) or _measured(work, engine, voice, segments, budgets)
    setting.apply(engine)
    return setting.budget


def _measured(
    work: Work, engine: Engine, voice: Voice, segments: Sequence[Segment], budgets: Budgets
) -> Setting:
    """Measure a voice, unless somebody waits or this may be the end of the process."""
    suspicious = any(segment.digest in work.claim.suspects for segment in segments)
    if suspicious or work.ref.lane.endswith(".now"):
        return Setting()
    longest = max(segments, key=lambda segment: len(segment.text))
    work.farm.ledger.flight(work.ref, work.holder, [longest.digest])
    return budgets.find(voice, engine, longest)


def _check_revoked(work: Work, chunk: Chunk) -> None:
    """Remove what was just spoken, should its voice have been revoked meanwhile, and raise."""
    try:
        work.farm.refuse_revoked(work.spec.voices[chunk.voice])
    except UnknownVoice:
        for segment in chunk.segments:
            work.farm.store.delete(_segment_key(work.spec, segment))
        raise


def _numbers(farm: Farm, spoken: Spoken) -> dict[str, Any]:
    numbers = asdict(spoken)
    return numbers | {"failed": len(numbers.pop("failures")), "device": farm.slot.name}


def items(work: Work) -> Outcome:
    """Assemble a run of items, and write the record of it.

    One thread computes, for several would only fight for the interpreter; others fetch ahead of
    it and store behind it.
    """
    farm, ref = work.farm, work.ref
    # The whole key: after a restart, what an earlier attempt was still writing counts too.
    key = work.output_key(keys.run([index for index, _ in ref.items]))
    with (
        scratch("farm-items-") as folder,
        ThreadPoolExecutor(REQUESTS) as pool,
        Outbox(farm.store, pool) as outbox,
    ):
        bench = _bench(work, folder, pool, outbox)
        records = list(_assembled(work, bench))
        outbox.put(key, _lines(records))
    seconds = round(sum(record.seconds for record in records), 1)
    # Planning cannot tell a line without words: it sees a page, and a line may span several.
    lost = [Failure(r.index, "", r.error) for r in records if r.failed and not r.segments]
    refs = farm.ledger.assembled(ref, key, [asdict(failure) for failure in lost])
    return {"items": len(records), "audio_s": seconds}, refs


def _bench(work: Work, folder: Path, pool: Executor, outbox: Outbox) -> Bench:
    spec = work.spec
    failures = work.farm.ledger.failures(work.ref.job, 0, FAILURES)
    shelf = Shelf(
        store=work.farm.store,
        key=lambda segment: _segment_key(spec, segment),
        pool=pool,
        failed={row["digest"]: row["error"] for row in reversed(failures)},
        all_failed=len(failures) < FAILURES,
    )
    cover = work.farm.store.get(work.about.cover) if work.about.cover else None
    return Bench(spec, work.about, shelf, outbox, work.output_key, folder, cover)


def _assembled(work: Work, bench: Bench) -> Iterator[ItemRecord]:
    """Assemble items page by page; the segments of the next are fetched meanwhile."""
    places = sorted(work.ref.items, key=lambda place: place[::-1])
    rows = bench.shelf.fetched(pair for place in places for pair in _passages(work, *place))
    for place, (_, own) in zip(places, groupby(rows, lambda row: row.part.item), strict=True):
        yield assemble(_item(work, *place), own, bench)


def _item(work: Work, index: int, page: int) -> Item:
    return work.on_page(page)[index][0].item


def _segment_key(spec: Spec, segment: Segment) -> str:
    return keys.segment(spec.owner, spec.voices[segment.voice].digest, segment.digest)


def _passages(work: Work, index: int, first: int) -> Iterator[tuple[Passage, Part]]:
    """Yield an item's passages and what is spoken of them, a page at a time."""
    page, parts = first, 1
    while page < first + parts:
        passage, part = work.on_page(page)[index]
        parts = part.parts
        yield passage, part
        page += 1


def package(work: Work) -> Outcome:
    """Package a job, publish its manifest and close it."""
    farm, ref, spec = work.farm, work.ref, work.spec
    with (
        scratch("farm-package-") as folder,
        disk_errors(),
        (folder / "records").open("w+b") as file,
    ):
        records = gather(work, file)
        failures = farm.ledger.failures(ref.job, 0, FAILURES)
        press = publishing.Press(
            farm.store, spec, work.about, ref.revision, work.output_key, folder, failures
        )
        path = folder / "manifest.json"
        press.manifest(records, press.package(records), path)
        farm.store.put_file(keys.manifest(ref.job, ref.revision), path)
        state, error, numbers = records.end()
    close(farm, ref.job, ref.revision, state, error, numbers)
    return {"state": state.value, "audio_s": numbers["seconds"]}, []


STAGES: dict[str, Callable[[Work], Outcome]] = {
    "read": read,
    "page": page,
    "chunk": chunk,
    "items": items,
    "package": package,
}
