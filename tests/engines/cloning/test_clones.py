"""The zero-shot pair that ships speaks as high as the recording that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from farm import builtin, voices
from farm.audio import Samples
from farm.engines import Engine, load
from farm.engines.yourtts_onnx import YourTtsOnnx
from farm.jobs import Prosody, Segment

RATE = 16_000
#: What the references say, and what their clones do.
HEARD = "The quick brown fox jumps over the lazy dog near the river bank, and then it runs home."
SAID = "Glue the sheet to the dark blue background. The birch canoe slid on the smooth planks."
#: Who is recorded, and how fast the recording is played: most of these rates it never learnt from.
#: `slt` is another model, of another engine; the rest are the pair's own speakers.
REFERENCES = [
    ("slt", 1.12), ("slt", 0.95), ("awb", 1.06), ("rms", 1.06), ("rms", 0.95), ("kal16", 0.95),
]  # fmt: skip
#: Hertz between the median F0 of a reference and its clone's, at most; seen: 0.4 to 2.6.
CLOSE = 8.0


def hertz(samples: Samples) -> float:
    """Return the median F0 of the voiced frames of 64 ms, by autocorrelation."""
    low, high, found = RATE // 400, RATE // 60, []
    for begin in range(0, len(samples) - 1024, 256):
        frame = samples[begin : begin + 1024] * np.hanning(1024)
        around = np.correlate(frame, frame, "full")[1023:]
        period = int(around[low:high].argmax()) + low
        if np.square(frame).mean() > 1e-4 and around[period] > around[0] / 2:
            found.append(RATE / period)
    return float(np.median(found))


def say(engine: Engine, text: str, speaker: str = "") -> Samples:
    return engine.speak([Segment("1" * 64, text, "x", Prosody(speaker=speaker))])[0].samples


@pytest.fixture(scope="module")
def heights(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, float]]:
    """The median F0 of each reference, and of its clone."""
    files = voices.catalogue([builtin.prepare(tmp_path_factory.mktemp("home"))])
    pair, slt = (
        load(voices.pin(files[name]), _folder(files[name].files), "cpu")
        for name in ("flite", "slt")
    )
    assert isinstance(pair, YourTtsOnnx)
    found = []
    for speaker, faster in REFERENCES:
        recording = say(slt, HEARD) if speaker == "slt" else say(pair, HEARD, speaker)
        # Played faster it is higher, as a shorter vocal tract makes it.
        with pair.speakers.lent(pair.embed(recording, round(faster * RATE))) as name:
            found.append((faster * hertz(recording), hertz(say(pair, SAID, name))))
    return found


def _folder(files: Mapping[str, Path]) -> Path:
    return next(iter(files.values())).parent


def test_a_clone_speaks_as_high_as_its_reference(heights: list[tuple[float, float]]) -> None:
    for (reference, clone), who in zip(heights, REFERENCES, strict=True):
        assert abs(clone - reference) < CLOSE, who


def test_a_clone_does_not_speak_as_high_as_the_reference_of_another(
    heights: list[tuple[float, float]],
) -> None:
    """A control: without it, a voice of one height for all could pass for a clone."""
    for (_, clone), (other, _) in zip(heights, heights[1:] + heights[:1], strict=True):
        assert abs(clone - other) > CLOSE
