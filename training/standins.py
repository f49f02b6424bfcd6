"""Phonemes that the training text never held, and what is said in their place.

Espeak writes foreign names with sounds that the teacher's American English lacks. Their
embeddings were never trained; each becomes a copy of its nearest trained neighbour's.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from torch import Tensor

#: A phoneme heard less often than this in training counts as unknown.
LEAST: Final = 10

#: Trained neighbour to the phonemes that it stands in for.
_NEIGHBOURS: Final[dict[str, str]] = {
    "k": "xcq",
    "h": "çχħɦX",
    "ɹ": "rʁʀɻɺ",
    "l": "ɫɬʎɭɮʟ",
    "n": "ɲɳɴ",
    "m": "ɱ",
    "ŋ": "ɰ",
    "ɡ": "gɣɢɠ",
    "v": "βʋⱱ",
    "f": "ɸ",
    "ɾ": "ɽ",
    "ʃ": "ɕʂɧ",
    "ʒ": "ʑʐʝ",
    "s": "ʦ",
    "d": "ɖɟɗ",
    "b": "ɓʙ",
    "t": "ʈʔ",
    "w": "ʍɥ",
    "i": "y",
    "ɪ": "ɨʏᵻ",
    "u": "ɯʉ",
    "ɜ": "øœɶɞ",
    "ə": "ɵɘ",
    "ʌ": "ɤ",
    "ɑ": "ɒ",
    "ɚ": "ɝ",
    "ɛ": "ε",
    ".": "!?",
    ",": ";:",
}

#: Stands in for all that is left (brackets, quotes, digits, tone marks): hardly any time.
_REST: Final = " "


def stand_in(embedding: Tensor, ids: npt.NDArray[np.int16]) -> Tensor:
    """Return the table (SYMBOLS, width) with untrained rows replaced.

    `ids` are all ids of the training text; rows that no phoneme uses stay as they are.
    """
    seen = np.bincount(ids.astype(np.int64), minlength=len(embedding)) >= LEAST
    neighbour = {other: name for name, others in _NEIGHBOURS.items() for other in others}
    table = embedding.clone()
    for symbol, (number,) in DEFAULT_PHONEME_ID_MAP.items():
        if not seen[number]:
            (source,) = DEFAULT_PHONEME_ID_MAP[neighbour.get(symbol, _REST)]
            table[number] = embedding[source]
    return table
