"""The YourTTS service: `POST /register_speaker`, `POST /synthesize`, `GET /health`.

    POST /register_speaker {"speaker_id", "reference_audio", "reference_sample_rate"?,
        "voice_embedding"?} -> {"status", "speaker_id", "message", "cache_size"}
    POST /synthesize {"text", "speaker_id"?, "reference_audio"?, "reference_sample_rate"?,
        "voice_embedding"?, "speaker"?, "language"?, "speech_rate"?, "take"?}
        -> {"audio", "sample_rate", "text", "used_reference", "speaker_applied", "warnings"?}

Audio is a list of floats in [-1, 1]. Who speaks is a registered speaker, else the voice of the
reference given, else a speaker of the model; there is no default. `voice_embedding` is a d-vector
of this model, and spares computing it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from farm.audio import Audio, Samples
from farm.engines.speech_rate import speed
from farm.errors import InvalidInput, NotFound
from farm.jobs import Prosody, Segment, check_id
from farm.serving import speech, web
from farm.serving.service import Loaded, Service
from farm.serving.speakers import DVector, Speakers

#: Bytes of a request's body: a minute of reference at 16 kHz, its floats written in full.
BODY_BYTES = 24_000_000
#: Seconds that a reference lasts at least and at most.
REFERENCE_S = (1.0, 60.0)
#: Peak below which a reference is silence, and above which it is not in [-1, 1].
REFERENCE_PEAK = (0.001, 1.5)
#: References whose d-vector is remembered.
REMEMBERED = 256


class Names(Protocol):
    """Who an engine can be: see `farm.engines.cloning.speakers`."""

    @property
    def size(self) -> int:
        """Numbers in a d-vector."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody with a name."""

    def lent(self, d_vector: ArrayLike) -> AbstractContextManager[str]:
        """Have the name given as `Prosody.speaker` mean a d-vector, for the length of a block."""

    def checked(self, d_vector: ArrayLike, name: str) -> DVector:
        """Return a d-vector as the model takes it, or raise `EngineError`."""


@runtime_checkable
class Cloner(Protocol):
    """What the service needs of an engine, besides `Engine`."""

    speakers: Names

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        """Return the d-vector of a reference."""


class Reference(BaseModel):
    """What `/register_speaker` takes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    speaker_id: str
    reference_audio: list[float] = Field(default_factory=list)
    reference_sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] = 16_000
    voice_embedding: list[float] | None = None


class Synthesis(web.Body):
    """What `/synthesize` takes."""

    speaker_id: str | None = None
    reference_audio: list[float] | None = None
    reference_sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    voice_embedding: list[float] | None = None
    speaker: str | None = None
    speech_rate: Annotated[float, Field(gt=0)] | None = None
    """Characters per second."""


@dataclass
class Cloning:
    """The one voice of the service, and those who have lent it theirs."""

    service: Service
    registered: Speakers
    _remembered: OrderedDict[str, DVector] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def loaded(self) -> Loaded:
        """The voice, or `Unavailable`."""
        return next(iter(self.service.ready().values()))

    def embedded(self, audio: Audio, key: str, name: str) -> Future[DVector]:
        """Compute the d-vector of a reference, or remember it, or take the registered speaker's.

        `key` is the reference's digest.
        """
        with self._lock:
            found = self._remembered.get(key)
        if found is None and name:
            found = self.registered.made_of(name, key)
        if found is None:
            return self.service.desk.ask(lambda: self._embed(key, audio))
        done: Future[DVector] = Future()
        done.set_result(found)
        return done

    def _embed(self, key: str, audio: Audio) -> DVector:
        engine = _cloner(self.loaded)
        found = engine.speakers.checked(
            engine.embed(audio.samples, audio.sample_rate), "the reference"
        )
        with self._lock:
            self._remembered[key] = found
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return found


def create_app(service: Service, registered: Speakers) -> FastAPI:
    """Return the application of a service's one voice, whose engine is a `Cloner`."""
    app = web.create("YourTTS", service, BODY_BYTES)
    service.accept, service.somebody = _cloner, _somebody
    cloning = Cloning(service, registered)

    @app.post("/register_speaker")
    async def register_speaker(body: Reference, request: Request) -> dict[str, Any]:
        """Keep a speaker's d-vector, given or computed from a reference."""
        check_id(body.speaker_id, "speaker_id")
        found, reference = await _vector(body, cloning, request)
        await run_in_threadpool(registered.put, body.speaker_id, found, reference)
        message = f"speaker {body.speaker_id!r} is registered"
        count = len(await run_in_threadpool(registered.names))
        return {
            "status": "ok",
            "speaker_id": body.speaker_id,
            "message": message,
            "cache_size": count,
        }

    @app.post("/synthesize")
    async def synthesize(body: Synthesis, request: Request) -> StreamingResponse:
        """Speak a text in somebody's voice."""
        web.check_text(body.text)
        speaker, used_reference = await _speaker(body, cloning, request)
        with speaker as name:
            loaded = cloning.loaded
            wanted = await run_in_threadpool(_segments, body, loaded, name)
            future = service.desk.speak(loaded.engine, wanted, loaded.budget)
            spoken = await web.answered(request, future, service.timeout_s)
        audio = await run_in_threadpool(speech.joined, spoken, wanted)
        parts = _json(audio, {"text": body.text, "used_reference": used_reference})
        return StreamingResponse(parts, media_type="application/json")

    @app.get("/health")
    async def health() -> JSONResponse:
        """Say whether a text can be spoken."""
        count = len(await run_in_threadpool(registered.names))
        return web.health(service, {"cached_speakers": count})

    return app


async def _vector(
    body: Reference | Synthesis, cloning: Cloning, request: Request
) -> tuple[DVector, str]:
    """Return the d-vector that a request brings along, or that of its reference and its digest."""
    if body.voice_embedding is not None:
        engine = _cloner(cloning.loaded)
        return engine.speakers.checked(body.voice_embedding, "voice_embedding"), ""
    rate = body.reference_sample_rate or 16_000
    audio = await run_in_threadpool(_reference, body.reference_audio or [], rate)
    cloning.service.ready()
    key = hashlib.sha256(audio.samples.tobytes() + b"%d" % rate).hexdigest()
    future = await run_in_threadpool(cloning.embedded, audio, key, body.speaker_id or "")
    return await web.answered(request, future, cloning.service.timeout_s), key


async def _speaker(
    body: Synthesis, cloning: Cloning, request: Request
) -> tuple[AbstractContextManager[str], bool]:
    """Return the engine's name of who speaks, and whether it is somebody's reference."""
    lent = body.reference_audio is not None or body.voice_embedding is not None
    if body.speaker and (lent or body.speaker_id):
        raise InvalidInput("speaker: give it alone, or speaker_id, or reference_audio")
    engine = _cloner(cloning.loaded)
    if not body.speaker_id and not lent:
        return nullcontext(_of_model(body.speaker or "", engine, cloning.registered)), False
    found = await run_in_threadpool(_registered, body.speaker_id, cloning.registered, lent)
    if found is None:
        found, _ = await _vector(body, cloning, request)
    return engine.speakers.lent(found), True


def _registered(name: str | None, registered: Speakers, lent: bool) -> DVector | None:
    """Return a registered speaker; None where a reference was given for an unknown one."""
    try:
        return registered.get(name) if name else None
    except NotFound:
        if lent:
            return None
        raise


def _of_model(name: str, engine: Cloner, registered: Speakers) -> str:
    names = engine.speakers.names
    if name in names:
        return name
    known = ", ".join(sorted(names)) or "none"
    others = ", ".join(registered.names()[:20]) or "none"
    choices = f"choose a speaker of the model ({known}), a speaker_id ({others}), or send a "
    if not name:
        raise InvalidInput(f"nobody to speak: {choices}reference_audio")
    raise NotFound(f"unknown speaker {name!r}: {choices}reference_audio")


def _segments(body: Synthesis, loaded: Loaded, speaker: str) -> list[Segment]:
    language = body.language or ""
    pace = speed(body.speech_rate, language or loaded.voice.language)
    prosody = Prosody(speed=pace, speaker=speaker, take=body.take)
    return speech.segments(body.text, loaded.voice, prosody, language)


def _reference(samples: Sequence[float], sample_rate: int) -> Audio:
    """Check a reference: its length, and that it is a signal in [-1, 1] and not silence."""
    audio = Audio(np.array(samples, np.float32), sample_rate)
    low, high = REFERENCE_S
    if not low <= audio.seconds <= high:
        raise InvalidInput(
            f"reference_audio lasts {audio.seconds:.2f} s at {sample_rate} Hz: "
            f"send {low:g} to {high:g} s of speech"
        )
    peak = float(np.abs(audio.samples).max())
    if not REFERENCE_PEAK[0] <= peak <= REFERENCE_PEAK[1]:
        raise InvalidInput(f"reference_audio has a peak of {peak:g}: send floats in [-1, 1]")
    return audio


def _cloner(loaded: Loaded) -> Cloner:
    if not isinstance(loaded.engine, Cloner):
        raise InvalidInput(f"voice {loaded.voice.id!r} cannot speak with the voice of a reference")
    return loaded.engine


def _somebody(loaded: Loaded) -> AbstractContextManager[str]:
    """Name a speaker of the model, or lend it a d-vector: the voice itself may be nobody."""
    speakers = _cloner(loaded).speakers
    if speakers.names:
        return nullcontext(speakers.names[0])
    return speakers.lent(np.full(speakers.size, speakers.size**-0.5))


def _json(audio: Audio, fields: dict[str, Any]) -> Iterator[str]:
    """Write the answer block by block: a minute of audio is 10 MB of it."""
    yield '{"audio":['
    yield from speech.numbers(audio)
    rest = {"sample_rate": audio.sample_rate, **fields, "speaker_applied": True}
    if audio.warnings:
        rest["warnings"] = list(audio.warnings)
    yield "]," + json.dumps(rest, ensure_ascii=False)[1:]
