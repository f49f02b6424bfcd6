"""What a job is to speak, from wherever it comes: a request's JSON, an upload, the store."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farm.api.drafting import Wish
from farm.api.problems import TOLD
from farm.api.requests import NewJob, Options
from farm.api.service import Service
from farm.errors import InvalidInput, NotFound, blaming
from farm.storage import check_key
from farm.text import lexicon
from farm.text.ssml import is_ssml

#: Characters of what names a stored file.
MOST_KEY = 500


def wish(held: Service, owner: str, options: Options, name: str, source: str) -> Wish:
    """Return what a request asks for, whose text came in the field `source`.

    Raises:
        NotFound: it names a file of the store that this owner has not.
    """
    return Wish(
        options.kind,
        voice=options.voice,
        title=options.title,
        name=name,
        language=options.language,
        prosody=options.prosody(),
        output=options.output.output(options.kind),
        priority=options.priority,
        labels=options.labels,
        pauses={str(end): ms for end, ms in options.pauses.items()},
        front_matter=options.front_matter,
        deadline_s=options.deadline_s,
        ttl_s=options.ttl_s,
        webhook=options.webhook,
        lexicons=tuple(_lexicon(held, owner, each) for each in options.lexicons),
        source=source,
    )


def _lexicon(held: Service, owner: str, given: str) -> bytes:
    """Return a lexicon that came with a request, or that is in the store."""
    if given.lstrip("\ufeff \t\r\n").startswith("<"):
        return given.encode()
    name = given[:MOST_KEY]
    try:
        key = stored(owner, name)
        size = held.farm.store.size(key)
        if size > lexicon.LARGEST:
            said = f"lexicons: {name!r} has {size} bytes; {lexicon.LARGEST} at most"
            raise InvalidInput(said, field="lexicons", value=name)
        return held.farm.store.get(key)
    except NotFound as error:
        said = f"lexicons: no file {name[:TOLD]!r}, and it is no PLS document"
        raise NotFound(said, field="lexicons", value=name, valid=error.valid) from error


@contextmanager
def of_request(held: Service, owner: str, body: NewJob) -> Iterator[tuple[bytes | Path, str]]:
    """Have a request's input, and its name, during the block.

    Raises:
        NotFound: it names a file of the store that this owner has not.
    """
    if body.input is not None:
        with tempfile.TemporaryDirectory(prefix="farm-input-") as folder:
            path = Path(folder) / "input"
            with blaming("input"):
                key = stored(owner, body.input)
                try:
                    held.farm.store.get_file(key, path)
                except NotFound as error:
                    raise _missing(owner, body.input) from error
            yield path, body.name or Path(body.input).name
        return
    if body.lines is not None:
        rows = [line.model_dump(exclude_unset=True) for line in body.lines]
        yield "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode(), "lines.jsonl"
        return
    text = body.text or ""
    suffix = ".ssml" if is_ssml(text) else ".md" if body.kind == "book" else ".txt"
    try:
        yield text.encode(), body.name or f"text{suffix}"
    except UnicodeEncodeError as error:
        said = f"text: a lone surrogate at character {error.start}"
        raise InvalidInput(said, field="text") from error


def stored(owner: str, name: str) -> str:
    """Return the store key of an uploaded file: by its id, or by the key itself.

    Raises:
        NotFound: the key is not one of this owner's uploads.
    """
    begins = f"uploads/{owner}/"
    key = name if "/" in name else begins + name
    if not key.startswith(begins):
        raise _missing(owner, name)
    try:
        return check_key(key)
    except InvalidInput as error:
        raise _missing(owner, name) from error


def _missing(owner: str, name: str) -> NotFound:
    valid = f"the id of a file of `POST /v1/files`, or a key that begins with 'uploads/{owner}/'"
    return NotFound(f"input: no file {name[:TOLD]!r}: give {valid}", value=name, valid=valid)
