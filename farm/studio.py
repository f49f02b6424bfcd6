"""The voices at hand: what the settings' folders hold, as each owner may see it."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from farm import builtin, voices
from farm.access import LOCAL
from farm.config import Settings
from farm.errors import InvalidInput, Unavailable, UnknownVoice
from farm.jobs import Voice
from farm.storage import Store
from farm.storage.atomic import mapped
from farm.voices import VoiceFile


def catalogue(settings: Settings) -> dict[str, VoiceFile]:
    """Return every voice this host knows, by id."""
    return voices.catalogue(_folders(settings, _built_in(settings)))


def _built_in(settings: Settings) -> Path:
    with mapped("write", settings.home):
        return builtin.prepare(settings.home)


def _folders(settings: Settings, built_in: Path) -> list[Path]:
    folders = [*settings.voices, settings.home / "voices", built_in]
    return [folder for folder in folders if folder.is_dir()]


def _stamps(folder: Path) -> list[tuple[str, int]]:
    """Return what changes when a voice of a folder does. Asked at every request: no `Path`s."""
    with mapped("read", folder), os.scandir(folder) as entries:
        files = (entry for entry in entries if entry.name.endswith(".yaml"))
        return sorted((entry.path, entry.stat().st_mtime_ns) for entry in files)


def _read(folders: list[Path]) -> Mapping[str, VoiceFile]:
    """Read a catalogue for those who did not write it: a broken file is no fault of theirs."""
    try:
        return voices.catalogue(folders)
    except InvalidInput as error:
        raise Unavailable(str(error)) from error


def visible(file: VoiceFile, owner: str) -> bool:
    """Whether an owner may speak with a voice: it is shared, or his own."""
    return file.visibility == "shared" or (file.owner or LOCAL) == owner


class Studio:
    """The catalogue of one process, read again when a folder changes. Safe to use from threads."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Serve the voices of these settings, published to a store when they are first used."""
        self._settings, self._store = settings, store
        self._lock = threading.Lock()
        self._built_in: Path | None = None
        self._stamp: object = None
        self._known: Mapping[str, VoiceFile] = {}
        self._pinned: dict[str, Voice] = {}

    def voices(self, owner: str) -> dict[str, VoiceFile]:
        """Return the voices that an owner may speak with, by id."""
        return {id_: file for id_, file in self._current().items() if visible(file, owner)}

    def speaks(self, name: str, owner: str) -> bool:
        """Whether there is such a voice for an owner, and it is not revoked."""
        file = self.voices(owner).get(name)
        return bool(file and not file.revoked and not self._store.exists(voices.revocation(name)))

    def others(self, owner: str, unspoken: Collection[str]) -> dict[str, str]:
        """Return an owner's voices for the messages of a job: why it cannot have one, or nothing.

        It cannot have the `unspoken`, of which `speaks` said so.
        """
        known = self.voices(owner)
        others = {name: "" for name, file in known.items() if not file.revoked}
        lost = known.keys() & set(unspoken)
        return others | {name: f"voice {name!r} was revoked: choose another" for name in lost}

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
            said = f"voice {file.id!r} was revoked on {file.revoked}: choose another"
            raise UnknownVoice(said, value=file.id)
        return self._pinned.setdefault(file.id, voices.publish(file, self._store))

    def _current(self) -> Mapping[str, VoiceFile]:
        with self._lock:
            if self._built_in is None or not self._built_in.is_dir():
                self._built_in = _built_in(self._settings)  # reads all of it: once is enough
            folders = _folders(self._settings, self._built_in)
            stamp = [_stamps(folder) for folder in folders]
            if stamp != self._stamp:
                self._known, self._pinned = _read(folders), {}
                self._stamp = stamp
            return self._known
