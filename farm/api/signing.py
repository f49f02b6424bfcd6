"""What the farm signs, so that it knows it again (HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from contextlib import suppress
from pathlib import Path


class Signer:
    """Signs the addresses of a local store."""

    def __init__(self, home: Path) -> None:
        """Keep the secret in a file of mode 0600 in the home folder, made when it is missing."""
        self._path = home / "url-secret"
        self._secret = b""

    def sign(self, *parts: str) -> str:
        """Return what only this farm can say of these words."""
        message = "\0".join(parts).encode()
        code = hmac.new(self._load(), message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(code[:24]).decode()

    def check(self, signature: str, *parts: str) -> bool:
        """Whether `sign` said it; every wrong one takes the same time."""
        return hmac.compare_digest(signature.encode(), self.sign(*parts).encode())

    def _load(self) -> bytes:
        if not self._secret:
            if not self._path.exists():
                fresh = self._path.with_name(f".url-secret-{secrets.token_hex(4)}")
                fresh.touch(0o600)
                fresh.write_bytes(secrets.token_bytes(32))
                with suppress(FileExistsError):
                    self._path.hardlink_to(fresh)
                fresh.unlink()
            self._secret = self._path.read_bytes()
        return self._secret
