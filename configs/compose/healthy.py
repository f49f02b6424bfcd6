"""Exit code 0 where this container does its work: what the health checks of compose run.

`healthy.py worker FAMILY`: a worker of this host gave a sign of life in the last 20 s.
`healthy.py control`: a control process, this one or another, holds the lock.
"""

from __future__ import annotations

import socket
import sys

from farm.config import read_connected
from farm.ledger import Ledger, Roster


def main(what: str, family: str = "") -> bool:
    """Whether it does."""
    ledger = Ledger(read_connected().broker_url.get_secret_value())
    if what == "control":
        return ledger.controlled()
    here = f"@{socket.gethostname()}"
    told = [about for about, _ in Roster(ledger).workers()]
    return any(each["family"] == family and each["name"].endswith(here) for each in told)


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
