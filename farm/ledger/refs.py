"""Names of the units of work: what a message carries, and what a claim is on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from farm.errors import InvalidInput
from farm.jobs import check_id

Stage = Literal["read", "page", "chunk", "items", "package"]

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
#: Stage to the form of what a unit of it is about. A page has 1,000 chunks at most.
_WHAT = {
    "read": "0",
    "page": _NUMBER,
    "chunk": rf"{_NUMBER}\.(?:0|[1-9][0-9]{{0,2}})",
    "items": rf"{_NUMBER}@{_NUMBER}(?:,{_NUMBER}@{_NUMBER})*",
    "package": "0",
}
_LANE = re.compile(r"[a-z][a-z0-9_]*(?:\.now)?")


@dataclass(frozen=True)
class Ref:
    """One unit of work, written `<lane>/<stage>/<job>/<revision>/<what>` (see ledger.lua)."""

    lane: str
    """The queue without its `tts.` prefix: `piper`, `piper.now`, `control`, `audio`."""
    stage: Stage
    job: str
    revision: int
    what: str

    def __str__(self) -> str:
        return f"{self.lane}/{self.stage}/{self.job}/{self.revision}/{self.what}"

    @property
    def page(self) -> int:
        """The page of a `page` or `chunk` unit."""
        return int(self.what.split(".")[0])

    @property
    def chunk(self) -> int:
        """The chunk, within its page, of a `chunk` unit."""
        return int(self.what.split(".")[1])

    @property
    def items(self) -> list[tuple[int, int]]:
        """Item and its first page, for every item of an `items` unit."""
        pairs = (pair.split("@") for pair in self.what.split(","))
        return [(int(item), int(page)) for item, page in pairs]

    @property
    def queue(self) -> str:
        """The Celery queue that carries this unit."""
        return queue(self.lane)


def queue(lane: str) -> str:
    """Name the Celery queue of a lane."""
    return lane if lane.split(".")[0] in ("control", "audio") else f"tts.{lane}"


def parse(ref: str) -> Ref:
    """Read a ref, or raise `InvalidInput`."""
    steps = ref.split("/")
    if len(steps) != 5:
        raise InvalidInput(
            f"{ref!r} does not name a unit of work: <lane>/<stage>/<job>/<revision>/<what>"
        )
    lane, stage, job, revision, what = steps
    if stage not in _WHAT:
        raise InvalidInput(f"{ref!r}: unknown stage {stage!r}; there are {', '.join(_WHAT)}")
    check_id(job, f"{ref!r}: job id")
    checks = ((_LANE, lane, "lane"), (_NUMBER, revision, "revision"), (_WHAT[stage], what, stage))
    for form, value, name in checks:
        if not re.fullmatch(form, value):
            raise InvalidInput(f"{ref!r}: {value!r} is no {name}")
    return Ref(lane, cast(Stage, stage), job, int(revision), what)
