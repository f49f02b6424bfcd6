"""Plain data as JSON and back, by its types; what a newer farm wrote is told from what is wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from farm.errors import InvalidInput, TooNew

#: Version of the JSON objects that the farm writes to the store.
SCHEMA = 1

T = TypeVar("T")

_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(type_: type) -> TypeAdapter[Any]:
    return _adapters.get(type_) or _adapters.setdefault(type_, TypeAdapter(type_))


def to_json(value: Any) -> bytes:
    """Write a value as one line of JSON, fields at their defaults left out."""
    return _adapter(type(value)).dump_json(value, exclude_defaults=True)


def from_json(type_: type[T], data: str | bytes) -> T:
    """Read a value of a type. One that tells no `schema` is of the first.

    Raises:
        InvalidInput: the JSON is not of that type; the message names the first bad field.
        TooNew: a newer farm wrote it.
    """
    _check_schema(data)
    try:
        value: T = _adapter(type_).validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or type_.__name__
        raise InvalidInput(f"{where}: {first['msg']}") from error
    return value


def _check_schema(data: str | bytes) -> None:
    # Few values tell their schema, and a chunk is too long to be parsed twice to find out.
    if not (b'"schema"' in data if isinstance(data, bytes) else '"schema"' in data):
        return
    with suppress(ValueError):  # what is no JSON is told by whoever reads it next
        value = json.loads(data)
        schema = value.get("schema") if isinstance(value, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise TooNew(f"written with schema {schema} by a newer farm; this one knows {SCHEMA}")
