from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from farm.storage import ahead


def counted(taken: list[int], end: int) -> Iterator[int]:
    for number in range(end):
        taken.append(number)
        yield number


def test_answers_come_in_the_order_of_what_was_asked() -> None:
    first = threading.Event()

    def act(number: int) -> int:
        assert number or first.wait(20)
        if number == 3:
            first.set()
        return number * 2

    assert list(ahead(act, range(10), 4)) == [number * 2 for number in range(10)]


@pytest.mark.parametrize("end", [0, 1, 4, 7])
def test_few_values_are_all_answered(end: int) -> None:
    assert list(ahead(str, range(end), 4)) == [str(number) for number in range(end)]


def test_no_more_values_are_taken_than_are_soon_needed() -> None:
    taken: list[int] = []
    for number in ahead(str, counted(taken, 1_000), 4):
        assert len(taken) <= int(number) + 8
    assert len(taken) == 1_000


def test_so_many_are_under_way_at_once_and_no_more() -> None:
    meeting, lock, most = threading.Barrier(4, timeout=20), threading.Lock(), [0, 0]

    def act(_: int) -> None:
        with lock:
            most[0] += 1
            most[1] = max(most)
        meeting.wait()
        with lock:
            most[0] -= 1

    assert len(list(ahead(act, range(12), 4))) == 12
    assert most == [0, 4]


def test_after_a_failure_those_that_have_not_begun_never_do() -> None:
    taken: list[int] = []

    def act(number: int) -> None:
        if number == 3:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(ahead(act, counted(taken, 1_000), 2))
    assert len(taken) <= 8


def test_whoever_stops_waits_only_for_what_has_begun() -> None:
    done: list[int] = []
    answers = ahead(done.append, range(1_000), 2)
    next(answers)
    answers.close()
    assert len(done) <= 4
