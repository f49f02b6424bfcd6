"""Object stores. `open_store` is the registry; importing it imports no store's library."""

from __future__ import annotations

import importlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from farm.errors import InvalidInput
from farm.storage.ahead import ahead
from farm.storage.atomic import scratch
from farm.storage.base import Store, check_key, check_prefix

__all__ = ["STORES", "Store", "ahead", "check_key", "check_prefix", "open_store", "scratch"]

#: Scheme of a store's URL to the class that speaks it.
STORES = {
    "file": "farm.storage.local:LocalStore",
    "s3": "farm.storage.s3:S3Store",
}

_CHOICES = "choose 'file:///absolute/folder' or 's3://bucket/prefix'"


def open_store(
    url: str, *, endpoint_url: str = "", region: str = "us-east-1", public_url: str = ""
) -> Store:
    """Open the store at a URL; nothing is connected or written before the first call.

    `endpoint_url` and `region` are S3's; an empty endpoint means Amazon's own. `public_url` is
    where clients reach the same server, if not there.

    Raises:
        InvalidInput: the URL is of no known kind, or lacks its folder or bucket.
    """
    parts = urlsplit(url)
    if parts.scheme not in STORES or parts.query or parts.fragment:
        raise InvalidInput(f"store URL {url!r} is not valid: {_CHOICES}")
    module, _, name = STORES[parts.scheme].partition(":")
    kind = getattr(importlib.import_module(module), name)
    if parts.scheme == "file":
        store: Store = kind(_folder(url, parts.netloc, parts.path))
    elif parts.netloc:
        prefix = parts.path.strip("/")
        places = {"endpoint_url": endpoint_url, "public_url": public_url}
        store = kind(parts.netloc, prefix, **places, region=region)
    else:
        raise InvalidInput(f"store URL {url!r} names no bucket: {_CHOICES}")
    return store


def _folder(url: str, host: str, path: str) -> Path:
    if host not in ("", "localhost") or len(path) < 2:
        raise InvalidInput(f"store URL {url!r} names no absolute folder: {_CHOICES}")
    return Path(unquote(path))
