"""What the commands share: settings, a running farm, and the voices at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from farm import builtin, embedded, voices
from farm.config import Settings, read_settings
from farm.farm import Farm
from farm.jobs import Voice
from farm.storage.atomic import mapped
from farm.tasks import create_celery, create_farm


@dataclass(frozen=True)
class Session:
    """A command's hold on a running farm."""

    settings: Settings
    farm: Farm

    def pin(self, names: set[str]) -> dict[str, Voice]:
        """Publish voices to the store and pin them; `UnknownVoice` names the valid ones."""
        known = catalogue(self.settings)
        return {n: voices.publish(voices.find(known, n), self.farm.store) for n in names}


def catalogue(settings: Settings) -> dict[str, voices.VoiceFile]:
    """Return every voice this host knows, by id."""
    with mapped("write", settings.home):
        built_in = builtin.prepare(settings.home)
    folders = [*settings.voices, settings.home / "voices", built_in]
    return voices.catalogue([folder for folder in folders if folder.is_dir()])


@contextmanager
def session() -> Iterator[Session]:
    """Join the farm of the settings, or an embedded one, started if necessary."""
    with embedded.joined(read_settings()) as settings:
        yield Session(settings, create_farm(settings, create_celery(settings)))
