"""The voices at hand: what the settings' folders hold, as each owner may see it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from farm import builtin, voices
from farm.access import LOCAL
from farm.config import Settings
from farm.errors import UnknownVoice
from farm.jobs import Voice
from farm.storage import Store
from farm.storage.atomic import mapped
from farm.voices import VoiceFile


def catalogue(settings: Settings) -> dict[str, VoiceFile]:
    """Return every voice this host knows, by id."""
    return voices.catalogue(_folders(settings))


def _folders(settings: Settings) -> list[Path]:
    with mapped("write", settings.home):
        built_in = builtin.prepare(settings.home)
    folders = [*settings.voices, settings.home / "voices", built_in]
    return [folder for folder in folders if folder.is_dir()]


def visible(file: VoiceFile, owner: str) -> bool:
    """Whether an owner may speak with a voice: it is shared, or his own."""
    return file.visibility == "shared" or (file.owner or LOCAL) == owner


class Studio:
    """The catalogue of one process, read again when a folder changes. Safe to use from threads."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Serve the voices of these settings, published to a store when they are first used."""
        self._settings, self._store = settings, store
        self._lock = threading.Lock()
        self._stamp: object = None
        self._known: Mapping[str, VoiceFile] = {}
        self._pinned: dict[str, Voice] = {}

    def voices(self, owner: str) -> dict[str, VoiceFile]:
        """Return the voices that an owner may speak with, by id."""
        return {id_: file for id_, file in self._current().items() if visible(file, owner)}

    def pin(self, names: Collection[str], owner: str) -> dict[str, Voice]:
        """Publish voices to the store and pin them.

        Raises:
            UnknownVoice: there is none of that id for this owner; the valid ones are named.
        """
        known = self.voices(owner)
        return {name: self._pin(voices.find(known, name)) for name in sorted(names)}

    def _pin(self, file: VoiceFile) -> Voice:
        if file.id in self._pinned and not file.revoked:
            voice = self._pinned[file.id]
            voices.refuse_revoked(voice, self._store)
            return voice
        if file.revoked:
            raise UnknownVoice(f"voice {file.id!r} was revoked on {file.revoked}: choose another")
        return self._pinned.setdefault(file.id, voices.publish(file, self._store))

    def _current(self) -> Mapping[str, VoiceFile]:
        with self._lock:
            folders = _folders(self._settings)
            found = sorted(path for folder in folders for path in folder.glob("*.yaml"))
            stamp = [(path, path.stat().st_mtime_ns) for path in found]
            if stamp != self._stamp:
                self._known, self._pinned = voices.catalogue(folders), {}
                self._stamp = stamp
            return self._known
