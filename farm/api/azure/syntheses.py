"""Azure's `/texttospeech/batchsyntheses`, version 2024-04-01.

As in Microsoft's OpenAPI file of that version; docs/azure.md says what differs.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from farm import contents, lifecycle
from farm.api.azure import records
from farm.api.azure.requests import NewSynthesis, wished
from farm.api.callers import Caller, Held, Reader, Submitter
from farm.api.drafting import asked, draft
from farm.api.problems import Answer, Problem
from farm.api.service import Service
from farm.contents import Record
from farm.errors import Conflict, LedgerUnavailable, NotFound, blaming
from farm.jobs import Spec
from farm.submission import accept, found

router = APIRouter(prefix="/texttospeech", tags=["Azure"])

VERSION: Literal["2024-04-01"] = "2024-04-01"
#: Bytes of a request.
BODY_BYTES = 2 << 20
#: Status to Azure's code; those of Azure's list, and two that it lacks.
CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}
_ID = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}[a-zA-Z0-9]$"

Id = Annotated[str, Path(min_length=3, max_length=64, pattern=_ID)]
Skip = Annotated[int, Query(ge=0, le=10**6)]
PageSize = Annotated[int, Query(ge=1, le=100)]


def _version(_: Annotated[Literal["2024-04-01"], Query(alias="api-version")]) -> None:
    """Every request names the version that it was written for."""


async def _small(request: Request) -> None:
    if len(await request.body()) > BODY_BYTES:
        detail = f"the request has more than {BODY_BYTES} bytes"
        raise Problem(413, "too-large", detail, limit=BODY_BYTES)


Versioned = Depends(_version)


def shape(problem: Problem) -> JSONResponse:
    """Write an error in Azure's form."""
    code = CODES.get(problem.status_code)
    code = code or ("BadRequest" if problem.status_code < 500 else "InternalServerError")
    inner = {"code": problem.name, "message": problem.detail}
    error = {"code": code, "message": problem.detail, "innererror": inner}
    if "field" in problem.members:
        error["target"] = problem.members["field"]
    headers = {**(problem.headers or {}), "x-ms-error-code": code}
    return Answer({"error": error}, problem.status_code, headers)


def _link(request: Request, path: str, **query: str | int) -> str:
    return f"{request.base_url}texttospeech/{path}?{urlencode({**query, 'api-version': VERSION})}"


def _shown(held: Service, request: Request, record: Record) -> records.Synthesis:
    definition = records.definition(record["labels"])
    assert definition is not None
    return records.synthesis(held, record, definition, str(request.base_url), time.time())


def _spec(held: Service, caller: Caller, id: str) -> Spec:
    spec = held.job(caller.owner, id, field="id")
    if records.definition(spec.labels) is None:
        raise NotFound(f"no batch synthesis {id!r}", field="id", value=id)
    return spec


@router.put(
    "/batchsyntheses/{id}",
    status_code=201,
    response_model_exclude_none=True,
    dependencies=[Versioned, Depends(_small)],
)
def create(
    id: Id, body: NewSynthesis, held: Held, caller: Submitter, request: Request, response: Response
) -> records.Synthesis:
    """Have texts spoken, under an id of the client's own."""
    wish, lines = wished(held, caller.owner, body)
    with blaming("id", id):
        spec = found(held.farm, caller.owner, id, asked(wish, lines).request)
    if spec is None:
        wanted = draft(held, caller.owner, wish, lines)
        spec, _ = accept(held.farm, wanted, caller.owner, caller.key, id)
    response.headers["Operation-Id"] = id
    response.headers["Operation-Location"] = _link(request, f"operations/{id}")
    try:
        record = held.record(spec)
    except LedgerUnavailable:  # what is accepted is accepted
        record = held.waiting(spec)
    return _shown(held, request, {**record, "labels": spec.labels})


@router.get("/batchsyntheses/{id}", response_model_exclude_none=True, dependencies=[Versioned])
def show(id: Id, held: Held, caller: Reader, request: Request) -> records.Synthesis:
    """Show a synthesis: its status and, once it has succeeded, the address of its ZIP."""
    spec = _spec(held, caller, id)
    return _shown(held, request, {**held.record(spec), "labels": spec.labels})


@router.get("/batchsyntheses", response_model_exclude_none=True, dependencies=[Versioned])
def list_syntheses(
    held: Held, caller: Reader, request: Request, skip: Skip = 0, maxpagesize: PageSize = 100
) -> records.Syntheses:
    """List the caller's syntheses, the newest first."""
    rows = _rows(held, caller.owner, skip + maxpagesize + 1)[skip:]
    shown = [_shown(held, request, row) for row in rows[:maxpagesize]]
    if len(rows) <= maxpagesize:
        return records.Syntheses(value=shown)
    following = _link(request, "batchsyntheses", skip=skip + maxpagesize, maxpagesize=maxpagesize)
    return records.Syntheses(value=shown, next_link=following)


def _wanted(row: Record) -> bool:
    return records.definition(row.get("labels", {})) is not None


def _rows(held: Service, owner: str, count: int) -> list[Record]:
    """Return the records of an owner's newest syntheses."""
    rows: list[Record] = []
    cursor = ""
    while len(rows) < count:
        page, cursor = contents.page(held.farm, owner, count - len(rows), cursor, _wanted)
        rows += page
        if not cursor:
            break
    return rows


@router.delete("/batchsyntheses/{id}", status_code=204, dependencies=[Versioned])
def delete(id: Id, held: Held, caller: Submitter) -> None:
    """Delete a synthesis and its results, stopping it first; no error where there is none."""
    with suppress(NotFound):
        spec = _spec(held, caller, id)
        with suppress(Conflict):  # it has ended
            lifecycle.cancel(held.farm, spec.id)
        lifecycle.remove(held.farm, spec.id)


@router.get("/operations/{id}", dependencies=[Versioned])
def operation(id: Id, held: Held, caller: Reader) -> records.Operation:
    """Show how far a synthesis is, by the id that its creation answered with."""
    spec = _spec(held, caller, id)
    return records.Operation(id=id, status=records.STATUSES[held.record(spec)["state"]])
