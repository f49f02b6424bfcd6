"""The Piper service: `POST /tts`, `GET /voices`, `GET /health`.

    POST /tts {"text", "voice", "language"?, "speed"?, "speaker"?, "take"?, "stream"?}
              -> WAV, 16 bits, mono
    GET /voices -> {"voices": [{"name", "language", "sample_rate"}], "fields": [...]}

`fields` are those that `/tts` knows: a client can see that `speed` will not be ignored. What the
voice could not say is in the header `Farm-Warnings` of the answer, a JSON list.

With `stream` the answer is chunked and begins with the first sound: VITS voices decode in windows,
others sentence by sentence. Its head says, as is the custom, that it is as long as a file can be,
and `Farm-Warnings` knows the first sentence alone. What fails before the first sound has its status
as ever; what fails later breaks the answer off, so that its chunked body has no end.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from farm.audio.live import LiveEncoder
from farm.engines import Engine
from farm.errors import InvalidInput
from farm.jobs import Prosody, Segment, Voice
from farm.serving import speech, web
from farm.serving.service import Loaded, Service, primary

#: Bytes of a request's body: the longest text, each character escaped, with room for the rest.
BODY_BYTES = 100_000
#: Characters that `Farm-Warnings` holds at most; servers and clients bound a header.
WARNINGS_CHARACTERS = 4_000


class Speech(web.Body):
    """What `/tts` takes."""

    voice: str = ""
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    """Relative to the voice's own pace."""
    speaker: str = ""
    """A speaker of a multi-speaker voice."""
    stream: bool = False
    """Whether the answer begins with the first sound."""


def create_app(service: Service) -> FastAPI:
    """Return the application of a service's voices."""
    app = web.create("Piper", service, BODY_BYTES)

    @app.post("/tts", response_class=Response)
    async def tts(body: Speech, request: Request) -> Response:
        """Speak a text."""
        loaded = service.voice(body.voice)
        wanted = await run_in_threadpool(_segments, body, loaded.voice)
        if body.stream:
            return await _streamed(service, request, loaded.engine, wanted)
        future = service.desk.speak(loaded.engine, wanted, loaded.budget)
        spoken = await web.answered(request, future, service.timeout_s)
        audio = await run_in_threadpool(speech.joined, spoken, wanted)
        content = await run_in_threadpool(speech.wav, audio)
        return Response(content, headers=_warned(audio.warnings), media_type="audio/wav")

    @app.get("/voices")
    async def voices() -> dict[str, Any]:
        """List the voices that `/tts` takes."""
        found = [_described(each) for each in service.ready().values()]
        return {"voices": found, "fields": list(Speech.model_fields)}

    @app.get("/health")
    async def health() -> JSONResponse:
        """Say whether a text can be spoken."""
        return web.health(service, {"service": "piper-tts", "voices": sorted(service.voices)})

    return app


async def _streamed(
    service: Service, request: Request, engine: Engine, segments: Sequence[Segment]
) -> Response:
    """Answer as soon as there is a first piece."""
    pieces = speech.pieces(engine, segments)
    arriving = web.Streamed(request, service.desk, pieces, service.timeout_s)
    first = await anext(arriving)
    encoder = LiveEncoder("wav", engine.sample_rate)

    async def content() -> AsyncIterator[bytes]:
        try:
            yield encoder.encode(first.samples)
            async for piece in arriving:
                yield encoder.encode(piece.samples)
            yield encoder.finish()
        except HTTPException:
            return  # the client has left
        finally:  # a client that leaves ends this at a `yield`, too
            arriving.close()

    return StreamingResponse(content(), headers=_warned(first.warnings), media_type=encoder.mime)


def _segments(body: Speech, voice: Voice) -> list[Segment]:
    web.check_text(body.text)
    if body.language and primary(body.language) != primary(voice.language):
        raise InvalidInput(
            f"voice {voice.id!r} does not speak {body.language!r}: it speaks {voice.language!r}"
        )
    prosody = Prosody(speed=body.speed, speaker=body.speaker, take=body.take)
    return speech.segments(body.text, voice, prosody, body.language or "")


def _described(loaded: Loaded) -> dict[str, Any]:
    return {
        "name": loaded.voice.id,
        "language": loaded.voice.language,
        "sample_rate": loaded.engine.sample_rate,
    }


def _warned(warnings: tuple[str, ...]) -> dict[str, str]:
    kept = list(warnings)
    while len(json.dumps(kept)) > WARNINGS_CHARACTERS:
        kept = [*kept[: len(kept) // 2], f"and {len(warnings) - len(kept) // 2} more"]
    return {"Farm-Warnings": json.dumps(kept)} if kept else {}
