"""OpenAI's dialect: `/v1/audio/speech`, `/v1/audio/voices`, `/v1/models`.

As in OpenAI's API reference (Audio, Models); what the farm cannot honour is refused by name.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from farm import streaming
from farm.api.callers import Caller, Held, Reader, Submitter
from farm.api.drafting import Wish, draft
from farm.api.problems import Answer, Problem
from farm.api.service import Service
from farm.audio import joining
from farm.audio.live import LiveEncoder
from farm.errors import EngineError, FarmError
from farm.jobs import Output, Prosody, Spec
from farm.streaming import Spoken
from farm.submission import accept, outside

router = APIRouter(prefix="/v1", tags=["OpenAI"])

#: Characters of one request, as OpenAI has it.
INPUT_CHARACTERS = 4096
#: Names of models that clients send by habit; the voice decides what speaks.
MODELS = ("farm", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
#: Seconds after its end for which a speech job is kept.
KEPT_S = 3600
#: Unix seconds that every model and voice is said to be of: there is no better.
CREATED = 1_700_000_000
#: Status to OpenAI's kind of error; others are its server's.
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class VoiceId(BaseModel):
    """A voice by its id, the long way."""

    id: str


class Speech(BaseModel):
    """What to say, and how."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: Annotated[str, Field(max_length=100, examples=["tts-1"])]
    input: Annotated[str, Field(min_length=1, max_length=INPUT_CHARACTERS)]
    voice: Annotated[str, Field(min_length=1, max_length=128)] | VoiceId
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: Annotated[str, Field(max_length=0)] | None = None
    """Not honoured by any engine here: anything but nothing is refused."""


class Reason(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class Error(BaseModel):
    """An error, in OpenAI's form."""

    error: Reason


def shape(problem: Problem) -> JSONResponse:
    """Write an error in OpenAI's form."""
    kind = TYPES.get(problem.status_code)
    kind = kind or ("invalid_request_error" if problem.status_code < 500 else "server_error")
    error = {
        "message": problem.detail,
        "type": kind,
        "param": problem.members.get("field"),
        "code": problem.name.replace("-", "_"),
    }
    return Answer({"error": error}, problem.status_code, problem.headers)


@router.post(
    "/audio/speech",
    response_class=Response,
    responses={200: {"content": {"audio/*": {}, "text/event-stream": {}}}},
)
def speech(body: Speech, held: Held, caller: Submitter) -> StreamingResponse:
    """Speak a text; its audio is sent while the rest is still being spoken."""
    _check_model(body.model)
    spec = _accepted(held, caller, body)
    heard = streaming.spoken(held.farm, spec)
    first = next(heard)  # what is wrong from the start is an answer of its own
    encoder = LiveEncoder(body.response_format, spec.voices[spec.voice].sample_rate)
    blocks = _encoded(encoder, spec, itertools.chain([first], heard))
    headers = {"X-Farm-Job": outside(spec.id)}
    if body.stream_format == "sse":
        return StreamingResponse(_events(blocks, body), 200, headers, "text/event-stream")
    return StreamingResponse(blocks, 200, headers, encoder.mime)


def _check_model(model: str) -> None:
    if model not in MODELS:
        detail = f"the model {model!r} does not exist: choose one of {', '.join(MODELS)}"
        raise Problem(404, "model-not-found", detail, field="model", value=model, valid=MODELS)


def _accepted(held: Service, caller: Caller, body: Speech) -> Spec:
    """Accept a speech job, and plan it here."""
    wish = Wish(
        "speech",
        voice=body.voice if isinstance(body.voice, str) else body.voice.id,
        prosody=Prosody(speed=body.speed),
        output=Output("flac", loudness=None),
        ttl_s=KEPT_S,
    )
    wanted = draft(held, caller.owner, wish, body.input.encode())
    here = streaming.planning_here(held.farm)
    return accept(here, wanted, caller.owner, caller.key)[0]


def _encoded(encoder: LiveEncoder, spec: Spec, heard: Iterator[Spoken]) -> Iterator[bytes]:
    """Yield the bytes of a speech, its pauses between; a gap ends it, so that it is noticed."""
    rate, pause_ms = spec.voices[spec.voice].sample_rate, 0
    for spoken in heard:
        if spoken.audio is None:
            raise EngineError(f"cannot be spoken: {spoken.segment['text']!r}")
        yield encoder.encode(joining.silence(pause_ms, rate))
        yield encoder.encode(joining.resample(spoken.audio, rate))
        pause_ms = spoken.segment["pause_ms"]
    yield encoder.finish()


def _events(blocks: Iterator[bytes], body: Speech) -> Iterator[bytes]:
    """Yield server-sent events: audio in Base64, then the end, or what went wrong."""
    try:
        for block in blocks:
            if block:
                audio = base64.b64encode(block).decode()
                yield _event({"type": "speech.audio.delta", "audio": audio})
    except FarmError as error:
        yield _event({"type": "error", "error": {"message": str(error), "code": "not_spoken"}})
        return
    tokens = len(body.input)
    usage = {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


class Model(BaseModel):
    """A model, in OpenAI's sense."""

    id: str
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str = "farm"


class Models(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


class Voice(BaseModel):
    """A voice that a caller may speak with."""

    id: str
    name: str
    object: Literal["audio.voice"] = "audio.voice"
    language: str
    engine: str
    licence: str


class Voices(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Voice]


@router.get("/models")
def models(_: Reader) -> Models:
    """List the names of models that requests may carry."""
    return Models(data=[Model(id=name) for name in MODELS])


@router.get("/models/{model}")
def model(model: str, _: Reader) -> Model:
    """Show a model."""
    _check_model(model)
    return Model(id=model)


@router.get("/audio/voices")
def voices(held: Held, caller: Reader) -> Voices:
    """List the voices that the caller may speak with."""
    found = held.studio.voices(caller.owner).values()
    return Voices(
        data=[
            Voice(id=v.id, name=v.id, language=v.language, engine=v.engine, licence=v.licence)
            for v in found
            if not v.revoked
        ]
    )
