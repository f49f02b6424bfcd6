"""Without API keys, whoever is on this machine may ask; what other sites have his browser ask, not.

A site can have a browser send requests to loopback, and a name of its own that leads there makes
them look like its own (DNS rebinding). Both show in the headers `Host` and `Origin`.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from farm.api.problems import Problem, document

#: What a client on this machine calls it.
NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class Nearby:
    """Refuses what was not sent by this machine's programs or the farm's own page."""

    def __init__(self, app: ASGIApp, open: Callable[[], bool]) -> None:
        """Wrap an application; `open` tells whether there still are no keys."""
        self._app, self._open = app, open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        app: ASGIApp = self._app
        if scope["type"] == "http" and not own(Headers(scope=scope)) and self._open():
            detail = "without API keys only this machine may ask: make one with `farm keys add`"
            app = document(Problem(403, "forbidden", detail))
        await app(scope, receive, send)


def own(headers: Headers) -> bool:
    """Whether a request names this machine, and comes from no other site's page."""
    try:
        name = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    origin = headers.get("origin")
    return name in NAMES and origin in (None, f"http://{headers['host']}")
