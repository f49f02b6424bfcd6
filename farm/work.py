"""One claimed unit of work, and what it reads of its job: what earlier stages stored.

What is read is kept between units, by attempt: a job may be removed, and another take its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from farm import keys, reading
from farm.errors import Damaged, InvalidInput, NotFound
from farm.farm import Farm
from farm.jobs import Spec
from farm.ledger import Claim, Ref
from farm.plans import About, Part, Passage
from farm.schema import from_json
from farm.storage import Store
from farm.text import Lexicons

#: Store requests under way at once beside the work: enough for 50 ms a request.
REQUESTS = 32

T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """One claimed unit of work."""

    farm: Farm
    ref: Ref
    claim: Claim
    holder: str
    spoken: Callable[[dict[str, Any]], None] = lambda _: None
    """Called when a chunk needs its device no more, with a few numbers for people."""

    @property
    def spec(self) -> Spec:
        """The job as accepted."""
        return _spec(self.farm.store, self.ref.job, self.claim.attempt)

    @property
    def about(self) -> About:
        """What the document says of itself."""
        return _about(self.farm.store, self.ref.job, self.ref.revision, self.claim.attempt)

    @property
    def lexicons(self) -> Lexicons:
        """How the job's client wants words read."""
        return _lexicons(self.farm.store, self.ref.job, self.claim.attempt)

    def chunks(self, key: str) -> list[bytes]:
        """The chunks of a page of the plan, one JSON each."""
        return _rows(self.farm.store, key, self.claim.attempt)

    def on_page(self, page: int) -> dict[int, tuple[Passage, Part]]:
        """By item: its passage on a page, and what is spoken of it."""
        ref = self.ref
        return _on_page(self.farm.store, ref.job, ref.revision, page, self.claim.attempt)

    def plan_key(self, kind: str, page: int) -> str:
        """Key of a page of the plan."""
        return keys.plan(self.ref.job, self.ref.revision, kind, page)

    def output_key(self, name: str) -> str:
        """Key of something that this life of the revision makes."""
        return keys.attempt(self.ref.job, self.ref.revision, self.claim.attempt, name)


def stored(store: Store, key: str) -> bytes:
    """Return what an earlier stage has stored: that it is gone is no fault of the caller."""
    try:
        return store.get(key)
    except NotFound as error:
        raise Damaged(key, "it is gone") from error


def parsed(kind: type[T], key: str, row: bytes) -> T:
    """Read what this farm itself has stored: what cannot be read is no fault of the caller."""
    try:
        return from_json(kind, row)
    except InvalidInput as error:
        raise Damaged(key, str(error)) from error


def at_once(act: Callable[[str], T], names: Iterable[str]) -> list[T]:
    """Do something of the store's with each name, all at the same time."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(act, names))


def forget() -> None:
    """Drop what is kept of jobs."""
    for kept in (_about, _lexicons, _spec, _rows, _on_page):
        kept.cache_clear()


@lru_cache(maxsize=64)
def _about(store: Store, job: str, rev: int, attempt: str) -> About:  # noqa: ARG001
    key = keys.about(job, rev)
    return parsed(About, key, stored(store, key))


@lru_cache(maxsize=8)
def _lexicons(store: Store, job: str, attempt: str) -> Lexicons:
    return reading.lexicons(store, _spec(store, job, attempt))


@lru_cache(maxsize=64)
def _spec(store: Store, job: str, attempt: str) -> Spec:  # noqa: ARG001
    return parsed(Spec, keys.spec(job), store.get(keys.spec(job)))


@lru_cache(maxsize=4)
def _rows(store: Store, key: str, attempt: str) -> list[bytes]:  # noqa: ARG001
    return stored(store, key).splitlines()


@lru_cache(maxsize=4)
def _on_page(
    store: Store,
    job: str,
    rev: int,
    page: int,
    attempt: str,  # noqa: ARG001
) -> dict[int, tuple[Passage, Part]]:
    wanted = [keys.plan(job, rev, kind, page) for kind in ("source", "pages")]
    source, score = at_once(lambda key: stored(store, key), wanted)
    passages = [parsed(Passage, wanted[0], row) for row in source.splitlines()]
    parts = [parsed(Part, wanted[1], row) for row in score.splitlines()]
    if len(passages) != len(parts):
        raise Damaged(wanted[1], f"{len(parts)} parts of {len(passages)} passages")
    both = zip(passages, parts, strict=True)
    return {part.item: (passage, part) for passage, part in both}
