"""Voices: YAML files on a host, pinned by digest, published to the store, fetched from there."""

from farm.voices.exchange import fetch, publish
from farm.voices.files import VoiceFile, catalogue, find, read
from farm.voices.pinning import pin

__all__ = ["VoiceFile", "catalogue", "fetch", "find", "pin", "publish", "read"]
