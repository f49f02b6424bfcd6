"""The `check` stage: how well a recogniser that does not know the voice understands it.

Beside the voice it hears the teacher's own audio and the voice played backwards: the one
says what can be reached, the other that the test can fail.
"""

import argparse
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from piper import PiperVoice, SynthesisConfig

from farm.merge import merge
from training import teacher
from training.recogniser import DIGITS, Recogniser, word_error_rate, words
from training.settings import HELD_OUT, SEED, VOICE

FloatArray = npt.NDArray[np.float32]

#: A text to float32 audio at 16 kHz, shape (samples,).
Speaker = Callable[[str], FloatArray]

#: The voice may have this many times the teacher's word error rate.
MOST: Final = 1.3

#: Sentences of the grammar test that the voice must get through, and that backwards
#: speech may get through by chance, as shares.
RECOGNISED: Final = 0.95
BY_CHANCE: Final = 0.1

#: How many six-digit strings are spoken.
STRINGS: Final = 15


def load(folder: Path) -> PiperVoice:
    """Merge the pair in `folder` and load it as any user of Piper would."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "voice.onnx"
        merge(folder / "acoustic.onnx", folder / "vocoder.onnx", path)
        return PiperVoice.load(path, config_path=folder / "voice.json", include_alignments=True)


def speaker(voice: PiperVoice) -> Speaker:
    """Return the voice as a function; levels are left as the model gives them."""
    config = SynthesisConfig(normalize_audio=False)

    def speak(text: str) -> FloatArray:
        chunks = [chunk.audio_float_array for chunk in voice.synthesize(text, config)]
        return np.concatenate(chunks)

    return speak


def backwards(speak: Speaker) -> Speaker:
    """Return a speaker whose audio runs from its end to its start."""
    return lambda text: speak(text)[::-1].copy()


def of_the_teacher(text: str) -> FloatArray:
    """Speak with flite's `slt`."""
    return teacher.speak(text)[0]


def recognised(speak: Speaker, sentences: Sequence[str], spoken: Sequence[str]) -> float:
    """Return the share of `spoken` that is told apart from all other `sentences`."""
    judge = Recogniser(sentences)
    hits = sum(words(judge.hear(speak(text))) == words(text) for text in spoken)
    return hits / len(spoken)


def open_error(speak: Speaker, sentences: Sequence[str]) -> float:
    """Return the word error rate with pocketsphinx's own language model."""
    judge = Recogniser()
    return word_error_rate(sentences, [judge.hear(speak(text)) for text in sentences])


def digit_error(speak: Speaker) -> float:
    """Return the word error rate of six-digit strings with a grammar of digits."""
    rng = random.Random(SEED)
    strings = [" ".join(rng.choices(DIGITS, k=6)) for _ in range(STRINGS)]
    judge = Recogniser.of_digits()
    return word_error_rate(strings, [judge.hear(speak(text + ".")) for text in strings])


@dataclass(frozen=True)
class Figures:
    """What the recogniser made of one speaker."""

    open_error: float
    """Word error rate with the open language model."""
    recognised: float
    """Share of the sentences told apart from all others."""
    digit_error: float
    """Word error rate of digit strings."""


def measure(speak: Speaker, sentences: Sequence[str]) -> Figures:
    """Let the recogniser hear one speaker."""
    return Figures(
        open_error(speak, sentences), recognised(speak, sentences, sentences), digit_error(speak)
    )


def table(teachers: Figures, voice: Figures, control: float) -> str:
    """Lay the figures out as a Markdown table."""
    lines = [
        "| speaker | open WER | which of the sentences | six digits, WER |",
        "|---|---|---|---|",
    ]
    for name, one in {"flite slt": teachers, "voice": voice}.items():
        figures = f"{one.open_error:.3f} | {one.recognised:.1%} | {one.digit_error:.3f}"
        lines.append(f"| {name} | {figures} |")
    return "\n".join([*lines, f"| voice, backwards | | {control:.1%} | |"])


def verdict(teachers: Figures, voice: Figures, control: float) -> list[str]:
    """Return what is wrong, one line each; nothing if the voice passes."""
    ratio = voice.open_error / max(teachers.open_error, 1e-9)
    faults = []
    if ratio > MOST:
        faults.append(f"open WER is {ratio:.2f} times the teacher's; at most {MOST} is allowed")
    if voice.recognised < RECOGNISED:
        faults.append(f"grammar test {voice.recognised:.0%}; at least {RECOGNISED:.0%} is asked")
    if control > BY_CHANCE:
        faults.append("the grammar test lets backwards speech pass; it proves nothing")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 where the voice fails."""
    parser = argparse.ArgumentParser("check-voice", description=__doc__)
    parser.add_argument("--voice", type=Path, default=VOICE, help="folder of the pair")
    parser.add_argument("--sentences", type=Path, default=HELD_OUT, help="one sentence a line")
    options = parser.parse_args(arguments)
    if shutil.which("flite") is None:
        parser.error("the teacher, flite, is not installed; say apt-get install flite")
    sentences = options.sentences.read_text("utf-8").splitlines()
    speak = speaker(load(options.voice))
    teachers, voice = measure(of_the_teacher, sentences), measure(speak, sentences)
    control = recognised(backwards(speak), sentences, sentences)
    print(table(teachers, voice, control))
    print(f"open WER, voice / teacher: {voice.open_error / max(teachers.open_error, 1e-9):.2f}")
    faults = verdict(teachers, voice, control)
    print("\n".join(faults) or "passed")
    return 1 if faults else 0
