"""A real worker process of the tone family, beside a farm in the test's own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from farm import lifecycle
from farm.config import read_settings
from farm.ledger import Ref
from farm.tasks.app import create_celery, create_farm
from farm.voices.pinning import content_digest
from tests.running import Running, running, tone

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


def until(found: Callable[[], T], seconds: float = 60) -> T:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.05)
    return value


class Worker:
    """A worker process whose chunks are sent, and whose job is planned, by the test."""

    def __init__(self, farm: Running, folder: Path, url: str, **environment: str) -> None:
        self.farm, self.notes = farm, folder / "notes"
        self.notes.mkdir()
        self.log = folder / "worker.log"
        settings = read_settings(broker_url=url, home=folder, store_url=(folder / "store").as_uri())
        self._send = create_farm(settings, create_celery(settings)).send
        self._inline = farm.farm.send
        farm.farm.send = self.send
        variables = {
            "FARM_BROKER_URL": url,
            "FARM_HOME": str(folder),
            "FARM_STORE_URL": settings.store,
            "FARM_DEVICES": "cuda:0,cuda:1",
            "FARM_PER_DEVICE": "1",
            "PRETEND_NOTES": str(self.notes),
            "PYTHONPATH": str(ROOT),
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FARM_", "CUDA_", "OMP_"))}
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.tasks.pretend_worker"],
                env={**kept, **variables, **environment},
                cwd=folder,
                stdout=output,
                stderr=output,
            )

    def send(self, ref: Ref, label: str) -> None:
        (self._send if ref.stage == "chunk" else self._inline)(ref, label)

    def submit(self, data: str, **changes: Any) -> None:
        """Have a job accepted whose voice any process can fetch: its digest is true.

        It is said to be so slow that each of its passes is in flight by itself.
        """
        spec = self.farm.spec(**changes)
        voice = tone(digest=content_digest("tone", {}, {}), rtf=1.0)
        assert lifecycle.submit(
            self.farm.farm, replace(spec, voices={"tone": voice}), data.encode()
        )
        self.farm.drain()

    def spoken_by(self, count: int) -> dict[int, dict[str, Any]]:
        """What so many processes have written down, by process id, once they have."""

        def notes() -> dict[int, dict[str, Any]]:
            paths = list(self.notes.glob("*.json"))
            return {int(path.stem): json.loads(path.read_text()) for path in paths}

        return until(lambda: notes() if len(notes()) >= count else {})

    def record(self, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What is known of the job once something is true of it, with control looking after it."""

        def told() -> dict[str, Any]:
            self.farm.control.tick()
            record = self.farm.show()
            return record if done(record) else {}

        return until(told)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()


@contextmanager
def worker(url: str, folder: Path, **environment: str) -> Iterator[Worker]:
    with running(url, folder) as farm:
        made = Worker(farm, folder, url, **environment)
        try:
            until(lambda: farm.farm.ledger.slots("tone"))
            yield made
        finally:
            made.end()
