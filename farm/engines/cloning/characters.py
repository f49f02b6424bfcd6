"""Text to the ids of a Coqui character model, as coqui-tts itself spells it.

Cleaners and order of steps: coqui-tts 0.28, `TTS/tts/utils/text/{cleaners,tokenizer}.py`: NFC,
lower case, symbols by language, white space; one id a character; a blank between all of them;
begin and end where the model has them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farm.audio import Timing
from farm.errors import EngineError

#: Language (without region) to how `&` is read; others keep the sign.
_AND = {"en": " and ", "fr": " et ", "it": " e ", "pt": " e ", "ca": " i "}


def _basic(text: str, language: str) -> str:  # noqa: ARG001
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


def _multilingual(text: str, language: str) -> str:
    text = unicodedata.normalize("NFC", text).lower()
    if language != "el":  # there it asks a question
        text = text.replace(";", ",")
    text = text.replace("-", "" if language == "ca" else " ").replace(":", ",")
    text = text.replace("&", _AND.get(language, "&"))
    if language == "ca":
        text = text.replace("'", "")
    return " ".join(re.sub(r'[<>()\[\]"]+', "", text).split())


#: Coqui's name of a cleaner to what it does with a text of a language (without region).
CLEANERS: Mapping[str, Callable[[str, str], str]] = {
    "basic_cleaners": _basic,
    "multilingual_cleaners": _multilingual,
    "no_cleaners": lambda text, _: text.replace("\n", ""),
    "transliteration_cleaners": _basic,
}


@dataclass(frozen=True)
class Spelling:
    """A text as ids, and what each stands for."""

    ids: tuple[int, ...]
    symbols: tuple[str, ...]
    """The character of each id; empty: a blank, a begin or an end."""
    missing: tuple[str, ...] = ()
    """Characters that the voice lacks, each once."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a listener may miss, one line each."""
        return tuple(f"the voice has no character {each!r}" for each in self.missing)

    def timings(self, samples: Sequence[int]) -> tuple[Timing, ...]:
        """One timing per character: blanks count to the one before them, first ones to the first.

        `samples` is how long each id lasts.
        """
        timings: list[Timing] = []
        waiting = 0
        for symbol, length in zip(self.symbols, samples, strict=True):
            if symbol:
                timings.append(Timing(symbol, length + waiting))
                waiting = 0
            elif timings:
                timings[-1] = Timing(timings[-1].symbol, timings[-1].samples + length)
            else:
                waiting += length
        return tuple(timings)


@dataclass(frozen=True)
class Characters:
    """The alphabet of a model and how texts are spelled with it."""

    ids: Mapping[str, int]
    """Character to its id."""
    cleaner: str
    """A name of `CLEANERS`."""
    blank: int | None = None
    """The id before, between and after all others; None: there is none."""
    edges: tuple[int, ...] = ()
    """Ids of begin and end; empty: there are none."""

    def spell(self, text: str, language: str) -> Spelling:
        """Spell a text in a language of the model, `en` or `fr-fr`.

        Raises:
            EngineError: no letter or digit of it is in the alphabet.
        """
        clean = CLEANERS[self.cleaner](text, language.partition("-")[0])
        known = [each for each in clean if each in self.ids]
        if not any(unicodedata.category(each)[0] in "LN" for each in known):
            raise EngineError(f"nothing to pronounce in {text!r}")
        ids, symbols = [self.ids[each] for each in known], list(known)
        if self.blank is not None:
            ids, symbols = _spaced(ids, self.blank), _spaced(symbols, "")
        if self.edges:
            ids, symbols = [self.edges[0], *ids, self.edges[1]], ["", *symbols, ""]
        missing = dict.fromkeys(each for each in clean if each not in self.ids)
        return Spelling(tuple(ids), tuple(symbols), tuple(missing))


def _spaced(values: Sequence[Any], blank: Any) -> list[Any]:
    spaced = [blank] * (2 * len(values) + 1)
    spaced[1::2] = values
    return spaced


def read(fields: Mapping[str, Any]) -> Characters:
    """Read the `text` block of an exported voice's config.

    Raises:
        EngineError: a field is missing or not valid; the message names it.
    """
    try:
        ids = {str(symbol): int(number) for symbol, number in fields["ids"].items()}
        blank = fields["blank"]
        return Characters(
            ids=ids,
            cleaner=checked(fields["cleaner"]),
            blank=None if blank is None else int(blank),
            edges=tuple(int(each) for each in fields["edges"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(f"text: not as 'farm export yourtts' writes it: {error!r}") from error


def checked(cleaner: object) -> str:
    """Return the name of a cleaner that the farm has, or raise `EngineError`."""
    if not isinstance(cleaner, str) or cleaner not in CLEANERS:
        choices = ", ".join(sorted(CLEANERS))
        raise EngineError(f"text cleaner {cleaner!r} is not supported: {choices} are")
    return cleaner
