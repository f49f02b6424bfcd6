"""A run of jobs under a schedule of faults, judged, and told in a table.

run = campaign(folder, server, "storm", orders, faults)
run.verdict.complaints == []
"""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import notes
from tests.faults.checker import Objects, Verdict, check, unfinished
from tests.faults.rig import Rig, Size, rig, waiting
from tests.faults.schedule import Fault
from tests.faults.striking import Striker, Struck
from tests.faults.work import CALM, OWNER, Order
from tests.storage.servers import Server

#: Seconds after the last fault and the last submission in which every job must have ended.
DEADLINE_S = 240.0
#: Seconds a stopped worker's claim outlives, and with it whether its chunk goes to another.
LEASE_S = 15.0


@dataclass(frozen=True)
class Run:
    """What became of a run."""

    record: dict[str, Any]
    """What was accepted, told and struck; plain data."""
    noted: list[list[Any]]
    verdict: Verdict
    seconds: float

    def write(self, folder: Path) -> None:
        """Write what it was judged by: the record, and what the processes noted."""
        (folder / "record.json").write_text(json.dumps(self.record, indent=1))
        (folder / "notes.jsonl").write_text("\n".join(map(json.dumps, self.noted)))


def campaign(
    folder: Path,
    server: Server,
    prefix: str,
    orders: Sequence[Order],
    faults: Sequence[Fault] = (),
    size: Size = Size(),  # noqa: B008
    *,
    reference: Objects | None = None,
    mutation: str = "",
    pause_s: float = 0.3,
    deadline_s: float = DEADLINE_S,
    owner: str = OWNER,
) -> Run:
    """Have jobs done by a farm of their own, under faults; judge what is in the store then."""
    with rig(folder, server, prefix, size, mutation=mutation, pause_s=pause_s) as farm:
        return perform(
            farm, orders, faults, reference=reference, deadline_s=deadline_s, owner=owner
        )


def perform(
    farm: Rig,
    orders: Sequence[Order],
    faults: Sequence[Fault] = (),
    *,
    reference: Objects | None = None,
    deadline_s: float = DEADLINE_S,
    owner: str = OWNER,
) -> Run:
    """Have jobs done by a running farm, under faults; judge what is in the store then.

    The jobs that they are compared with are `CALM`'s.
    """
    begin = time.monotonic()
    client, striker = farm.client(owner), Striker(farm)
    client.submit(orders)
    try:
        striker.run(faults)
        waiting(lambda: client.done() and finished(farm, owner, client.accepted), deadline_s)
    finally:
        striker.over.set()
        client.give_up()
    seconds = time.monotonic() - begin
    record = {
        "accepted": client.accepted,
        "told": farm.told(owner),
        "struck": [struck.row() for struck in striker.struck],
    }
    verdict = check(farm.store, record, reference, CALM)
    missing = {order.name for order in orders} - {row["name"] for row in client.accepted}
    verdict.expect(not missing, f"never accepted: {', '.join(sorted(missing))}")
    return Run(record, [row for row in farm.noted() if row[0] >= begin], verdict, seconds)


def finished(farm: Rig, owner: str, accepted: Sequence[dict[str, Any]]) -> bool:
    """Whether nothing more is going to happen, by the store and the receiver."""
    time.sleep(0.5)
    told = set(farm.told(owner))
    if any(row["webhook"] and row["name"] not in told for row in accepted):
        return False
    if unfinished(farm.store):
        return False
    return all(_ended(farm.store, row) for row in accepted)


def _ended(store: Objects, row: dict[str, Any]) -> bool:
    with contextlib.suppress(KeyError):
        job = store.get(f"names/{row['owner']}/{row['name']}").decode()
        return bool(store.get(f"jobs/{job}/rev/1/status.json"))
    return False


def recovered(run: Run) -> dict[str, list[float]]:
    """Return, by fault, the seconds until what it interrupted was spoken again.

    Of processes: from the fault to the unit in flight being done again, of a chunk to its first
    forward pass. Of Redis: from its return to the next forward pass of anybody.
    """
    made, found = notes.turns(run.noted), dict[str, list[float]]()
    for row in run.record["struck"]:
        struck = Struck(**{**row, "fault": Fault(**row["fault"])})
        fault = struck.fault
        if fault.who == "redis":
            again = notes.next_pass(made, struck.over)
            seconds = [] if again is None else [again]
        elif fault.act == "stop" and fault.seconds < LEASE_S:
            seconds = []
        else:
            seconds = list(notes.recoveries(made, struck.pids, struck.at))
        found.setdefault(fault.name, []).extend(seconds)
    return found


def table(run: Run) -> str:
    """Tell what was done and what it cost, as Markdown."""
    by_fault, struck = recovered(run), run.record["struck"]
    workers = [s for name, found in by_fault.items() if "redis" not in name for s in found]
    requests = sum(row["requests"] for row in struck if row["fault"]["who"] == "store")
    chunks, passes = notes.again(run.noted)
    verdict = run.verdict
    return "\n".join(
        [
            "| | |",
            "|---|---|",
            f"| faults injected | {len(struck)} |",
            f"| requests to the store that met one | {requests} |",
            f"| jobs accepted, completed | {len(run.record['accepted'])}, {verdict.jobs} |",
            f"| chunks done | {verdict.chunks} |",
            f"| chunks redone (forward passes too many) | {chunks} ({passes}) |",
            f"| segments lost | {verdict.lost} of {verdict.segments} |",
            f"| segments duplicated in output | {verdict.duplicated} |",
            f"| units of work interrupted; seconds to recover: median, max | {_figures(workers)} |",
            f"| seconds in all | {run.seconds:.0f} |",
            "",
            "| fault | times | interrupted; seconds to recover: median, max | requests |",
            "|---|---|---|---|",
            *sorted(_row(name, found, struck) for name, found in by_fault.items()),
        ]
    )


def _row(name: str, seconds: Sequence[float], struck: Sequence[dict[str, Any]]) -> str:
    own = [row for row in struck if f"{row['fault']['act']} {row['fault']['who']}" == name]
    requests = sum(row["requests"] for row in own) or ""
    return f"| {name} | {len(own)} | {_figures(seconds)} | {requests} |"


def _figures(seconds: Sequence[float]) -> str:
    if not seconds:
        return "0"
    return f"{len(seconds)}; {statistics.median(seconds):.1f}, {max(seconds):.1f}"
