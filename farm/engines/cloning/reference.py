"""Reference recordings: read and brought to the speaker encoder's rate, as Coqui does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soxr

from farm.audio import Samples
from farm.audio.files import probe, read_blocks
from farm.errors import EngineError, JobError

#: Seconds below which there is no voice in a recording.
LEAST_S = 0.2

#: Below this peak a recording holds no speech.
_SILENCE = 1e-4


def read(path: Path) -> tuple[Samples, int]:
    """Read a recording of any format: mono samples (channels averaged) and their rate in Hz.

    Raises:
        EngineError: the file cannot be read.
    """
    try:
        return np.concatenate(list(read_blocks(path))), probe(path).sample_rate
    except (JobError, ValueError) as error:
        raise EngineError(f"reference {str(path)!r} cannot be read: {error}") from error


def resampled(samples: Samples, sample_rate: int, wanted: int) -> Samples:
    """Bring a recording to a rate as librosa's `load` does: soxr HQ, length rounded up.

    Raises:
        EngineError: the recording is too short or silent.
    """
    if len(samples) < LEAST_S * sample_rate:
        raise EngineError(
            f"the reference lasts {len(samples) / sample_rate:.2f} s: give at least 3 s of speech"
        )
    if np.abs(samples).max() < _SILENCE:
        raise EngineError("the reference is silent: give at least 3 s of speech")
    if sample_rate == wanted:
        return np.ascontiguousarray(samples, np.float32)
    length = math.ceil(len(samples) * wanted / sample_rate)
    wave = soxr.resample(np.asarray(samples, np.float32), sample_rate, wanted, quality="HQ")
    return np.pad(wave, (0, max(0, length - len(wave))))[:length].astype(np.float32)


def references(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Return the recordings among a voice's files: the roles `reference`, `reference_2`, ..."""
    return [folder / files[role] for role in sorted(files) if role.startswith("reference")]
