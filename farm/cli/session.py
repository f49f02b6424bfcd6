"""What the commands share: settings, a running farm, and the voices at hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import typer

from farm import embedded, voices
from farm.config import Settings, read_settings
from farm.errors import LedgerUnavailable, UnknownVoice
from farm.farm import Farm
from farm.jobs import Spec, Voice
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

    def cast(self, spec: Spec, names: Collection[str]) -> Spec:
        """Pin the voices that a job's text names; of those that it cannot have, the job knows why.

        So a line that names such a voice fails by itself.
        """
        if not names:
            return spec
        known, cast = catalogue(self.settings), dict(spec.voices)
        others = {id_: "" for id_, file in known.items() if not file.revoked}
        for name in sorted(known.keys() & set(names)):
            try:
                cast[name] = voices.publish(known[name], self.farm.store)
            except UnknownVoice as error:
                others[name] = str(error)
        return replace(spec, voices=cast, others=others)


def _farm(settings: Settings) -> Farm:
    return create_farm(settings, create_celery(settings))


@contextmanager
def session() -> Iterator[Session]:
    """Join the farm of the settings, or an embedded one, started if necessary."""
    configured = read_settings()
    with embedded.held(configured):
        settings = embedded.connected(configured, 0 if configured.broker_url else embedded.START_S)
        try:
            yield Session(configured, settings, _farm(settings))
        except KeyboardInterrupt:
            if embedded.stays(configured):
                typer.echo("farm: the farm goes on; `farm jobs cancel` ends a job", err=True)
            raise
