"""How large and how slow a client may be with what is no body; uvicorn itself waits for ever."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: Bytes of a request's head; as many of what else is no body, such as trailers.
HEAD_BYTES = 64 * 2**10
#: Bytes of framing for each of a body: of chunks of one byte.
_FRAMING = 16
#: Seconds in which a head must come, and the rest of a body that was answered before its end.
HEAD_S = 10.0


class Connection(HttpToolsProtocol):
    """A connection that is closed when its client sends too much, or nothing, in time."""

    _spare = HEAD_BYTES
    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes, bodies apart."""
        self._spare -= len(data)
        super().data_received(data)
        if self._spare < 0 and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Wait for the head that begins."""
        super().on_message_begin()
        self._spare, self._in_head, self._in_body = HEAD_BYTES, True, False
        self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer, which nobody looked at before, is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait no longer: a body has bounds of its own."""
        self._arrived()
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count a piece of a body out."""
        self._spare = min(HEAD_BYTES, self._spare + (1 + _FRAMING) * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Owe nothing any more."""
        self._arrived()
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody wanted."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self._refuse, b"408 Request Timeout")

    def _arrived(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        """Close, and say why where no answer is under way."""
        if self._in_head and _is_over(self.cycle):
            head = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status
            self.transport.write(head)
        self.transport.close()


def _is_over(cycle: RequestResponseCycle | None) -> bool:
    """Whether a connection's last request is answered; None: it had none yet."""
    return cycle is None or cycle.response_complete
