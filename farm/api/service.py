"""What all routes work with: the farm, the voices at hand, the keys."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from farm import contents, keys, standing
from farm.access import KeyFile
from farm.api.records import File
from farm.api.signing import Signer
from farm.batching import CHARACTERS_PER_S
from farm.config import Settings
from farm.contents import Record
from farm.errors import InvalidInput, NotFound
from farm.farm import Farm
from farm.jobs import Spec, State, check_id
from farm.ledger.limits import Limits
from farm.outgoing import Outgoing
from farm.storage.local import LocalStore
from farm.studio import Studio
from farm.submission import find
from farm.tasks.app import create_celery, create_farm

#: Seconds for which an address is good at least; it changes every so often, so players keep it.
GOOD_S = 3600


class Service:
    """One API process's hold on a running farm. Nothing connects before the first request."""

    def __init__(self, settings: Settings, farm: Farm | None = None) -> None:
        """Serve the farm of these settings, by a hold on it that is there already or a new one."""
        self.settings = settings
        self.farm = farm or create_farm(settings, create_celery(settings))
        self.studio = Studio(settings, self.farm.store)
        self.keys = KeyFile(settings.keys_path)
        self.limits = Limits(self.farm.ledger)
        self.signer = Signer(settings.home)
        self.outgoing = Outgoing(tuple(settings.webhook_networks))

    def job(self, owner: str, name: str, *, admin: bool = False, field: str = "name") -> Spec:
        """Return a job by what its owner calls it; an admin may name another's `<owner>~<name>`.

        `field` of the request has the name.

        Raises:
            NotFound: he has no such job; whether another has one is not told.
        """
        try:
            of, tilde, rest = name.partition("~")
            whose, called = (of, rest) if admin and tilde else (owner, name)
            spec = find(self.farm, check_id(whose, "owner"), called)
        except (NotFound, InvalidInput) as error:
            raise NotFound(f"no job {name!r}", field=field, value=name) from error
        return spec

    def record(self, spec: Spec) -> Record:
        """Return what there is to know of a job."""
        live = standing.show(self.farm, spec.id)
        found = {
            "kind": spec.kind,
            "owner": spec.owner,
            "voice": spec.voice,
            "created": spec.created,
            **live,
            "title": live.get("title") or spec.title or spec.name,
        }
        return {**found, "eta_s": self._eta(spec, found)}

    def waiting(self, spec: Spec) -> Record:
        """Return what there is to know of a job that was just accepted, without the ledger."""
        return {
            "job": spec.id,
            "state": State.QUEUED.value,
            "revision": 1,
            "kind": spec.kind,
            "owner": spec.owner,
            "voice": spec.voice,
            "created": spec.created,
            "title": spec.title or spec.name,
            "priority": spec.priority,
            "labels": dict(spec.labels),
        }

    def _eta(self, spec: Spec, record: Record) -> float | None:
        """Return the seconds that the rest takes if nothing else is spoken meanwhile.

        By what a second of audio has cost this revision or, at its beginning, by what the voice is
        said to cost; divided among the children that are alive.
        """
        if record["state"] != State.RUNNING or record["pages_done"] != record["pages_total"]:
            return None
        voice, total = spec.voices[spec.voice], record["segments_total"]
        left = record["characters"] * (1 - record["segments"] / total) if total else 0.0
        audio_s = left / CHARACTERS_PER_S / spec.prosody.speed
        rtf = contents.rtf(record) or voice.rtf
        return round(audio_s * rtf / max(1, self.farm.ledger.slots(voice.family)), 1)

    def name(self, spec: Spec, owner: str) -> str:
        """Return what a caller calls a job."""
        called = keys.called(spec.id)
        return called if spec.owner == owner else f"{spec.owner}~{called}"

    def files(self, spec: Spec, offset: int, count: int, now: float) -> tuple[list[File], bool]:
        """Return the files of some of a job's items with addresses, and whether there are more."""
        rows, more = contents.some_outputs(self.farm, spec.id, offset, count)
        return [self._file(row, now) for row in rows], more

    def _file(self, row: Record, now: float) -> File:
        url, expires = self.address(row["key"], row["name"], now)
        known = {name: row[name] for name in File.model_fields if name in row}
        return File(**known, url=url, expires=expires)

    def address(self, key: str, name: str, now: float) -> tuple[str, int]:
        """Return where an object can be fetched under a name, and until when (Unix seconds)."""
        if not isinstance(self.farm.store, LocalStore):
            return self.farm.store.url(key, seconds=2 * GOOD_S), int(now) + 2 * GOOD_S
        until = (int(now) // GOOD_S + 2) * GOOD_S
        sig = self.signer.sign(key, name, str(until))
        query = urlencode({"name": name, "until": until, "sig": sig})
        return f"/v1/downloads/{quote(key)}?{query}", until

    def revision(self, spec: Spec) -> int:
        """Return a job's latest revision."""
        return standing.current(self.farm, spec.id)
