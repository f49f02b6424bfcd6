"""Posts to and downloads from addresses of clients; time, size and redirects are bounded."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import urljoin

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from farm import __version__
from farm.errors import InvalidInput, Unavailable
from farm.outgoing.targets import Lookup, Network, Target, look_up, reach

#: Seconds to connect to one address.
CONNECT_S = 5.0
#: Seconds for everything from the look-up to the answer's last byte.
TOTAL_S = 30.0
#: Redirects that a download follows.
REDIRECTS = 3
_BLOCK_BYTES = 1 << 16
_MOVED = (301, 302, 303, 307, 308)
#: Statuses of an answer that may be another one later.
_LATER = (408, 425, 429)


@dataclass(frozen=True)
class Answer:
    """What a receiver said to something that was posted."""

    status: int
    retry_after_s: float | None = None
    """When it asks to come back, as far as it can be understood."""


@dataclass(frozen=True)
class Downloaded:
    """What a download brought."""

    url: str
    """Where it came from in the end."""
    content_type: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Outgoing:
    """The way out; safe to use from several threads."""

    allowed: tuple[Network, ...] = ()
    """Networks that may be reached although they are not public."""
    look_up: Lookup = look_up
    connect_s: float = CONNECT_S
    total_s: float = TOTAL_S
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    """Whom to trust: the system's authorities, or those in the file that `SSL_CERT_FILE` names."""

    def check(self, url: str) -> Target:
        """Look up where an address leads; nothing is connected, and a later use looks again.

        May take as long as the system's resolver.

        Raises:
            InvalidInput: it is no address of http or https, has a password, no such host, or leads
                to a place that is neither public nor allowed.
            Unavailable: the name cannot be looked up just now.
        """
        return reach(url, self.allowed, self.look_up)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; return the answer's status. Redirects are not followed, nothing is read.

        Raises:
            InvalidInput: as `check` does.
            Unavailable: no answer came in time, or its certificate is not the host's.
        """
        over = time.monotonic() + self.total_s
        with self._asked("POST", self.check(url), over, headers, body) as response:
            after = None
            with suppress(InvalidHeader):
                after = Retry().parse_retry_after(response.headers.get("Retry-After", ""))
            return Answer(response.status, after)

    def download(self, url: str, path: Path, limit_bytes: int) -> Downloaded:
        """Write what is at an address to a file, of at most so many bytes.

        Raises:
            InvalidInput: as `check` does, of each redirect, too; there are more than 3 of them, the
                answer is a refusal (4xx), or larger. No file is left.
            Unavailable: the server does not answer, fails, or breaks off.
        """
        over = time.monotonic() + self.total_s
        for _ in range(REDIRECTS + 1):
            target = self.check(url)
            with self._asked("GET", target, over) as response:
                moved = response.headers.get("Location")
                if response.status not in _MOVED or not moved:
                    _check_answer(target, response, limit_bytes)
                    size = _write(response, path, limit_bytes, target.authority, over)
                    break
            url = urljoin(target.url, moved)
        else:
            raise InvalidInput(f"{target.authority!r} redirects more than {REDIRECTS} times")
        return Downloaded(target.url, response.headers.get("Content-Type", ""), size)

    @contextmanager
    def _asked(
        self,
        method: str,
        target: Target,
        over: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and give its answer, the body unread; its end, too, is bounded."""
        own = {
            "Host": target.authority,
            "User-Agent": f"farm/{__version__}",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        deadline = None
        try:
            with closing(self._connect(target, over)) as plain, _Deadline(plain, over) as deadline:
                connection = http.client.HTTPConnection(target.host, target.port)
                with closing(self._secured(plain, target)) as connection.sock:
                    connection.request(method, target.path, body, {**own, **(headers or {})})
                    with closing(connection.getresponse()) as response:
                        if deadline.passed:
                            raise TimeoutError  # cut headers look like whole ones
                        yield response
        except (OSError, http.client.HTTPException) as error:
            late = isinstance(error, TimeoutError) or (deadline is not None and deadline.passed)
            raise Unavailable(_said(target, error, late)) from error

    def _connect(self, target: Target, over: float) -> socket.socket:
        """Connect to the first of the checked addresses that takes it."""
        failure: OSError = TimeoutError()
        for address in target.addresses:
            left = over - time.monotonic()
            if left <= 0:
                break
            try:
                # It is numeric: nothing is looked up here.
                plain = socket.create_connection((address, target.port), min(left, self.connect_s))
            except OSError as error:
                failure = error
            else:
                plain.settimeout(self.total_s)
                return plain
        raise failure

    def _secured(self, plain: socket.socket, target: Target) -> socket.socket:
        """Return the connection, under TLS where the scheme says so, the certificate verified."""
        if target.scheme == "http":
            return plain
        return self.tls.wrap_socket(plain, server_hostname=target.host.removesuffix("."))


class _Deadline:
    """Cuts a connection at its time, whatever is being waited for: drops count for nothing."""

    def __init__(self, connection: socket.socket, over: float) -> None:
        # A socket of its own, because TLS takes the other one over.
        self._same = connection.dup()
        self._timer = threading.Timer(max(0.0, over - time.monotonic()), self._cut)
        self._timer.daemon = True
        self.passed = False

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        self._same.close()

    def _cut(self) -> None:
        self.passed = True
        with suppress(OSError):
            self._same.shutdown(socket.SHUT_RDWR)


def _check_answer(target: Target, response: http.client.HTTPResponse, limit_bytes: int) -> None:
    status, length = response.status, response.length
    if status >= 500 or status in _LATER:
        raise Unavailable(f"{target.authority!r} answers {status}")
    if status != 200:
        raise InvalidInput(f"{target.authority!r} answers {status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise InvalidInput(f"{target.authority!r} answers compressed, though it was not asked to")
    if length is not None and length > limit_bytes:
        raise _too_large(target.authority, limit_bytes)


def _write(
    response: http.client.HTTPResponse, path: Path, limit_bytes: int, shown: str, over: float
) -> int:
    """Write a body to a file, or leave none; return its bytes."""
    expected, size = response.length, 0
    try:
        with _local(path):
            file = path.open("wb", buffering=0)
        with file:
            while block := response.read1(_BLOCK_BYTES):
                size += len(block)
                if size > limit_bytes:
                    raise _too_large(shown, limit_bytes)
                with _local(path):
                    if file.write(block) < len(block):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if time.monotonic() >= over:
            raise TimeoutError
        if expected is not None and size < expected:
            raise Unavailable(f"{shown!r} broke off after {size} of {expected} bytes")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return size


@contextmanager
def _local(path: Path) -> Iterator[None]:
    """Tell errors of this machine's disk from those of the connection."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot write {str(path)!r}: {error.strerror}") from error


def _too_large(shown: str, limit_bytes: int) -> InvalidInput:
    return InvalidInput(f"what {shown!r} sends is larger than {limit_bytes} bytes")


def _said(target: Target, error: Exception, late: bool) -> str:
    if late:
        return f"{target.authority!r} did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {target.authority!r} is not valid: {error.verify_message}"
    if isinstance(error, OSError):
        return f"{target.authority!r}: {error.strerror or type(error).__name__}"
    return f"{target.authority!r} does not answer as HTTP: {type(error).__name__}"
