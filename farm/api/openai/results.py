"""What a batch of OpenAI's made: its output and error lines, and each line's audio.

A line of the output is `{id, custom_id, response: {status_code, request_id, body}, error}`; where
OpenAI's `body` would be JSON, speech is a file: `{file_id, format, seconds, bytes, sha256}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from farm import contents, keys, standing
from farm.api.callers import Caller
from farm.api.openai import requests
from farm.api.service import Service
from farm.errors import NotFound
from farm.jobs import Spec

#: The label by which a job is known to be one of these, and what its name begins with.
LABEL = "openai.batch"
_MADE = re.compile(r"file-(out|err|audio)\.(batch_[0-9a-f]{24})(?:\.(\d{1,6}))?")
#: Bytes sent at once.
BLOCK = 1 << 18


@dataclass(frozen=True)
class Made:
    """A file that is read from what a batch made."""

    name: str
    created: float
    blocks: Callable[[], Iterator[bytes]]
    known: int = -1
    """Bytes, where they are known."""

    def size(self) -> int:
        """Bytes."""
        return self.known if self.known >= 0 else sum(map(len, self.blocks()))


#: Name, beside a batch's input, of its lines as its client wrote them.
REQUESTS = "requests.jsonl"


def output_id(name: str) -> str:
    """Id of the file with the lines that were spoken."""
    return f"file-out.{name}"


def error_id(name: str) -> str:
    """Id of the file with the lines that were not."""
    return f"file-err.{name}"


def find(held: Service, caller: Caller, id: str) -> Made | None:
    """Return a file that a batch made; None where the id is not such a one's.

    Raises:
        NotFound: the caller has no such batch, or it made no such file.
    """
    match = _MADE.fullmatch(id)
    if not match:
        return None
    kind, name, line = match.groups()
    try:
        spec = held.job(caller.owner, name)
    except NotFound as error:
        raise _missing(id) from error
    if kind == "audio":
        return _audio(held, spec, int(line or 0), id)
    _check_ended(held, spec, id)
    rows = {"out": _spoken, "err": _failed}[kind]
    created = standing.show(held.farm, spec.id).get("ended", spec.created)
    file = f"{name}_output.jsonl" if kind == "out" else f"{name}_errors.jsonl"

    def blocks() -> Iterator[bytes]:
        return rows(held, spec, map(json.loads, contents.lines(held.farm, spec.id)))

    return Made(file, created, blocks)


def _missing(id: str) -> NotFound:
    return NotFound(f"no file {id!r}", field="id", value=id)


def _check_ended(held: Service, spec: Spec, id: str) -> None:
    if not held.farm.store.exists(keys.manifest(spec.id, held.revision(spec))):
        raise _missing(id)


def _audio(held: Service, spec: Spec, index: int, id: str) -> Made:
    _check_ended(held, spec, id)
    row = next(contents.rows(held.farm, spec.id, index, 1), None)
    file = _sound(row) if row else None
    if file is None:
        raise _missing(id)
    key = file["key"]

    def blocks() -> Iterator[bytes]:
        with held.farm.store.open(key) as stream:
            while block := stream.read(BLOCK):
                yield block

    return Made(file["name"], spec.created, blocks, file["size"])


def _sound(item: dict[str, Any]) -> dict[str, Any] | None:
    """Return an item's audio file, with its format."""
    found = (({**file, "format": name}) for name, file in item.get("files", {}).items())
    return next((file for file in found if file["format"] != "marks"), None)


def _spoken(held: Service, spec: Spec, items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    name = keys.called(spec.id)
    for request, item in zip(_requests(held, spec.id), items, strict=True):
        file = _sound(item)
        if file is not None and not item.get("failed"):
            body = {
                "file_id": f"file-audio.{name}.{item['index']}",
                "format": file["format"],
                "seconds": file["seconds"],
                "bytes": file["size"],
                "sha256": file["sha256"],
            }
            id_ = f"{name}.{item['index']}"
            response = {"status_code": 200, "request_id": id_, "body": body}
            yield _line(id_, request.custom_id, response, None)


def _failed(held: Service, spec: Spec, items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    name = keys.called(spec.id)
    reasons: dict[int, str] = {}
    for row in standing.failures(held.farm, spec.id):
        reasons.setdefault(row["item"], row["error"])
    for request, item in zip(_requests(held, spec.id), items, strict=True):
        if _lost(item):
            told = request.error or item.get("error") or reasons.get(item["index"], "not spoken")
            error = {"code": "not_spoken", "message": told}
            yield _line(f"{name}.{item['index']}", request.custom_id, None, error)


def _lost(item: dict[str, Any]) -> bool:
    return not item.get("files") or bool(item.get("failed"))


def lost(held: Service, spec: Spec) -> int:
    """Count a finished batch's lines that could not be spoken, or not whole."""
    try:
        rows = contents.lines(held.farm, spec.id)
        return sum(b'"files": ' not in row or b'"failed": ' in row for row in rows)
    except NotFound:
        return 0


def _line(id: str, custom_id: str, response: object, error: object) -> bytes:
    row = {"id": id, "custom_id": custom_id, "response": response, "error": error}
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def _requests(held: Service, job: str) -> Iterator[requests.Request]:
    with held.farm.store.open(keys.job(job, "input", REQUESTS)) as stream:
        yield from (requests.read(line) for line in stream if line.strip())
