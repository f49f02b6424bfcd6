"""OpenAI's `/v1/files`: what clients upload, and what batches made.

Uploads are stored below `uploads/<owner>/`, what is known of them below `files/<owner>/`. Files
that a batch made are not stored twice: `file-out.<batch>`, `file-err.<batch>` and
`file-audio.<batch>.<line>` are read from what the job made.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Path, Query, UploadFile
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from farm.api.callers import Caller, Held, Reader, Submitter
from farm.api.downloads import attachment, mime
from farm.api.openai import results
from farm.api.service import Service
from farm.api.uploads import on_disk
from farm.errors import NotFound, blaming

router = APIRouter(prefix="/v1/files", tags=["OpenAI"])

#: Bytes sent at once.
BLOCK = 1 << 18
#: Microseconds from which those of a file's making are taken away: so the newest sort first.
LAST_US = 10**16 - 1

FileId = Annotated[str, Path(max_length=200)]


class FileObject(BaseModel):
    """A file, in OpenAI's sense."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(BaseModel):
    """Files, the newest first."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class Deleted(BaseModel):
    """A file that is no more."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def known_key(owner: str, id: str) -> str:
    """Key of what is known of an upload."""
    return f"files/{owner}/{id}.json"


def data_key(owner: str, id: str) -> str:
    """Key of an upload."""
    return f"uploads/{owner}/{id}"


@router.post("")
def create(
    file: Annotated[UploadFile, File()],
    purpose: Annotated[Literal["batch", "user_data", "assistants"], Form()],
    held: Held,
    caller: Submitter,
) -> FileObject:
    """Store a file; a batch's, or a document for `input` of `POST /v1/jobs`."""
    id_ = _new_id()
    with on_disk(file) as path:
        found = FileObject(
            id=id_,
            bytes=path.stat().st_size,
            created_at=int(time.time()),
            filename=file.filename or "file",
            purpose=purpose,
        )
        held.farm.store.put_file(data_key(caller.owner, id_), path)
    held.farm.store.put(known_key(caller.owner, id_), found.model_dump_json().encode())
    return found


def _new_id() -> str:
    """Make an id that sorts before those that are there."""
    return f"file-{LAST_US - time.time_ns() // 1000:014x}{secrets.token_hex(5)}"


@router.get("")
def list_files(
    held: Held,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    after: Annotated[str, Query(max_length=200)] = "",
    purpose: Annotated[str, Query(max_length=40)] = "",
) -> FileList:
    """List the caller's uploads, the newest first."""
    begins = f"files/{caller.owner}/"
    keys = held.farm.store.list(begins, after=f"{begins}{after}.json" if after else "")
    found: list[FileObject] = []
    for key in keys:
        with suppress(NotFound):  # deleted meanwhile
            each = FileObject.model_validate_json(held.farm.store.get(key))
            if purpose in ("", each.purpose):
                found.append(each)
        if len(found) > limit:
            break
    shown = found[:limit]
    ends = (shown[0].id, shown[-1].id) if shown else (None, None)
    return FileList(data=shown, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/{id}")
def show(id: FileId, held: Held, caller: Reader) -> FileObject:
    """Show what is known of a file."""
    made = results.find(held, caller, id)
    if made is not None:
        return FileObject(
            id=id,
            bytes=made.size(),
            created_at=int(made.created),
            filename=made.name,
            purpose="batch_output",
        )
    return _own(held, caller, id)


def known(held: Service, owner: str, id: str) -> FileObject:
    """Return what is known of an upload; `NotFound` where this owner has none of that id."""
    if not id.startswith("file-") or not id.isascii() or not id.removeprefix("file-").isalnum():
        raise NotFound(f"no file {id!r}")
    try:
        data = held.farm.store.get(known_key(owner, id))
    except NotFound as error:
        raise NotFound(f"no file {id!r}") from error
    return FileObject.model_validate_json(data)


def _own(held: Service, caller: Caller, id: str) -> FileObject:
    with blaming("id", id):
        return known(held, caller.owner, id)


@router.get("/{id}/content", response_class=Response, responses={200: {"content": {"*/*": {}}}})
def content(id: FileId, held: Held, caller: Reader) -> StreamingResponse:
    """Fetch a file."""
    made = results.find(held, caller, id)
    if made is not None:
        return StreamingResponse(made.blocks(), 200, attachment(made.name), mime(made.name))
    file = _own(held, caller, id)
    blocks = _blocks(held, data_key(caller.owner, id))
    return StreamingResponse(blocks, 200, attachment(file.filename), mime(file.filename))


def _blocks(held: Service, key: str) -> Iterator[bytes]:
    with held.farm.store.open(key) as stream:
        while block := stream.read(BLOCK):
            yield block


@router.delete("/{id}")
def delete(id: FileId, held: Held, caller: Submitter) -> Deleted:
    """Delete an upload; what was made of it stays."""
    _own(held, caller, id)
    held.farm.store.delete(data_key(caller.owner, id))
    held.farm.store.delete(known_key(caller.owner, id))
    return Deleted(id=id)
