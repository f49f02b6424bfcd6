"""Try a voice: load it as a worker does, have it speak a few sentences twice, judge them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from farm import engines, planning, voices
from farm.audio import Audio
from farm.cli.printing import Finding
from farm.engines import Engine
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from farm.text import examples, sentences
from farm.voices import VoiceFile

#: Share of samples at full scale above which a signal counts as clipped.
CLIPPED_SHARE = 1e-3
#: Full scale of 16 bits.
FULL_SCALE = 32767 / 32768
#: Without noise a Piper voice says the same each time.
_STILL = {"noise_scale": 0, "noise_w": 0}


@dataclass(frozen=True)
class Trial:
    """What a voice said, and the same once more in another order."""

    voice: Voice
    spoken: tuple[Audio, ...]
    again: tuple[Audio, ...]
    compute_s: float

    @property
    def rtf(self) -> float:
        """Seconds of compute per second of audio, to three digits; 0 without audio."""
        made_s = sum(audio.seconds for audio in (*self.spoken, *self.again))
        return float(f"{self.compute_s / made_s:.3g}") if made_s else 0.0

    @property
    def same(self) -> bool:
        """Whether both readings have the same bits."""
        pairs = zip(self.spoken, self.again, strict=True)
        return all(np.array_equal(a.samples, b.samples, equal_nan=True) for a, b in pairs)


@contextmanager
def loaded(file: VoiceFile, device: str) -> Iterator[tuple[Voice, Engine]]:
    """Give a voice and its loaded engine, from a copy of its files as a worker has it.

    Raises:
        InvalidInput, EngineError: the files are not what they should be.
        Unavailable: the engine or the device is not there.
    """
    voice = voices.pin(file)
    with tempfile.TemporaryDirectory(prefix="farm-voice-") as name:
        for path in file.files.values():
            shutil.copyfile(path, Path(name, path.name))
        yield voice, engines.load(voice, Path(name), device)


def segments(voice: Voice) -> list[Segment]:
    """Return the sentences that a voice is tried with, as a plan would have them."""
    phonemiser = engines.phonemiser(voice.engine)
    spoken = [each.spoken for each in sentences(examples.text(voice.language), voice.language)]
    name = [planning.digest(s, voice, Prosody(), voice.language, phonemiser) for s in spoken]
    return [Segment(digest, s, voice.id) for digest, s in zip(name, spoken, strict=True)]


def attempt(file: VoiceFile, device: str) -> Trial:
    """Have a voice speak its sentences forwards, then backwards. Raises as `loaded` does."""
    with loaded(file, device) as (voice, engine):
        wanted = segments(voice)
        engine.speak(wanted[:1])  # the first call of a session is slow
        begin = time.perf_counter()
        spoken = _speak(engine, wanted)
        again = _speak(engine, wanted[::-1])[::-1]
        return Trial(voice, tuple(spoken), tuple(again), time.perf_counter() - begin)


def _speak(engine: Engine, wanted: Sequence[Segment]) -> list[Audio]:
    return [engine.speak([segment])[0] for segment in wanted]


def check(file: VoiceFile, device: str) -> tuple[dict[str, Finding], float]:
    """Try a voice; return what was found and its real-time factor, 0 where it did not speak."""
    try:
        trial = attempt(file, device)
        still = trial.same or _is_still(file, device)
    except EngineError as error:
        return {"speaks": Finding("failed", str(error))}, 0.0
    return judge(trial, still), trial.rtf


def _is_still(file: VoiceFile, device: str) -> bool:
    """Whether a voice without noise says the same twice."""
    return attempt(replace(file, parameters={**file.parameters, **_STILL}), device).same


def judge(trial: Trial, still: bool) -> dict[str, Finding]:
    """Judge a trial; `still`: without noise the voice says the same twice."""
    made_s = sum(audio.seconds for audio in trial.spoken)
    return {
        "speaks": _length(trial),
        "sample rate": _sample_rate(trial),
        "signal": _signal(trial.spoken),
        "timings": _timings(trial.spoken),
        "repeatable": _repeatable(trial, still),
        "speed": Finding("ok", f"RTF {trial.rtf}, measured on {made_s:.1f} s of audio, twice"),
    }


def _length(trial: Trial) -> Finding:
    empty = sum(len(audio.samples) == 0 for audio in trial.spoken)
    if empty:
        return Finding("failed", f"{empty} of {len(trial.spoken)} sentences are empty")
    return Finding("ok", f"{len(trial.spoken)} sentences on the engine {trial.voice.engine!r}")


def _sample_rate(trial: Trial) -> Finding:
    wanted = trial.voice.sample_rate
    found = {audio.sample_rate for audio in trial.spoken}
    if found == {wanted}:
        return Finding("ok", f"{wanted} Hz")
    return Finding("failed", f"its config says {wanted} Hz, the engine {sorted(found)} Hz")


def _signal(spoken: Sequence[Audio]) -> Finding:
    samples = np.concatenate([audio.samples for audio in spoken])
    if not np.isfinite(samples).all():
        return Finding("failed", "the signal holds NaN or infinity", "export the model again")
    peak = float(np.abs(samples).max(initial=0.0))
    clipped = float(np.mean(np.abs(samples) >= FULL_SCALE)) if len(samples) else 0.0
    if clipped > CLIPPED_SHARE:
        return Finding("failed", f"{clipped:.1%} of the samples are clipped")
    if not peak:
        return Finding("failed", "silence")
    return Finding("ok", f"peak {20 * np.log10(peak):.1f} dBFS, not clipped")


def _timings(spoken: Sequence[Audio]) -> Finding:
    if not any(audio.timings for audio in spoken):
        return Finding("warning", "none: marks and subtitles go by sentences, not by words")
    wrong = [a for a in spoken if sum(timing.samples for timing in a.timings) != len(a.samples)]
    if wrong:
        return Finding("failed", f"{len(wrong)} of {len(spoken)} do not add up to the signal")
    return Finding("ok", "add up to the signal, to the sample")


def _repeatable(trial: Trial, still: bool) -> Finding:
    if trial.same:
        return Finding("ok", "the same bits twice, in another order too")
    if still:
        return Finding(
            "warning",
            "draws noise: every reading differs, and the first one stored is kept",
            "for the same bits each time: `parameters: {noise_scale: 0, noise_w: 0}` in its YAML",
        )
    return Finding("failed", "the same sentence differs from call to call")
