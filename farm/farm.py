"""What every stage works with: the store, the ledger, the loaded voices and a way to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from farm import keys, voices
from farm.engines import Engine, load
from farm.jobs import Spec, from_json
from farm.ledger import Ledger, Ref
from farm.storage import Store

#: Seconds after which a unit's claim is renewed no more: it hangs.
HARD_LIMIT_S = 1800.0


@dataclass
class Farm:
    """One process's hold on the farm."""

    store: Store
    ledger: Ledger
    cache: Path
    """This host's folder for voices."""
    send: Callable[[Ref, str], None]
    """Puts a unit's message, with a label for people, into its queue."""
    device: str = "cpu"
    id: str = "farm"
    """Farms that share a store touch only the jobs that carry their id."""
    engines: dict[str, Engine] = field(default_factory=dict)
    """Loaded voices, by digest."""

    def spec(self, job: str) -> Spec:
        """Return a job as accepted."""
        return from_json(Spec, self.store.get(keys.spec(job)))

    def engine(self, spec: Spec, voice: str) -> Engine:
        """Return a voice ready to speak, loaded once per process."""
        pinned = spec.voices[voice]
        if pinned.digest not in self.engines:
            folder = voices.fetch(pinned, self.store, self.cache)
            self.engines[pinned.digest] = load(pinned, folder, self.device)
        return self.engines[pinned.digest]
