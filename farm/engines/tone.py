"""The tone engine: no model, no speech, but every promise of the contract.

A segment becomes a tone whose pitch follows from the digest and whose length follows from the
text, so that a whole farm runs and is tested without a model. Markers in the text make it
misbehave; they are not spoken:

    [[fail]]      these segments raise `EngineError`
    [[oom]]       a batch of more than one segment raises `OutOfMemory`
    [[crash]]     the process dies at once (SIGKILL)
    [[poison]]    these segments raise `DeviceLost`
    [[hang]]      the call does not return for an hour
    [[slow 0.5]]  the call takes so many seconds longer
    [[lack]]      the signal comes with a warning

Voice parameters: `seconds_per_audio_second` (compute per second of audio, default 0) and `busy`
(1: spend it computing, 0: asleep; default 0). `seconds_per_pass` is what a forward pass costs
beside (default 0), and `most_characters` the padded characters that fit into one (default 0: any
number; more raise `OutOfMemory`).
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farm.audio import Audio, Timing
from farm.engines.base import Engine
from farm.errors import DeviceLost, EngineError, OutOfMemory
from farm.jobs import Segment, Voice

#: Seconds that a character lasts at speed 1; about the pace of a reader.
CHARACTER_S = 0.06

#: Peak of the tone at volume 0 dB.
PEAK = 0.25

_MARKER = re.compile(r"\s*\[\[(fail|oom|crash|poison|hang|slow|lack)(?:\s+(\d+(?:\.\d+)?))?\]\]")
_HANG_S = 3600.0


class Tone(Engine):
    """A tone for each segment, and failure on demand."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:  # noqa: ARG002
        """Take the voice's sample rate and parameters; it has no files and runs on any device."""
        self.sample_rate = voice.sample_rate
        self._cost = float(voice.parameters.get("seconds_per_audio_second", 0))
        self._pass_cost = float(voice.parameters.get("seconds_per_pass", 0))
        self._most = int(voice.parameters.get("most_characters", 0))
        self._busy = bool(voice.parameters.get("busy", 0))

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Return a tone per segment; see `Engine.speak`."""
        for segment in segments:
            _misbehave(segment, len(segments))
        padded = len(segments) * max((len(segment.text) for segment in segments), default=0)
        if 0 < self._most < padded:
            raise OutOfMemory(f"{padded} padded characters, {self._most} fit")
        spoken = [self._tone(segment) for segment in segments]
        seconds = sum(audio.seconds for audio in spoken)
        _spend(self._pass_cost + self._cost * seconds, self._busy)
        return spoken

    def _tone(self, segment: Segment) -> Audio:
        text, prosody = _MARKER.sub("", segment.text), segment.prosody
        if not text.strip() or prosody.speed <= 0:
            raise EngineError(f"nothing to speak in {segment.text!r} at speed {prosody.speed!r}")
        each = CHARACTER_S * self.sample_rate / prosody.speed
        ends = np.rint(each * np.arange(1, len(text) + 1)).astype(int)
        lengths = np.diff(ends, prepend=0).tolist()
        hertz = _hertz(segment.digest) * 2 ** (prosody.pitch / 12)
        wave = np.sin(2 * np.pi * hertz / self.sample_rate * np.arange(ends[-1]))
        samples = np.clip(PEAK * 10 ** (prosody.volume / 20) * wave, -1, 1).astype(np.float32)
        timings = tuple(Timing(*pair) for pair in zip(text, lengths, strict=True))
        warnings = ("the voice lacks '[[lack]]'",) if "[[lack]]" in segment.text else ()
        return Audio(samples, self.sample_rate, timings, warnings)


def _hertz(digest: str) -> float:
    """Map a digest to one of 2,048 pitches between 110 and 440 Hz."""
    number = int.from_bytes(hashlib.sha256(digest.encode()).digest()[:4], "big")
    return 110.0 * 4 ** (number % 2048 / 2048)


def _misbehave(segment: Segment, batch: int) -> None:
    for what, number in _MARKER.findall(segment.text):
        if what == "fail":
            raise EngineError(f"asked to fail by {segment.text!r}")
        if what == "oom" and batch > 1:
            raise OutOfMemory(f"asked to run out of memory in a batch of {batch}")
        if what == "poison":
            raise DeviceLost(f"asked to lose the device by {segment.text!r}")
        if what == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if what in ("hang", "slow"):
            time.sleep(_HANG_S if what == "hang" else float(number or 1))


def _spend(seconds: float, busy: bool) -> None:
    if not busy:
        time.sleep(seconds)
        return
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
