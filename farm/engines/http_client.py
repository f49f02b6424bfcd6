"""How the engines of the family `http` talk to a service: time, size and patience are bounded.

Voice parameters:

    url                    of the service, such as http://127.0.0.1:5005; no password in it
    timeout_s              seconds for any answer (default 10), and
    character_s            for each character more (default 0.25)
    retries                further attempts after a failure (default 3)
    backoff_s              seconds before the first of them (default 0.5); doubled each time, and
                           a random part of it is waited; `Retry-After` goes before
    breaker_failures       failures in a row after which the service is left alone (default 5)
    breaker_rest_s         seconds that it is left alone (default 30)
"""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import soundfile
import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, LocationParseError
from urllib3.util import Retry, Timeout, parse_url

from farm.audio import Audio, Samples
from farm.engines.breaker import FAILURES, REST_S, Breaker, Broken
from farm.errors import EngineError, Unavailable
from farm.jobs import Prosody, Segment, Voice

T = TypeVar("T")

#: Requests that one call of `speak` has open at a time: the service batches them.
PARALLEL = 4
#: Seconds to connect.
CONNECT_S = 5.0
#: The longest wait between two attempts, and what is obeyed of a `Retry-After`, in seconds.
LONGEST_WAIT_S = 60.0
#: Bytes of an answer that holds no audio.
PLAIN_BYTES = 4_000_000
#: Seconds of audio that an answer may hold: these, and so many for each character at speed 1.
AUDIO_S, CHARACTER_AUDIO_S = 10.0, 1.0
#: Statuses that ask to come back, and say nothing bad about the service.
_LATER = (408, 425, 429)
#: A RIFF size of a file whose writer did not know it.
_UNKNOWN_SIZE = 0xFFFFFFFF


class Refused(EngineError):
    """The service does not take the request."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the status."""
        super().__init__(message)
        self.status = status


class _Later(Unavailable):
    """The service has too much to do."""

    retry_after_s: float | None = None


@dataclass(frozen=True)
class Answer:
    """What a service gave."""

    headers: urllib3.HTTPHeaderDict
    content: bytes

    def json(self) -> Any:
        """Read it as JSON, or raise `Broken`."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise Broken(f"it is no JSON: {self.content[:60]!r}") from error


class Client:
    """One service, as one voice uses it; safe to use from several threads."""

    def __init__(self, voice: Voice) -> None:
        """Read the parameters; nothing is connected.

        Raises:
            EngineError: the URL is not one that a service can have.
        """
        given = voice.parameters
        self.url = _url(str(given.get("url", "")), voice.id)
        self._timeout_s = float(given.get("timeout_s", 10))
        self._character_s = float(given.get("character_s", 0.25))
        self._retries = int(given.get("retries", 3))
        self._backoff_s = float(given.get("backoff_s", 0.5))
        self._breaker = Breaker(
            f"the service at {self.url}",
            int(given.get("breaker_failures", FAILURES)),
            float(given.get("breaker_rest_s", REST_S)),
        )
        self._pool = urllib3.PoolManager(maxsize=PARALLEL, retries=False)

    def get(self, path: str) -> Any:
        """Return the JSON at a path. Raises as `post` does."""
        return self._patiently("GET", path, None, self._timeout_s, PLAIN_BYTES, Answer.json)

    def post(
        self,
        path: str,
        body: Any,
        read: Callable[[Answer], T],
        characters: int = 0,
        most_bytes: int = PLAIN_BYTES,
    ) -> T:
        """Send JSON and return what `read` makes of the answer; again where the service failed.

        `characters` of text to speak make the time longer that is waited. `read` raises `Broken`
        for an answer that is garbage.

        Raises:
            Refused: the service says that the request is wrong (4xx).
            EngineError: the answer is larger than `most_bytes`.
            Unavailable: it failed each time, or is left alone by now.
        """
        timeout_s = self._timeout_s + self._character_s * characters
        return self._patiently("POST", path, body, timeout_s, most_bytes, read)

    def _patiently(
        self,
        method: str,
        path: str,
        body: Any,
        timeout_s: float,
        most: int,
        read: Callable[[Answer], T],
    ) -> T:
        for attempt in range(self._retries + 1):
            try:
                with self._breaker.attempt():
                    return read(self._once(method, path, body, timeout_s, most))
            except (Broken, _Later) as error:
                failure = type(error)(f"{method} {self.url}{path}: {error}")
                if attempt == self._retries:
                    raise failure from error
                time.sleep(self._wait_s(attempt, error.retry_after_s))
        raise AssertionError("unreachable")

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        backoff_s: float = self._backoff_s * 2**attempt * random.uniform(0.5, 1)
        return min(LONGEST_WAIT_S, max(backoff_s, asked_s or 0))

    def _once(self, method: str, path: str, body: Any, timeout_s: float, most: int) -> Answer:
        over = time.monotonic() + timeout_s
        try:
            response = self._pool.request(
                method,
                self.url + path,
                json=body,
                timeout=Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
                redirect=False,
                preload_content=False,
            )
            try:
                content = _content(response, most, over)
            finally:
                response.close()
        except (HTTPError, OSError) as error:
            raise Broken(" ".join(str(error).split())[:300]) from error
        _check_status(response, content)
        return Answer(response.headers, content)


def _url(url: str, voice: str) -> str:
    """Return a service's URL without its last slash, or raise `EngineError`."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        parts = parse_url("")
    if parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.fragment:
        raise EngineError(
            f"voice {voice!r}: url {url!r} is not valid: give its service as http://host:port"
        )
    if parts.auth:
        raise EngineError(f"voice {voice!r}: its url holds a password: everybody can read it there")
    return url.rstrip("/")


def _content(response: urllib3.BaseHTTPResponse, most: int, over: float) -> bytes:
    """Read a body to its end as it comes, not beyond a size and a time."""
    content = bytearray()
    while block := response.read1(65_536, decode_content=False):
        content += block
        if len(content) > most:
            raise EngineError(f"the service's answer has more than {most} bytes")
        if time.monotonic() > over:
            raise Broken("the answer did not end in time")
    return bytes(content)


def _check_status(response: urllib3.BaseHTTPResponse, content: bytes) -> None:
    status = response.status
    if status == 200:
        return
    line = f"{status}: {_detail(content)}"
    if status not in _LATER and status < 500:
        raise Refused(f"the service answers {line}", status)
    failure = _Later(line) if status in _LATER else Broken(line)
    with suppress(InvalidHeader):
        failure.retry_after_s = Retry().get_retry_after(response)
    raise failure


def _detail(content: bytes) -> str:
    """Return a problem document's detail, or how the body begins."""
    try:
        found = json.loads(content)
        text = str(found.get("detail") or found.get("error") or found)
    except (ValueError, AttributeError):
        text = content.decode(errors="replace")
    return " ".join(text.split())[:300]


def speak_each(speak: Callable[[Segment], Audio], segments: Sequence[Segment]) -> list[Audio]:
    """Speak segments by a request each, several at a time; in order."""
    if len(segments) < 2:
        return [speak(segment) for segment in segments]
    with ThreadPoolExecutor(min(PARALLEL, len(segments))) as pool:
        return list(pool.map(speak, segments))


def check(segment: Segment, voice: Voice) -> None:
    """Raise `EngineError` for a segment that no such service can speak as it is meant."""
    prosody = segment.prosody
    if not any(character.isalnum() for character in segment.text):
        raise EngineError(f"nothing to speak in {segment.text!r}")
    if prosody.speed <= 0:
        raise EngineError(f"speed {prosody.speed!r} is not valid: it must be above 0")
    plain = Prosody()
    for name in ("pitch", "energy"):
        asked, usual = getattr(prosody, name), getattr(plain, name)
        if asked != usual:
            raise EngineError(
                f"engine {voice.engine!r} cannot change the {name} (asked for {asked!r}): "
                f"leave it at {usual:g}"
            )


def most_seconds(segment: Segment) -> float:
    """Return how much audio a segment may come to: what is longer is no speech of its text."""
    return AUDIO_S + CHARACTER_AUDIO_S * len(segment.text) / min(1.0, segment.prosody.speed)


def finished(
    samples: Samples, sample_rate: int, segment: Segment, voice: Voice, warnings: Sequence[str] = ()
) -> Audio:
    """Check a signal that a service gave, and set its volume.

    Raises:
        EngineError: it is empty, not finite, or not at the voice's rate.
    """
    if sample_rate != voice.sample_rate:
        raise EngineError(
            f"the service of voice {voice.id!r} speaks at {sample_rate} Hz, the voice says "
            f"{voice.sample_rate} Hz: set its parameter sample_rate"
        )
    if not len(samples) or not np.isfinite(samples).all():
        raise EngineError(f"the service gave no signal for {segment.text!r}")
    gain = np.float32(10 ** (segment.prosody.volume / 20))
    return Audio(np.clip(samples * gain, -1, 1), sample_rate, warnings=tuple(warnings))


def read_wav(content: bytes) -> tuple[Samples, int]:
    """Return a WAV file's samples, mono float32, and its rate in Hz.

    Raises:
        Broken: it is no WAV file, or less of it than it says.
        EngineError: it has several channels.
    """
    size = int.from_bytes(content[4:8], "little")
    if content[:4] != b"RIFF" or (len(content) < size + 8 and size != _UNKNOWN_SIZE):
        raise Broken(f"it is no whole WAV file: {len(content)} bytes, {content[:12]!r}")
    try:
        samples, sample_rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except (soundfile.LibsndfileError, ValueError, TypeError) as error:
        raise Broken(f"it is no WAV file: {error}") from error
    if samples.ndim > 1:
        raise EngineError(f"the service gave {samples.shape[1]} channels: a voice has one")
    return samples, int(sample_rate)
