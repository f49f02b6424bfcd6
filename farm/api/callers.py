"""Who asks: an API key, its scopes and its rate; without any keys, whoever is on this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from farm.access import LOCAL, Key, Scope
from farm.api.problems import Problem
from farm.api.service import Service
from farm.errors import InvalidInput, Unavailable

#: Headers that may carry a key: the farm's own, OpenAI's form (`Bearer`), Azure's.
HEADERS = ("x-api-key", "ocp-apim-subscription-key", "api-key")
#: Where a request keeps the headers that its answer is to have.
_HEADERS = "farm.headers"


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request."""

    owner: str
    key: Key | None = None
    """None: no keys were made, and the API is reached from this machine only."""

    @property
    def admin(self) -> bool:
        """Whether he sees what belongs to others."""
        return self.key is None or self.key.may("admin")


async def service(request: Request) -> Service:
    """Return what the routes work with. Async, as it needs no thread."""
    found: Service = request.app.state.service
    return found


def secret(request: Request) -> str:
    """Return the key that a request carries, wherever a client puts it; empty: none."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip()
    return next((request.headers[name] for name in HEADERS if name in request.headers), "")


Held = Annotated[Service, Depends(service)]


def valid(held: Service, request: Request) -> Key | None:
    """Return the key that a request carries; None where there are no keys.

    Raises:
        Problem: there are keys, and it carries none of them.
        Unavailable: the file of keys cannot be read.
    """
    try:
        if held.keys.empty:
            return None
        key = held.keys.find(secret(request))
    except InvalidInput as error:  # the operator's file is damaged: no fault of the caller
        raise Unavailable(str(error)) from error
    if key is None:
        detail = "no valid API key: send it as 'Authorization: Bearer farm_...'"
        raise Problem(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
    return key


def _caller(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    # Not in a thread: that would cost more than a look at a file that seldom changes.
    async def find(request: Request, held: Held) -> Caller:
        key = valid(held, request)
        if key is None:
            return Caller(LOCAL)
        if key.limits.requests_per_minute:
            await to_thread.run_sync(_count, held, key, request)
        if not key.may(scope):
            detail = f"this key may not {scope}: it has {', '.join(key.scopes) or 'no scope'}"
            raise Problem(403, "forbidden", detail, valid=[scope])
        return Caller(key.owner, key)

    return find


def _count(held: Service, key: Key, request: Request) -> None:
    """Count a request of a key, and tell its client where it stands, whatever the answer is."""
    verdict = held.limits.request(key.id, key.limits.requests_per_minute)
    request.scope[_HEADERS] = {
        "X-RateLimit-Limit": str(verdict.limit),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(verdict.reset_s),
    }
    if not verdict.allowed:
        headers = {"Retry-After": str(verdict.retry_after_s)}
        raise Problem(429, "too-many-requests", "requests per minute: slow down", headers)


class Headed:
    """Adds to every answer, an error's or a stream's too, the headers that were noted for it."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start" and _HEADERS in scope:
                MutableHeaders(scope=message).update(scope[_HEADERS])
            await send(message)

        await self._app(scope, receive, headed)


#: What a route asks for: `caller: Reader`.
Reader = Annotated[Caller, Depends(_caller("read"))]
Submitter = Annotated[Caller, Depends(_caller("submit"))]
Admin = Annotated[Caller, Depends(_caller("admin"))]
