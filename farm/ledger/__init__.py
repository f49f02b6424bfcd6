"""Live job state in Redis: claims, windows, counters and events. See ledger.lua for the keys."""

from farm.ledger.events import Events
from farm.ledger.ledger import LOST_S, Claim, Ledger
from farm.ledger.limits import Limits, Verdict
from farm.ledger.refs import Ref, parse, queue
from farm.ledger.roster import Lane, Roster

__all__ = [
    "LOST_S",
    "Claim",
    "Events",
    "Lane",
    "Ledger",
    "Limits",
    "Ref",
    "Roster",
    "Verdict",
    "parse",
    "queue",
]
