"""Text to the ids of a phoneme model, in Piper's order, by espeak-ng.

Order of ids: OHF-Voice/piper1-gpl, `phoneme_ids.py`: begin, then each phoneme, a pad after each,
then end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farm.engines.cloning.characters import Spelling
from farm.errors import EngineError
from farm.phonemes import espeak

_BEGIN, _PAD, _END = "^", "_", "$"


@dataclass(frozen=True)
class Phonemes:
    """The phonemes of a model and the espeak-ng voice that finds them in a text."""

    voice: str
    """espeak-ng's name of a language, `en-us`."""
    ids: Mapping[str, tuple[int, ...]]
    """Phoneme (a code point) to its ids."""

    def spell(self, text: str, language: str) -> Spelling:  # noqa: ARG002
        """Spell a text; see `Characters.spell`."""
        found = espeak.symbols(text, self.voice)
        known = [each for each in found.symbols if each in self.ids]
        if not any(unicodedata.category(each[0])[0] in "LN" for each in known):
            raise EngineError(f"nothing to pronounce in {text!r}")
        ids, symbols = [*self.ids[_BEGIN], *self.ids[_PAD]], [""] * 2
        for each in known:
            row = (*self.ids[each], *self.ids[_PAD])
            ids += row
            symbols += [each, *[""] * (len(row) - 1)]
        ids += self.ids[_END]
        symbols += [""] * (len(ids) - len(symbols))
        lacking = dict.fromkeys(each for each in found.symbols if each not in self.ids)
        return Spelling(tuple(ids), tuple(symbols), (*found.missing, *lacking))


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
    lacking = {_BEGIN, _PAD, _END} - ids.keys()
    if lacking:
        raise EngineError(f"phoneme_id_map lacks {sorted(lacking)}")
    return Phonemes(voice, ids)
