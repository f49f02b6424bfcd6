"""A ledger on a real Redis, and what a test needs to look behind it and to turn its clocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import redis

from farm.ledger import Ledger, Ref, parse

Share = Mapping[str, int]


def share(item: int, here: int, total: int, number: int = 0, parts: int = 1) -> Share:
    return {"item": item, "here": here, "total": total, "number": number, "parts": parts}


def result(*shares: Share, **counts: Any) -> dict[str, Any]:
    none = dict.fromkeys(("segments", "hits", "misses", "audio_ms", "compute_ms"), 0)
    return {**none, "failures": [], **counts, "shares": list(shares)}


class Desk:
    """A ledger with short ways to bring a job into a state."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ledger = Ledger(url)
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)

    def open(self, job: str, revision: int = 1, **fields: Any) -> None:
        values: dict[str, Any] = {
            "attempt": "a1",
            "owner": "ann",
            "priority": "normal",
            "created": 1.5,
            "suffix": "",
            "run_size": 2,
        }
        assert self.ledger.open(job, revision, {**values, **fields})

    def plan(
        self,
        job: str,
        chunks: int | Mapping[str, list[str]],
        page: int = 0,
        shares: Iterable[Share] = (),
        revision: int = 1,
    ) -> list[Ref]:
        lanes = {"piper": [f"c{n}" for n in range(chunks)]} if isinstance(chunks, int) else chunks
        record = {
            "lanes": lanes,
            "segments": 7,
            "characters": 70,
            "shares": list(shares),
            "failures": [],
        }
        return self.ledger.planned(parse(f"control/page/{job}/{revision}/{page}"), record)

    def read(self, job: str, pages: int, items: int, revision: int = 1) -> list[Ref]:
        ref = parse(f"control/read/{job}/{revision}/0")
        return self.ledger.read_done(ref, pages, items, {"title": "T"})

    def begin(self, job: str, chunks: int, items: int = 1, **fields: Any) -> None:
        """A job of one page that is ready to be spoken."""
        self.open(job, **fields)
        self.plan(job, chunks)
        self.read(job, 1, items)

    def take(self, window: int = 1, lane: str = "piper") -> list[Ref]:
        return [ref for ref, _ in self.ledger.take(lane, window)]

    def started(self, job: str = "j", **fields: Any) -> Ref:
        """A chunk that was sent and claimed by `w1`."""
        self.begin(job, 2, **fields)
        (ref,) = self.take()
        assert self.ledger.claim(ref, "w1").verdict == "go"
        return ref

    def expire(self, ref: Ref) -> None:
        """Let a claim run out."""
        assert self.redis.zadd("farm:leases", {str(ref): 1}, xx=True, ch=True) == 1

    def age(self, ref: Ref, seconds: float) -> None:
        """Pretend that a message was sent so long before it was."""
        assert self.redis.zincrby(f"farm:sent:{ref.lane}", -seconds * 1000, str(ref)) > 0

    def age_round(self, seconds: float) -> None:
        """Pretend that the reconciler's last round was so long ago."""
        self.redis.set("farm:round", int(self.redis.get("farm:round")) - int(seconds * 1000))

    def lease_s(self, ref: Ref) -> float:
        """Seconds until a claim runs out."""
        seconds, micros = self.redis.time()
        ends_ms = float(self.redis.zscore("farm:leases", str(ref)))
        return ends_ms / 1000 - float(seconds) - float(micros) / 1e6

    def sent(self, lane: str = "piper") -> set[str]:
        return set(self.redis.zrange(f"farm:sent:{lane}", 0, -1))

    def dump(self) -> dict[str, str]:
        """Everything that Redis holds, serialised by key."""
        raw: Any = redis.Redis.from_url(self.url)
        found = {key.decode(): (raw.dump(key) or b"").hex() for key in raw.keys("*")}
        raw.close()
        return found

    def state(self, job: str = "j") -> str:
        return self.ledger.job(job)["state"]

    def count(self, name: str, job: str = "j") -> int:
        return int(self.ledger.job(job).get(name, 0))

    def close(self) -> None:
        self.redis.close()
        self.ledger.redis.close()


def unit(ref: Ref, stage: str, what: str = "0") -> Ref:
    """Another unit of the same job."""
    lane = {"read": "control", "page": "control"}.get(stage, "audio")
    return replace(ref, lane=lane, stage=stage, what=what)  # type: ignore[arg-type]
