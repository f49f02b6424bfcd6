"""Messages are delivered again after seconds; which claims that meets is noted.

On the path of a farm under test only; Python imports it at the start of its processes.
"""

from __future__ import annotations

import os

from kombu.transport.redis import Channel

from farm.ledger import Claim, Ledger, Ref
from farm.tasks import app

app.VISIBILITY_S = int(os.environ["VISIBILITY_S"])

_claim = Ledger.claim
_notes = os.open(os.environ["CLAIMS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

# Kombu looks every ten seconds, and means every tenth of these looks: 100 s.
Channel.unacked_restore_throttle = 1


def _noted(self: Ledger, ref: Ref, holder: str) -> Claim:
    claim = _claim(self, ref, holder)
    os.write(_notes, f"{claim.verdict} {ref}\n".encode())
    return claim


Ledger.claim = _noted  # type: ignore[method-assign]
