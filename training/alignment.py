"""Durations without a learned aligner: espeak's IPA matched to flite's phones.

An edit distance with a table of similar sounds (Wagner and Fischer, 1974) finds which
code point of espeak sounds like which phone of flite; the phone's time becomes the
code point's. Stress and length marks get no time.
"""

from collections.abc import Sequence
from typing import Final

from training.teacher import PAUSE, Phone

_VOWELS: Final = frozenset("aeiouæɐɑɒɔəɚɛɜɝɪʊʌᵻ")
_PUNCTUATION: Final = frozenset("^$,.;:!?")
_MARKS: Final = frozenset("ˈˌːˑ̩'-ʲ")

#: Pairs that two descriptions of the same American sound may differ by.
_NEAR: Final[dict[frozenset[str], float]] = {
    frozenset(pair): cost
    for pairs, cost in (
        ("ɾt ɾd ɡg ɜɚ ɝɚ ɐə ᵻɪ ʔt ɒɑ", 0.0),
        ("ɐʌ əʌ ᵻə ɪə iɪ uʊ ɔo oʊ eɛ aɑ aæ ɔɑ əɛ ɚə əɹ ɚɹ ɐa ʊə ɪj", 0.2),
        ("sz td dð nŋ ʃʒ fv kɡ θð ɾn ju hw", 0.4),
    )
    for pair in pairs.split()
}

#: A phone without a symbol, and a symbol without a phone.
_EXTRA_PHONE: Final = 0.6
_EXTRA_SYMBOL: Final = 0.6


def _match(symbol: str, phone: str) -> float:
    """Return what it costs to give this symbol this phone's time (0 same, 2 absurd)."""
    if phone == PAUSE:
        return 0.0 if symbol in _PUNCTUATION else 0.1 if symbol == " " else 2.0
    if silent(symbol):
        return 2.0
    if symbol == phone:
        return 0.0
    both_vowels = symbol in _VOWELS and phone in _VOWELS
    return _NEAR.get(frozenset((symbol, phone)), 0.5 if both_vowels else 1.2)


def silent(symbol: str) -> bool:
    """Say whether a symbol may go without sound: marks, punctuation and spaces."""
    return symbol in _MARKS or symbol in _PUNCTUATION or symbol == " "


def _skip(symbol: str) -> float:
    """Return what it costs to give this symbol no time."""
    if symbol == "$":
        return 0.005  # so that an end mark, where there is one, keeps the last pause
    return 0.01 if silent(symbol) else _EXTRA_SYMBOL


def _table(symbols: Sequence[str], phones: Sequence[Phone]) -> tuple[list[list[float]], list[str]]:
    """Fill the edit distance; return its costs and, per row, the steps taken (M, S or P)."""
    width = len(phones) + 1
    costs = [[_EXTRA_PHONE * column for column in range(width)]]
    steps = ["P" * width]
    for symbol in symbols:
        above, skip = costs[-1], _skip(symbol)
        row, taken = [above[0] + skip], ["S"]
        for column in range(1, width):
            options = (
                (above[column - 1] + _match(symbol, phones[column - 1].symbol), "M"),
                (above[column] + skip, "S"),
                (row[column - 1] + _EXTRA_PHONE, "P"),
            )
            cost, step = min(options)
            row.append(cost)
            taken.append(step)
        costs.append(row)
        steps.append("".join(taken))
    return costs, steps


def align(symbols: Sequence[str], phones: Sequence[Phone]) -> tuple[list[float], float]:
    """Return the end in seconds of each symbol and the mean cost per symbol.

    Ends never fall. The time of a phone that no symbol claims goes to the symbol
    before it.
    """
    costs, steps = _table(symbols, phones)
    ends = [0.0] * len(symbols)
    row, column = len(symbols), len(phones)
    while row > 0:
        step = steps[row][column]
        ends[row - 1] = max(ends[row - 1], phones[column - 1].end if column else 0.0)
        row -= step in "MS"
        column -= step in "MP"
    return ends, costs[-1][-1] / len(symbols)
