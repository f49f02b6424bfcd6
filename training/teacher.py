"""Flite as teacher: audio and the end time of every phone for a sentence."""

import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

#: Flite's US English phones (its `us_phoneset.c`) as IPA code points.
IPA: Final[dict[str, str]] = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ",
    "b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "əl", "em": "əm",
    "en": "ən", "er": "ɚ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ",
    "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "nx": "n", "ng": "ŋ",
    "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ",
    "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ", "pau": "|",
}  # fmt: skip

#: How `IPA` and this module write a pause.
PAUSE: Final = "|"


@dataclass(frozen=True)
class Phone:
    """One IPA code point of the teacher and its end in seconds."""

    symbol: str
    end: float


def parse_phones(listing: str) -> list[Phone]:
    """Read flite's `-psdur` line; diphthongs and affricates are split evenly in two.

    Raises KeyError for a phone that `IPA` does not know.
    """
    phones: list[Phone] = []
    start = 0.0
    for entry in listing.split():
        name, _, stop = entry.partition(":")
        symbols, end = IPA[name], float(stop)
        for index, symbol in enumerate(symbols, 1):
            phones.append(Phone(symbol, start + (end - start) * index / len(symbols)))
        start = end
    return phones


def read_wave(path: Path) -> FloatArray:
    """Read a 16-bit mono WAV file as float32 of shape (samples,) in [-1, 1)."""
    with wave.open(str(path), "rb") as source:
        raw = source.readframes(source.getnframes())
    return np.frombuffer(raw, np.int16).astype(np.float32) / 32768.0


def speak(text: str, voice: str = "slt", *options: str) -> tuple[FloatArray, list[Phone]]:
    """Let a voice of flite's speak; return 16 kHz float32 of shape (samples,) and its phones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, *options, "-psdur", "-t", text, "-o", str(path)]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return read_wave(path), parse_phones(listing)
