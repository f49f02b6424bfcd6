"""What the commands share: settings, a running farm, and the voices at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from farm import embedded, voices
from farm.config import Settings, read_settings
from farm.errors import LedgerUnavailable
from farm.farm import Farm
from farm.jobs import Voice
from farm.studio import catalogue
from farm.tasks.app import create_celery, create_farm

T = TypeVar("T")

#: Seconds that Redis, or the embedded farm with it, may be away in the midst of a command.
OUTAGE_S = 30.0
#: Outages that a command rides over.
OUTAGES = 5


@dataclass
class Session:
    """A command's hold on a running farm."""

    configured: Settings
    """As a person gave them."""
    settings: Settings
    """Of the farm that runs."""
    farm: Farm

    def patiently(self, act: Callable[[], T]) -> T:
        """Do something with the farm; again, where Redis was lost meanwhile and is back."""
        for _ in range(OUTAGES):
            try:
                return act()
            except LedgerUnavailable:
                self.settings = embedded.connected(self.configured, OUTAGE_S)
                self.farm = _farm(self.settings)
        return act()

    def pin(self, names: set[str]) -> dict[str, Voice]:
        """Publish voices to the store and pin them; `UnknownVoice` names the valid ones."""
        known = catalogue(self.settings)
        return {n: voices.publish(voices.find(known, n), self.farm.store) for n in names}


def _farm(settings: Settings) -> Farm:
    return create_farm(settings, create_celery(settings))


@contextmanager
def session() -> Iterator[Session]:
    """Join the farm of the settings, or an embedded one, started if necessary."""
    configured = read_settings()
    with embedded.held(configured):
        settings = embedded.connected(configured, 0 if configured.broker_url else embedded.START_S)
        yield Session(configured, settings, _farm(settings))
