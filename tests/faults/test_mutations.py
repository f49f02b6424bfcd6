"""What keeps the promises, taken away piece by piece: each time the checker must complain.

A check that passes whatever the farm does would prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.campaign import Run, campaign
from tests.faults.rig import Size
from tests.faults.schedule import Fault
from tests.faults.work import Order, sentences
from tests.storage.servers import Server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

#: Seconds after the fault in which a job that goes on has long ended.
DEADLINE_S = 100.0
KILLED = Fault(4.0, "kill", "child", 0.4)
#: Away for longer than its claim lasts, and back before the job is done.
STOPPED = Fault(4.0, "stop", "child", 0.4, 24.0)
TONES = {"tone": 2, "cpu": 1}
#: A long job of lines of one sentence each. (Of an item of several, one that is counted twice makes
#: the item be assembled too soon; then the farm finds a segment missing, and begins once more.)
LINES = Order(
    0.0,
    "lines",
    {
        "kind": "batch",
        "voice": "tone",
        "lines": [{"id": f"l{n}", "text": text} for n, text in enumerate(sentences(7, 100))],
        "output": {"format": "flac", "loudness": None},
    },
)


@dataclass(frozen=True)
class Mutation:
    """Something that is switched off, and what shows it."""

    fault: Fault
    complaint: str
    """Found in what the checker says."""
    controls: int = 2


MUTATIONS = {
    "lease expiry": Mutation(KILLED, "status.json"),
    "first finish": Mutation(STOPPED, "ann's lines: KeyError"),  # it fails, or never ends
    "put if absent": Mutation(STOPPED, "written 2 times"),
    "control": Mutation(KILLED, "status.json", controls=0),
}


def run(folder: Path, server: Server, prefix: str, switched_off: str, fault: Fault) -> Run:
    """Have one long job done under a fault."""
    controls = 0 if switched_off == "control" else 2
    return campaign(
        folder / "rig",
        server,
        prefix,
        [LINES],
        [fault],
        Size(TONES, controls, 1),
        mutation="" if switched_off == "control" else switched_off,
        pause_s=0.8,
        deadline_s=DEADLINE_S,
    )


@pytest.mark.parametrize("fault", [KILLED, STOPPED], ids=lambda fault: fault.name)
def test_there_are_no_complaints_of_these_faults_as_the_farm_is(
    fault: Fault, server: Server, tmp_path: Path
) -> None:
    made = run(tmp_path, server, f"whole-{fault.act}", "", fault)
    assert made.verdict.complaints == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_without_this_the_checker_complains(name: str, server: Server, tmp_path: Path) -> None:
    mutation = MUTATIONS[name]
    made = run(tmp_path, server, f"without-{name.replace(' ', '-')}", name, mutation.fault)
    print(name, *made.verdict.complaints, sep="\n")
    assert any(mutation.complaint in line for line in made.verdict.complaints)
