"""An offline recogniser that has never heard the voice: pocketsphinx's English model."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pocketsphinx import Decoder

FloatArray = npt.NDArray[np.float32]

DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

#: Samples of silence put before and after what is recognised (0.3 s at 16 kHz): the
#: recogniser estimates its noise floor there.
_SILENCE: Final = 4800


def words(text: str) -> list[str]:
    """Return the lower-case words of a text without punctuation."""
    return re.findall(r"[a-z']+", text.lower())


def edits(true: Sequence[str], heard: Sequence[str]) -> int:
    """Return the least number of substitutions, insertions and deletions between two lists."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(true, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(heard, 1):
            best = min(diagonal + (word != other), row[column] + 1, row[column - 1] + 1)
            diagonal, row[column] = row[column], best
    return row[-1]


def word_error_rate(true: Sequence[str], heard: Sequence[str]) -> float:
    """Return all edits over all true words of several sentences."""
    pairs = [(words(a), words(b)) for a, b in zip(true, heard, strict=True)]
    return sum(edits(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs)


class Recogniser:
    """Turns 16 kHz audio into text, by the open language model or by a grammar."""

    def __init__(self, grammar: Sequence[str] | None = None) -> None:
        """With `grammar`, hear nothing but one of these sentences (JSGF alternatives)."""
        if grammar is None:
            self._decoder = Decoder(samprate=16000, loglevel="FATAL")
        else:
            self._decoder = Decoder(samprate=16000, lm=None, loglevel="FATAL")
            rules = " | ".join(" ".join(words(sentence)) for sentence in grammar)
            self._add(f"#JSGF V1.0; grammar choice; public <choice> = {rules};")

    def _add(self, jsgf: str) -> None:
        self._decoder.add_jsgf_string("choice", jsgf)
        self._decoder.activate_search("choice")

    @classmethod
    def of_digits(cls) -> "Recogniser":
        """Hear nothing but strings of digits."""
        made = cls(DIGITS)
        rule = " | ".join(DIGITS)
        made._add(f"#JSGF V1.0; grammar choice; public <choice> = ( {rule} )+;")
        return made

    def hear(self, signal: FloatArray) -> str:
        """Return what was heard in float32 audio of shape (samples,); empty if nothing."""
        quiet = np.zeros(_SILENCE, np.float32)
        padded = np.clip(np.concatenate([quiet, signal, quiet]), -1, 1)
        self._decoder.start_utt()
        self._decoder.process_raw((padded * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)
