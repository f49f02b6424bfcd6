"""Piper voices behind HTTP: a service of this farm (`farm serve piper`) or one like it, or
`python -m piper.http_server` of piper-tts. Which of them it is shows in its `GET /voices`.

    farm      {"voices": [{"name", "language"?, "sample_rate"?}], "fields"?: [...]}; POST /tts
    piper-tts {name: config}; POST /synthesize {text, voice, speaker?, length_scale?, ...}

piper-tts answers for an unknown voice with its default one, so names are checked here. It brings
each sentence to full level and draws new noise each time: there is no control of either.

Voice parameters: those of `http_client`, and `voice`, the service's name of it (else the id);
`sample_rate`; `speaker`; for piper-tts `noise_scale` and `noise_w`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.audio import Audio
from farm.engines.base import Engine
from farm.engines.breaker import Broken
from farm.engines.dialects import languages
from farm.engines.http_client import (
    Answer,
    Client,
    check,
    finished,
    most_seconds,
    read_wav,
    speak_each,
)
from farm.errors import EngineError
from farm.jobs import Segment, Voice

#: Fields of `/tts` where a service does not list its own.
_FIELDS = ("text", "voice", "language")
#: Bytes of a sample in the widest WAV file expected, and of what surrounds the samples.
_SAMPLE_BYTES, _AROUND_BYTES = 4, 65_536
#: What piper-tts 1.8 cuts off the end of a model's file name, letter by letter, for its own name.
_PIPER_STRIPS = ".onnx.json"


class PiperHttp(Engine):
    """A voice of a Piper service."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:  # noqa: ARG002
        """Ask the service for its voices; it has the model, so files and device are its own.

        Raises:
            EngineError: it has no such voice, or one of another rate.
            Unavailable: it does not answer.
        """
        self.sample_rate = voice.sample_rate
        self._voice = voice
        self._client = Client(voice)
        self._dialect = _dialect(self._client.get("/voices"), voice)

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak by a request for each segment, several at a time; see `Engine.speak`."""
        return speak_each(self._speak, segments)

    def _speak(self, segment: Segment) -> Audio:
        check(segment, self._voice)
        body = self._dialect.body(segment)
        seconds = most_seconds(segment)
        most = _AROUND_BYTES + round(seconds * self.sample_rate * _SAMPLE_BYTES)
        (samples, rate), warnings = self._client.post(
            self._dialect.path, body, _read, len(segment.text), most
        )
        return finished(samples, rate, segment, self._voice, warnings)


def _read(answer: Answer) -> tuple[tuple[Any, int], list[str]]:
    try:
        warnings = json.loads(answer.headers.get("Farm-Warnings", "[]"))
    except ValueError as error:
        raise Broken(f"its warnings are no JSON: {error}") from error
    return read_wav(answer.content), list(map(str, warnings))


class _Dialect(ABC):
    """What a kind of service wants to be told."""

    path: str

    @abstractmethod
    def body(self, segment: Segment) -> dict[str, Any]:
        """Return the JSON of a segment's request, or raise `EngineError`."""


def _dialect(listed: Any, voice: Voice) -> _Dialect:
    if isinstance(listed, dict) and isinstance(listed.get("voices"), list):
        return _Farm(listed, voice)
    if isinstance(listed, dict) and all(isinstance(each, dict) for each in listed.values()):
        return _PiperTts(listed, voice)
    raise EngineError(f"the service of voice {voice.id!r} is no Piper service: see its url")


def _named(name: str, known: Mapping[str, Any], voice: Voice) -> Any:
    if name not in known:
        choices = ", ".join(sorted(known)) or "none"
        raise EngineError(
            f"the service of voice {voice.id!r} has no voice {name!r}; it has: {choices}"
        )
    return known[name]


def _remote(voice: Voice) -> str:
    return str(voice.parameters.get("voice", voice.id))


def _check_rate(found: Any, voice: Voice) -> None:
    if found is not None and found != voice.sample_rate:
        raise EngineError(
            f"the service of voice {voice.id!r} speaks at {found} Hz, the voice says "
            f"{voice.sample_rate} Hz: set its parameter sample_rate"
        )


class _Farm(_Dialect):
    """`farm serve piper`, and services that came before it."""

    path = "/tts"

    def __init__(self, listed: Mapping[str, Any], voice: Voice) -> None:
        rows = [row if isinstance(row, dict) else {"name": row} for row in listed["voices"]]
        known = {str(row.get("name", row.get("id", ""))): row for row in rows}
        _check_rate(_named(_remote(voice), known, voice).get("sample_rate"), voice)
        self._voice = voice
        self._fields = frozenset(listed.get("fields", _FIELDS))

    def body(self, segment: Segment) -> dict[str, Any]:
        prosody = segment.prosody
        speaker = prosody.speaker or str(self._voice.parameters.get("speaker", ""))
        controls = {
            "speed": (prosody.speed, 1),
            "speaker": (speaker, ""),
            "take": (prosody.take, 1),
        }
        asked = {name: value for name, (value, usual) in controls.items() if value != usual}
        unknown = sorted(asked.keys() - self._fields - {"take"})
        if unknown:
            raise EngineError(
                f"the service of voice {self._voice.id!r} takes no {unknown[0]} "
                f"(asked for {asked[unknown[0]]!r}): leave it out"
            )
        return {
            "text": segment.text,
            "voice": _remote(self._voice),
            "language": segment.language or self._voice.language,
            # A service without takes speaks differently each time anyway.
            **{name: value for name, value in asked.items() if name in self._fields},
        }


class _PiperTts(_Dialect):
    """`python -m piper.http_server`."""

    path = "/synthesize"

    def __init__(self, listed: Mapping[str, Any], voice: Voice) -> None:
        known = {name.rstrip(_PIPER_STRIPS): config for name, config in listed.items()}
        self._config = _named(_remote(voice).rstrip(_PIPER_STRIPS), known, voice)
        _check_rate(self._config.get("audio", {}).get("sample_rate"), voice)
        self._voice = voice

    def body(self, segment: Segment) -> dict[str, Any]:
        own = self._voice.language  # the service takes any text, and reads it in that
        languages.choose(segment.language or own, (own,), f"voice {self._voice.id!r}")
        prosody, given = segment.prosody, self._voice.parameters
        body: dict[str, Any] = {"text": segment.text, "voice": _remote(self._voice)}
        body |= self._speaker(prosody.speaker or str(given.get("speaker", "")))
        if prosody.speed != 1 or "length_scale" in given:
            usual = self._config.get("inference", {}).get("length_scale", 1)
            body["length_scale"] = float(given.get("length_scale", usual)) / prosody.speed
        for name, theirs in (("noise_scale", "noise_scale"), ("noise_w", "noise_w_scale")):
            if name in given:
                body[theirs] = float(given[name])
        return body

    def _speaker(self, name: str) -> dict[str, int]:
        names = dict(self._config.get("speaker_id_map") or {})
        count = int(self._config.get("num_speakers", 1))
        if count > 1 and not names:
            names = {str(number): number for number in range(count)}
        if not name:
            return {}
        if name not in names:
            choices = ", ".join(sorted(names)) or "none, it has a single voice"
            raise EngineError(
                f"voice {self._voice.id!r} has no speaker {name!r}; its speakers: {choices}"
            )
        return {"speaker_id": int(names[name])}
