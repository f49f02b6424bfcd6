"""How large and how slow a request's body may be, and whose: refused before it is in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farm.api.problems import Problem, Shape, of_farm, written
from farm.errors import FarmError

#: Where files are uploaded, and where a body is nobody's without a key.
UPLOADS = ("/v1/jobs/upload", "/v1/files")
KEYED = ("/v1/", "/texttospeech/")
#: Methods whose requests have a body.
_METHODS = ("POST", "PUT", "PATCH")
#: Bytes of a body that is not a file's upload.
BODY_BYTES = 8 * 2**20
#: Seconds in which some more of a body must come.
IDLE_S = 20.0
#: Seconds that a whole body may take which is not a file's upload.
BODY_S = 60.0
#: Bytes a second that a file's upload brings at least, after those first seconds.
LEAST_RATE = 8 * 2**10


class Bounded:
    """Asks for the key of a request with a body, and counts the bytes and seconds as it comes."""

    def __init__(
        self,
        app: ASGIApp,
        upload_bytes: int,
        shapes: Mapping[str, Shape],
        check: Callable[[Request], object],
    ) -> None:
        """Wrap an application; uploads have a limit of their own.

        Below a path of `shapes` errors have that form; `check` raises where a request has no key.
        """
        self._app, self._upload_bytes = app, upload_bytes
        self._shapes, self._check = shapes, check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        upload = scope["method"] == "POST" and path in UPLOADS
        limit = self._upload_bytes if upload else BODY_BYTES
        refusal = self._refusal(scope, limit)
        if refusal:
            await written(refusal, path, self._shapes)(scope, receive, send)
            return
        counted = _Counted(receive, limit, LEAST_RATE if upload else 0)
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted.receive, noting)
        except Problem as problem:
            if started:
                raise
            await written(problem, path, self._shapes)(scope, receive, send)

    def _refusal(self, scope: Scope, limit: int) -> Problem | None:
        """Return why a request's body is not even read; None: it is."""
        try:
            if scope["method"] in _METHODS and scope["path"].startswith(KEYED):
                self._check(Request(scope))
        except Problem as problem:
            return problem
        except FarmError as error:
            return of_farm(error)
        return _too_large(limit) if _length(dict(scope["headers"])) > limit else None


class _Counted:
    def __init__(self, receive: Receive, limit: int, rate: int) -> None:
        self._receive, self._limit = receive, limit
        self._left, self._more, self._rate = limit, True, rate
        self._over = asyncio.get_running_loop().time() + BODY_S

    async def receive(self) -> Message:
        if not self._more:
            return await self._receive()
        wait = min(IDLE_S, self._over - asyncio.get_running_loop().time())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, wait))
        except TimeoutError as error:
            raise Problem(
                408, "too-slow", "the body did not arrive in time", {"Connection": "close"}
            ) from error
        came = len(message.get("body", b""))
        self._left -= came
        self._over += came / self._rate if self._rate else 0
        self._more = bool(message.get("more_body", False))
        if self._left < 0:
            raise _too_large(self._limit)
        return message


def _length(headers: Mapping[bytes, bytes]) -> int:
    said = headers.get(b"content-length", b"")
    return int(said) if said.isdigit() else 0


def _too_large(limit: int) -> Problem:
    detail = f"the body has more than {limit} bytes"
    return Problem(413, "too-large", detail, {"Connection": "close"}, limit=limit)
