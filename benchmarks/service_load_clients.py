"""Many clients of the API in one process: each submits a job, polls it, and submits the next.

`python -m benchmarks.service_load_clients URL KEY CLIENTS SECONDS RATE` prints what they saw as
JSON. HTTP/1.1 over kept connections, by hand, so that the clients cost little on the same cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field

#: Seconds between two looks at a job.
POLL_S = 1.0
#: Seconds after which an answer counts as an error.
PATIENCE_S = 30.0
_ENDED = (b'"state":"completed"', b'"state":"failed"', b'"state":"cancelled"')


@dataclass
class Seen:
    """What all clients of a run saw."""

    submits: list[float] = field(default_factory=list)
    """Seconds from the request to the end of the answer, of each."""
    polls: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ended: int = 0
    """Polls that found their job at its end."""


class Connection:
    """One kept connection."""

    def __init__(self, host: str, port: int, key: str) -> None:
        """Connect at the first request."""
        self._where, self._key = (host, port), key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request; return the status and the body of its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._where)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {self._key}\r\n"
        said = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}{said if body else ''}\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return int(answer[9:12]), await reader.readexactly(length)

    def drop(self) -> None:
        """Begin with a new connection next time."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def client(number: int, link: Connection, cycle_s: float, end: float, seen: Seen) -> None:
    """Submit a job every `cycle_s`, and poll it meanwhile, until `end`."""
    for count in range(1_000_000):
        due = time.monotonic() + cycle_s
        if due - cycle_s > end:
            return
        text = f"Client {number} says for time {count} of {int(end)} that the letter is late."
        body = json.dumps({"kind": "speech", "text": text}).encode()
        made = await timed(link, seen.submits, seen, "POST", "/v1/jobs", body)
        id_ = json.loads(made)["id"] if made else ""
        while (now := time.monotonic()) + POLL_S < due and now < end:
            await asyncio.sleep(POLL_S)
            if id_:
                shown = await timed(link, seen.polls, seen, "GET", f"/v1/jobs/{id_}")
                seen.ended += any(state in shown for state in _ENDED)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def timed(
    link: Connection, times: list[float], seen: Seen, method: str, path: str, body: bytes = b""
) -> bytes:
    """Ask, and note how long it took; empty where that failed."""
    began = time.monotonic()
    try:
        status, answer = await asyncio.wait_for(link.ask(method, path, body), PATIENCE_S)
    except (OSError, EOFError, TimeoutError) as error:
        link.drop()
        seen.errors.append(f"{method} {path}: {type(error).__name__}: {error}")
        return b""
    if status >= 300:
        seen.errors.append(f"{method} {path}: {status} {answer.decode()}")
        return b""
    times.append(time.monotonic() - began)
    return answer


async def run(host: str, port: int, key: str, clients: int, seconds: float, rate: float) -> Seen:
    """Let so many clients submit `rate` jobs a second together, evenly spread."""
    seen, cycle_s = Seen(), clients / rate
    end = time.monotonic() + seconds
    waiting = []
    for number in range(clients):
        one = client(number, Connection(host, port, key), cycle_s, end, seen)
        waiting.append(asyncio.create_task(one))
        await asyncio.sleep(cycle_s / clients)
    await asyncio.gather(*waiting)
    return seen


def main() -> None:
    """Run as the arguments say."""
    url, key, clients, seconds, rate = sys.argv[1:]
    host, _, port = url.removeprefix("http://").partition(":")
    seen = asyncio.run(run(host, int(port), key, int(clients), float(seconds), float(rate)))
    print(json.dumps(vars(seen)))


if __name__ == "__main__":
    main()
