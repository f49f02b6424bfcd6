"""`/v1/jobs`: the farm's own dialect."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, File, Form, Header, Path, Query, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from farm import contents, editing, lifecycle, retention, revising
from farm.api import inputs, records
from farm.api.callers import Caller, Held, Reader, Submitter
from farm.api.drafting import Wish, asked, draft
from farm.api.estimates import estimate
from farm.api.listing import Selection, listed
from farm.api.problems import Problem
from farm.api.requests import Changes, NewJob, Options
from farm.api.service import Service
from farm.api.uploads import on_disk
from farm.errors import InvalidInput, LedgerUnavailable, blaming
from farm.submission import accept, charged, found, named_by

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Name = Annotated[str, Path(description="As its owner calls it", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
IdempotencyKey = Annotated[str, Header(max_length=200)]


class Called(NamedTuple):
    """What a job is to be called, and where its client said so."""

    name: str
    """Empty: as the farm likes."""
    field: str
    said: str


def _keyed(owner: str, key: str) -> Called:
    return Called(named_by(owner, key) if key else "", "Idempotency-Key", key)


def _submitted(
    held: Service,
    caller: Caller,
    wish: Wish,
    data: bytes | FilePath,
    response: Response,
    called: Called,
) -> records.Job:
    """Accept a job and answer with it: 202 if it is new, else 200."""
    if wish.webhook and caller.key is None:
        detail = "a webhook is signed with the secret of an API key: make one with farm keys add"
        raise Problem(400, "invalid-request", detail, field="webhook")
    with blaming(called.field, called.said):
        spec = found(held.farm, caller.owner, called.name, asked(wish, data).request)
    new = False
    if spec is None:
        wanted = draft(held, caller.owner, wish, data)
        spec, new = accept(held.farm, wanted, caller.owner, caller.key, called.name)
    response.status_code = HTTPStatus.ACCEPTED if new else HTTPStatus.OK
    response.headers["Location"] = f"/v1/jobs/{held.name(spec, caller.owner)}"
    try:
        return records.job(held.waiting(spec) if new else held.record(spec))
    except LedgerUnavailable:  # what is accepted is accepted
        return records.job(held.waiting(spec))


def _made(
    held: Service, caller: Caller, body: NewJob, response: Response, called: Called
) -> records.Job | records.Estimate:
    with inputs.of_request(held, caller.owner, body) as (data, file_name):
        wish = inputs.wish(held, caller.owner, body, file_name, body.source)
        if body.dry_run:
            response.status_code = HTTPStatus.OK
            return estimate(held, caller.owner, wish, data)
        return _submitted(held, caller, wish, data, response, called)


@router.post("", status_code=202, responses={200: {"model": records.Job | records.Estimate}})
def create(
    body: NewJob,
    held: Held,
    caller: Submitter,
    response: Response,
    idempotency_key: IdempotencyKey = "",
) -> records.Job | records.Estimate:
    """Submit a job; with an `Idempotency-Key` the same request again finds the first one."""
    return _made(held, caller, body, response, _keyed(caller.owner, idempotency_key))


@router.put("/{name}", status_code=202, responses={200: {"model": records.Job | records.Estimate}})
def put(
    name: Name, body: NewJob, held: Held, caller: Submitter, response: Response
) -> records.Job | records.Estimate:
    """Submit a job under an id of the client's own; another request of that id is a conflict."""
    return _made(held, caller, body, response, Called(name, "name", name))


@router.post("/upload", status_code=202, responses={200: {"model": records.Job | records.Estimate}})
def upload(
    file: Annotated[UploadFile, File(description="EPUB, Markdown, text, SSML; JSONL of a batch")],
    job: Annotated[str, Form(description="What `POST /v1/jobs` takes, without its input; JSON")],
    held: Held,
    caller: Submitter,
    response: Response,
    id: Annotated[str, Form(max_length=80)] = "",
    idempotency_key: IdempotencyKey = "",
) -> records.Job | records.Estimate:
    """Submit a document, or a batch's lines, as a file."""
    options = _options(job)
    wish = inputs.wish(held, caller.owner, options, file.filename or "", "file")
    with on_disk(file) as path:
        if options.dry_run:
            response.status_code = HTTPStatus.OK
            return estimate(held, caller.owner, wish, path)
        called = Called(id, "id", id) if id else _keyed(caller.owner, idempotency_key)
        return _submitted(held, caller, wish, path, response, called)


def _options(job: str) -> Options:
    """Read the JSON that comes with a file, as if it were a request's body."""
    try:
        body = json.loads(job)
    except json.JSONDecodeError as error:
        said = f"job: not JSON: {error.msg} (character {error.pos})"
        raise InvalidInput(said, field="job") from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput(f"job: not JSON that can be read: {error}", field="job") from error
    try:
        return Options.model_validate(body)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults, body=body) from error


@router.get("")
def list_jobs(selection: Annotated[Selection, Query()], held: Held, caller: Reader) -> records.Jobs:
    """List the caller's jobs, the newest first; an admin's may be those of another owner."""
    return listed(held, caller, selection)


@router.get("/{name}")
def show(name: Name, held: Held, caller: Reader) -> records.Job:
    """Show a job: its state, counts and times."""
    return _shown(held, caller, name)


def _shown(held: Service, caller: Caller, name: str) -> records.Job:
    spec = held.job(caller.owner, name, admin=caller.admin)
    return records.job(held.record(spec))


@router.get("/{name}/items")
def items(
    name: Name, held: Held, caller: Reader, offset: Offset = 0, limit: Limit = 100
) -> records.Items:
    """List a job's items: chapters, lines; how far each is."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    rows = contents.items(held.farm, spec.id, offset, limit + 1)
    more = offset + limit if len(rows) > limit else None
    return records.Items(data=[records.item(row) for row in rows[:limit]], next_offset=more)


@router.get("/{name}/items/{index}/segments")
def segments(
    name: Name, index: Annotated[int, Path(ge=0, le=10**9)], held: Held, caller: Reader
) -> records.Segments:
    """List an item's segments: what is spoken, sentence by sentence."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    with blaming("index", index):
        rows = contents.segments(held.farm, spec.id, index)
    exists = held.farm.store.exists
    return records.Segments(
        data=[records.Segment(**_public(row), spoken=exists(row["key"])) for row in rows]
    )


def _public(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in records.Segment.model_fields if name in row}


@router.get("/{name}/failures")
def failures(
    name: Name, held: Held, caller: Reader, offset: Offset = 0, limit: Limit = 100
) -> records.Failures:
    """List what could not be spoken, with its text and the reason."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    rows = contents.failures(held.farm, spec.id)
    shown = [records.Failure.model_validate(row) for row in rows[offset : offset + limit]]
    more = offset + limit if len(rows) > offset + limit else None
    return records.Failures(data=shown, next_offset=more)


@router.get("/{name}/outputs")
def outputs(
    name: Name, held: Held, caller: Reader, offset: Offset = 0, limit: Limit = 1000
) -> records.Files:
    """List the files of a finished job's items, each with an address to fetch it at."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    data, more = held.files(spec, offset, limit, time.time())
    return records.Files(data=data, next_offset=offset + limit if more else None)


@router.post("/{name}/cancel")
def cancel(name: Name, held: Held, caller: Submitter) -> records.Job:
    """Stop a job at once; what is spoken stays for the next run."""
    lifecycle.cancel(held.farm, held.job(caller.owner, name, admin=caller.admin).id)
    return _shown(held, caller, name)


@router.post("/{name}/pause")
def pause(name: Name, held: Held, caller: Submitter) -> records.Job:
    """Hold a job until it is resumed."""
    lifecycle.pause(held.farm, held.job(caller.owner, name, admin=caller.admin).id)
    return _shown(held, caller, name)


@router.post("/{name}/resume")
def resume(name: Name, held: Held, caller: Submitter) -> records.Job:
    """Go on with a paused job."""
    lifecycle.resume(held.farm, held.job(caller.owner, name, admin=caller.admin).id)
    return _shown(held, caller, name)


@router.post("/{name}/retry", status_code=202)
def retry(name: Name, held: Held, caller: Submitter) -> records.Job:
    """Run an ended job again; only what is not stored, such as what failed, is spoken."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    with charged(held.farm, spec, caller.key, 0):
        revising.retry(held.farm, spec.id)
    return _shown(held, caller, name)


@router.post("/{name}/edits", status_code=202)
def edit(name: Name, body: Changes, held: Held, caller: Submitter) -> records.Job:
    """Speak some segments otherwise, and make the files of all again: the next revision."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    with charged(held.farm, spec, caller.key, sum(len(each.text) for each in body.edits)):
        editing.edit(held.farm, spec, [change.edit() for change in body.edits])
    return _shown(held, caller, name)


@router.post("/{name}/items/{index}/segments/{start}/retake", status_code=202)
def retake(
    name: Name,
    index: Annotated[int, Path(ge=0, le=10**9)],
    start: Annotated[int, Path(ge=0, le=10**9)],
    held: Held,
    caller: Submitter,
) -> records.Job:
    """Have one segment read once more, another way."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    with charged(held.farm, spec, caller.key, 0):
        editing.retake(held.farm, spec, index, start)
    return _shown(held, caller, name)


@router.delete("/{name}", status_code=204)
def delete(
    name: Name,
    held: Held,
    caller: Submitter,
    purge: Annotated[bool, Query(description="Also segments that no other job uses")] = False,
) -> None:
    """Delete an ended job and its outputs."""
    spec = held.job(caller.owner, name, admin=caller.admin)
    (retention.purge if purge else lifecycle.remove)(held.farm, spec.id)
