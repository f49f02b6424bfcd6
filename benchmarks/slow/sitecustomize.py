"""Add `BENCH_STORE_DELAY_MS` to every call of a local store: a far object store, without one.

On the path of a measured process only (`benchmarks.farm_run`); Python imports it at its start.
"""

import os
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_DELAYED = "put put_file get open get_file exists size delete".split()


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name != "farm.storage.local":
            return None
        found = PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        assert found is not None and found.loader is not None
        run = found.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            for method in _DELAYED:
                setattr(module.LocalStore, method, _late(getattr(module.LocalStore, method)))

        found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found


def _late(method):  # type: ignore[no-untyped-def]
    def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
        time.sleep(float(os.environ["BENCH_STORE_DELAY_MS"]) / 1000)
        return method(*arguments, **named)

    return wrapped


if "BENCH_STORE_DELAY_MS" in os.environ:
    sys.meta_path.insert(0, _Finder())
