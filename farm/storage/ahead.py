"""Requests of a store that are under way before somebody waits for their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


def ahead(act: Callable[[A], T], values: Iterable[A], count: int) -> Generator[T, None, None]:
    """Yield what `act` returns for each value, in order; it is done `count` times at once.

    At most twice as many values are taken before their turn, so that a slow one holds up no thread
    and nothing is held of the others, however many. When one fails, or whoever iterates stops,
    those that have not begun never do.
    """
    pool = ThreadPoolExecutor(count)
    pending: deque[Future[T]] = deque()
    try:
        for value in values:
            pending.append(pool.submit(act, value))
            if len(pending) == 2 * count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
