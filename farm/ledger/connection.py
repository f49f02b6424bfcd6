"""A Redis that steps in Lua are run on: how it is reached, and what its errors become."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from farm.errors import LedgerUnavailable

#: Connections of one process, at most: more than it has threads.
CONNECTIONS = 1_000
#: Why Redis cannot write; where it was a script that wanted to, its name follows.
_UNWRITTEN = re.compile(r"MISCONF Errors writing to the AOF file: (.*?)(?: script: .*)?$")


@contextmanager
def mapped_errors(client: Any = None) -> Iterator[None]:
    """Turn the Redis client's errors into `LedgerUnavailable`.

    Given the client, it asks a Redis that cannot write which folder that is.
    """
    try:
        yield
    except redis.RedisError as error:
        raise LedgerUnavailable(_said(error, client)) from error


def _said(error: redis.RedisError, client: Any) -> str:
    """Say an error in a line. The client has no class for a disk that Redis cannot write to."""
    text = str(error)
    if "MISCONF " not in text:  # a script's error may stand before it
        return f"Redis: {type(error).__name__}: {text}"
    where = ""
    with suppress(redis.RedisError, AttributeError):  # it may be forbidden to ask
        where = f" to {client.config_get('dir')['dir']!r}"
    found = _UNWRITTEN.search(text)
    reason = found[1] if found else "its last snapshot failed"
    return f"Redis cannot write{where}: {reason}; make room there, and it goes on"


class Connection:
    """A Redis and the prefix of its keys. Connects at the first call."""

    def __init__(self, url: str, prefix: str = "farm:") -> None:
        """Name the server (`redis://`, `rediss://` or `unix://`) and what every key begins with."""
        self.prefix = prefix
        # A Unix socket knows no keepalive, and the client refuses it.
        tcp: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
        # Any: the client's annotations do not tell that replies are decoded.
        self.redis: Any = redis.Redis.from_url(
            url,
            socket_timeout=10,
            socket_connect_timeout=5,
            health_check_interval=30,
            max_connections=CONNECTIONS,
            # The client's default, and with it the form of its replies, changed between versions.
            protocol=2,
            # A step that is run twice because its answer was lost does no harm: what it handed
            # over is sent again by `overdue`.
            retry=Retry(ExponentialBackoff(cap=1, base=0.1), 3),
            **tcp,
            decode_responses=True,
        )

    def scripted(self, lua: str) -> Callable[..., Any]:
        """Return a call of the steps of a Lua source under this ledger's prefix: (name, ...)."""
        script, keys = self.redis.register_script(lua), [self.prefix]

        def step(name: str, *arguments: str | int | float) -> Any:
            with mapped_errors(self.redis):
                return json.loads(str(script(keys=keys, args=[name, *arguments])))[0]

        return step

    def key(self, *steps: str) -> str:
        """Name a key under the prefix."""
        return self.prefix + ":".join(steps)
