"""What the services share of HTTP: limits, problem documents (RFC 9457), and waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farm.errors import (
    Conflict,
    EngineError,
    FarmError,
    JobError,
    NotFound,
    Unavailable,
    UnknownVoice,
)
from farm.serving.desk import Busy, Desk
from farm.serving.service import Service

T = TypeVar("T")

#: Characters of a request's text.
TEXT_CHARACTERS = 5_000
#: Seconds in which a request's body must have arrived.
BODY_S = 30.0
#: Seconds after which a client may try again when no better number is known.
RETRY_AFTER_S = 5

#: Kind of error to status, the first that fits.
STATUS: Mapping[type[FarmError], HTTPStatus] = {
    Busy: HTTPStatus.TOO_MANY_REQUESTS,
    UnknownVoice: HTTPStatus.NOT_FOUND,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    JobError: HTTPStatus.BAD_REQUEST,
    EngineError: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Body(BaseModel):
    """A request's JSON. A field that nobody knows is refused: it would be ignored in silence."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    text: Annotated[str, Field(min_length=1)]
    language: str | None = None
    """BCP 47; none: the voice's own."""
    take: Annotated[int, Field(ge=1)] = 1
    """Another number gives another reading."""


def create(title: str, service: Service, body_bytes: int) -> FastAPI:
    """Return an application without routes that loads the service's voices when it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPI(title=title, lifespan=lifespan)
    app.add_middleware(Bounded, service=service, limit=body_bytes)
    app.add_exception_handler(FarmError, _of_farm)
    app.add_exception_handler(AnyHTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_fields)
    app.add_exception_handler(Exception, _of_anything)
    return app


def check_text(text: str) -> None:
    """Refuse a text that is too long: nothing of it would be left out in silence."""
    if len(text) > TEXT_CHARACTERS:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the text has {len(text)} characters, {TEXT_CHARACTERS} at most: "
            "send its paragraphs one by one",
        )


async def answered(request: Request, future: Future[T], timeout_s: float) -> T:
    """Wait for a future as long as the client does, and `timeout_s` at most; then cancel it.

    Raises:
        Unavailable: it took too long.
        HTTPException: 499, which nobody gets to see: the client has left.
    """
    return await _while_there(request, asyncio.wrap_future(future), timeout_s, timeout_s)


async def _while_there(
    request: Request, wanted: Awaitable[T], left_s: float, timeout_s: float
) -> T:
    """Wait as `answered` says, for what is left of its time."""
    work = asyncio.ensure_future(wanted)
    gone = asyncio.ensure_future(_gone(request))
    try:
        both: set[asyncio.Future[Any]] = {work, gone}
        await asyncio.wait(both, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            raise HTTPException(499, "the client has left")
        raise Unavailable(f"not spoken within {timeout_s:g} s: ask again later")
    finally:
        work.cancel()
        gone.cancel()


class Streamed(AsyncIterator[T]):
    """Pieces that a desk makes, as long as the client is there and `timeout_s` at most."""

    def __init__(self, request: Request, desk: Desk, pieces: Iterator[T], timeout_s: float) -> None:
        """Queue the making of the pieces; raises as `Desk.stream` does."""
        self._loop = asyncio.get_running_loop()
        self._request, self._timeout_s = request, timeout_s
        self._over = self._loop.time() + timeout_s
        self._arrived: asyncio.Queue[T | None] = asyncio.Queue()
        self._future = desk.stream(pieces, self._tell)
        self._future.add_done_callback(lambda _: self._tell(None))

    async def __anext__(self) -> T:
        """Wait for the next piece; raises as `answered` does, and what kept it from being made."""
        left = max(self._over - self._loop.time(), 0)
        try:
            piece = await _while_there(self._request, self._arrived.get(), left, self._timeout_s)
        except BaseException:
            self.close()
            raise
        if piece is None:
            self._future.result()
            raise StopAsyncIteration
        return piece

    def close(self) -> None:
        """Have nothing more made."""
        self._future.cancel()

    def _tell(self, piece: T | None) -> None:
        """Hand a piece over from the desk's thread."""
        with suppress(RuntimeError):  # the server has ended meanwhile
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, piece)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def health(service: Service, more: Mapping[str, Any]) -> JSONResponse:
    """Answer `/health`: 200 only where the next request can be spoken."""
    status = HTTPStatus.OK if service.state == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({**service.health(), **more}, status)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem document of RFC 9457; its type is `about:blank`, so its title the status."""
    known = {each.value: each.phrase for each in HTTPStatus}
    content = {
        "type": "about:blank",
        "title": known.get(status, "Client Closed Request"),
        "status": status,
        "detail": detail,
    }
    return JSONResponse(content, status, headers, media_type="application/problem+json")


async def _of_farm(_: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    headers = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    return problem(status, str(error), headers)


async def _of_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnyHTTPException)
    return problem(error.status_code, str(error.detail), error.headers)


async def _of_fields(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"][1:]) or "the body"
    return problem(HTTPStatus.BAD_REQUEST, f"{where}: {first['msg']}")


async def _of_anything(_: Request, error: Exception) -> JSONResponse:
    detail = f"{type(error).__name__}: the service's log has the rest"
    # The server closes the connection: it is raised once more, for the log.
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, {"Connection": "close"})


class Bounded:
    """Refuses a body that is too large or too slow before it is in memory, or nobody can take."""

    def __init__(self, app: ASGIApp, service: Service, limit: int) -> None:
        """Wrap an application; `limit` is in bytes."""
        self._app = app
        self._service = service
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted as it comes."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        refused = self._refused(dict(scope["headers"]))
        if refused:
            await refused(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _refused(self, headers: Mapping[bytes, bytes]) -> ASGIApp | None:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limit:
            return problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large, {"Connection": "close"}
            )
        try:
            self._service.desk.check()
        except Busy as error:
            headers_ = {"Retry-After": str(error.retry_after_s), "Connection": "close"}
            return problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers_)
        except Unavailable as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Connection": "close"})
        return None

    def _counted(self, receive: Receive) -> Receive:
        """Count a body's bytes; its seconds too, as long as there is more to come."""
        loop = asyncio.get_running_loop()
        left, more, over = self._limit, True, loop.time() + BODY_S

        async def counted() -> Message:
            nonlocal left, more
            if not more:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0, over - loop.time()))
            except TimeoutError as error:
                detail = f"the body did not arrive within {BODY_S:g} s"
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from error
            left -= len(message.get("body", b""))
            more = bool(message.get("more_body", False))
            if left < 0:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large)
            return message

        return counted

    @property
    def _too_large(self) -> str:
        return f"the body has more than {self._limit} bytes"
