"""A whole farm in this process: real Redis, local store, tone engine, a list for a queue."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from farm import dispatch, keys, lifecycle, standing
from farm.audio import Audio
from farm.control import Control
from farm.engines import Engine, load
from farm.errors import Unavailable
from farm.farm import Farm
from farm.jobs import Kind, Output, Segment, Spec, State, Voice
from farm.ledger import Ledger, Ref
from farm.plans import Chunk
from farm.schema import from_json
from farm.storage import Store
from farm.storage.local import LocalStore

#: Hertz of the test voices: a low one, so that there is little to encode.
RATE = 8_000
#: A job that has not ended after so many looks of the control process never will.
PATIENCE = 30


def tone(id_: str = "tone", digest: str = "d" * 64, **changes: Any) -> Voice:
    """A voice of the tone engine."""
    return replace(Voice(id_, digest, "tone", "tone", "en", RATE), **changes)


LOW = tone("low", "e" * 64, licence="CC0-1.0")


class Running:
    """A farm whose messages wait in `queue` until they are performed here, one after another."""

    def __init__(self, url: str, folder: Path, store: Store | None = None) -> None:
        self.queue: deque[tuple[Ref, str]] = deque()
        self.results: list[tuple[Ref, dict[str, Any]]] = []
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self.farm = Farm(
            store or LocalStore(folder / "store"),
            Ledger(url),
            folder / "cache",
            lambda ref, label: self.queue.append((ref, label)),
        )
        for voice in (tone(), LOW):
            self.farm.engines[voice.digest] = load(voice, folder, "cpu")
        self.control = Control(self.farm)

    def close(self) -> None:
        """Let go of Redis."""
        self.redis.close()
        self.farm.ledger.redis.close()

    def spec(self, job: str = "j", kind: Kind = "speech", **changes: Any) -> Spec:
        """A job of the test voices, not submitted."""
        voices = {voice.id: voice for voice in (tone(), LOW)}
        fields: dict[str, Any] = {"output": Output("wav"), "created": time.time(), **changes}
        return Spec(
            id=job,
            kind=kind,
            farm="farm",
            owner="ann",
            input=keys.job(job, "input", "text"),
            voice="tone",
            voices=voices,
            **fields,
        )

    def submit(
        self, data: str | bytes | Path, job: str = "j", kind: Kind = "speech", **changes: Any
    ) -> Spec:
        """Have a job accepted."""
        spec = self.spec(job, kind, **changes)
        content = data.encode() if isinstance(data, str) else data
        assert lifecycle.submit(self.farm, spec, content)
        return spec

    def step(self) -> tuple[Ref, dict[str, Any]]:
        """Perform the oldest message."""
        ref, _ = self.queue.popleft()
        self.results.append((ref, dispatch.perform(self.farm, str(ref))))
        return self.results[-1]

    def drain(self) -> None:
        """Perform every message, and those that follow."""
        while self.queue:
            self.step()

    def until(self, stage: str) -> Ref:
        """Perform messages until one of this stage is next; it stays in the queue."""
        while self.queue[0][0].stage != stage:
            self.step()
        return self.queue[0][0]

    def hurry(self) -> None:
        """Let every claim run out and every message be lost, as if much time had gone by."""
        for ref in self.redis.zrange("farm:leases", 0, -1):
            self.redis.zadd("farm:leases", {ref: 1})
        for key in self.redis.keys("farm:sent:*"):
            for ref in self.redis.zrange(key, 0, -1):
                self.redis.zincrby(key, -10_000_000, ref)
        self.redis.delete("farm:round")

    def finish(self, job: str = "j") -> str:
        """Bring a job to its end, with a control process, whatever it waits for; its state."""
        for _ in range(PATIENCE):
            self.drain()
            if State(self.show(job)["state"]).terminal:
                break
            self.hurry()
            with suppress(Unavailable):
                self.control.tick()
        return str(self.show(job)["state"])

    def show(self, job: str = "j") -> dict[str, Any]:
        """What a client sees of a job."""
        return standing.show(self.farm, job)

    def count(self, name: str, job: str = "j") -> int:
        """A counter of a job."""
        return int(self.show(job)[name])

    def manifest(self, job: str = "j", revision: int = 1) -> dict[str, Any]:
        """A revision's list of outputs."""
        found: dict[str, Any] = json.loads(self.farm.store.get(keys.manifest(job, revision)))
        return found

    def item(self, index: int = 0, kind: str = "wav", job: str = "j", revision: int = 1) -> bytes:
        """The bytes of an item's file."""
        file = self.manifest(job, revision)["items"][index]["files"][kind]
        return self.farm.store.get(file["key"])

    def outputs(self, job: str = "j", revision: int = 1) -> dict[str, str]:
        """Name to SHA-256 of every file that a revision gave its client."""
        manifest = self.manifest(job, revision)
        groups = [manifest["package"], *(item.get("files", {}) for item in manifest["items"])]
        return {f["name"]: f["sha256"] for group in groups for f in group.values()}

    def segments(self) -> list[str]:
        """The store keys of everything that was spoken."""
        return [key for key in self.farm.store.list("segments/") if key.endswith(".flac")]

    def planned(self, job: str = "j", revision: int = 1) -> list[Segment]:
        """The segments of a job in the order of its chunks."""
        prefix = keys.revision(job, revision, "plan", "tone") + "/"
        pages = [self.farm.store.get(key).splitlines() for key in self.farm.store.list(prefix)]
        return [s for page in pages for row in page for s in from_json(Chunk, row).segments]

    def performed(self) -> Counter[str]:
        """How many units of each stage were done, not skipped."""
        return Counter(ref.stage for ref, result in self.results if "skipped" not in result)


@contextmanager
def running(url: str, folder: Path, store: Store | None = None) -> Iterator[Running]:
    """Run a farm, and let go of it."""
    farm = Running(url, folder, store)
    try:
        yield farm
    finally:
        farm.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the farm logs about the trouble that a test makes out of its output."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class Acting(Engine):
    """The tone engine, after an act of its own."""

    def __init__(self, inner: Engine, act: Callable[[Sequence[Segment]], None]) -> None:
        self.sample_rate = inner.sample_rate
        self._inner, self._act = inner, act

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        self._act(segments)
        return self._inner.speak(segments)


def acting(farm: Running, act: Callable[[Sequence[Segment]], None]) -> None:
    digest = tone().digest
    farm.farm.engines[digest] = Acting(farm.farm.engines[digest], act)
