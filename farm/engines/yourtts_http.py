"""YourTTS voices behind HTTP: `farm serve yourtts`, or a service with the same endpoints.

Who speaks is one of: the voice's own file (role `d_vector`, `.npy`; or `reference`, a recording),
which is registered with the service under a name made of the voice's digest; the parameter
`speaker_id`, registered there before; the parameter `speaker`, or a segment's own, of the model.

Voice parameters: those of `http_client`, and `speaker_id`, `speaker`, `sample_rate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from farm.audio import Audio
from farm.engines.base import Engine
from farm.engines.breaker import Broken
from farm.engines.http_client import (
    Answer,
    Client,
    Refused,
    check,
    finished,
    most_seconds,
    speak_each,
)
from farm.engines.speech_rate import SPEEDS, usual_rate
from farm.errors import EngineError
from farm.jobs import Segment, Voice

#: Bytes of a number in JSON, and of what surrounds the numbers.
_NUMBER_BYTES, _AROUND_BYTES = 26, 65_536
#: Characters of the service's time that reckoning a d-vector may take, as if they were spoken.
_REFERENCE_CHARACTERS = 200


class YourttsHttp(Engine):
    """A voice of a YourTTS service."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:  # noqa: ARG002
        """Ask whether the service is up, and register the voice's own speaker with it.

        Raises:
            EngineError: nobody is named who could speak, or the reference is refused.
            Unavailable: the service does not answer, or has no model loaded.
        """
        self.sample_rate = voice.sample_rate
        self._voice = voice
        self._client = Client(voice)
        self._own = _own(voice, folder)
        self._speaker_id = str(voice.parameters.get("speaker_id", ""))
        self._client.get("/health")
        if self._own:
            self._speaker_id = f"farm-{voice.digest[:32]}"
            self._register()

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak by a request for each segment, several at a time; see `Engine.speak`."""
        return speak_each(self._speak, segments)

    def _speak(self, segment: Segment) -> Audio:
        check(segment, self._voice)
        body = self._body(segment)
        try:
            reply = self._ask(body, segment)
        except Refused as error:
            if error.status != 404 or not self._own:
                raise
            self._register()  # the service has lost its speakers
            reply = self._ask(body, segment)
        wanted = {"used_reference": "speaker_id" in body, "speaker_applied": True}
        if any(reply.get(name, value) != value for name, value in wanted.items()):
            raise EngineError(f"the service did not speak {segment.text!r} in the voice asked for")
        samples, rate = _signal(reply)
        return finished(samples, rate, segment, self._voice, reply.get("warnings", ()))

    def _ask(self, body: dict[str, Any], segment: Segment) -> dict[str, Any]:
        seconds = most_seconds(segment)
        most = _AROUND_BYTES + round(seconds * self.sample_rate * _NUMBER_BYTES)
        return self._client.post("/synthesize", body, _reply, len(segment.text), most)

    def _body(self, segment: Segment) -> dict[str, Any]:
        prosody = segment.prosody
        language = segment.language or self._voice.language
        body: dict[str, Any] = {"text": segment.text, "language": language}
        body |= self._who(prosody.speaker)
        if prosody.speed != 1:
            low, high = SPEEDS
            if not low <= prosody.speed <= high:
                raise EngineError(
                    f"speed {prosody.speed!r} is not valid: a YourTTS service speaks at "
                    f"{low:g} to {high:g}"
                )
            body["speech_rate"] = prosody.speed * usual_rate(language)
        if prosody.take != 1:
            body["take"] = prosody.take
        return body

    def _who(self, speaker: str) -> dict[str, str]:
        speaker = speaker or ("" if self._own else str(self._voice.parameters.get("speaker", "")))
        if speaker:
            return {"speaker": speaker}
        if self._speaker_id:
            return {"speaker_id": self._speaker_id}
        raise EngineError(
            f"voice {self._voice.id!r} names nobody to speak: give it the parameter speaker_id "
            "or speaker, or a file as its reference"
        )

    def _register(self) -> None:
        body = {"speaker_id": self._speaker_id, **self._own}
        self._client.post("/register_speaker", body, Answer.json, _REFERENCE_CHARACTERS)


def _own(voice: Voice, folder: Path) -> dict[str, Any]:
    """Return the fields that tell a service of the voice's own speaker; none without a file."""
    if "d_vector" in voice.files:
        path = folder / voice.files["d_vector"]
        try:
            vector = np.load(path, allow_pickle=False).reshape(-1).astype(float)
        except (OSError, ValueError, EOFError) as error:
            raise EngineError(f"{str(path)!r} is no d-vector: {error}") from error
        return {"reference_audio": [], "voice_embedding": vector.tolist()}
    if "reference" in voice.files:
        path = folder / voice.files["reference"]
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise EngineError(f"reference {str(path)!r} cannot be read: {error}") from error
        mono = np.round(samples.mean(axis=1).astype(float), 6)
        return {"reference_audio": mono.tolist(), "reference_sample_rate": int(rate)}
    return {}


def _reply(answer: Answer) -> dict[str, Any]:
    reply = answer.json()
    if not isinstance(reply, dict) or not isinstance(reply.get("audio"), list):
        raise Broken("it holds no audio")
    _signal(reply)
    return reply


def _signal(reply: dict[str, Any]) -> tuple[Any, int]:
    try:
        samples, rate = np.array(reply["audio"], np.float32), int(reply["sample_rate"])
    except (KeyError, TypeError, ValueError) as error:
        raise Broken(f"its audio is no list of numbers with a sample_rate: {error}") from error
    if samples.ndim != 1:
        raise Broken(f"its audio has {samples.ndim} dimensions")
    return samples, rate
