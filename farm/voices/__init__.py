"""Voices: YAML files on a host, pinned by digest, published to the store, fetched from there."""

from farm.voices.exchange import (
    erase,
    fetch,
    forget,
    keep,
    prefix,
    publish,
    refuse_revoked,
    revocation,
    sweep,
)
from farm.voices.files import VoiceFile, catalogue, find, read
from farm.voices.pinning import pin, sha256

__all__ = [
    "VoiceFile",
    "catalogue",
    "erase",
    "fetch",
    "find",
    "forget",
    "keep",
    "pin",
    "prefix",
    "publish",
    "read",
    "refuse_revoked",
    "revocation",
    "sha256",
    "sweep",
]
