"""Live job state in Redis. What it knows can be rebuilt from the store; keys are in ledger.lua."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from farm.errors import NotFound
from farm.jobs import State
from farm.ledger.connection import Connection, mapped_errors
from farm.ledger.refs import Ref, parse

#: Seconds after which a unit whose message nobody claimed, with an empty queue, is sent again.
LOST_S = 15
#: Seconds for which a worker's slots count after its last sign of life.
SLOT_S = 20
#: Chunks of one page and lane at most: a finished chunk is the bit `page * 1000 + n`.
PAGE_CHUNKS = 1000
#: What a job cannot do without in Redis.
REQUIRED = frozenset({"attempt", "owner", "priority", "created", "suffix", "run_size"})

Fields = Mapping[str, str | int | float]

_LUA = "".join(Path(__file__).with_name(name).read_text() for name in ("ledger.lua", "steps.lua"))


@dataclass(frozen=True)
class Claim:
    """The answer to a claim: `go`, or why not (`gone`: no longer wanted; `done`; `held`)."""

    verdict: Literal["go", "gone", "done", "held"]
    attempt: str = ""
    """Names the folder in which this life of the revision writes its outputs."""
    suspects: Mapping[str, int] = field(default_factory=dict)
    """Digests of the job that were in flight when a holder died, and how often that happened."""


class Ledger(Connection):
    """Typed calls over the steps of ledger.lua. Connects at the first call.

    Raises (all methods):
        LedgerUnavailable: Redis did not answer, or refused to write.
    """

    def __init__(self, url: str, prefix: str = "farm:") -> None:
        """Name the server (`redis://`, `rediss://` or `unix://`) and what every key begins with."""
        super().__init__(url, prefix)
        self._step = self.scripted(_LUA)

    def _refs(self, name: str, *arguments: str | int | float) -> list[Ref]:
        return [parse(ref) for ref in self._step(name, *arguments)]

    # Jobs

    def open(self, job: str, revision: int, fields: Fields, *, again: bool = False) -> bool:
        """Make a job known; false when this revision, or a newer one, already is.

        `fields` has at least attempt, owner, priority, created, suffix and run_size. With
        `again` the same revision starts from its beginning, unless it is ending or has ended.
        """
        missing = REQUIRED - fields.keys()
        if missing:
            raise ValueError(f"job {job!r} lacks {', '.join(sorted(missing))}")
        return bool(self._step("open", job, revision, _flat(fields), int(again))["new"])

    def job(self, job: str) -> dict[str, str]:
        """Return a job's live fields and counters; `NotFound` if Redis does not know it."""
        with mapped_errors():
            fields = self.redis.hgetall(self.key("job", job))
        if not fields:
            raise NotFound(f"no live job {job!r}")
        return dict(fields)

    def knows(self, job: str) -> bool:
        """Whether Redis knows the job."""
        with mapped_errors():
            return bool(self.redis.exists(self.key("job", job)))

    def jobs(self, offset: int = 0, count: int = 100) -> list[str]:
        """Return job ids, newest first."""
        with mapped_errors():
            return list(self.redis.zrevrange(self.key("jobs"), offset, offset + count - 1))

    def live(self) -> list[str]:
        """Return the jobs that have not ended."""
        with mapped_errors():
            return list(self.redis.zdiff([self.key("jobs"), self.key("closed")]))

    def failures(self, job: str, offset: int = 0, count: int = 100) -> list[dict[str, Any]]:
        """Return what could not be spoken, page by page."""
        with mapped_errors():
            rows = self.redis.lrange(self.key("failures", job), offset, offset + count - 1)
        return [json.loads(row) for row in rows]

    def runs(self, job: str) -> list[str]:
        """Return the names of the records that the assemblers wrote."""
        with mapped_errors():
            return list(self.redis.lrange(self.key("runs", job), 0, -1))

    def progress(self, job: str, item: int, parts: Sequence[int]) -> tuple[bool, list[int]]:
        """Return whether an item is spoken, and else how many segments of each part are.

        A part that is finished before its item is counts as nothing in that list.
        """
        names = [f"{item}.{part}" for part in parts]
        with mapped_errors():
            pipe = self.redis.pipeline(transaction=False)
            pipe.getbit(self.key("spoken", job), item)
            pipe.hmget(self.key("parts", job), names)
            spoken, counts = pipe.execute()
        return bool(spoken), [int(count or 0) for count in counts]

    def close(self, job: str, revision: int, state: State, fields: Fields) -> State | None:
        """Reach a terminal state, once; return the state that stands.

        None for an unknown job, or one that is in another revision.
        """
        return _state(self._step("close", job, revision, state.value, _flat(fields)))

    def cancel(self, job: str) -> State | None:
        """Drop all work, under way or not; return the state, None for an unknown job."""
        return _state(self._step("cancel", job))

    def pause(self, job: str) -> State | None:
        """Send no more chunks; return the state, None for an unknown job."""
        return _state(self._step("pause", job))

    def resume(self, job: str) -> State | None:
        """Send chunks again; return the state, None for an unknown job."""
        return _state(self._step("resume", job))

    def remove(self, job: str) -> bool:
        """Forget a job."""
        return bool(self._step("remove", job))

    # Units of work

    def send(self, ref: Ref) -> bool:
        """Note that a unit's message is about to be sent; false when it is no longer wanted."""
        return bool(self._step("send", str(ref)))

    def claim(self, ref: Ref, holder: str) -> Claim:
        """Ask to do a unit of work."""
        reply = self._step("claim", str(ref), holder)
        return Claim(reply["verdict"], reply.get("attempt", ""), reply.get("suspects", {}))

    def renew(self, ref: Ref, holder: str) -> bool:
        """Prolong a claim; false when the work is no longer the holder's to do."""
        return bool(self._step("renew", str(ref), holder))

    def flight(self, ref: Ref, holder: str, digests: Sequence[str]) -> None:
        """Record the segments of the next forward pass, before it."""
        self._step("flight", str(ref), holder, json.dumps(list(digests)))

    def release(
        self,
        ref: Ref,
        holder: str,
        reason: str,
        pause_s: float = 1,
        max_s: float = 60,
        *,
        died: bool = False,
    ) -> int:
        """Give a unit back; it is sent again after a pause that doubles with every try.

        Where its holder `died`, the segments in flight are suspects in the next claim. Returns
        how often it was given back, 0 if it is no longer the holder's.
        """
        pauses = int(pause_s * 1000), int(max_s * 1000)
        return int(self._step("release", str(ref), holder, *pauses, reason, int(died)))

    def read_done(self, ref: Ref, pages: int, items: int, fields: Fields) -> list[Ref]:
        """Record how many pages and items a document has; return what follows."""
        return self._refs("read_done", str(ref), pages, items, _flat(fields))

    def planned(self, ref: Ref, page: Mapping[str, Any]) -> list[Ref]:
        """Take in a planned page (see `planned` in steps.lua); return what follows."""
        for lane, labels in page["lanes"].items():
            if len(labels) > PAGE_CHUNKS:
                raise ValueError(
                    f"{ref}: {len(labels)} chunks for {lane!r}; {PAGE_CHUNKS} at most, "
                    "plan smaller pages"
                )
        return self._refs("planned", str(ref), json.dumps(dict(page)))

    def take(self, lane: str, window: int) -> list[tuple[Ref, str]]:
        """Take chunks, with their labels, until `window` of the lane are under way."""
        return [(parse(ref), label) for ref, label in self._step("take", lane, window)]

    def finish(self, ref: Ref, result: Mapping[str, Any]) -> list[Ref]:
        """Count a chunk, once; return what follows."""
        return self._refs("finish", str(ref), json.dumps(dict(result)))

    def assembled(
        self, ref: Ref, record: str, failures: Sequence[Mapping[str, Any]] = ()
    ) -> list[Ref]:
        """Count assembled items, and which of them are `failures`, once; return what follows."""
        return self._refs("assembled", str(ref), record, json.dumps(list(failures)))

    def follow(self, job: str) -> list[Ref]:
        """Return hand-overs of a job that were lost on the way."""
        return self._refs("follow", job)

    def overdue(self, idle: Sequence[str], lost_s: float = LOST_S) -> list[Ref]:
        """Return units to send again: claims that ran out, and lost messages.

        A message is lost when nobody claimed it for `lost_s` in an `idle` lane (its queue is
        empty), or for 20 times as long in another. To be called every few seconds: after a
        longer gap nobody's claim is held against him, for Redis may have been away.
        """
        return self._refs("overdue", json.dumps(list(idle)), int(lost_s * 1000))

    # The farm

    def epoch(self, fresh: str) -> tuple[str, bool]:
        """Return the epoch, and whether it is `fresh`: Redis had none and was empty or lost."""
        with mapped_errors():
            if self.redis.set(self.key("epoch"), fresh, nx=True):
                return fresh, True
            return str(self.redis.get(self.key("epoch"))), False

    def time(self) -> float:
        """Return the server's clock, Unix seconds."""
        with mapped_errors():
            seconds, microseconds = self.redis.time()
            return float(seconds + microseconds / 1e6)

    def life(self) -> str:
        """Name the life of the server: another after a restart, and where a replica took over."""
        with mapped_errors():
            return str(self.redis.info("server")["run_id"])

    def lock(self, holder: str, seconds: int) -> bool:
        """Take or keep the control process's lock."""
        return bool(self._step("lock", holder, seconds))

    def controlled(self) -> bool:
        """Whether a control process holds the lock."""
        with mapped_errors():
            return bool(self.redis.exists(self.key("control")))

    def beat(self, family: str, worker: str, slots: int) -> None:
        """Say that a worker with so many slots of a family is alive."""
        with mapped_errors():
            seconds, _ = self.redis.time()
            self.redis.zadd(self.key("slots", family), {f"{worker}/{slots}": seconds + SLOT_S})

    def slots(self, family: str) -> int:
        """Count the live slots of a family."""
        key = self.key("slots", family)
        with mapped_errors():
            seconds, _ = self.redis.time()
            self.redis.zremrangebyscore(key, "-inf", seconds)
            # What was told before the clock was put back.
            self.redis.zremrangebyscore(key, seconds + SLOT_S + 1, "+inf")
            return sum(int(row.rsplit("/", 1)[1]) for row in self.redis.zrange(key, 0, -1))

    def lanes(self) -> list[str]:
        """Return the lanes that ever had work."""
        with mapped_errors():
            return sorted(self.redis.smembers(self.key("lanes")))

    def queued(self, queue: str) -> int:
        """Count the messages waiting in a Celery queue of the same Redis."""
        with mapped_errors():
            return int(self.redis.llen(queue))

    def check(self) -> None:
        """Raise where Redis would refuse to write, as on a full disk: it refuses PING then, too."""
        with mapped_errors(self.redis):
            self.redis.ping()

    def ping(self) -> str:
        """Return the server's version."""
        with mapped_errors():
            return str(self.redis.info("server")["redis_version"])


def _flat(fields: Fields) -> str:
    """Fields as text: Lua would write its own idea of a number."""
    return json.dumps({name: str(value) for name, value in fields.items()})


def _state(value: str | Literal[False]) -> State | None:
    return State(value) if value else None
