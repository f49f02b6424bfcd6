"""The circuit breaker."""

from __future__ import annotations

import threading

import pytest

from farm.engines.breaker import Breaker, Broken, Resting
from farm.errors import EngineError, Unavailable


class Clock:
    """A clock that is put forward by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("the service", failures=3, rest_s=10, clock=clock)


def attempt(breaker: Breaker, error: BaseException | None = None) -> None:
    with breaker.attempt():
        if error:
            raise error


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Broken):
            attempt(breaker, Broken("no"))


def test_it_opens_after_failures_in_a_row_and_says_for_how_long(breaker: Breaker) -> None:
    fail(breaker, 3)
    with pytest.raises(Resting, match="the service failed 3 times in a row: it is left alone for"):
        attempt(breaker)
    assert breaker.open


def test_one_success_forgets_the_failures_before_it(breaker: Breaker) -> None:
    fail(breaker, 2)
    attempt(breaker)
    fail(breaker, 2)
    assert not breaker.open


def test_a_service_that_refuses_is_a_service_that_answers(breaker: Breaker) -> None:
    fail(breaker, 2)
    with pytest.raises(EngineError):
        attempt(breaker, EngineError("not that text"))
    fail(breaker, 2)
    assert not breaker.open


@pytest.mark.parametrize("error", [Unavailable("busy"), KeyboardInterrupt()])
def test_what_says_nothing_of_the_service_counts_for_nothing(
    breaker: Breaker, error: BaseException
) -> None:
    fail(breaker, 2)
    with pytest.raises(type(error)):
        attempt(breaker, error)
    fail(breaker, 1)
    assert breaker.open


def test_after_its_rest_a_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10
    attempt(breaker)
    assert not breaker.open
    fail(breaker, 2)
    attempt(breaker)


def test_after_its_rest_a_failure_lets_it_rest_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10
    fail(breaker, 1)
    clock.now += 9
    with pytest.raises(Resting):
        attempt(breaker)


def test_after_its_rest_one_thread_alone_tries(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with breaker.attempt():
            inside.set()
            assert leave.wait(20)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    with pytest.raises(Resting):
        attempt(breaker)
    leave.set()
    thread.join()
    attempt(breaker)
