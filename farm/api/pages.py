"""The web page at `/`, the API's reference at `/docs`, and the files that they are made of.

All of it lies in `static/`, is read when the server starts, and runs as it is: there is no build.
A browser that keeps to the policy below takes scripts and styles from here only and runs nothing
that stands in the page itself (Content Security Policy Level 3).
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from farm.api.callers import Held, Reader
from farm.api.problems import Problem
from farm.api.service import Service
from farm.errors import FarmError
from farm.storage.local import LocalStore

router = APIRouter(include_in_schema=False)

#: Directive to sources; `{store}` is the store's own address, where it has one.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:{store}",
    "connect-src": "'self'{store}",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    # Nothing here makes HTML of text, so no text can become a script.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
#: Kinds of file that the standard library may not know.
MIMES = {".js": "text/javascript", ".svg": "image/svg+xml", ".json": "application/json"}


@dataclass(frozen=True)
class Asset:
    """A file of the page."""

    data: bytes
    mime: str
    etag: str


def _assets(folder: Traversable, prefix: str = "") -> dict[str, Asset]:
    """Read a folder and those in it; file name to file."""
    found: dict[str, Asset] = {}
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found |= _assets(entry, f"{name}/")
        elif not entry.name.startswith((".", "__")):
            found[name] = _asset(name, entry.read_bytes())
    return found


def _asset(name: str, data: bytes) -> Asset:
    suffix = name[name.rfind(".") :]
    mime = MIMES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = mime.startswith("text/") or suffix in (".svg", ".json")
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return Asset(data, f"{mime}; charset=utf-8" if text else mime, etag)


ASSETS: Mapping[str, Asset] = _assets(resources.files("farm.api") / "static")


@router.get("/")
def page(request: Request, held: Held) -> Response:
    """Show the web page."""
    return _answer(request, ASSETS["index.html"], store_origin(held))


@router.get("/docs")
def docs(request: Request) -> Response:
    """Show the API's reference."""
    return _answer(request, ASSETS["docs.html"])


class Operator(BaseModel):
    """What the page shows to those who run the farm only."""

    operator: bool
    flower: str = ""
    """Flower's address, where it runs with this farm."""


@router.get("/operator")
def operator(held: Held, caller: Reader) -> Operator:
    """Say whether the caller runs the farm, and where its monitor is."""
    if not caller.admin:
        return Operator(operator=False)
    return Operator(operator=True, flower=flower(held))


def flower(held: Service) -> str:
    """Return the address of the Flower that `farm up` started; empty where there is none."""
    try:
        told = json.loads((held.settings.home / "connection.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(told.get("flower_url", ""))


@router.get("/static/{name:path}")
def static(name: str, request: Request) -> Response:
    """Fetch a file of the page."""
    if name not in ASSETS:
        raise Problem(404, "not-found", f"there is no {name!r} in the page", field="name")
    return _answer(request, ASSETS[name])


def _answer(request: Request, asset: Asset, store: str = "") -> Response:
    """Send a file, or say that the browser has it already."""
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy(store),
        "Cross-Origin-Opener-Policy": "same-origin",
        "ETag": asset.etag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    tags = request.headers.get("if-none-match", "").split(",")
    if asset.etag in (tag.strip().removeprefix("W/") for tag in tags):
        return Response(status_code=304, headers=headers)
    return Response(asset.data, headers=headers, media_type=asset.mime)


def policy(store: str = "") -> str:
    """Return the policy; `store` is an origin from which audio comes, too."""
    more = f" {store}" if store else ""
    return "; ".join(f"{name} {value.format(store=more)}" for name, value in POLICY.items())


def store_origin(held: Service) -> str:
    """Return the origin of the addresses that the store signs; empty where they are the API's."""
    if isinstance(held.farm.store, LocalStore):
        return ""
    try:
        found = urlsplit(held.farm.store.url("page"))
    except FarmError:  # no credentials: the page works, its players do not
        return ""
    return f"{found.scheme}://{found.netloc}"
