"""API keys: who may ask what of the API, kept in one JSON file of mode 0600.

A key is `farm_<id>_<secret>`: eight hexadecimal digits that name it, and 192 random bits. The file
has the SHA-256 of the secret, so what is read from it opens nothing. A plain hash is right here:
slow, salted ones protect what people make up and others can guess; nobody tries 2^192 secrets.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from farm.errors import InvalidInput, NotFound, TooNew, Unavailable
from farm.schema import from_json, to_json

Scope = Literal["submit", "read", "admin"]

#: All scopes, in the order in which a key has them.
SCOPES: tuple[Scope, ...] = get_args(Scope)
#: The owner of what the command line submits.
LOCAL = "local"
#: Version of the file.
SCHEMA = 1
#: Random bytes of a key's secret, and of one that signs webhooks (Standard Webhooks: 24 to 64).
SECRET_BYTES = 24

_TEXT = re.compile(r"farm_([0-9a-f]{8})_([A-Za-z0-9_-]{32})")
_ID = re.compile(r"[0-9a-f]{8}")
_OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LABEL_CHARACTERS = 100
#: Compared with where there is no such key; no SHA-256 is known to be this.
_NOBODY = "0" * 64


#: For what reads the file: a name that somebody mistyped there is no limit dropped in silence.
_STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Allowance:
    """What a key may use; 0: as much as it likes."""

    __pydantic_config__ = _STRICT

    characters_per_day: int = 0
    """Of text, by the day of UTC."""
    jobs_in_flight: int = 0
    """Accepted and not at an end."""
    requests_per_minute: int = 0
    """On average; as many may come at once after a minute of silence."""

    def __post_init__(self) -> None:
        """Refuse what is below zero, or more than Redis counts exactly."""
        for name, value in vars(self).items():
            if not 0 <= value < 1 << 50:
                raise InvalidInput(f"{name} {value!r}: give a number from 1, or 0 for no limit")


@dataclass(frozen=True)
class Key:
    """One API key without its secret."""

    __pydantic_config__ = _STRICT

    id: str
    digest: str = field(repr=False)
    """SHA-256 of the secret, hexadecimal."""
    last: str
    """The key's last four characters: by these a person knows it again."""
    webhook_secret: str = field(repr=False)
    """`whsec_` and base64; in clear, because it signs."""
    created: int
    """Unix seconds."""
    owner: str = LOCAL
    """Whose jobs, files and voices it sees."""
    scopes: tuple[Scope, ...] = ("submit", "read")
    limits: Allowance = Allowance()
    label: str = ""
    """What its owner calls it."""
    revoked: int = 0
    """Unix seconds; 0: it is valid."""

    def __post_init__(self) -> None:
        """Check what people write."""
        if not _ID.fullmatch(self.id) or not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise InvalidInput("id is eight hexadecimal digits, digest a SHA-256")
        if not _OWNER.fullmatch(self.owner):
            raise InvalidInput(
                f"owner {self.owner!r} is not valid: lower-case letters, digits and '-', "
                "32 at most, not '-' first"
            )
        if len(self.label) > _LABEL_CHARACTERS or not self.label.isprintable():
            raise InvalidInput(
                f"label {self.label[:_LABEL_CHARACTERS]!r} is not valid: one line, "
                f"{_LABEL_CHARACTERS} characters at most"
            )

    def may(self, scope: Scope) -> bool:
        """Whether the key has a scope; `admin` has them all."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True)
class _Content:
    schema: int
    keys: tuple[Key, ...]


class KeyFile:
    """The keys in a file, which may change at any time: it is read again when it has.

    Several processes may use and change it at once. Without a file there are no keys.

    Raises (all methods):
        InvalidInput: the file is damaged, or had keys and has none; it never passes for empty.
        Unavailable: the file cannot be read or written.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Name the file; nothing is read yet. `clock` tells Unix seconds."""
        self.path = path
        self._clock = clock
        self._stamp: tuple[int, ...] = ()
        self._known: Mapping[str, Key] = {}

    @property
    def empty(self) -> bool:
        """Whether there never was a key: one that is revoked counts."""
        return not self._current()

    def list(self) -> tuple[Key, ...]:
        """Return all keys, revoked ones too, oldest first."""
        return tuple(self._current().values())

    def get(self, id: str) -> Key | None:
        """Return a key, even a revoked one, by its id."""
        return self._current().get(id)

    def find(self, text: str) -> Key | None:
        """Return the valid key that a client presents; None for any other text.

        Takes as long for an unknown id as for a wrong secret.
        """
        match = _TEXT.fullmatch(text)
        id, secret = match.groups() if match else ("", "")
        key = self._current().get(id)
        same = hmac.compare_digest(_sha256(secret), key.digest if key else _NOBODY)
        return key if key and same and not key.revoked else None

    def add(
        self,
        owner: str = LOCAL,
        scopes: Sequence[str] = ("submit", "read"),
        limits: Allowance = Allowance(),
        label: str = "",
    ) -> tuple[Key, str]:
        """Make a key; return it and its text, which is kept nowhere and cannot be had again.

        Raises:
            InvalidInput: owner, a scope or the label is not valid.
        """
        secret = secrets.token_urlsafe(SECRET_BYTES)
        with self._changing() as keys:
            while (id := secrets.token_hex(4)) in keys:
                pass
            keys[id] = key = Key(
                id=id,
                digest=_sha256(secret),
                last=secret[-4:],
                webhook_secret="whsec_"
                + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
                created=int(self._clock()),
                owner=owner,
                scopes=_ordered(scopes),
                limits=limits,
                label=label,
            )
        return key, f"farm_{id}_{secret}"

    def revoke(self, id: str) -> Key:
        """Make a key invalid, once and for all; its record stays.

        Raises:
            NotFound: there is no such key.
        """
        # Whoever gives a whole key instead must not find it in a log.
        if not _ID.fullmatch(id):
            raise InvalidInput(
                "this is no key's id: give the eight digits that `farm keys list` shows"
            )
        with self._changing() as keys:
            if id not in keys:
                raise NotFound(f"no key {id!r}; `farm keys list` shows them")
            keys[id] = replace(keys[id], revoked=keys[id].revoked or int(self._clock()))
        return keys[id]

    def _current(self) -> Mapping[str, Key]:
        with self._mapped("read"):
            stamp = _stamp(self.path)
            if stamp != self._stamp:
                # What is read may be newer than the stamp: then it is read once more.
                self._known, self._stamp = self._read(), stamp
        return self._known

    def _read(self) -> Mapping[str, Key]:
        try:
            keys = self._parsed(self.path.read_bytes())
        except FileNotFoundError:
            keys = {}
        if self._known and not keys:
            raise InvalidInput(
                f"{str(self.path)!r} had API keys and has none; put it back, "
                "or restart if nobody is to have a key"
            )
        return keys

    def _parsed(self, data: bytes) -> Mapping[str, Key]:
        try:
            content = from_json(_Content, data)
        except (InvalidInput, TooNew) as error:
            # The causes quote the file, and it has secrets that sign.
            reason = str(error)
        else:
            if content.schema == SCHEMA:
                return {key.id: key for key in content.keys}
            reason = f"schema {content.schema!r}, and this farm knows {SCHEMA}"
        raise InvalidInput(
            f"{str(self.path)!r} is no file of API keys ({reason}); mend it, or move it away "
            "and make new keys with `farm keys add`"
        )

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """Give the keys to change, to one caller at a time; write them when all went well."""
        with self._mapped("write"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(f"{self.path}.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                keys = dict(self._read())
                yield keys
                _replace(self.path, to_json(_Content(SCHEMA, tuple(keys.values()))))
            finally:
                os.close(lock)

    @contextmanager
    def _mapped(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"cannot {action} {str(self.path)!r}: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _ordered(scopes: Sequence[str]) -> tuple[Scope, ...]:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InvalidInput(f"scope {''.join(unknown[:1])!r}: choose among {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in scopes)


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
