"""The bare engine in a loop, in as many processes as the farm has workers: what (a) means."""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import time
from pathlib import Path

from farm import planning, voices
from farm.engines import load, phonemiser
from farm.jobs import Prosody, Segment, Voice
from farm.voices import VoiceFile


def segments(lines: list[str], voice: Voice) -> list[Segment]:
    """Make a segment of each line."""
    name, usual = phonemiser(voice.engine), Prosody()
    digests = [planning.digest(line, voice, usual, voice.language, name) for line in lines]
    return [Segment(d, line, voice.id) for d, line in zip(digests, lines, strict=True)]


def _loop(
    voice: Voice,
    folder: Path,
    work: list[Segment],
    ready: multiprocessing.synchronize.Barrier,
    seconds: multiprocessing.Queue[float],
) -> None:
    engine = load(voice, folder, "cpu")
    engine.speak(work[:1])
    ready.wait()
    seconds.put(sum(engine.speak([segment])[0].seconds for segment in work))


def run(file: VoiceFile, folder: Path, lines: list[str], processes: int) -> tuple[float, float]:
    """Speak all lines; return seconds from the start of the speaking, and seconds of audio."""
    voice = voices.pin(file)
    work = segments(lines, voice)
    context = multiprocessing.get_context("spawn")
    ready, audio = context.Barrier(processes + 1), context.Queue()
    children = [
        context.Process(target=_loop, args=(voice, folder, work[n::processes], ready, audio))
        for n in range(processes)
    ]
    for child in children:
        child.start()
    ready.wait()
    begin = time.perf_counter()
    total = sum(audio.get() for _ in children)
    elapsed = time.perf_counter() - begin
    for child in children:
        child.join()
    return elapsed, total
