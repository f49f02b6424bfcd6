"""A client of server-sent events, as strict as the standard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Heard:
    """An event as a browser would dispatch it."""

    id: str
    type: str
    data: Any


def heard(response: httpx.Response) -> Iterator[Heard]:
    """Yield the events of a stream until it ends."""
    assert response.status_code == 200, response.read()
    assert response.headers["content-type"].startswith("text/event-stream")
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Heard(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
        else:  # a comment, or `retry`
            fields = {}


def listen(client: httpx.Client, job: str, last: str = "") -> list[Heard]:
    """Hear a job to its end."""
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as response:
        return list(heard(response))
