"""A circuit breaker: a service that keeps failing is left alone for a while.

The pattern is Michael Nygard's (Release It!, 2007). Libraries were looked at: pybreaker 1.4 holds
a lock while the call runs, so that calls wait for each other; purgatory is made for asyncio.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farm.errors import EngineError, Unavailable

#: Failures in a row after which a service is left alone.
FAILURES = 5
#: Seconds that it is left alone before one call may try again.
REST_S = 30.0


class Resting(Unavailable):
    """The service is left alone at the moment."""


class Broken(Unavailable):
    """The service failed: a breaker counts this, and nothing else."""

    retry_after_s: float | None = None
    """When it asks to come back."""


class Breaker:
    """Counts failures in a row; safe to use from several threads."""

    def __init__(
        self,
        what: str,
        failures: int = FAILURES,
        rest_s: float = REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin closed; `what` names the service in errors."""
        self._what = what
        self._most = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._opened = 0.0
        self._trying = False
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether the service failed too often and has not answered since."""
        return self._failures >= self._most

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count what happens inside: `Broken` as a failure, an end or an `EngineError` as none.

        Raises:
            Resting: the service is left alone, or another thread is trying it.
        """
        self._enter()
        try:
            yield
        except Broken:
            self._leave(failures=self._failures + 1)
            raise
        except EngineError:
            self._leave(failures=0)
            raise
        except BaseException:  # says nothing about the service
            self._leave(failures=self._failures)
            raise
        self._leave(failures=0)

    def _enter(self) -> None:
        with self._lock:
            if not self.open:
                return
            left = self._opened + self._rest_s - self._clock()
            if left > 0 or self._trying:
                raise Resting(
                    f"{self._what} failed {self._failures} times in a row: it is left alone for "
                    f"{max(left, 1):.0f} s"
                )
            self._trying = True

    def _leave(self, failures: int) -> None:
        with self._lock:
            self._failures = failures
            self._trying = False
            if self.open:
                self._opened = self._clock()
