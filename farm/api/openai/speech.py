"""OpenAI's dialect: `/v1/audio/speech`, `/v1/audio/voices`, `/v1/models`.

As in OpenAI's API reference (Audio, Models); what the farm cannot honour is refused by name.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from farm import keys, lifecycle, streaming
from farm.api.callers import Caller, Held, Reader, Submitter
from farm.api.drafting import Wish, draft
from farm.api.problems import RETRY_AFTER_S, Answer, Problem, of_farm
from farm.api.service import Service
from farm.audio import joining
from farm.audio.live import LiveEncoder
from farm.errors import Conflict, EngineError, FarmError, JobError, Unavailable
from farm.jobs import Output, Prosody, Spec
from farm.streaming import Spoken
from farm.submission import accept

router = APIRouter(prefix="/v1", tags=["OpenAI"])

#: Characters of one request, as OpenAI has it.
INPUT_CHARACTERS = 4096
#: Names of models that clients send by habit; the voice decides what speaks.
MODELS = ("farm", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
#: Seconds after its end for which a speech job is kept.
KEPT_S = 3600
#: Threads that wait for speech, next to those of all other routes.
LISTENERS = 64
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
    return Answer({"error": _reason(problem)}, problem.status_code, problem.headers)


def _reason(problem: Problem) -> dict[str, Any]:
    kind = TYPES.get(problem.status_code)
    kind = kind or ("invalid_request_error" if problem.status_code < 500 else "server_error")
    code = "invalid_api_key" if problem.status_code == 401 else problem.name.replace("-", "_")
    param = problem.members.get("field")
    return {"message": problem.detail, "type": kind, "param": param, "code": code}


async def listeners(request: Request) -> CapacityLimiter:
    """Return the application's threads for those who wait for speech."""
    found: CapacityLimiter = request.app.state.listeners
    return found


Listeners = Annotated[CapacityLimiter, Depends(listeners)]


@router.post(
    "/audio/speech",
    response_class=Response,
    responses={200: {"content": {"audio/*": {}, "text/event-stream": {}}}},
)
async def speech(
    body: Speech, held: Held, caller: Submitter, threads: Listeners
) -> StreamingResponse:
    """Speak a text; its audio is sent while the rest is still being spoken."""
    _check_model(body.model)
    if not threads.available_tokens:
        detail = f"{LISTENERS} others wait for speech already; ask again soon, or make it a job"
        raise Problem(503, "busy", detail, {"Retry-After": str(RETRY_AFTER_S)})
    return await to_thread.run_sync(_begun, held, caller, body, threads, limiter=threads)


def _begun(
    held: Service, caller: Caller, body: Speech, threads: CapacityLimiter
) -> StreamingResponse:
    """Accept a speech, and answer as soon as there is audio: what is wrong before is an error."""
    spec = _accepted(held, caller, body)
    heard = streaming.spoken(held.farm, spec, streaming.PATIENCE_S)
    try:
        first = next(heard)
    except (JobError, EngineError) as error:  # which may quote the text
        why = f"the text cannot be spoken: GET /v1/jobs/{keys.called(spec.id)} says why"
        raise type(error)(f"{why}, and its /failures") from error
    except Unavailable:
        with suppress(Conflict):  # it has ended meanwhile
            lifecycle.cancel(held.farm, spec.id)
        raise
    if first.audio is None:
        raise _gap(1)
    encoder = LiveEncoder(body.response_format, spec.voices[spec.voice].sample_rate)
    blocks = _encoded(encoder, spec, itertools.chain([first], heard))
    mime = encoder.mime
    if body.stream_format == "sse":
        blocks, mime = _events(blocks, body), "text/event-stream"
    headers = {"X-Farm-Job": keys.called(spec.id)}
    return StreamingResponse(_sent(blocks, threads), 200, headers, mime)


async def _sent(blocks: Iterator[bytes], threads: CapacityLimiter) -> AsyncIterator[bytes]:
    """Yield blocks, each of which somebody's thread waits for."""
    while (block := await to_thread.run_sync(next, blocks, None, limiter=threads)) is not None:
        yield block


def _gap(number: int) -> EngineError:
    # Without its text: that is the client's, and this is logged.
    return EngineError(f"segment {number} of the text cannot be spoken")


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
        source="input",
    )
    wanted = draft(held, caller.owner, wish, body.input.encode())
    here = streaming.planning_here(held.farm)
    return accept(here, wanted, caller.owner, caller.key)[0]


def _encoded(encoder: LiveEncoder, spec: Spec, heard: Iterator[Spoken]) -> Iterator[bytes]:
    """Yield the bytes of a speech, its pauses between; a gap ends it, so that it is noticed."""
    rate, pause_ms = spec.voices[spec.voice].sample_rate, 0
    for number, spoken in enumerate(heard, start=1):
        if spoken.audio is None:
            raise _gap(number)
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
        yield _event({"type": "error", "error": _reason(of_farm(error))})
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
