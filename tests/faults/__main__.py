"""`scripts/faults`: the headline, or any schedule again."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tests.faults import schedule
from tests.faults.campaign import Run, campaign, table
from tests.faults.checker import Bucket
from tests.faults.rig import versioned
from tests.faults.work import CALM, orders
from tests.storage.servers import BUCKET, connect

#: Jobs of the headline, sentences of each: more than 500 chunks, two sentences a chunk.
JOBS, EACH = 26, 44
#: Seconds over which the jobs come, of those that the faults take.
COMING = 0.85


def headline(folder: Path, seed: int, faults: list[schedule.Fault]) -> Run:
    """Run the headline: the same jobs undisturbed, then under the faults."""
    last = max((fault.at for fault in faults), default=0.0)
    with versioned(folder) as server:
        client = connect(server)
        wanted = orders(seed, JOBS, EACH, last * COMING)
        at_once = orders(seed, JOBS, EACH, 0)
        calm = campaign(folder / "calm", server, "calm", at_once, pause_s=0, owner=CALM)
        assert calm.verdict.complaints == [], calm.verdict.complaints
        reference = Bucket(client, BUCKET, "calm")
        run = campaign(folder / "storm", server, "storm", wanted, faults, reference=reference)
        client.close()
    return run


def main() -> int:
    """Print the table; exit with 1 where the checker complains."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, help="a schedule that was written")
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    asked = parser.parse_args()
    faults = schedule.read(asked.replay) if asked.replay else schedule.schedule(asked.seed)
    asked.out.mkdir(parents=True, exist_ok=True)
    schedule.write(asked.out / "schedule.jsonl", faults)
    farms = asked.out.absolute() / "farms"  # which stay, for their logs
    shutil.rmtree(farms, ignore_errors=True)
    farms.mkdir()
    run = headline(farms, asked.seed, faults)
    run.write(asked.out)
    print(table(run))
    print(*run.verdict.complaints, sep="\n")
    return bool(run.verdict.complaints)


if __name__ == "__main__":
    raise SystemExit(main())
