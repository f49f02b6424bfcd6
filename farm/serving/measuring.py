"""How a service speaks with a voice on its device: as was measured there, by it or by a worker."""

from __future__ import annotations

from farm.calibration import SHORTEST, Budgets, Setting
from farm.engines import Engine
from farm.jobs import Prosody, Segment, Voice
from farm.text import examples, sentences


def setting(budgets: Budgets, voice: Voice, engine: Engine, speaker: str) -> Setting | None:
    """Return a voice's setting, measured now unless it is known.

    None where the voice cannot be measured, or another process is just measuring it. Raises what
    the engine does, but for `OutOfMemory` and `EngineError`.
    """
    found = budgets.known(voice)
    if found is None:
        budgets.find(voice, engine, sample(voice, speaker))
        found = budgets.known(voice)
    return found


def sample(voice: Voice, speaker: str) -> Segment:
    """Return a segment that is long enough for its beginnings to tell what a batch costs."""
    spoken = " ".join(s.spoken for s in sentences(examples.text(voice.language), voice.language))
    times = -(-SHORTEST // len(spoken))
    text = " ".join([spoken] * times)
    return Segment("0" * 64, text, voice.id, Prosody(speaker=speaker), voice.language)
