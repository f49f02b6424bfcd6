from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm import keys, planning
from farm.audio import Audio, flac
from farm.engines import Engine, load
from farm.errors import EngineError, OutOfMemory, StoreUnavailable, UnknownVoice
from farm.jobs import Prosody, Segment, Voice
from farm.plans import Chunk
from farm.storage import Store
from farm.storage.local import LocalStore
from farm.synthesis import ATTEMPTS, UNSTORED, Booth, Spoken
from tests.running import tone

VOICE = tone()


def segment(text: str, take: int = 1) -> Segment:
    prosody = Prosody(take=take)
    return Segment(planning.digest(text, VOICE, prosody, "en", "none"), text, VOICE.id, prosody)


def chunk(*texts: str) -> Chunk:
    return Chunk(VOICE.id, tuple(map(segment, texts)), tuple(range(len(texts))), ())


def key(text: str) -> str:
    return keys.segment("ann", VOICE.digest, segment(text).digest)


class Watched(Engine):
    """The tone engine, writing down every pass; `acts` may misbehave before one."""

    def __init__(self, voice: Voice = VOICE, folder: Path = Path(), device: str = "cpu") -> None:
        self.sample_rate = voice.sample_rate
        self.passes: list[list[str]] = []
        self.acts: Callable[[Sequence[Segment]], None] = lambda _: None
        self._tone = load(voice, folder, device)

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        self.passes.append([segment.text for segment in segments])
        self.acts(segments)
        return self._tone.speak(segments)

    @property
    def said(self) -> list[str]:
        return [text for batch in self.passes for text in batch]


class Broken(LocalStore):
    """A store that fails at the keys of these texts, and counts what it wrote."""

    def __init__(self, root: Path, *texts: str) -> None:
        super().__init__(root)
        self.refused = {key(text) for text in texts}
        self.asked: list[str] = []
        self.wrote: list[str] = []

    def put(self, key: str, data: bytes, **how: Any) -> bool:
        self.asked.append(key)
        if key in self.refused:
            raise StoreUnavailable("the disk is full")
        wrote = super().put(key, data, **how)
        if wrote:
            self.wrote.append(key)
        return wrote


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def engine() -> Watched:
    return Watched()


def booth(engine: Engine, store: Store, **changes: Any) -> Booth:
    return replace(Booth(engine, VOICE, store, "ann", "cpu"), **changes)


def test_every_segment_becomes_one_object_that_says_what_it_is(
    engine: Watched, store: LocalStore
) -> None:
    spoken = booth(engine, store).speak(chunk("One.", "Two.", "Three."))
    assert (spoken.segments, spoken.hits, spoken.misses, spoken.failures) == (3, 0, 3, [])
    audio, comments = flac.decode(store.get(key("Three.")))
    assert comments == {"TEXT": "Three.", "VOICE": "tone", "DEVICE": "cpu"}
    assert len(audio.samples) == round(len("Three.") * 0.06 * VOICE.sample_rate)
    assert "".join(timing.symbol for timing in audio.timings) == "Three."
    assert spoken.audio_ms == 60 * len("One.Two.Three.")


def test_what_is_stored_is_not_spoken_again(engine: Watched, store: LocalStore) -> None:
    booth(engine, store).speak(chunk("One.", "Two."))
    before = store.get(key("Two."))
    engine.passes.clear()
    spoken = booth(engine, store).speak(chunk("One.", "Three.", "Two."))
    assert engine.said == ["Three."]
    assert (spoken.segments, spoken.hits, spoken.misses) == (3, 2, 1)
    assert spoken.audio_ms == 60 * len("Three.")
    assert store.get(key("Two.")) == before


def test_a_chunk_spoken_twice_costs_nothing_the_second_time(
    engine: Watched, store: LocalStore
) -> None:
    booth(engine, store).speak(chunk("One.", "Two."))
    engine.passes.clear()
    spoken = booth(engine, store).speak(chunk("One.", "Two."))
    assert (spoken.hits, spoken.misses, spoken.compute_ms, engine.passes) == (2, 0, 0, [])


def test_the_same_words_twice_in_a_chunk_are_spoken_once(
    engine: Watched, store: LocalStore
) -> None:
    spoken = booth(engine, store, budget=1000).speak(chunk("One.", "Two.", "One.", "One."))
    assert sorted(engine.said) == ["One.", "Two."]
    assert (spoken.segments, spoken.hits, spoken.misses) == (4, 2, 2)


def test_another_owners_segments_are_out_of_reach(engine: Watched, store: LocalStore) -> None:
    booth(engine, store).speak(chunk("One."))
    assert booth(engine, store, scope="bob").speak(chunk("One.")).misses == 1


def test_a_segment_that_cannot_be_spoken_is_recorded_and_its_neighbours_are_stored(
    engine: Watched, store: LocalStore
) -> None:
    bad = "Two. [[fail]]"
    spoken = booth(engine, store, budget=1000).speak(chunk("One.", bad, "Three."))
    (failure,) = spoken.failures
    assert (failure.item, failure.text, failure.digest) == (1, bad, segment(bad).digest)
    assert failure.error == f"asked to fail by {bad!r}"
    assert store.exists(key("One."))
    assert store.exists(key("Three."))
    assert not store.exists(key(bad))
    assert (spoken.segments, spoken.misses, spoken.audio_ms) == (3, 3, 60 * len("One.Three."))


def test_a_failure_is_recorded_for_every_item_that_wanted_those_words(
    engine: Watched, store: LocalStore
) -> None:
    bad = "Two. [[fail]]"
    spoken = booth(engine, store).speak(chunk(bad, "One.", bad))
    assert [failure.item for failure in spoken.failures] == [0, 2]
    assert engine.said.count(bad) == 1


def test_a_signal_that_cannot_be_stored_is_a_failure_of_its_segment(store: LocalStore) -> None:
    class Mute(Watched):
        def speak(self, segments: Sequence[Segment]) -> list[Audio]:
            spoken = super().speak(segments)
            nan = np.array([np.nan], np.float32)
            return [
                Audio(nan, audio.sample_rate) if "Two" in segment.text else audio
                for segment, audio in zip(segments, spoken, strict=True)
            ]

    spoken = booth(Mute(), store, budget=1000).speak(chunk("One.", "Two.", "Three."))
    assert [(f.item, f.text) for f in spoken.failures] == [(1, "Two.")]
    assert "NaN" in spoken.failures[0].error
    assert store.exists(key("One."))
    assert store.exists(key("Three."))


def test_a_batch_that_does_not_fit_is_halved(engine: Watched, store: LocalStore) -> None:
    texts = ["One. [[oom]]", "Two.", "Three.", "Four."]
    spoken = booth(engine, store, budget=1000).speak(chunk(*texts))
    assert [len(batch) for batch in engine.passes] == [4, 2, 1, 1, 2]
    assert (spoken.misses, spoken.failures) == (4, [])


def test_a_device_too_small_for_one_segment_is_the_worlds_fault(store: LocalStore) -> None:
    engine = Watched()

    def out_of_memory(_: Sequence[Segment]) -> None:
        raise OutOfMemory("nothing fits")

    engine.acts = out_of_memory
    with pytest.raises(OutOfMemory):
        booth(engine, store).speak(chunk("One."))


@pytest.mark.parametrize(
    ("rtf", "announced"),
    [(2.0, [(["One."], 0), (["Three."], 1), ([], 2)]), (0.01, [(["One.", "Three."], 0), ([], 2)])],
)
def test_passes_are_announced_before_them_those_of_a_quick_voice_together(
    engine: Watched, store: LocalStore, rtf: float, announced: list[tuple[list[str], int]]
) -> None:
    texts = {segment(text).digest: text for text in ("One.", "Three.")}
    heard: list[tuple[list[str], int]] = []

    def flight(digests: Sequence[str]) -> None:
        heard.append(([texts[digest] for digest in digests], len(engine.passes)))

    booth(engine, store).speak(chunk("Two."))
    engine.passes.clear()
    quick = replace(VOICE, rtf=rtf)
    booth(engine, store, voice=quick, flight=flight).speak(chunk("One.", "Two.", "Three."))
    assert heard == announced


def test_the_device_is_said_to_be_free_before_the_last_signal_is_stored(
    engine: Watched, store: LocalStore
) -> None:
    heard: list[tuple[int, int, int, list[str]]] = []

    class Late(LocalStore):
        def put(self, key: str, data: bytes, **how: Any) -> bool:
            assert said.wait(5)
            return super().put(key, data, **how)

    def spoken(so_far: Spoken) -> None:
        stored = list(store.list("segments/"))
        heard.append((so_far.segments, so_far.hits, so_far.misses, stored))
        said.set()

    said = threading.Event()
    late = Late(store.root)
    done = booth(engine, late, spoken=spoken).speak(chunk("One.", "Two.", "One."))
    assert heard == [(3, 1, 2, [])]
    assert (done.segments, done.hits, done.misses) == (3, 1, 2)
    assert len(list(store.list("segments/"))) == 2


def test_suspects_run_alone_after_all_others(engine: Watched, store: LocalStore) -> None:
    announced: list[int] = []
    suspects = {segment(text).digest: 1 for text in ("One.", "Three.")}
    booth(engine, store, budget=1000, flight=lambda digests: announced.append(len(digests))).speak(
        chunk("One.", "Two.", "Three.", "Four."), suspects
    )
    assert engine.passes == [["Two.", "Four."], ["One."], ["Three."]]
    assert announced == [2, 1, 1, 0]


def test_a_suspect_of_too_many_deaths_is_given_up_without_being_tried(
    engine: Watched, store: LocalStore
) -> None:
    suspects = {segment("Two.").digest: ATTEMPTS, segment("One.").digest: ATTEMPTS - 1}
    spoken = booth(engine, store).speak(chunk("One.", "Two.", "Three."), suspects)
    assert engine.said == ["Three.", "One."]
    assert [(f.item, f.error) for f in spoken.failures] == [
        (1, f"a worker died {ATTEMPTS} times while it spoke this text")
    ]


def test_a_suspect_that_was_stored_before_the_death_is_not_given_up(
    engine: Watched, store: LocalStore
) -> None:
    booth(engine, store).speak(chunk("Two."))
    spoken = booth(engine, store).speak(chunk("Two."), {segment("Two.").digest: ATTEMPTS})
    assert (spoken.hits, spoken.failures) == (1, [])


def test_suspects_of_another_chunk_are_none_of_this_ones_business(
    engine: Watched, store: LocalStore
) -> None:
    spoken = booth(engine, store).speak(chunk("One."), {segment("Nine.").digest: ATTEMPTS})
    assert (spoken.segments, engine.said, spoken.failures) == (1, ["One."], [])


def test_a_failing_store_is_reported_and_nothing_that_it_took_is_lost(
    tmp_path: Path, engine: Watched
) -> None:
    texts = [f"Sentence {n}." for n in range(6)]
    broken = Broken(tmp_path, texts[2])
    with pytest.raises(StoreUnavailable, match="disk is full"):
        booth(engine, broken).speak(chunk(*texts))
    assert set(broken.wrote) == set(broken.asked) - {key(texts[2])}
    engine.passes.clear()
    spoken = booth(engine, LocalStore(tmp_path)).speak(chunk(*texts))
    assert texts[2] in engine.said
    assert spoken.misses == len(engine.said) == 6 - len(broken.wrote)


def test_a_slow_store_holds_the_engine_back(tmp_path: Path, engine: Watched) -> None:
    open_ = threading.Event()
    ahead: list[int] = []

    class Slow(LocalStore):
        def put(self, key: str, data: bytes, **how: Any) -> bool:
            open_.wait(10)
            return super().put(key, data, **how)

    def count(_: Sequence[Segment]) -> None:
        ahead.append(len(engine.said))
        if len(engine.said) == UNSTORED:
            threading.Timer(0.2, open_.set).start()
        if len(engine.said) > UNSTORED:
            assert open_.is_set()

    engine.acts = count
    texts = [f"Word {n}" for n in range(UNSTORED + 8)]
    spoken = booth(engine, Slow(tmp_path)).speak(chunk(*texts))
    assert spoken.misses == len(list(LocalStore(tmp_path).list("segments/"))) == len(texts)
    assert max(ahead) == len(texts)


def test_two_booths_on_one_chunk_store_each_segment_once(tmp_path: Path) -> None:
    store = Broken(tmp_path)
    texts = [f"Sentence {n}." for n in range(12)]
    together = threading.Barrier(2)

    def speak(_: int) -> int:
        together.wait(10)
        return booth(Watched(), store).speak(chunk(*texts)).segments

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(speak, range(2))) == [12, 12]
    assert sorted(store.wrote) == sorted(key(text) for text in texts)


def test_a_bug_in_an_engine_is_logged_whole_and_costs_its_segment_alone(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Watched()

    def bug(segments: Sequence[Segment]) -> None:
        if segments[0].text == "Two.":
            raise RuntimeError("bug")

    engine.acts = bug
    spoken = booth(engine, store).speak(chunk("One.", "Two.", "Three."))
    assert [f.error for f in spoken.failures] == ["the engine failed: RuntimeError: bug"]
    assert "in bug\n" in caplog.text
    assert [store.exists(key(text)) for text in ("One.", "Two.", "Three.")] == [True, False, True]


def test_a_suspect_is_spoken_elsewhere_and_what_is_said_of_it_there_holds(
    engine: Watched, store: LocalStore
) -> None:
    announced: list[list[str]] = []
    suspects = {segment(text).digest: 1 for text in ("One.", "Three.")}

    def alone(suspect: Segment) -> Audio:
        assert announced[-1] == [suspect.digest]
        if suspect.text == "Three.":
            raise EngineError("it ends its process")
        return Watched().speak([suspect])[0]

    spoken = booth(
        engine, store, alone=alone, flight=lambda digests: announced.append(list(digests))
    ).speak(chunk("One.", "Two.", "Three."), suspects)
    assert engine.said == ["Two."]
    assert [(f.text, f.error) for f in spoken.failures] == [("Three.", "it ends its process")]
    assert store.exists(key("One."))


def test_a_voice_that_may_not_be_used_speaks_nothing(engine: Watched, store: LocalStore) -> None:
    def refuse() -> None:
        raise UnknownVoice("it was revoked")

    with pytest.raises(UnknownVoice, match="it was revoked"):
        booth(engine, store, allowed=refuse).speak(chunk("One.", "Two."))
    assert engine.passes == []
    assert list(store.list("")) == []
