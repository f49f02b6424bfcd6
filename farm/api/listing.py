"""A caller's jobs, selected and page by page."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from farm import contents
from farm.api import records
from farm.api.callers import Caller
from farm.api.problems import TOLD, Problem
from farm.api.service import Service
from farm.contents import Record
from farm.errors import InvalidInput
from farm.jobs import Kind, State

_CURSOR = re.compile(r"[0-9]{13}-[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")


class Selection(BaseModel):
    """Which jobs."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=150)] = ""
    """`next_cursor` of the page before."""
    state: State | None = None
    kind: Kind | None = None
    label: Annotated[list[str], Field(max_length=20)] = []
    """`name:value`; all of them must fit."""
    after: Annotated[float, Field(ge=0)] | None = None
    """Accepted at this time (Unix seconds) or later."""
    before: Annotated[float, Field(ge=0)] | None = None
    """Accepted before this time."""
    owner: Annotated[str, Field(max_length=32, pattern=r"^([a-z0-9][a-z0-9-]*)?$")] = ""
    """Of whom; admins only. Empty: the caller's own."""


def listed(held: Service, caller: Caller, selection: Selection) -> records.Jobs:
    """Return a page of jobs.

    Raises:
        InvalidInput: the cursor or a label is none.
        Problem: an owner who is not the caller is asked for by one who is no admin.
    """
    owner = selection.owner or caller.owner
    if owner != caller.owner and not caller.admin:
        raise Problem(
            403, "forbidden", "only an admin may list another owner's jobs", field="owner"
        )
    if selection.cursor and not _CURSOR.fullmatch(selection.cursor):
        said = f"cursor {selection.cursor[:TOLD]!r} is not one that a page gave"
        raise InvalidInput(
            said, field="cursor", value=selection.cursor, valid="`next_cursor` of the page before"
        )
    labels = dict(_label(each) for each in selection.label)

    def wanted(row: Record) -> bool:
        own = row.get("labels", {})
        return (
            selection.state in (None, row["state"])
            and selection.kind in (None, row["kind"])
            and all(own.get(name) == value for name, value in labels.items())
            and (selection.after is None or row["created"] >= selection.after)
            and (selection.before is None or row["created"] < selection.before)
        )

    rows, cursor = contents.page(held.farm, owner, selection.limit, selection.cursor, wanted)
    return records.Jobs(data=[records.job(row) for row in rows], next_cursor=cursor or None)


def _label(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        said = f"label {text[:TOLD]!r}: write name:value"
        raise InvalidInput(said, field="label", value=text, valid="name:value")
    return name, value
