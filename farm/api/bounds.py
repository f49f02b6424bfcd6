"""How large and how slow a request's body may be: refused before anybody has it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farm.api.problems import Problem, document

#: Bytes of a body that is not a file's upload.
BODY_BYTES = 8 * 2**20
#: Seconds in which some more of a body must come.
IDLE_S = 20.0
#: Seconds that a whole body may take which is not a file's upload.
BODY_S = 60.0


class Bounded:
    """Counts a body's bytes and seconds as it comes."""

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        """Wrap an application; uploads (multipart) have a limit of their own."""
        self._app = app
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        upload = headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
        limit = self._upload_bytes if upload else BODY_BYTES
        if _length(headers) > limit:
            await document(_too_large(limit))(scope, receive, send)
            return
        counted = _Counted(receive, limit, None if upload else BODY_S)
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
            await document(problem)(scope, receive, send)


class _Counted:
    def __init__(self, receive: Receive, limit: int, seconds: float | None) -> None:
        self._receive, self._limit = receive, limit
        self._left, self._more = limit, True
        loop = asyncio.get_running_loop()
        self._over = loop.time() + seconds if seconds else None

    async def receive(self) -> Message:
        if not self._more:
            return await self._receive()
        loop = asyncio.get_running_loop()
        wait = min(IDLE_S, self._over - loop.time()) if self._over else IDLE_S
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, wait))
        except TimeoutError as error:
            raise Problem(
                408, "too-slow", "the body did not arrive in time", {"Connection": "close"}
            ) from error
        self._left -= len(message.get("body", b""))
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
