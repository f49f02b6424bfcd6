"""Addresses at which a client fetches objects without a key, for a while.

An S3 store has presigned addresses of its own. For a local one they are the API's: the key, the
name and the time are signed with a secret that never leaves the farm.
"""

from __future__ import annotations

import mimetypes
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from farm.api.callers import Held
from farm.api.problems import Problem
from farm.audio.formats import FORMATS
from farm.storage.local import LocalStore

router = APIRouter(prefix="/v1/downloads", tags=["files"])

#: Kinds of file that the standard library does not know, or calls otherwise.
MIMES = {format.suffix: format.mime for format in FORMATS.values()} | {
    ".epub": "application/epub+zip",
    ".m4b": "audio/mp4",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
    ".jsonl": "application/jsonl",
}
#: What a browser is told of any file of a client's.
SAFE = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


def mime(name: str) -> str:
    """Return the media type of a file of this name."""
    suffix = Path(name).suffix
    return MIMES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def attachment(name: str) -> dict[str, str]:
    """Return headers with which a browser runs nothing of a file, whatever it is, but saves it."""
    return {**SAFE, "Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}


@router.get(
    "/{key:path}",
    response_class=FileResponse,
    responses={200: {"content": {"*/*": {}}}, 206: {"content": {"*/*": {}}}},
)
def download(
    key: str,
    held: Held,
    name: Annotated[str, Query(max_length=300)],
    until: Annotated[int, Query(ge=0, le=10**11)],
    sig: Annotated[str, Query(max_length=100)],
) -> FileResponse:
    """Fetch a file at an address that the API gave; ranges are answered."""
    store = held.farm.store
    if not held.signer.check(sig, key, name, str(until)) or not isinstance(store, LocalStore):
        raise Problem(403, "bad-signature", "this address was not made by the farm, or was changed")
    if time.time() > until:
        raise Problem(403, "expired", "this address is too old: ask the job for a new one")
    if not store.exists(key):
        raise Problem(404, "not-found", f"{name} is not there any more", field="key")
    return FileResponse(store.root / key, headers=attachment(name), media_type=mime(name))
