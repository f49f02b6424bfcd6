"""What every stage works with: the store, the ledger, the loaded voices and a way to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from farm import keys, voices
from farm.calibration import Budgets
from farm.engines import Engine, load
from farm.errors import UnknownVoice
from farm.jobs import Spec, Voice
from farm.ledger import Ledger, Ref
from farm.models import Models
from farm.schema import from_json
from farm.slots import CPU, Slot
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
    id: str = "farm"
    """Farms that share a store touch only the jobs that carry their id."""
    slot: Slot = CPU
    """Where this process speaks."""
    engines: Models = field(default_factory=Models)
    """Loaded voices, by digest."""
    budgets: Budgets | None = None
    """How much a forward pass holds, where that is measured; None: one segment."""
    pass_s: float = 0.0
    """Seconds after which a forward pass is taken to hang; 0: never."""
    watch: Callable[[Engine], Engine] = lambda engine: engine
    """Has this process end where an engine's pass hangs."""

    def spec(self, job: str) -> Spec:
        """Return a job as accepted."""
        return from_json(Spec, self.store.get(keys.spec(job)))

    def engine(self, voice: Voice) -> Engine:
        """Return a voice ready to speak; loaded once per process, while there is room for it.

        Raises:
            UnknownVoice: it was revoked; it is then in this host's cache no more.
        """
        self.refuse_revoked(voice)
        if voice.digest in self.engines:
            return self.engines[voice.digest]
        folder = voices.fetch(voice, self.store, self.cache)
        size = sum((folder / name).stat().st_size for name in voice.files.values())
        device = self.slot.device
        return self.engines.add(voice.digest, size, lambda: self.watch(load(voice, folder, device)))

    def refuse_revoked(self, voice: Voice) -> None:
        """Forget a voice that was revoked, and raise `UnknownVoice`."""
        try:
            voices.refuse_revoked(voice, self.store)
        except UnknownVoice:
            self.engines.drop(voice.digest)
            voices.forget(voice.id, self.cache)
            raise
