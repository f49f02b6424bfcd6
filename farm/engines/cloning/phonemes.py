"""Text to the ids of a phoneme model, in Piper's order, by espeak-ng."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from farm.engines.dialects import piper
from farm.engines.dialects.base import Tokens
from farm.errors import EngineError


@dataclass(frozen=True)
class Phonemes:
    """The phonemes of a model and the espeak-ng voice that finds them in a text."""

    voice: str
    """espeak-ng's name of a language, `en-us`."""
    ids: Mapping[str, tuple[int, ...]]
    """Phoneme (a code point) to its ids."""
    reads_ipa: ClassVar[bool] = True

    def spell(self, text: str, language: str) -> Tokens:  # noqa: ARG002
        """Spell a text; see `Characters.spell`."""
        tokens = piper.tokens(text, self.voice, self.ids)
        if not tokens.heard:
            raise EngineError(f"nothing to pronounce in {text!r}")
        return tokens


def read(fields: Mapping[str, Any]) -> Phonemes:
    """Read a config's `espeak` and `phoneme_id_map`, as Piper's voices have them.

    Raises:
        EngineError: a field is missing or not valid.
    """
    try:
        ids = {str(each): tuple(map(int, row)) for each, row in fields["phoneme_id_map"].items()}
        voice = str(fields["espeak"]["voice"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(f"phonemes: not as in a Piper config: {error!r}") from error
    lacking = {piper.BEGIN, piper.PAD, piper.END} - ids.keys()
    if lacking:
        raise EngineError(f"phoneme_id_map lacks {sorted(lacking)}")
    return Phonemes(voice, ids)
