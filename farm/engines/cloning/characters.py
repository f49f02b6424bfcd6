"""Text to the ids of a Coqui character model, as coqui-tts itself spells it.

Cleaners and order of steps: coqui-tts 0.28, `TTS/tts/utils/text/{cleaners,tokenizer}.py`: NFC,
lower case, symbols by language, white space; one id a character; a blank between all of them;
begin and end where the model has them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from farm.engines.dialects.base import Tokens, framed, spaced
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
    reads_ipa: ClassVar[bool] = False

    def spell(self, text: str, language: str) -> Tokens:
        """Spell a text in a language of the model, `en` or `fr-fr`.

        Raises:
            EngineError: no letter or digit of it is in the alphabet.
        """
        clean = CLEANERS[self.cleaner](text, language.partition("-")[0])
        known = tuple(each for each in clean if each in self.ids)
        missing = dict.fromkeys(each for each in clean if each not in self.ids)
        tokens = Tokens(tuple(self.ids[each] for each in known), known, tuple(missing))
        if not tokens.heard:
            raise EngineError(f"nothing to pronounce in {text!r}")
        if self.blank is not None:
            tokens = spaced(tokens, self.blank)
        return framed(tokens, *self.edges) if self.edges else tokens


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
