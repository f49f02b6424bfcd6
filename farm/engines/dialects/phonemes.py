"""IPA between the punctuation of a text, as phonemizer and Coqui's wrapper of espeak-ng give it."""

from __future__ import annotations

import re

from farm.phonemes import espeak

#: What both take for punctuation, and what only phonemizer does.
MARKS = ';:,.!?¡¿—…"«»“”'
BRACKETS = "(){}[]"

#: espeak-ng writes this one phoneme as a single character; `espeak.symbols` takes it apart.
_CEDILLA = ("ç", "ç")


def ipa(text: str, voice: str, marks: str = MARKS) -> str:
    """Return a text in espeak-ng's phonemes, its punctuation (`marks`) where it was.

    Each stretch between punctuation is phonemised alone; spaces beside it stay.

    Raises:
        EngineError: espeak-ng has no such voice, or cannot read the text.
        Unavailable: piper-tts is not installed here.
    """
    parts = re.split(rf"((?:\s*[{re.escape(marks)}]+\s*)+)", text)
    return "".join(
        part if index % 2 else _words(part, voice) for index, part in enumerate(parts)
    ).replace(*_CEDILLA)


def _words(text: str, voice: str) -> str:
    return "".join(espeak.symbols(text, voice).symbols).strip() if text.strip() else ""
