"""Add `BENCH_STORE_DELAY_MS` to every call of a local store: a far object store, without one.

On the path of a measured farm only (`benchmarks.farm_run`); Python imports it at its start.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from farm.storage.local import LocalStore

DELAY_S = float(os.environ["BENCH_STORE_DELAY_MS"]) / 1000


def _late(method: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        time.sleep(DELAY_S)
        return method(*arguments, **named)

    return wrapped


for _name in ("put", "put_file", "get", "open", "get_file", "exists", "size", "delete"):
    setattr(LocalStore, _name, _late(getattr(LocalStore, _name)))
