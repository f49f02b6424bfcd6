"""One way for every message that is no task of ours: it is refused.

Celery prints such a message whole, or fails on what it prints; kombu's transport fails on what is
no envelope of its own, and the worker with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as lists

from farm.tasks.messages import Refuse

log = logging.getLogger(__name__)

#: What a lost Redis is told by: the transport's own list, but for what a bad message raises, too.
LOST = tuple(kind for kind in lists.Transport.connection_errors if kind is not KeyError)


def strict(refuse: Refuse) -> type[Consumer]:
    """Return Celery's consumer with that way."""

    class Strict(Consumer):  # type: ignore[misc]
        def create_task_handler(self, *given: Any, **named: Any) -> Callable[[Any], None]:
            handle = super().create_task_handler(*given, **named)

            def on_task_received(message: Any) -> None:
                try:
                    handle(message)
                except LOST:
                    raise
                except Exception as error:  # headers of any shape reach Celery's own code
                    self._refuse(message, f"{type(error).__name__}: {error}")

            return on_task_received

        def on_ready(self) -> None:
            # Celery takes children that were ended, as they warmed up, for such that cannot begin.
            state.maybe_shutdown()
            super().on_ready()

        def on_unknown_message(self, _: Any, message: Any) -> None:
            self._refuse(message, "it is no task")

        def on_unknown_task(self, _: Any, message: Any, exc: Exception) -> None:
            self._refuse(message, f"there is no such task here: {exc}")

        def on_invalid_task(self, _: Any, message: Any, exc: Exception) -> None:
            self._refuse(message, str(exc))

        def on_decode_error(self, message: Any, exc: Exception) -> None:
            self._refuse(message, str(exc))

        def _refuse(self, message: Any, why: str) -> None:
            message.reject_log_error(log, self.connection_errors)
            refuse(str(message.delivery_info.get("routing_key", "?")), why)

    return Strict


def read_strictly(refuse: Refuse) -> None:
    """Have this process's Redis transport go on after what is no envelope of a message."""

    class Channel(lists.Channel):
        def _brpop_read(self, **options: Any) -> Any:
            try:
                return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
            except (*LOST, Empty):
                raise
            except Exception as error:  # it may hold anything at all
                refuse("Redis", f"no message of Celery's: {type(error).__name__}")
                return True

    class Transport(lists.Transport):
        pass

    Transport.Channel = Channel
    aliases: dict[str, Any] = TRANSPORT_ALIASES
    aliases.update(dict.fromkeys(("redis", "rediss"), lambda: Transport))
