"""OpenAI's `/v1/batches`, for `/v1/audio/speech`, which OpenAI itself does not take in batches.

As in OpenAI's API reference (Batch). A line that cannot be spoken is one of the error file.
"""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from farm import contents, keys, lifecycle
from farm.api.callers import Held, Reader, Submitter
from farm.api.drafting import Wish, draft
from farm.api.openai import requests, results
from farm.api.openai.files import data_key, known
from farm.api.problems import Problem
from farm.api.requests import LabelName
from farm.api.service import Service
from farm.errors import NotFound, blaming
from farm.jobs import Output, Spec, State
from farm.submission import accept

router = APIRouter(prefix="/v1/batches", tags=["OpenAI"])

#: Bytes of a batch.
BYTES = 200 << 20
#: Seconds in which it must be finished.
WINDOW_S = 86_400
STATUSES = {
    State.QUEUED: "validating",
    State.PLANNING: "in_progress",
    State.RUNNING: "in_progress",
    State.PAUSED: "in_progress",
    State.FINALIZING: "finalizing",
    State.CANCELLING: "cancelling",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.EXPIRED: "expired",
}

Value = Annotated[str, StringConstraints(max_length=512)]
BatchId = Annotated[str, InPath(max_length=100)]


class NewBatch(BaseModel):
    """A file of requests to be worked off."""

    model_config = ConfigDict(extra="forbid")

    input_file_id: Annotated[str, StringConstraints(max_length=100)]
    endpoint: Literal["/v1/audio/speech"]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[LabelName, Value], Field(max_length=16)] | None = None


class RequestCounts(BaseModel):
    """How many requests there are, and what became of them."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class Batch(BaseModel):
    """A batch, in OpenAI's sense."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str = requests.URL
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: dict[str, Any] | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    completed_at: int | None = None
    failed_at: int | None = None
    cancelled_at: int | None = None
    expired_at: int | None = None
    request_counts: RequestCounts
    metadata: dict[str, str] | None = None


class Batches(BaseModel):
    """Batches, the newest first."""

    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


@router.post("")
def create(body: NewBatch, held: Held, caller: Submitter) -> Batch:
    """Have a file of requests worked off."""
    name = f"batch_{secrets.token_hex(12)}"
    with blaming("input_file_id", body.input_file_id):
        file = known(held, caller.owner, body.input_file_id)
    if file.bytes > BYTES:
        raise Problem(413, "too-large", f"{file.bytes} bytes: a batch has {BYTES} at most")
    with tempfile.TemporaryDirectory(prefix="farm-batch-") as folder:
        asked, lines = Path(folder) / "requests", Path(folder) / "lines"
        held.farm.store.get_file(data_key(caller.owner, file.id), asked)
        with blaming("input_file_id"), asked.open("rb") as source, lines.open("wb") as target:
            target.writelines(requests.lines(source))
        labels = {**(body.metadata or {}), results.LABEL: file.id}
        wish = Wish("batch", output=Output("mp3"), labels=labels, deadline_s=WINDOW_S)
        wanted = replace(draft(held, caller.owner, wish, lines), also={results.REQUESTS: asked})
        spec, _ = accept(held.farm, wanted, caller.owner, caller.key, name)
    return _batch(held, spec)


def _batch(held: Service, spec: Spec) -> Batch:
    record = held.record(spec)
    state, name = State(record["state"]), keys.called(spec.id)
    status = STATUSES[state]
    total = record.get("items_total", 0)
    lost = results.lost(held, spec) if state.terminal else min(record.get("failed", 0), total)
    ended = int(record["ended"]) if record.get("ended") else None
    over = state is State.COMPLETED or state is State.FAILED
    labels = dict(spec.labels)
    file = labels.pop(results.LABEL)
    at: dict[str, Any] = {f"{status}_at": ended} if state.terminal else {}
    return Batch(
        id=name,
        input_file_id=file,
        status=status,
        output_file_id=results.output_id(name) if over else None,
        error_file_id=results.error_id(name) if over and lost else None,
        created_at=int(spec.created),
        in_progress_at=int(record["begun"]) if record.get("begun") else None,
        expires_at=int(spec.created) + WINDOW_S,
        request_counts=RequestCounts(
            total=total, completed=max(0, record.get("items_done", 0) - lost), failed=lost
        ),
        metadata=labels or None,
        **at,
    )


@router.get("/{name}")
def show(name: BatchId, held: Held, caller: Reader) -> Batch:
    """Show a batch."""
    spec = _spec(held, caller.owner, name)
    return _batch(held, spec)


def _spec(held: Service, owner: str, name: str, field: str = "name") -> Spec:
    spec = held.job(owner, name, field=field)
    if results.LABEL not in spec.labels:
        raise NotFound(f"no batch {name!r}", field=field, value=name)
    return spec


@router.get("")
def list_batches(
    held: Held,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str, Query(max_length=100)] = "",
) -> Batches:
    """List the caller's batches, the newest first."""
    rows: list[contents.Record] = []
    more = _cursor(held, caller.owner, after) if after else ""
    while True:  # other jobs, however many, hide no batch
        found, more = contents.page(held.farm, caller.owner, limit - len(rows), more, _is_batch)
        rows += found
        if not more or len(rows) == limit:
            break
    shown = [_batch(held, held.farm.spec(row["job"])) for row in rows]
    ends = (shown[0].id, shown[-1].id) if shown else (None, None)
    return Batches(data=shown, first_id=ends[0], last_id=ends[1], has_more=bool(more))


def _is_batch(row: contents.Record) -> bool:
    return results.LABEL in row.get("labels", {})


def _cursor(held: Service, owner: str, name: str) -> str:
    spec = _spec(held, owner, name, "after")
    return contents.cursor(owner, spec.created, spec.id)


@router.post("/{name}/cancel")
def cancel(name: BatchId, held: Held, caller: Submitter) -> Batch:
    """Stop a batch; what is spoken stays for the next."""
    spec = _spec(held, caller.owner, name)
    lifecycle.cancel(held.farm, spec.id)
    return _batch(held, spec)
