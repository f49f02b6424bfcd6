"""What went wrong, as problem documents (RFC 9457) with a stable type.

`type` is a relative reference, `/problems/<name>`; `detail` is the error's one line. Where one
field is to blame, `field`, `value` and `valid` say which, what it was and what it may be. A value
that may be a text is not told: its `length` stands for it. A dialect that has a form of its own for
errors says so with `shapes`.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from farm import keys
from farm.errors import (
    Conflict,
    EngineError,
    FarmError,
    InvalidInput,
    JobError,
    NotFound,
    Unavailable,
    UnknownVoice,
)
from farm.submission import NAMES, Exceeded

log = logging.getLogger(__name__)

#: A job's id within the farm.
_JOB = re.compile(r"[\w.-]+(?:~[\w.-]+)?~[0-9a-f]{8}(?![\w.-])")

Shape = Callable[["Problem"], JSONResponse]

#: Kind of error to status and name, the first that fits.
KINDS: Mapping[type[FarmError], tuple[HTTPStatus, str]] = {
    Exceeded: (HTTPStatus.TOO_MANY_REQUESTS, "limit-exceeded"),
    UnknownVoice: (HTTPStatus.BAD_REQUEST, "unknown-voice"),
    NotFound: (HTTPStatus.NOT_FOUND, "not-found"),
    Conflict: (HTTPStatus.CONFLICT, "conflict"),
    InvalidInput: (HTTPStatus.BAD_REQUEST, "invalid-input"),
    JobError: (HTTPStatus.BAD_REQUEST, "invalid-request"),
    EngineError: (HTTPStatus.UNPROCESSABLE_ENTITY, "cannot-be-spoken"),
    Unavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
}
#: Seconds after which it is worth asking again a service that is not there.
RETRY_AFTER_S = 5
#: Characters of a value that is told. A longer one may be a text.
TOLD = 40
#: Faults of what a string says, as pydantic names them; where it has another it may be a text.
_SAID = re.compile(r"literal_error|enum|value_error|\w+_(parsing|mismatch|than_equal)")
#: What bounds a value, by pydantic's names.
_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    """`/problems/<name>`: stable."""
    title: str
    status: int
    detail: str
    field: str | None = None
    """Of the request, where one is to blame."""
    value: Any = None
    """What it was, if it is short and no text."""
    length: int | None = None
    """Characters of a value that is not told."""
    valid: Any = None
    """What it may be: a list of values, bounds (`{"le": 4.0}`), or words."""


class Problem(HTTPException):
    """An answer that is not what was asked for; may be raised by a route."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        """Name the problem (`not-found`), say it in one line, and what else there is to say."""
        super().__init__(int(status), detail, dict(headers or {}))
        self.name, self.members = name, members

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status_code).phrase


class Answer(JSONResponse):
    """JSON in ASCII: what was wrong may be a value that is no Unicode."""

    def render(self, content: Any) -> bytes:
        """Write it."""
        return json.dumps(content).encode()


def document(problem: Problem) -> JSONResponse:
    """Write the farm's own form."""
    content = {
        "type": f"/problems/{problem.name}",
        "title": problem.title,
        "status": problem.status_code,
        "detail": problem.detail,
        **problem.members,
    }
    return Answer(
        content, problem.status_code, problem.headers, media_type="application/problem+json"
    )


def written(problem: Problem, path: str, shapes: Mapping[str, Shape]) -> JSONResponse:
    """Write a problem as the dialect of a path has it."""
    return next((s for p, s in shapes.items() if path.startswith(p)), document)(problem)


def install(
    app: FastAPI, shapes: Mapping[str, Shape], allowed: Callable[[dict[str, Any], str], str]
) -> None:
    """Answer every error with a problem; below a path of `shapes` in that dialect's form.

    `allowed` tells the methods that a path of the OpenAPI document takes.
    """

    def shaped(request: Request, problem: Problem) -> JSONResponse:
        return written(problem, request.url.path, shapes)

    async def farm(request: Request, error: Exception) -> JSONResponse:
        return shaped(request, of_farm(error))

    async def own(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return shaped(request, error)

    async def http(request: Request, error: Exception) -> JSONResponse:
        problem = of_path(request.scope.get("raw_path", b"")) or of_http(error)
        if problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the router names one route's
            problem.headers = {"Allow": allowed(app.openapi(), request.url.path)}
        return shaped(request, problem)

    async def fields(request: Request, error: Exception) -> JSONResponse:
        return shaped(request, of_fields(error))

    async def anything(request: Request, _: Exception) -> JSONResponse:
        # The server raises it once more, for the log: nothing of it is told to the client.
        detail = "the farm has made a mistake; its log has the rest"
        return shaped(request, Problem(500, "internal", detail))

    app.add_exception_handler(Problem, own)
    app.add_exception_handler(FarmError, farm)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, fields)
    app.add_exception_handler(Exception, anything)


def of_farm(error: Exception) -> Problem:
    """Say an error of the farm's tree."""
    status, name = next(found for kind, found in KINDS.items() if isinstance(error, kind))
    headers: dict[str, str] = {}
    members: dict[str, Any] = {}
    detail = _named(str(error))
    if isinstance(error, Exceeded):
        verdict = error.verdict
        headers = {
            "Retry-After": str(verdict.retry_after_s or RETRY_AFTER_S),
            "X-RateLimit-Limit": str(verdict.limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": str(verdict.reset_s),
        }
    elif isinstance(error, JobError):
        members = _members(error.field, error.value, error.valid)
    elif isinstance(error, Unavailable):
        log.warning("%s", error)
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        # Its text may name hosts and folders: those are the operator's.
        detail = f"{type(error).__name__}: a service that the farm needs does not answer"
    return Problem(status, name, detail, headers, **members)


def _named(detail: str) -> str:
    """Call jobs what their owners call them."""
    return _JOB.sub(lambda found: keys.called(found[0]), detail)


def _members(field: str, value: object, valid: object, *, text: bool = False) -> dict[str, Any]:
    """Return what a document says besides its one line; of a text, its length."""
    members: dict[str, Any] = {"field": field} if field else {}
    if isinstance(value, str) and (text or len(value) > TOLD):
        members["length"] = len(value)
    elif isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        members["value"] = value
    return {**members, "valid": valid} if valid else members


def of_path(raw: bytes) -> Problem | None:
    """Say which job's id, in a path that no route takes, has a slash; None: there is none."""
    steps = [unquote(step) for step in raw.decode("latin-1").split("/")]
    odd = next((step for step in steps if "/" in step), None)
    if odd is None or steps[1:3] != ["v1", "jobs"]:
        return None
    members = _members("name", odd, NAMES)
    detail = f"job id {odd[:TOLD]!r} is not valid: {NAMES}"
    return Problem(400, "invalid-input", detail, **members)


def of_http(error: Exception) -> Problem:
    """Say what the framework refused: no such route, a method that is not there, an odd body."""
    assert isinstance(error, HTTPException)
    name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail, cause = str(error.detail), error.__cause__
    if isinstance(cause, UnicodeDecodeError):
        return _of_body(f"not UTF-8 (byte {cause.start})")
    if isinstance(cause, ValueError | RecursionError):
        return _of_body("not JSON that can be read: a number is too long, or it is nested too deep")
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this address: /openapi.json lists what there is"
    return Problem(error.status_code, name, detail, error.headers)


def _of_body(why: str) -> Problem:
    return Problem(400, "invalid-request", f"body: {why}", field="body")


def of_fields(error: Exception) -> Problem:
    """Say which field of a request is wrong: the first one."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "json_invalid":
        return _of_body(f"not JSON: {context['error']} (character {first['loc'][-1]})")
    field = _field(first, error.body)
    valid = re.findall("'([^']*)'", context.get("expected", ""))
    bounds = {name: context[name] for name in _BOUNDS if name in context}
    members = _members(field, first.get("input"), valid or bounds, text=not _SAID.fullmatch(kind))
    why = first["msg"].removeprefix("Value error, ")
    return Problem(400, "invalid-request", f"{field}: {why}", **members)


def _field(fault: Mapping[str, Any], body: Any) -> str:
    """Name the field that is wrong, without the members of unions that are on the way to it."""
    begins, *steps = fault["loc"]
    if begins != "body":
        return ".".join(map(str, steps)) or begins
    found = []
    for number, step in enumerate(steps, start=1):
        missing = fault["type"] == "missing" and number == len(steps)
        there = isinstance(body, Mapping | list) and _has(body, step)
        if there:
            body = body[step]
        if there or missing:
            found.append(str(step)[:TOLD])
    return ".".join(found) or "body"


def _has(body: Mapping[Any, Any] | list[Any], step: str | int) -> bool:
    return step in body if isinstance(body, Mapping) else step in range(len(body))
