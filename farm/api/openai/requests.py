"""The lines of an OpenAI batch: `{custom_id, method, url, body}`, to lines of the farm's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from farm.api.openai.speech import Speech
from farm.errors import InvalidInput

#: Lines of a batch.
LINES = 50_000
URL = "/v1/audio/speech"
#: Our formats by OpenAI's names; those that are streams only are not files of a batch.
FORMATS = {"mp3": "mp3", "opus": "opus", "aac": "m4a", "flac": "flac", "wav": "wav"}


@dataclass(frozen=True)
class Request:
    """One line, good or bad."""

    custom_id: str
    """What the client calls it; empty where it does not say."""
    speech: Speech | None
    error: str = ""
    """Why it is none."""


def read(raw: bytes) -> Request:
    """Read a line."""
    custom_id = ""
    try:
        request = json.loads(raw)
        if not isinstance(request, dict) or not isinstance(request.get("custom_id"), str):
            raise InvalidInput("custom_id: a string is needed")
        custom_id = request["custom_id"]
        if (request.get("method"), request.get("url")) != ("POST", URL):
            raise InvalidInput(f"method and url: POST {URL} is needed")
        speech = Speech.model_validate(request.get("body"))
        if speech.response_format not in FORMATS:
            raise InvalidInput(f"response_format: choose one of {', '.join(FORMATS)}")
    except ValidationError as error:
        first = error.errors()[0]
        return Request(custom_id, None, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except (ValueError, RecursionError, InvalidInput) as error:
        return Request(custom_id, None, str(error))
    return Request(custom_id, speech)


def lines(source: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the farm's own lines. One that is none has no text, and so fails by itself.

    Raises:
        InvalidInput: there are none, or too many.
    """
    count = 0
    for raw in source:
        if raw.strip():
            count += 1
            if count > LINES:
                raise InvalidInput(f"more than {LINES} lines: make several batches of them")
            yield (json.dumps(_line(f"r{count}", read(raw).speech)) + "\n").encode()
    if not count:
        raise InvalidInput("the file has no lines")


def _line(id: str, speech: Speech | None) -> dict[str, Any]:
    if speech is None:
        return {"id": id}
    return {
        "id": id,
        "text": speech.input,
        "voice": speech.voice if isinstance(speech.voice, str) else speech.voice.id,
        "speed": speech.speed,
        "format": FORMATS[speech.response_format],
    }
