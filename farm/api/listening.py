"""Listening to a job that is still being made: its segments, and its items as they are finished."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field

from farm import contents, jobs, revising
from farm.api import records
from farm.api.callers import Held, Reader
from farm.api.service import Service
from farm.assembly import read_marks
from farm.contents import Record
from farm.errors import NotFound, blaming

router = APIRouter(prefix="/v1/jobs/{name}/items/{index}", tags=["jobs"])

Name = Annotated[str, Path(description="As its owner calls it", max_length=200)]
Index = Annotated[int, Path(ge=0, le=10**9)]
#: What is heard now may be spoken otherwise after an edit, at the same address.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Mark(BaseModel):
    """A stretch of an item's audio, and the text that it speaks."""

    type: Literal["sentence", "word"]
    text: str
    """Of a sentence as written, or as an edit has it; of a word as spoken."""
    start_ms: Annotated[int, Field(ge=0)]
    end_ms: Annotated[int, Field(ge=0)]
    source_start: Annotated[int, Field(ge=0)]
    """First character in the item's source text; of a sentence, as `GET .../segments` has it."""
    source_end: Annotated[int, Field(ge=0)]


class Marks(records.Page):
    """Marks in order, each sentence before its words."""

    data: list[Mark]


@router.get("/files")
def files(name: Name, index: Index, held: Held, caller: Reader) -> records.Files:
    """List an item's files, as soon as it has some: its job may go on."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    row = _item(held, spec, index)
    return records.Files(data=[_file(held, row, format_) for format_ in row["files"]])


@router.get("/marks")
def marks(name: Name, index: Index, held: Held, caller: Reader) -> Marks:
    """List when each sentence and word of an item's files is spoken."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    file = _item(held, spec, index)["files"].get("marks")
    if file is None:
        said = f"item {index} of job {name!r} has no marks, or has none yet"
        raise NotFound(said, field="index", value=index)
    found = read_marks(held.farm.store.get(file["key"]))
    edits = revising.edits_of(held.farm, spec.id, held.revision(spec))
    words = {edit.start: edit.text for edit in edits if edit.item == index and edit.text}
    return Marks(data=[_mark(mark, words) for mark in found])


def _mark(mark: jobs.Mark, words: Mapping[int, str]) -> Mark:
    edited = words.get(mark.source_start) if mark.type == "sentence" else None
    return Mark(**{**vars(mark), "text": edited or mark.text})


@router.get(
    "/segments/{start}/audio",
    response_class=Response,
    responses={200: {"content": {"audio/flac": {}}, "description": "One segment, as spoken"}},
)
def audio(
    name: Name,
    index: Index,
    start: Annotated[int, Path(ge=0, le=10**9)],
    held: Held,
    caller: Reader,
) -> Response:
    """Fetch one segment's audio, as soon as it is spoken: FLAC, without the pause after it."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    with blaming("index", index):
        rows = contents.segments(held.farm, spec.id, index)
    key = next((row["key"] for row in rows if row["start"] == start), None)
    if key is None:
        said = f"item {index} has no segment that begins at {start}"
        raise NotFound(said, field="start", value=start)
    try:
        data = held.farm.store.get(key)
    except NotFound as error:
        said = f"the segment at {start} of item {index} is not spoken yet"
        raise NotFound(said, field="start", value=start) from error
    return Response(data, media_type="audio/flac", headers=_HEADERS)


def _item(held: Service, spec: jobs.Spec, index: int) -> Record:
    """Return an item that is read; what is known of its files."""
    rows = contents.items(held.farm, spec.id, index, 1)
    if not rows:
        said = f"there is no item {index}, or it is not read yet"
        raise NotFound(said, field="index", value=index)
    return rows[0]


def _file(held: Service, row: Record, format_: str) -> records.File:
    file = row["files"][format_]
    url, expires = held.address(file["key"], file["name"], time.time())
    known = {name: file[name] for name in records.File.model_fields if name in file}
    return records.File(**known, format=format_, item=row["id"], url=url, expires=expires)
