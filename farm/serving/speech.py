"""A request's text to segments, and their signals to one: as a job of one text would be spoken."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

import numpy as np
import soundfile

from farm import engines, planning
from farm.audio import Audio, Samples
from farm.audio.joining import faded, join, silence
from farm.audio.pcm import to_int16
from farm.engines import Engine
from farm.errors import EngineError, InvalidInput
from farm.jobs import Block, Item, Prosody, Segment, Spec, Voice
from farm.plans import Passage

_EMPTY_LINES = re.compile(r"(?:\r?\n[ \t]*){2,}")


def segments(text: str, voice: Voice, prosody: Prosody, language: str) -> list[Segment]:
    """Cut a text in the segments that speak all of it, with the pauses after them.

    Raises:
        InvalidInput: there is nothing to speak in it, or not in this language.
    """
    blocks = tuple(Block(part) for part in _EMPTY_LINES.split(text) if part.strip())
    spec = Spec(
        id="request",
        kind="speech",
        farm="",
        owner="",
        input="",
        voice=voice.id,
        voices={voice.id: voice},
        created=0,
        language=language,
        prosody=prosody,
    )
    passage = Passage(Item(0, "text", blocks=blocks))
    page = planning.plan([passage], spec, engines.phonemiser)
    if page.failures:
        raise InvalidInput(page.failures[0].error)
    found = [segment for part in page.parts for segment in part.segments]
    if not found:
        raise InvalidInput(f"nothing to speak in {text!r}")
    return found


def joined(spoken: Sequence[Audio], segments: Sequence[Segment]) -> Audio:
    """Join the segments' signals with the pauses between them; the last pause is left out."""
    rate = spoken[0].sample_rate
    pauses = [*(segment.pause_ms for segment in segments[:-1]), 0]
    samples = np.concatenate([*join(zip(spoken, pauses, strict=True), rate)])
    warnings = dict.fromkeys(line for audio in spoken for line in audio.warnings)
    return Audio(samples, rate, warnings=tuple(warnings))


def pieces(engine: Engine, segments: Sequence[Segment]) -> Iterator[Audio]:
    """Speak segments as their sound is there: together what `joined` makes of them.

    Raises:
        EngineError: a segment cannot be spoken; the message has its number.
    """
    for number, segment in enumerate(segments, 1):
        try:
            yield from _faded(engine, segment)
        except EngineError as error:
            raise EngineError(f"segment {number} of {len(segments)}: {error}") from error
        if number < len(segments) and segment.pause_ms:
            yield Audio(silence(segment.pause_ms, engine.sample_rate), engine.sample_rate)


def _faded(engine: Engine, segment: Segment) -> Iterator[Audio]:
    warnings: tuple[str, ...] = ()

    def heard() -> Iterator[Samples]:
        nonlocal warnings
        for audio in engine.stream(segment):
            warnings = audio.warnings
            if not np.isfinite(audio.samples).all():
                raise EngineError("the engine gave a signal that holds NaN or infinity")
            yield audio.samples

    for block in faded(heard(), engine.sample_rate):
        yield Audio(block, engine.sample_rate, warnings=warnings)


def wav(audio: Audio) -> bytes:
    """Write a signal as a WAV file of 16 bits."""
    file = io.BytesIO()
    samples = to_int16(audio.samples)
    soundfile.write(file, samples, audio.sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def numbers(audio: Audio, block: int = 16_384) -> Iterator[str]:
    """Yield a signal as the numbers of a JSON list, block by block, without the brackets.

    Six decimals: a 32nd of a step of 16 bits, in half the characters of a float's own.
    """
    for start in range(0, len(audio.samples), block):
        values = np.round(audio.samples[start : start + block].astype(np.float64), 6).tolist()
        yield ("," if start else "") + ",".join(map(repr, values))
