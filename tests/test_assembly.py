from __future__ import annotations

import io
import tracemalloc
import wave
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from farm import assembly, keys, planning
from farm.assembly import HEAD_MS, TAIL_MS, UNSTORED, Bench, ItemRecord, Outbox, read_marks
from farm.audio import Audio, flac, joining
from farm.engines import load
from farm.errors import StoreUnavailable
from farm.jobs import Block, Item, Kind, Mark, Output, Segment, Spec
from farm.plans import About, Part, Passage
from farm.storage.local import LocalStore
from farm.tape import Lost, Shelf
from tests.running import RATE, tone

VOICE = tone()
WORDS = ("Once upon a time. There was a farm.", "It spoke all day long. The end.")


def spec(kind: Kind = "batch", **output: Any) -> Spec:
    made = Output(**{"format": "wav", "loudness": None, **output})
    return Spec("j", kind, "farm", "ann", "key", "tone", {"tone": VOICE}, 1.0, output=made)


def item(*paragraphs: str, **fields: Any) -> Item:
    blocks, at = [], 0
    for paragraph in paragraphs:
        blocks.append(Block(paragraph, start=at))
        at += len(paragraph) + 2
    return Item(3, "line", "The Title", blocks=tuple(blocks), **fields)


def segment_key(segment: Segment) -> str:
    return keys.segment("ann", VOICE.digest, segment.digest)


class Desk:
    """A store with an item's spoken segments, and a bench to assemble it on."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder / "store")
        self.folder = folder / "work"
        self.folder.mkdir()
        self.engine = load(VOICE, folder, "cpu")
        self.pool = ThreadPoolExecutor(4)

    def plan(self, item: Item, spec: Spec) -> list[tuple[Passage, Part]]:
        passage = Passage(item)
        return [(passage, planning.plan([passage], spec, lambda _: "none").parts[0])]

    def speak(self, pairs: list[tuple[Passage, Part]]) -> list[Audio]:
        """Store what a plan wants spoken."""
        spoken = []
        for segment in (segment for _, part in pairs for segment in part.segments):
            (audio,) = self.engine.speak([segment])
            self.store.put(segment_key(segment), flac.encode(audio, {}))
            spoken.append(audio)
        return spoken

    def bench(self, spec: Spec, attempt: str = "a", **shelf: Any) -> Bench:
        held = Shelf(self.store, segment_key, self.pool, **shelf)
        return Bench(
            spec,
            About("The Book", "A. Writer"),
            held,
            Outbox(self.store, self.pool),
            lambda name: f"out/{attempt}/{name}",
            self.folder,
        )

    def assemble(
        self, item: Item, pairs: Iterable[tuple[Passage, Part]], bench: Bench
    ) -> ItemRecord:
        """Assemble an item, and wait until all of it is stored."""
        with bench.outbox:
            return assembly.assemble(item, bench.shelf.fetched(pairs), bench)

    def made(self, record: ItemRecord, kind: str) -> bytes:
        return self.store.get(record.files[kind].key)

    def marks(self, record: ItemRecord) -> list[Mark]:
        return read_marks(self.made(record, "marks"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    with desk.pool:
        yield desk


def samples(data: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


@pytest.mark.parametrize("kind", ["book", "batch", "speech"])
def test_an_item_is_its_segments_and_pauses_between_head_and_tail(kind: Kind, desk: Desk) -> None:
    job, source = spec(kind), item(*WORDS)
    pairs = desk.plan(source, job)
    spoken = desk.speak(pairs)
    segments = pairs[0][1].segments
    record = desk.assemble(source, pairs, desk.bench(job))
    expected = sum(len(audio.samples) for audio in spoken)
    expected += sum(joining.count(s.pause_ms, RATE) for s in segments[:-1])
    expected += joining.count(HEAD_MS[kind], RATE) + joining.count(TAIL_MS[kind], RATE)
    assert len(samples(desk.made(record, "wav"))) == expected
    assert record.seconds == expected / RATE
    assert record.files["wav"].seconds == round(expected / RATE, 3)
    assert (record.segments, record.failed, record.error) == (4, 0, "")


def test_the_samples_of_an_item_are_those_that_were_spoken(desk: Desk) -> None:
    job, source = spec(), item("One.")
    pairs = desk.plan(source, job)
    (audio,) = desk.speak(pairs)
    found = samples(desk.made(desk.assemble(source, pairs, desk.bench(job)), "wav"))
    assert np.abs(found / 32768 - joining.fade(audio.samples, RATE)).max() < 2 / 32768


def test_an_item_assembled_twice_is_the_same_in_every_byte(desk: Desk) -> None:
    output = {"formats": ("flac", "mp3", "opus", "m4a"), "subtitles": ("srt", "vtt", "json")}
    job, source = spec("book", **output, loudness=-19.0), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    first = desk.assemble(source, pairs, desk.bench(job, "a"))
    second = desk.assemble(source, pairs, desk.bench(job, "b"))
    kinds = {"wav", "flac", "mp3", "opus", "m4a", "marks", "srt", "vtt", "json"}
    assert set(first.files) == set(second.files) == kinds
    for kind in kinds:
        assert desk.made(first, kind) == desk.made(second, kind), kind
        assert first.files[kind].key != second.files[kind].key
        assert first.files[kind].sha256 == second.files[kind].sha256


def test_no_temporary_file_is_left(desk: Desk) -> None:
    job, source = spec("book"), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    desk.assemble(source, pairs, desk.bench(job))
    assert list(desk.folder.iterdir()) == []


def test_files_say_their_size_digest_and_a_persons_name(desk: Desk) -> None:
    job, source = spec("book", format="flac"), replace(item(*WORDS), title="On/Off: «a»  \x00 b")
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    record = desk.assemble(source, pairs, desk.bench(job))
    file = record.files["flac"]
    assert file.size == len(desk.made(record, "flac"))
    assert file.name == "004 On Off a b.flac"
    assert file.key == "out/a/items/00003.flac"


@pytest.mark.parametrize(
    ("kind", "title", "expected"),
    [("speech", "", None), ("speech", "Given", "Given"), ("batch", "", "line")],
)
def test_no_file_of_a_speech_is_tagged_with_the_id_of_its_job(
    kind: Kind, title: str, expected: str | None, desk: Desk
) -> None:
    job, source = replace(spec(kind, format="mp3"), title=title), replace(item(*WORDS), title="")
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    bench = replace(desk.bench(job), about=About())
    made = desk.made(desk.assemble(source, pairs, bench), "mp3")
    with av.open(io.BytesIO(made)) as container:
        assert container.metadata.get("title") == expected


def test_marks_rise_stay_inside_and_point_at_their_words(desk: Desk) -> None:
    job, source = spec("book"), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    record = desk.assemble(source, pairs, desk.bench(job))
    marks = desk.marks(record)
    words = [mark for mark in marks if mark.type == "word"]
    sentences = [mark for mark in marks if mark.type == "sentence"]
    assert [mark.text for mark in sentences] == [
        "Once upon a time.",
        "There was a farm.",
        "It spoke all day long.",
        "The end.",
    ]
    text = "\n\n".join(WORDS)
    for mark in marks:
        assert text[mark.source_start : mark.source_end].rstrip(".") == mark.text.rstrip(".")
        assert 500 <= mark.start_ms < mark.end_ms <= record.seconds * 1000 - 1000
    for row in (words, sentences):
        assert [m.start_ms for m in row] == sorted(m.start_ms for m in row)
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(row))
    assert len(words) == len(text.split())


def test_marks_begin_where_their_sound_does(desk: Desk) -> None:
    job, source = spec("book"), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    record = desk.assemble(source, pairs, desk.bench(job))
    loud = np.abs(samples(desk.made(record, "wav")).astype(int)) > 0
    for mark in desk.marks(record):
        if mark.type == "sentence":
            at, end = (round(ms * RATE / 1000) for ms in (mark.start_ms, mark.end_ms))
            assert not loud[at - 200 : at - 8].any()
            assert loud[at : at + 80].any()
            assert not loud[end + 8 : end + 200].any()


def test_a_batch_without_subtitles_has_no_marks(desk: Desk) -> None:
    job, source = spec("batch"), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    assert set(desk.assemble(source, pairs, desk.bench(job)).files) == {"wav"}


def test_an_item_on_several_pages_is_joined_in_order(desk: Desk) -> None:
    job = spec("book")
    whole, halves = item(*WORDS), [item(*WORDS).blocks[:1], item(*WORDS).blocks[1:]]
    pairs = [pair for half in halves for pair in desk.plan(replace(whole, blocks=half), job)]
    desk.speak(pairs)
    apart = desk.assemble(whole, iter(pairs), desk.bench(job, "a"))
    together = desk.assemble(whole, desk.plan(whole, job), desk.bench(job, "b"))
    for kind in ("wav", "marks"):
        assert desk.made(apart, kind) == desk.made(together, kind)


def test_a_segment_that_is_gone_is_lost(desk: Desk) -> None:
    job, source = spec(), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    gone = pairs[0][1].segments[2]
    desk.store.delete(segment_key(gone))
    with pytest.raises(Lost, match=f"{gone.digest[:12]} is not in the store any more"):
        desk.assemble(source, pairs, desk.bench(job))
    assert list(desk.folder.iterdir()) == []


def test_a_damaged_segment_is_removed_so_that_it_is_spoken_again(desk: Desk) -> None:
    job, source = spec(), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    key = segment_key(pairs[0][1].segments[1])
    desk.store.put(key, desk.store.get(key)[:-40])
    with pytest.raises(Lost, match="was damaged"):
        desk.assemble(source, pairs, desk.bench(job))
    assert not desk.store.exists(key)


def test_what_could_not_be_spoken_is_left_out_with_its_pause(desk: Desk) -> None:
    job, source = spec("book"), item(*WORDS)
    pairs = desk.plan(source, job)
    spoken = desk.speak(pairs)
    segments = pairs[0][1].segments
    desk.store.delete(segment_key(segments[3]))
    failed = {segments[3].digest: "no such speaker"}
    record = desk.assemble(source, pairs, desk.bench(job, failed=failed))
    expected = sum(len(audio.samples) for audio in spoken[:3])
    expected += sum(joining.count(s.pause_ms, RATE) for s in segments[:2])
    expected += joining.count(1500, RATE)
    assert len(samples(desk.made(record, "wav"))) == expected
    assert (record.segments, record.failed) == (4, 1)
    assert [m.text for m in desk.marks(record) if m.type == "sentence"][-1] != "The end."


def test_beyond_what_the_ledger_remembers_a_missing_segment_counts_as_failed(desk: Desk) -> None:
    job, source = spec(), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    desk.store.delete(segment_key(pairs[0][1].segments[0]))
    record = desk.assemble(source, pairs, desk.bench(job, all_failed=False))
    assert (record.segments, record.failed) == (4, 1)


@pytest.mark.parametrize(("reason", "said"), [("", ""), ("no such speaker", ": no such speaker")])
def test_an_item_of_which_nothing_could_be_spoken_tells_the_first_reason(
    reason: str, said: str, desk: Desk
) -> None:
    job, source = spec("book"), item(*WORDS)
    pairs = desk.plan(source, job)
    first, *rest = pairs[0][1].segments
    failed = {first.digest: reason, **{segment.digest: reason and "too long" for segment in rest}}
    record = desk.assemble(source, pairs, desk.bench(job, failed=failed))
    assert record.error == f"no segment could be spoken{said}"
    assert (record.segments, record.failed, record.files) == (4, 4, {})


def test_a_passage_that_could_not_be_planned_is_missed_and_the_others_are_spoken(
    desk: Desk,
) -> None:
    job, source = spec(), item(*WORDS)
    (first,) = desk.plan(replace(source, blocks=source.blocks[:1]), job)
    desk.speak([first])
    missed = Passage(replace(source, blocks=source.blocks[1:]), 1, 2), Part(3, (), 1, 2, "no rules")
    record = desk.assemble(source, [first, missed, missed], desk.bench(job))
    assert set(record.files) == {"wav"}
    assert (record.segments, record.failed, record.error) == (4, 2, "no rules")


def test_an_item_that_could_not_be_planned_says_why(desk: Desk) -> None:
    source = item(*WORDS)
    record = desk.assemble(
        source, [(Passage(source), Part(3, (), error="no rules"))], desk.bench(spec())
    )
    assert (record.error, record.failed, record.files) == ("no rules", 1, {})


@pytest.mark.parametrize(
    ("paragraphs", "error"),
    [
        ((), "nothing to speak"),
        (("",), "nothing to speak"),
        (("* * *", "?\n!"), "nothing to speak in '* * * ? !'"),
        (("-" * 50,), f"nothing to speak in {'-' * 40!r}"),
    ],
)
@pytest.mark.parametrize(("kind", "failed"), [("batch", 1), ("book", 0)])
def test_an_item_without_words_is_an_error(
    paragraphs: tuple[str, ...], error: str, kind: Kind, failed: int, desk: Desk
) -> None:
    job, source = spec(kind), item(*paragraphs)
    record = desk.assemble(source, desk.plan(source, job), desk.bench(job))
    assert (record.error, record.failed, record.files) == (error, failed, {})


def test_an_item_with_an_error_keeps_it(desk: Desk) -> None:
    source = item(error="line 4: not JSON")
    record = desk.assemble(source, [], desk.bench(spec()))
    assert (record.index, record.id, record.error) == (3, "line", "line 4: not JSON")


def test_an_item_is_brought_to_the_loudness_that_was_asked_for(desk: Desk) -> None:
    source = item(*WORDS * 3)
    pairs = desk.plan(source, spec())
    desk.speak(pairs)
    found = {}
    for target in (-19.0, -25.0):
        job = spec(loudness=target)
        record = desk.assemble(source, pairs, desk.bench(job, str(-target)))
        found[target] = np.abs(samples(desk.made(record, "wav")).astype(int)).max()
    assert found[-19.0] / found[-25.0] == pytest.approx(10 ** (6 / 20), rel=0.01)


def test_a_lines_own_format_goes_before_the_jobs(desk: Desk) -> None:
    job, source = spec(formats=("mp3",)), item(*WORDS, format="flac")
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    assert set(desk.assemble(source, pairs, desk.bench(job)).files) == {"flac", "mp3"}


def test_subtitles_are_of_the_words(desk: Desk) -> None:
    job, source = spec(subtitles=("srt", "json")), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    record = desk.assemble(source, pairs, desk.bench(job))
    assert "Once upon a time." in desk.made(record, "srt").decode()
    assert read_marks(desk.made(record, "json")) == desk.marks(record)


def test_a_failing_store_is_the_worlds_fault(desk: Desk) -> None:
    job, source = spec(), item(*WORDS)
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    (desk.store.root / "out").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        desk.assemble(source, pairs, desk.bench(job))


def minutes(desk: Desk, job: Spec, count: int) -> int:
    """Assemble an item of so many minutes; the peak of what was held, in bytes."""
    passage = Passage(item("One minute."))
    (segment,) = desk.plan(passage.item, job)[0][1].segments
    minute = Audio(np.full(RATE * 60, 0.1, np.float32), RATE)
    desk.store.put(segment_key(segment), flac.encode(minute, {}))
    part = Part(3, (segment,))

    def pairs() -> Iterator[tuple[Passage, Part]]:
        for _ in range(count):
            yield passage, part

    tracemalloc.start()
    try:
        record = desk.assemble(passage.item, pairs(), desk.bench(job, str(count)))
        assert record.seconds >= count * 60
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_length_of_an_item(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A segment of this test is a minute: fewer ahead, so that the length decides, if anything.
    monkeypatch.setattr("farm.tape.AHEAD", 1)
    job = spec(format="flac")
    short, long = minutes(desk, job, 3), minutes(desk, job, 20)
    assert long < 1.2 * short
    assert long < 20 * RATE * 60 * 4


def test_an_outbox_has_stored_everything_when_it_is_left(desk: Desk) -> None:
    path = desk.folder / "a"
    path.write_bytes(b"file")
    with Outbox(desk.store, desk.pool) as outbox:
        for number in range(UNSTORED * 2):
            outbox.put(f"out/{number}", b"data")
        outbox.put_file("out/file", path)
    assert len(list(desk.store.list("out/"))) == UNSTORED * 2 + 1
    assert desk.store.get("out/file") == b"file"
    assert not path.exists()


@pytest.mark.parametrize("after", [0, UNSTORED * 2])
def test_an_outbox_raises_what_could_not_be_stored(desk: Desk, after: int) -> None:
    desk.store.put("bad", b"in the way")

    def work() -> None:
        with Outbox(desk.store, desk.pool) as outbox:
            outbox.put("bad/a", b"data")
            for number in range(after):
                outbox.put(f"out/{number}", b"data")

    with pytest.raises(StoreUnavailable):
        work()


def test_an_item_has_the_sample_rate_that_was_asked_for(desk: Desk) -> None:
    job, source = spec(sample_rate=24_000, options=("words",), package="azure"), item(*WORDS)
    pairs = desk.plan(source, job)
    spoken = desk.speak(pairs)
    record = desk.assemble(source, pairs, desk.bench(job))
    with wave.open(io.BytesIO(desk.made(record, "wav"))) as file:
        length, rate = file.getnframes(), file.getframerate()
    pauses = sum(joining.count(s.pause_ms, 24_000) for s in pairs[0][1].segments[:-1])
    assert (rate, length) == (24_000, 3 * sum(len(audio.samples) for audio in spoken) + pauses)
    assert record.seconds == length / 24_000
    last = [mark for mark in desk.marks(record) if mark.type == "sentence"][-1]
    assert last.end_ms == pytest.approx(record.seconds * 1000, abs=1)


def test_lossy_files_have_the_bit_rate_that_was_asked_for(desk: Desk) -> None:
    sizes = []
    for bit_rate in (0, 128_000):
        job, source = spec(format="mp3", sample_rate=24_000, bit_rate=bit_rate), item(*WORDS)
        pairs = desk.plan(source, job)
        desk.speak(pairs)
        sizes.append(desk.assemble(source, pairs, desk.bench(job)).files["mp3"].size)
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.05)


def test_what_is_to_be_joined_is_kept_without_loss(desk: Desk) -> None:
    job, source = spec(format="mp3", package="azure", options=("joined",)), item("One.")
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    assert set(desk.assemble(source, pairs, desk.bench(job)).files) == {"flac"}


@pytest.mark.parametrize("paragraphs", [(), ("...",), ("* * *", "-")])
def test_where_every_item_is_packed_one_without_words_is_silence(
    paragraphs: tuple[str, ...], desk: Desk
) -> None:
    job, source = spec(package="azure", options=("words",)), item(*paragraphs)
    record = desk.assemble(source, desk.plan(source, job), desk.bench(job))
    found = samples(desk.made(record, "wav"))
    assert len(found) == joining.count(assembly.WORDLESS_MS, RATE)
    assert not found.any()
    assert (record.error, record.segments, desk.marks(record)) == ("", 0, [])


def test_an_item_of_which_nothing_could_be_spoken_is_no_silence(desk: Desk) -> None:
    job, source = spec(package="azure"), item("One.")
    pairs = desk.plan(source, job)
    failed = {segment.digest: "too long" for segment in pairs[0][1].segments}
    record = desk.assemble(source, pairs, desk.bench(job, failed=failed))
    assert (record.error, dict(record.files)) == ("no segment could be spoken: too long", {})
