"""Each fault by itself, in the midst of two jobs: nothing is lost, and it goes on in 30 seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults import notes
from tests.faults.campaign import campaign, perform, recovered, table
from tests.faults.checker import Bucket, Objects
from tests.faults.rig import Rig, rig
from tests.faults.schedule import Fault
from tests.faults.work import CALM, Order, orders
from tests.storage.servers import BUCKET, Server, connect

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

#: Seconds in which the chunk of whoever was killed is being spoken again: the promise.
RECOVERY_S = 30.0
#: Seconds that a process is stopped: longer than its claim lasts.
STOPPED_S = 20.0
#: Sentences of each of the two jobs; of longer faults more, so that some are left to do after them.
EACH, LONG_EACH = 16, 48
LONG = ("full", "failover")

#: Chunks that are being spoken or stored at a time: the children that speak, each with two.
IN_FLIGHT = 8

#: Who is struck, and seconds after the jobs were submitted: they are soon planned.
ROLES = {"child": 1, "parent": 1, "planner": 0, "assembler": 1, "api": 1, "control": 1}
FAULTS = [
    *(
        Fault(at, act, who, 0.4, STOPPED_S if act == "stop" else 0.0)
        for who, at in ROLES.items()
        for act in ("kill", "term", "stop")
    ),
    Fault(2.0, "kill", "redis", seconds=1.0),
    Fault(2.0, "empty", "redis", seconds=1.0),
    Fault(2.0, "stop", "redis", seconds=30.0),
    Fault(2.0, "full", "redis", seconds=10.0),
    Fault(2.0, "failover", "redis", seconds=3.0),
]
#: What interrupts a unit of work or all of them. A worker that is stopped or told to end leaves its
#: child at its unit; an API and a control process have none.
INTERRUPTS = {fault.name for fault in FAULTS if fault.who in ("child", "planner", "assembler")}
INTERRUPTS |= {fault.name for fault in FAULTS if fault.who == "redis"} | {"kill parent"}


def wanted(fault: Fault) -> list[Order]:
    """Two jobs of a fault's own, one of each voice."""
    number, each = FAULTS.index(fault), LONG_EACH if fault.act in LONG else EACH
    made = orders(1000 + number, 2, each, 0)
    kinds = [made[0], *orders(2000 + number, 4, each, 0)[3:]]  # a book, and lines
    return [replace(order, at=0.0) for order in kinds]


@pytest.fixture(scope="module")
def calm(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    """The same jobs, done by a farm that nobody disturbs."""
    folder = tmp_path_factory.mktemp("single") / "calm"
    jobs = [order for fault in FAULTS for order in wanted(fault)]
    run = campaign(folder, server, "single-calm", jobs, pause_s=0, owner=CALM)
    assert run.verdict.complaints == []
    client = connect(server)
    yield Bucket(client, BUCKET, "single-calm")
    client.close()


@pytest.fixture(scope="module")
def farm(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A farm that one fault after the other happens to."""
    with rig(tmp_path_factory.mktemp("single") / "rig", server, "single") as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_is_lost_or_twice_and_work_goes_on_in_time(
    fault: Fault, farm: Rig, calm: Objects
) -> None:
    run = perform(farm, wanted(fault), [fault], reference=calm)
    print(table(run))
    assert run.verdict.complaints == []
    assert run.verdict.jobs == 2
    seconds = recovered(run)[fault.name]
    assert max(seconds, default=0.0) <= RECOVERY_S
    if fault.name in INTERRUPTS:
        assert seconds, "it met nobody at work"
    chunks, _ = notes.again(run.noted)
    assert chunks <= IN_FLIGHT, "more was spoken again than was in flight"
