"""A tone engine whose module writes down, as it is imported, what its process may see."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from farm.audio import Audio
from farm.engines.base import Engine
from farm.engines.tone import Tone
from farm.jobs import Segment, Voice

FRAMEWORKS = {"onnxruntime", "torch"}
BEFORE = {
    "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "threads": os.environ.get("OMP_NUM_THREADS"),
    "loaded": sorted(FRAMEWORKS & set(sys.modules)),
}

import onnxruntime  # noqa: E402 (the process's first framework, after the note above)


class Pretend(Engine):
    """Speaks tones; `notes/<pid>.json` says where it was loaded, and what it has said."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        self.sample_rate = voice.sample_rate
        self._tone = Tone(voice, folder, device)
        self._notes = Path(os.environ["PRETEND_NOTES"], f"{os.getpid()}.json")
        self._said: list[str] = []
        assert onnxruntime.get_device()
        self._note(device)

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        self._said += [segment.text for segment in segments]
        self._note(None)
        return self._tone.speak(segments)

    def _note(self, device: str | None) -> None:
        before = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        row = {**before, **BEFORE, "said": self._said}
        temporary = self._notes.with_suffix(".tmp")
        temporary.write_text(json.dumps(row | ({"device": device} if device else {})))
        temporary.replace(self._notes)
