"""The services for the tests, run in a thread with engines that tell what they were given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import urllib3

from farm.audio import Audio, Samples
from farm.engines.cloning.speakers import DVector, Speakers
from farm.engines.tone import Tone
from farm.errors import FarmError
from farm.jobs import Segment, Voice
from farm.serving import Loader, Options, ports, running
from farm.serving.service import Service

RATE = 8_000
#: Numbers in a d-vector of the test's cloner.
SIZE = 4


def voice(id_: str = "tone", **parameters: float | int | str) -> Voice:
    return Voice(id_, "d" * 64, "tone", "tone", "en-US", RATE, parameters=parameters)


class Listening(Tone):
    """A tone engine that tells what it was given; what it shall say slowly takes its time."""

    slow_s = 0.4

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice, Path(), "cpu")
        self.voice = voice
        self.batches: list[list[Segment]] = []

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        self.batches.append(list(segments))
        if any("slowly" in segment.text for segment in segments):
            time.sleep(self.slow_s)
        return super().speak(segments)


class Cloning(Listening):
    """A tone engine that has speakers, and makes a d-vector of what it hears."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self.speakers = Speakers(voice.id, SIZE, {"alto": [1, 0, 0, 0], "bass": [0, 1, 0, 0]})
        self.heard: list[tuple[int, int]] = []
        self.spoken_as: list[list[float]] = []

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        self.heard.append((len(samples), sample_rate))
        quarters = np.array_split(np.abs(samples), SIZE)
        return np.array([quarter.mean() for quarter in quarters], np.float32)

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        for segment in segments:
            self.spoken_as.append(self.speakers.find(segment.prosody.speaker).tolist())
        return super().speak(segments)


@dataclass
class Served:
    """A service that runs in this process."""

    url: str
    service: Service
    thread: threading.Thread
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        return self.pool.request("GET", self.url + path, timeout=20)

    def post(self, path: str, body: Any, **more: Any) -> urllib3.BaseHTTPResponse:
        return self.pool.request("POST", self.url + path, json=body, timeout=20, **more)

    def wait(self, state: str = "ok") -> None:
        """Wait until the service is in a state."""
        wait_for(lambda: self.service.state == state)


@contextmanager
def served(
    kind: Any, *engines: Listening | Loader, wait: bool = True, **options: Any
) -> Iterator[Served]:
    """Run a service with engines, or what loads them, for the length of a block."""
    chosen = Options(kind, **options)
    service = running.create_service(chosen, [_loader(each) for each in engines])
    with ports.listen(chosen.host, chosen.port) as taken:
        app = running.create_app(chosen, service)
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        thread = threading.Thread(target=_run, args=(app, service, taken))
        thread.start()
        there = Served(url, service, thread)
        try:
            if wait:
                there.wait()
            yield there
        finally:
            there.pool.clear()
            service.stop()
            thread.join(20)
            assert not thread.is_alive()


def _run(app: Any, service: Service, taken: Any) -> None:
    with suppress(FarmError):  # a load that failed: the service keeps why
        running.run(app, service, taken)


def _loader(engine: Listening | Loader) -> Loader:
    if isinstance(engine, Listening):
        return lambda: (engine.voice, engine)
    return engine


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something holds; fail if it never does."""
    over = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < over
        time.sleep(0.01)


def problem(response: urllib3.BaseHTTPResponse) -> str:
    """Return the detail of a problem document, which must be one."""
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status
    assert document["type"] == "about:blank"
    assert document["title"]
    return str(document["detail"])
