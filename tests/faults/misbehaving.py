"""An engine that does what engines must not, as the text asks: `[[segv]]` and so on.

`notes/<pid>` holds, line by line, what a process was asked to speak, before it tried.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from farm.audio import Audio
from farm.engines.base import Engine
from farm.engines.tone import Tone
from farm.jobs import Segment, Voice

#: What a leaking pass keeps.
LEAK = 50 << 20

_MARKER = re.compile(r"\s*\[\[(\w+)\]\]")
_kept: list[bytearray] = []


def _spin() -> None:
    while True:
        pass


def _recurse() -> None:
    _recurse()


def _leak() -> None:
    _kept.append(bytearray(os.urandom(1 << 20)) * (LEAK >> 20))


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


#: What happens in a pass.
ACTS: dict[str, Callable[[], Any]] = {
    "leak": _leak,
    "spin": _spin,
    # PyDLL keeps the interpreter's lock during the call, as a faulty extension does.
    "native": lambda: ctypes.PyDLL(None).sleep(3600),
    "segv": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": _raise(MemoryError("no 500 GiB")),
    "recursion": _recurse,
    "system": lambda: sys.exit(2),
    "runtime": _raise(RuntimeError("odd")),
    "keyboard": _raise(KeyboardInterrupt()),
}

#: What a pass gives instead of a signal.
SIGNALS: dict[str, Callable[[Audio], Any]] = {
    "nan": lambda audio: replace(audio, samples=audio.samples * np.float32("nan")),
    "infinity": lambda audio: replace(audio, samples=audio.samples * np.float32("inf")),
    "silence": lambda audio: replace(audio, samples=audio.samples * np.float32(0)),
    "nothing": lambda audio: replace(audio, samples=audio.samples[:0], timings=()),
    "short": lambda audio: replace(audio, samples=audio.samples[:9], timings=()),
    "double": lambda audio: replace(audio, samples=audio.samples.astype(np.float64)),
    "stereo": lambda audio: replace(audio, samples=np.stack([audio.samples] * 2)),
    "fast": lambda audio: replace(audio, sample_rate=2 * audio.sample_rate),
    "timings": lambda audio: replace(audio, timings=audio.timings[1:]),
    "bytes": lambda audio: audio.samples.tobytes(),
}


class Misbehaving(Engine):
    """The tone engine, but for what a text asks of it."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        self.sample_rate = voice.sample_rate
        self._tone = Tone(voice, folder, device)
        self._notes = Path(os.environ["PRETEND_NOTES"], str(os.getpid()))

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.writelines(f"{segment.text}\n" for segment in segments)
        asked = [_MARKER.findall(segment.text) for segment in segments]
        for act in [ACTS[name] for names in asked for name in names if name in ACTS]:
            act()
        plain = [replace(s, text=_MARKER.sub("", s.text)) for s in segments]
        spoken: list[Any] = self._tone.speak(plain)
        for number, names in enumerate(asked):
            for change in [SIGNALS[name] for name in names if name in SIGNALS]:
                spoken[number] = change(spoken[number])
        if any("count" in names for names in asked):
            spoken.append(spoken[0])
        return spoken
