"""The desk: order, fairness, batches, and an end for everybody who waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from farm.audio import Audio
from farm.engines.tone import Tone
from farm.errors import DeviceLost, EngineError, OutOfMemory, Unavailable
from farm.jobs import Segment
from farm.serving import desk as module
from farm.serving.desk import Busy, Desk, deal
from tests.serving.servers import Listening, voice, wait_for


class Held(Listening):
    """Speaks only when it is let."""

    def __init__(self) -> None:
        super().__init__(voice())
        self.go = threading.Event()
        self.called = threading.Event()

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        self.called.set()
        assert self.go.wait(20)
        return super().speak(segments)


def segments(*texts: str) -> list[Segment]:
    return [Segment(text.ljust(64, "x"), text, "tone") for text in texts]


@pytest.fixture
def desk() -> Iterator[Desk]:
    there = Desk(limit=5, share=2)
    yield there
    there.close()


@pytest.fixture
def held(desk: Desk) -> Iterator[Held]:
    """An engine that is in the midst of a call for somebody else."""
    engine = Held()
    desk.speak(engine, segments("first"))
    assert engine.called.wait(20)
    yield engine
    engine.go.set()


@pytest.mark.parametrize(
    ("waiting", "share", "given"),
    [
        ([], 8, []),
        ([3], 8, [3]),
        ([3], 1, [1]),
        ([20, 1, 1], 8, [6, 1, 1]),
        ([5, 5], 8, [4, 4]),
        ([1] * 10, 8, [1] * 8 + [0, 0]),
        ([9, 9], 1, [1, 1]),
    ],
)
def test_a_batch_is_dealt_one_each_in_turn(
    waiting: list[int], share: int, given: list[int]
) -> None:
    assert deal(waiting, share) == given


def test_a_request_gets_its_signals_in_order(desk: Desk) -> None:
    engine = Listening(voice())
    wanted = segments("one", "three", "seventeen", "a")
    spoken = desk.speak(engine, wanted).result(20)
    for audio, segment in zip(spoken, wanted, strict=True):
        np.testing.assert_array_equal(audio.samples, Tone.speak(engine, [segment])[0].samples)


def test_requests_that_wait_together_are_spoken_in_one_call(desk: Desk, held: Held) -> None:
    futures = [desk.speak(held, segments(text)) for text in ("one", "two", "three")]
    held.go.set()
    for future in futures:
        future.result(20)
    assert [[s.text for s in batch] for batch in held.batches] == [
        ["first"],
        ["one", "two", "three"],
    ]


def test_a_short_request_does_not_wait_for_all_of_a_long_one(desk: Desk, held: Held) -> None:
    long = desk.speak(held, segments(*(f"long {n}" for n in range(9))))
    short = desk.speak(held, segments("short"))
    held.go.set()
    short.result(20)
    long.result(20)
    assert "short" in [segment.text for segment in held.batches[1]]


def test_a_call_gets_what_was_measured_dealt_one_each_in_turn(desk: Desk, held: Held) -> None:
    texts = [f"{n}" * 10 for n in range(9)]
    futures = [desk.speak(held, segments(*texts), 65) for _ in range(2)]
    futures.append(desk.speak(held, segments("x" * 20), 65))
    held.go.set()
    for future in futures:
        future.result(20)
    sizes = [[len(s.text) for s in batch] for batch in held.batches[1:]]
    assert sizes[0] == [10, 10, 20], "three of 20, for a batch is as wide as its longest"
    assert sizes[1:] == [[10] * 6, [10] * 6, [10] * 4]
    second = [s.text for s in held.batches[2]]
    assert sorted(second) == [texts[n] for n in (1, 1, 2, 2, 3, 3)], "three of each"


def test_a_segment_that_is_larger_than_the_budget_is_spoken_alone(desk: Desk, held: Held) -> None:
    future = desk.speak(held, segments("x" * 100, "y" * 100), 65)
    held.go.set()
    assert len(future.result(20)) == 2
    assert [len(batch) for batch in held.batches[1:]] == [1, 1]


def test_a_full_queue_says_when_to_come_back(desk: Desk, held: Held) -> None:
    for _ in range(desk.limit - 1):
        desk.speak(held, segments("x"))
    assert desk.depth == desk.limit
    with pytest.raises(Busy, match="5 requests wait already") as refused:
        desk.speak(held, segments("x"))
    assert 1 <= refused.value.retry_after_s <= 60


def test_a_request_that_is_cancelled_is_not_spoken_and_leaves_the_queue(
    desk: Desk, held: Held
) -> None:
    gone = desk.speak(held, segments("gone"))
    stays = desk.speak(held, segments("stays"))
    gone.cancel()
    assert desk.depth == 2
    held.go.set()
    stays.result(20)
    assert [[s.text for s in batch] for batch in held.batches] == [["first"], ["stays"]]


def test_a_segment_that_fails_is_named_and_its_neighbours_are_spoken(
    desk: Desk, held: Held
) -> None:
    bad = desk.speak(held, segments("good", "bad [[fail]]", "never reached"))
    good = desk.speak(held, segments("another"))
    held.go.set()
    with pytest.raises(EngineError, match=r"segment 2 of 3: .*bad"):
        bad.result(20)
    assert len(good.result(20)) == 1


def test_a_batch_that_does_not_fit_is_halved(desk: Desk, held: Held) -> None:
    futures = [desk.speak(held, segments(f"{n} [[oom]]")) for n in range(3)]
    held.go.set()
    assert [len(future.result(20)) for future in futures] == [1, 1, 1]


class Wrong(Listening):
    """Raises what nobody foresaw, or has no memory even for one."""

    def __init__(self, error: Exception) -> None:
        super().__init__(voice())
        self.error = error

    def speak(self, _: Sequence[Segment]) -> list[Audio]:
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), OutOfMemory("x"), Unavailable("x")])
def test_whatever_an_engine_raises_reaches_its_client_and_the_desk_goes_on(
    desk: Desk, error: Exception
) -> None:
    with pytest.raises(type(error)):
        desk.speak(Wrong(error), segments("x")).result(20)
    assert len(desk.speak(Listening(voice()), segments("x")).result(20)) == 1


def test_a_lost_device_ends_the_desk_and_fails_all_that_wait(desk: Desk, held: Held) -> None:
    told: list[tuple[DeviceLost, bool]] = []
    desk.lost = lambda error: told.append((error, lost.done()))
    lost = desk.speak(held, segments("[[poison]]"))
    waiting: list[Future[Any]] = [desk.ask(print), desk.speak(Listening(voice()), segments("x"))]
    held.go.set()
    for future in [lost, *waiting]:
        with pytest.raises(DeviceLost, match="asked to lose the device"):
            future.result(20)
    assert told == [(lost.exception(), False)]  # before any client hears of it
    assert not desk.running
    with pytest.raises(Unavailable, match="stopping"):
        desk.speak(Listening(voice()), segments("x"))


@pytest.mark.parametrize("way", ["ask", "stream"])
def test_a_device_can_be_lost_in_other_work_too(desk: Desk, way: str) -> None:
    told: list[DeviceLost] = []
    desk.lost = told.append
    error = DeviceLost("x")

    def lose(*_: int) -> None:
        raise error

    future = desk.ask(lose) if way == "ask" else desk.stream(map(lose, [1]), print)
    with pytest.raises(DeviceLost):
        future.result(20)
    assert told == [error]
    assert not desk.running


def test_other_work_takes_its_turn_in_the_same_thread(desk: Desk, held: Held) -> None:
    name = desk.ask(lambda: threading.current_thread().name)
    held.go.set()
    assert name.result(20) == "desk"


def test_voices_do_not_mix_in_a_call(desk: Desk, held: Held) -> None:
    other = Listening(voice("other"))
    futures = [desk.speak(engine, segments("x")) for engine in (held, other, held)]
    held.go.set()
    for future in futures:
        future.result(20)
    assert [len(batch) for batch in held.batches] == [1, 2]
    assert [len(batch) for batch in other.batches] == [1]


def test_closing_fails_what_waits_and_takes_no_more(desk: Desk, held: Held) -> None:
    waiting = desk.speak(held, segments("x"))
    threading.Timer(0.1, held.go.set).start()
    desk.close()
    with pytest.raises(Unavailable, match="stopping"):
        waiting.result(20)
    with pytest.raises(Unavailable, match="stopping"):
        desk.speak(held, segments("x"))
    assert not desk.running


def test_closing_does_not_wait_for_an_engine_that_hangs(desk: Desk, held: Held) -> None:
    waiting = desk.speak(held, segments("x"))
    desk.close(patience_s=0.05)
    with pytest.raises(Unavailable, match="stopping"):
        waiting.result(0)


@pytest.mark.parametrize(("seconds", "stuck"), [(300.0, False), (0.0, True)])
def test_a_call_that_takes_too_long_shows(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch, seconds: float, stuck: bool
) -> None:
    monkeypatch.setattr(module, "STUCK_S", seconds)
    assert desk.stuck is stuck
    held.go.set()
    wait_for(lambda: not desk.stuck)
