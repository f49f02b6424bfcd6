"""sherpa-onnx's front ends: a text to the tokens of its sentences, as its C++ has them.

    characters  `offline-tts-character-frontend.cc`: MMS, Coqui's characters
    words       `lexicon.cc`, languages other than Chinese
    mandarin    `lexicon.cc`, Chinese
    phrases     `character-lexicon.cc`: the longest word of the lexicon counts
    coqui       `piper-phonemize-lexicon.cc`: espeak-ng's phonemes for Coqui's voices

One departure: where nothing follows the last full stop, `characters` gives no empty sentence
after it (sherpa-onnx does, and speaks it as a noise).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from farm.engines.dialects import tables
from farm.engines.dialects.base import Tokens, encode, spaced
from farm.engines.dialects.words import phrases as longest
from farm.engines.dialects.words import split
from farm.phonemes import espeak

Sentences = Callable[[str], Iterator[Tokens]]
Lexicon = Mapping[str, tuple[int, ...]]

#: Marks that end a sentence, and those that do not, of the front ends of lexicon.cc.
_ENDS = frozenset(".;!?-:")
_CHINESE_ENDS = _ENDS | frozenset("。；！？：”")
_CHINESE_PAUSES = frozenset(",“，、")

#: Marks of character-lexicon.cc: none follows another or a space, and each ends a sentence.
_MARKS = frozenset(",.!?:\"'，。！？“”‘’")

#: Marks that stand for each other where a voice has only one of the two.
_PAIRS = (",，", ".。", "!！", "?？", ":：", '"“', '"”', "'‘", "'’", ";；")


@dataclass(frozen=True)
class Numbers:
    """Ids that frame a sentence; None: the voice does without."""

    blank: int | None
    begin: int | None
    end: int | None


def characters(known: Mapping[str, int], numbers: Numbers) -> Sentences:
    """One token a character; sentences end at `. : ? !`."""
    table = {symbol: number for symbol, number in known.items() if len(symbol) == 1}

    def sentences(text: str) -> Iterator[Tokens]:
        sentence = ""
        for character in tables.lowered(text):
            sentence += character
            if character in ".:?!":
                yield _framed(encode(sentence, table), numbers)
                sentence = ""
        if sentence:
            yield _framed(encode(sentence, table), numbers)

    return sentences


def words(known: Mapping[str, int], lexicon: Lexicon, marks: Collection[str]) -> Sentences:
    """Words through the lexicon, each followed by a space."""
    space = known.get(" ", 0)

    def sentences(text: str) -> Iterator[Tokens]:
        sentence = _Sentence(known)
        for word in split(tables.lowered(text)):
            if word in _ENDS or word == ",":
                if word in marks:
                    sentence.mark(word, [known[word]] if word in known else [])
                if word != ",":
                    yield sentence.end([space])
            elif word in lexicon:
                sentence.say([*lexicon[word], space])
            else:
                sentence.missing.append(word)
        rest = sentence.end([])
        if rest.ids or rest.missing:
            # The last word of a text without a full stop has no space after it.
            yield Tokens(rest.ids[:-1], rest.symbols[:-1], rest.missing)

    return sentences


def mandarin(known: Mapping[str, int], lexicon: Lexicon, marks: Collection[str]) -> Sentences:
    """Characters through the lexicon, silence around each sentence."""
    silence = [known["sil"]] if "sil" in known else []
    end = [known["eos"]] if "sil" in known and "eos" in known else []
    pause = [known["#0"]] if "#0" in known else silence

    def sentences(text: str) -> Iterator[Tokens]:
        sentence = _Sentence(known, silence)
        for word in split(tables.lowered(text)):
            if word in _CHINESE_ENDS or word in _CHINESE_PAUSES:
                if word in marks:
                    sentence.mark(word, [known[word]] if word in known else pause)
                if word in _CHINESE_ENDS:
                    yield sentence.end(end)
            elif word in lexicon:
                sentence.say(lexicon[word])
            else:
                sentence.missing.append(word)
        yield sentence.end([*silence, *end])

    return sentences


def phrases(known: Mapping[str, int], lexicon: Lexicon, framed: bool) -> Sentences:
    """The longest words of the lexicon; `framed`: begin and end around each sentence (Piper)."""
    table = aliased(known)
    begin, end = ([table["^"]], [table["$"]]) if framed else ([], [])

    def sentences(text: str) -> Iterator[Tokens]:
        sentence = _Sentence(known, begin)
        for word in longest(_marked(split(text)), lexicon):
            ids = _ids(word, lexicon, table)
            if not ids:
                sentence.missing.append(word)
                continue
            if word in _MARKS:
                sentence.mark(word, ids)
                yield sentence.end(end)
            else:
                sentence.say(ids)
        rest = sentence.end(end)
        if rest.ids or rest.missing:
            yield rest

    return sentences


def coqui(text: str, voice: str, known: Mapping[str, int], numbers: Numbers) -> Tokens:
    """Number espeak-ng's phonemes, with a comma behind them for a pause."""
    tokens = encode(espeak.symbols(text, voice).symbols, known)
    tokens = tokens if numbers.blank is None else spaced(tokens, numbers.blank)
    comma = Tokens((known[","],), (",",)) if "," in known else Tokens((), ())
    tokens = Tokens(tokens.ids + comma.ids, tokens.symbols + comma.symbols, tokens.missing)
    return _framed(tokens, Numbers(None, numbers.begin, numbers.end))


def aliased(known: Mapping[str, int]) -> dict[str, int]:
    """Add the marks that others stand for."""
    table = dict(known)
    for one, other in map(tuple, _PAIRS):
        if one in table or other in table:
            table.setdefault(other, table.get(one, 0))
            table.setdefault(one, table[other])
    for missing, other in (("、", "，"), (";", ",")):
        if other in table:
            table.setdefault(missing, table[other])
    return table


class _Sentence:
    """The tokens of a sentence as they come."""

    def __init__(self, known: Mapping[str, int], begin: Collection[int] = ()) -> None:
        self._known, self._begin = known, begin
        self._clear()

    def say(self, ids: Collection[int]) -> None:
        """Add a word by its phones."""
        self._ids += ids
        self._symbols += tables.symbols(self._known, ids)

    def mark(self, mark: str, ids: Collection[int]) -> None:
        """Add a mark by what stands for it."""
        self._ids += ids
        self._symbols += [mark] * len(ids)

    def end(self, ids: Collection[int]) -> Tokens:
        """Return the sentence with its last ids, and begin the next."""
        symbols = (*self._symbols, *[""] * len(ids))
        done = Tokens((*self._ids, *ids), symbols, tuple(dict.fromkeys(self.missing)))
        self._clear()
        return done

    def _clear(self) -> None:
        self.missing: list[str] = []
        self._ids = list(self._begin)
        self._symbols = [""] * len(self._ids)


def _framed(tokens: Tokens, numbers: Numbers) -> Tokens:
    if numbers.blank is not None:
        tokens = spaced(tokens, numbers.blank)
    before = () if numbers.begin is None else (numbers.begin,)
    after = () if numbers.end is None else (numbers.end,)
    return Tokens(
        (*before, *tokens.ids, *after),
        (*("" for _ in before), *tokens.symbols, *("" for _ in after)),
        tokens.missing,
    )


def _marked(text: list[str]) -> list[str]:
    """Leave out marks that follow a mark."""
    kept: list[str] = []
    for word in text:
        if not (kept and word in _MARKS and kept[-1] in _MARKS):
            kept.append(word)
    return kept


def _ids(word: str, lexicon: Lexicon, table: Mapping[str, int]) -> tuple[int, ...]:
    if word in lexicon:
        return lexicon[word]
    if word in table:
        return (table[word],)
    return tuple(number for each in split(word) for number in lexicon.get(each, ()))
