"""What Azure's clients are shown of a batch synthesis."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from farm import keys
from farm.api.service import Service
from farm.contents import Record
from farm.errors import NotFound
from farm.jobs import State
from farm.storage import Store

#: Label of the jobs that came this way: their request, without the inputs, as JSON.
LABEL = "azure.synthesis"

Status = Literal["NotStarted", "Running", "Succeeded", "Failed"]
STATUSES: dict[State, Status] = {
    State.QUEUED: "NotStarted",
    State.PLANNING: "Running",
    State.RUNNING: "Running",
    State.PAUSED: "Running",
    State.FINALIZING: "Running",
    State.CANCELLING: "Running",
    State.COMPLETED: "Succeeded",
    State.FAILED: "Failed",
    State.CANCELLED: "Failed",
    State.EXPIRED: "Failed",
}
Count = Annotated[int, Field(ge=0)]


class Shown(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class Detail(Shown):
    """What is wrong."""

    code: str
    message: str


class AzureError(Shown):
    """An error in Azure's form."""

    class Problem(Detail):
        """What is wrong, and with which field."""

        target: str | None = None
        innererror: Detail | None = None

    error: Problem


class Billing(Shown):
    """What Azure would count; the farm bills nothing."""

    neural_characters: Count
    """Of text as spoken."""


class Asked(Shown):
    """What was asked for."""

    time_to_live_in_hours: int
    output_format: str
    concatenate_result: bool
    decompress_output_files: bool
    word_boundary_enabled: bool
    sentence_boundary_enabled: bool


class Properties(Asked):
    """What was asked for and, after the end, what was made."""

    size_in_bytes: Count | None = None
    """Of the audio."""
    succeeded_audio_count: Count | None = None
    """Inputs that were spoken whole."""
    failed_audio_count: Count | None = None
    duration_in_milliseconds: Count | None = None
    billing_details: Billing | None = None
    error: Detail | None = None


class Outputs(Shown):
    """What was made."""

    result: str
    """An address to fetch the ZIP at, without a key, for at least an hour."""


class Definition(Shown):
    """A request without its inputs: what is shown of it later."""

    input_kind: Literal["PlainText", "SSML"]
    description: str | None = None
    synthesis_config: dict[str, str | float] | None = None
    properties: Asked


class Synthesis(Definition):
    """A batch synthesis, in Azure's sense."""

    id: str
    internal_id: str
    status: Status
    created_date_time: str
    last_action_date_time: str
    custom_voices: dict[str, str] = {}
    properties: Properties
    outputs: Outputs | None = None


class Syntheses(Shown):
    """A page of syntheses, the newest first."""

    value: list[Synthesis]
    next_link: str | None = None


class Operation(Shown):
    """How far a synthesis is."""

    id: str
    status: Status


class Made(NamedTuple):
    """What a synthesis made."""

    zip: str
    """Store key."""
    counts: dict[str, int]


def internal_id(record: Record) -> str:
    """Return what Azure has besides the client's own id: a UUID of this very job."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{record['job']} {record['created']}"))


def definition(labels: Mapping[str, str]) -> Definition | None:
    """Return the request that a job was made from; None where it came another way."""
    try:
        return Definition.model_validate_json(labels.get(LABEL, ""))
    except ValidationError:  # a label of somebody's own
        return None


def synthesis(held: Service, record: Record, asked: Definition, base: str, now: float) -> Synthesis:
    """Return what a client sees of a job: its record, and the request that it was made from.

    `base` is the address at which the client reaches the API.
    """
    state = State(record["state"])
    made = _made(held, record) if state.terminal else None
    known: dict[str, Any] = {**(made.counts if made else {})}
    if state.terminal:
        known["billing_details"] = Billing(neural_characters=record.get("characters", 0))
    if STATUSES[state] == "Failed":
        message = record.get("error") or f"the synthesis was {state.value}"
        known["error"] = Detail(code="SynthesisFailed", message=message)
    changed = record.get("ended") or record.get("begun") or record["created"]
    return Synthesis(
        input_kind=asked.input_kind,
        description=asked.description,
        synthesis_config=asked.synthesis_config,
        id=keys.called(record["job"]),
        internal_id=internal_id(record),
        status=STATUSES[state],
        created_date_time=_time(record["created"]),
        last_action_date_time=_time(changed),
        properties=Properties(**asked.properties.model_dump(), **known),
        outputs=Outputs(result=_address(held, made.zip, base, now)) if made else None,
    )


def _address(held: Service, key: str, base: str, now: float) -> str:
    return urljoin(base, held.address(key, "results.zip", now)[0])


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _made(held: Service, record: Record) -> Made | None:
    key = keys.manifest(record["job"], record["revision"])
    try:
        return _read(held.farm.store, key, record.get("ended", 0.0))
    except NotFound:  # it ended before it made anything
        return None


@lru_cache(maxsize=1024)
def _read(store: Store, manifest: str, ended: float) -> Made:  # noqa: ARG001
    """Read what a manifest lists; kept until the same job ends once more."""
    package: dict[str, Any] = json.loads(store.get(manifest))["package"]
    if "zip" not in package:
        raise NotFound(f"no results in {manifest!r}")
    rows = json.loads(store.get(package["summary"]["key"]))["results"]
    spoken = [row for row in rows if "audioFileName" in row]
    texts = sum(len(row["contents"]) for row in rows)
    good = sum(len(row["contents"]) for row in spoken)
    counts = {
        "size_in_bytes": sum(int(row["properties"]["sizeInBytes"]) for row in spoken),
        "duration_in_milliseconds": sum(
            int(row["properties"]["durationInMilliseconds"]) for row in spoken
        ),
        "succeeded_audio_count": good,
        "failed_audio_count": texts - good,
    }
    return Made(package["zip"]["key"], counts)
