"""The desk of a service: requests queue here, and one thread speaks them, several at a time."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, TypeVar

from farm import batching
from farm.audio import Audio
from farm.calibration import LARGEST
from farm.engines import Engine
from farm.errors import DeviceLost, EngineError, EngineFailed, Unavailable
from farm.jobs import Segment

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

#: Requests that wait or are spoken at a time; more are told to come back.
QUEUE = 32
#: Segments that one call of the engine gets at most, where it was not measured.
BATCH = 8
#: Seconds after which a call of the engine counts as stuck.
STUCK_S = 300.0
#: Seconds that a client is told to wait, at least and at most.
RETRY_AFTER_S = (1, 60)
#: What the newest call counts for in the mean of seconds per segment.
_NEWEST = 0.3


class Busy(Unavailable):
    """The queue is full."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        """Say when it is worth asking again."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(eq=False)
class _Order:
    """A request: segments for an engine, or something else that the model is needed for."""

    engine: Engine | None = None
    segments: Sequence[Segment] = ()
    budget: int = 0
    act: Callable[[], Any] | None = None
    pieces: Iterable[Any] = ()
    tell: Callable[[Any], object] | None = None
    """Is given the pieces, one a turn."""
    future: Future[Any] = field(default_factory=Future)
    spoken: list[Audio] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.segments) - len(self.spoken)

    def next(self, count: int) -> Sequence[Segment]:
        return self.segments[len(self.spoken) : len(self.spoken) + count]


def deal(waiting: Sequence[int], share: int, most: int = BATCH) -> list[int]:
    """Return how many segments each order gives to the next batch: one each in turn.

    `share` is what an order gives at most, `most` what the batch holds. Pure.
    """
    given = [0] * len(waiting)
    for _ in range(share):
        for index, count in enumerate(waiting):
            if given[index] < count and sum(given) < most:
                given[index] += 1
    return given


def fitting(orders: Sequence[_Order], budget: int) -> int:
    """Return how many segments, dealt one each in turn, stay within a budget; 1 at least."""
    rounds = zip_longest(*(order.next(LARGEST) for order in orders))
    dealt = [segment for each in rounds for segment in each if segment is not None]
    return len(next(batching.cut(dealt[:LARGEST], budget)))


class Desk:
    """One thread that alone calls the engines; orders wait in a bounded queue."""

    def __init__(self, limit: int = QUEUE, share: int = BATCH) -> None:
        """Start the thread.

        `share` is how many segments of one request may go into one batch: 1 on a CPU, where
        batches save nothing and a newcomer would wait for all of them.
        """
        self.limit = limit
        self._share = share
        self._orders: list[_Order] = []
        self.lost: Callable[[DeviceLost], object] = lambda _: None
        """Is told, in the desk's thread, that the device is lost: the process must end."""
        self._closed = False
        self._pace_s = 1.0
        self._begun: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many requests wait or are being spoken."""
        with self._changed:
            return sum(not order.future.done() for order in self._orders)

    @property
    def running(self) -> bool:
        """Whether orders are taken and performed."""
        return self.alive and not self._closed

    @property
    def alive(self) -> bool:
        """Whether its thread has not ended: after `close`, the engine is still in a call."""
        return self._thread.is_alive()

    @property
    def stuck(self) -> bool:
        """Whether a call of the engine has been going on for `STUCK_S`."""
        begun = self._begun
        return begun is not None and time.monotonic() - begun > STUCK_S

    @property
    def retry_after_s(self) -> int:
        """Seconds until the queue as it is now will have been spoken, as far as one can tell."""
        with self._changed:
            segments = sum(max(1, order.left) for order in self._orders)
            low, high = RETRY_AFTER_S
            return min(high, max(low, math.ceil(segments * self._pace_s)))

    def speak(
        self, engine: Engine, segments: Sequence[Segment], budget: int = 0
    ) -> Future[list[Audio]]:
        """Queue segments; the future holds a signal for each, or the error of the first that fails.

        `budget` is how many padded characters a call of this engine holds (`batching.cut`); 0: it
        gets `BATCH` segments. Cancelling the future takes the order out of the queue.

        Raises:
            Busy: the queue is full.
            Unavailable: the desk is closed.
        """
        return self._queue(_Order(engine, segments, budget))

    def ask(self, act: Callable[[], T]) -> Future[T]:
        """Queue something else that needs the model. Raises as `speak` does."""
        return self._queue(_Order(act=act))

    def stream(self, pieces: Iterator[T], tell: Callable[[T], object]) -> Future[None]:
        """Queue the making of pieces, one a turn; `tell` is given each, in the desk's thread.

        The future ends after the last piece, or has the error. Cancelling it, and raising, are as
        in `speak`.
        """
        return self._queue(_Order(pieces=pieces, tell=tell))

    def check(self) -> None:
        """Raise as `speak` would now."""
        if not self.running:
            raise Unavailable("the service is stopping: ask again later")
        if self.depth >= self.limit:
            raise Busy(f"{self.limit} requests wait already: ask again later", self.retry_after_s)

    def close(self, patience_s: float = 5.0) -> None:
        """Take no more orders, end after the call that is going on, and fail what is left."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(patience_s)
        for order in self._orders:
            _settle(order, error=Unavailable("the service is stopping: ask again later"))

    def _queue(self, order: _Order) -> Future[Any]:
        with self._changed:
            self.check()
            self._orders.append(order)
            self._changed.notify()
        return order.future

    def _work(self) -> None:
        turn: list[tuple[_Order, int]] = []
        while True:
            with self._changed:
                self._put_back(turn)
                turn = []  # nothing here keeps what is over
                self._changed.wait_for(lambda: self._orders or self._closed)
                if self._closed:
                    return
                turn = self._next_turn()
            self._begun = begin = time.monotonic()
            try:
                _perform(turn)
            except DeviceLost as error:
                self._lose(error)
                return
            self._begun = None
            if not turn[0][0].tell:  # how long a piece takes says nothing of a segment
                each = (time.monotonic() - begin) / sum(count for _, count in turn)
                self._pace_s += _NEWEST * (each - self._pace_s)

    def _lose(self, error: DeviceLost) -> None:
        """Take no more orders, say so, and fail all that there are, in this order."""
        with self._changed:
            self._closed = True
        self.lost(error)
        for order in self._orders:
            _settle(order, error=error)

    def _next_turn(self) -> list[tuple[_Order, int]]:
        """Choose the orders of the next call, and how many segments of each.

        A call is of one engine: the first order's.
        """
        first = self._orders[0]
        if first.engine is None:
            return [(first, 1)]
        same = [order for order in self._orders if order.engine is first.engine]
        share, most = self._share, BATCH
        if first.budget:
            share = most = fitting(same, first.budget)
        given = deal([order.left for order in same], share, most)
        return [(order, count) for order, count in zip(same, given, strict=True) if count]

    def _put_back(self, turn: Sequence[tuple[_Order, int]]) -> None:
        """Forget orders that are over, and put those of the last turn behind all others."""
        had = [order for order, _ in turn]
        waiting = [order for order in self._orders if not order.future.done()]
        self._orders = sorted(waiting, key=lambda order: order in had)


def _perform(turn: Sequence[tuple[_Order, int]]) -> None:
    """Do an order's act, make its next piece, or speak segments of some orders in one call.

    Raises:
        DeviceLost: nothing more can be performed; the orders have no end yet.
    """
    first = turn[0][0]
    try:
        if first.act:
            _settle(first, first.act())
        elif first.tell:
            _step(first, first.tell)
        else:
            _speak(turn)
    except DeviceLost:
        raise
    except Exception as error:  # whatever it was: somebody waits for it
        if not isinstance(error, EngineError | Unavailable):
            _LOGGER.exception("a request failed")
        for order, _ in turn:
            _settle(order, error=error)


def _step(order: _Order, tell: Callable[[Any], object]) -> None:
    for piece in order.pieces:
        tell(piece)
        return
    _settle(order)


def _speak(turn: Sequence[tuple[_Order, int]]) -> None:
    engine = turn[0][0].engine
    assert engine is not None
    owners = [order for order, count in turn for _ in range(count)]
    batch = [segment for order, count in turn for segment in order.next(count)]
    for order, outcome in zip(owners, batching.run(engine.speak, batch), strict=True):
        if isinstance(outcome, EngineFailed) and isinstance(outcome.__cause__, Exception):
            _LOGGER.error("a request failed", exc_info=outcome.__cause__)
            _settle(order, error=outcome.__cause__)
        elif isinstance(outcome, EngineError):
            where = f"segment {len(order.spoken) + 1} of {len(order.segments)}"
            _settle(order, error=EngineError(f"{where}: {outcome}"))
        elif not order.future.done():
            order.spoken.append(outcome)
    for order, _ in turn:
        if not order.left:
            _settle(order, order.spoken)


def _settle(order: _Order, result: Any = None, error: Exception | None = None) -> None:
    """Give an order its end, unless it has one: its client may have left at any moment."""
    with suppress(InvalidStateError):
        if error is not None:
            order.future.set_exception(error)
        else:
            order.future.set_result(result)
