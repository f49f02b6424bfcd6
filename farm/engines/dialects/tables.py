"""tokens.txt and lexicon.txt of sherpa-onnx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from farm.engines.dialects.base import Files
from farm.errors import EngineError


def tokens(files: Files) -> dict[str, int]:
    """Read tokens.txt: a symbol and its id a line; a line of an id alone is the space's.

    Raises:
        EngineError: there is no such file, or a line is none of these.
    """
    table: dict[str, int] = {}
    for number, line in enumerate(files.lines("tokens", "sherpa-onnx's tokens.txt"), 1):
        fields = line.split()
        if not fields:
            continue
        *symbol, last = fields
        if len(symbol) > 1 or not last.isdecimal():
            raise EngineError(
                f"{files.what}: line {number} of {str(files.roles['tokens'])!r} is {line!r}: "
                "it must be a symbol and its id"
            )
        table.setdefault(symbol[0] if symbol else " ", int(last))
    return table


def lexicon(files: Files, known: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Read lexicon.txt: a word and its tokens a line, the first of a word counts.

    Words whose tokens the voice lacks are not in the lexicon, as in sherpa-onnx.
    """
    words: dict[str, tuple[int, ...]] = {}
    for line in files.lines("lexicon", "sherpa-onnx's lexicon.txt, which says its words"):
        fields = line.split()
        if not fields:
            continue
        word = lowered(fields[0])
        if fields[1:] and all(each in known for each in fields[1:]):
            words.setdefault(word, tuple(known[each] for each in fields[1:]))
    return words


def lowered(text: str) -> str:
    """Lower ASCII letters only, as sherpa-onnx does."""
    return "".join(each.lower() if each.isascii() else each for each in text)


def symbols(table: Mapping[str, int], ids: Iterable[int]) -> list[str]:
    """Return what ids stand for, the first of several names."""
    names: dict[int, str] = {}
    for symbol, number in table.items():
        names.setdefault(number, symbol)
    return [names.get(each, "") for each in ids]
