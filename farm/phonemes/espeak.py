"""Phonemes of espeak-ng, in IPA, for every language that it knows, as Piper's voices want them.

The library is the one that piper-tts carries, with its data. espeak-ng keeps its voice in a
variable of its process: a lock makes setting the voice and speaking one step.
"""

from __future__ import annotations

import functools
import threading
from typing import Protocol

from farm.errors import EngineError, Unavailable
from farm.phonemes import Pronunciation, ipa

_one_at_a_time = threading.Lock()


class _Phonemizer(Protocol):
    def phonemize(self, voice: str, text: str) -> list[list[str]]: ...


def symbols(text: str, voice: str) -> Pronunciation:
    """Turn a text into espeak-ng's phonemes, one code point (NFD) each, marks and spaces kept.

    `voice` is espeak-ng's name of a language: `en-us`, `fr`, `pt-br`, `cmn`. Sentences that
    espeak-ng sees in the text are joined by a space. Characters that the voice cannot read are
    read by their names or passed over by espeak-ng itself; it does not say which. Sounds that
    `ipa.inlined` has put into the text come out as they are.

    Raises:
        EngineError: espeak-ng has no such voice, or cannot read the text.
        Unavailable: piper-tts is not installed here.
    """
    return Pronunciation(tuple(ipa.spliced(text, functools.partial(_symbols, voice))))


def _symbols(voice: str, text: str) -> list[str]:
    try:
        with _one_at_a_time:
            # `[[...]]` would be read as phonemes; in a book it is text like any other.
            sentences = _phonemizer().phonemize(voice, text.replace("[[", "[ ["))
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"espeak-ng cannot read {text!r} with voice {voice!r}: {error}"
        ) from error
    joined: list[str] = []
    for sentence in filter(None, sentences):
        joined += [" ", *sentence] if joined else sentence
    return joined


@functools.cache
def _phonemizer() -> _Phonemizer:
    try:
        # Its package loads onnxruntime: only for those who speak through espeak-ng.
        from piper.phonemize_espeak import EspeakPhonemizer
    except ImportError as error:
        raise Unavailable(
            f"espeak-ng is not installed here ({error}): install the extra 'farm[piper]'"
        ) from error
    phonemizer: _Phonemizer = EspeakPhonemizer()
    return phonemizer
