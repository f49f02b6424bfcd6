"""How the tones of Mandarin change beside each other.

Written after the account in "Standard Chinese phonology" (Wikipedia, section Tone sandhi) and the
rules of the Putonghua proficiency test. The order matters: 不 and 一 look at the tones of the
dictionary, third tones at what is then left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from farm.phonemes.mandarin import NEUTRAL


@dataclass(frozen=True)
class Syllable:
    """One syllable in its place."""

    text: str
    """Its character, with a following 儿 where that is merged into it."""
    sound: str
    """Pinyin without tone, `v` for ü, a last `r` for erhua."""
    tone: int
    """1 to 4; 5 is neutral."""
    word: int
    """Number of its word in the clause."""


_DIGITS = frozenset("零一二三四五六七八九〇两")
_POWERS = frozenset("十百千万亿")
#: 一 keeps its own tone before these: they name one of a series.
_SERIES = frozenset("月号一")
#: Words whose last 一 keeps its own tone whatever follows.
_ENDS_IN_ONE = re.compile(r"(?:统|万|唯|同|单|之|周|专|划|均|合|归|数|纯|星期|礼拜)一$")
#: What is counted by a word such as 这首, 一把: a measure leans on the noun after it.
_COUNTING = re.compile(r"^[这那哪一两几每各某半]")
#: Word classes of what has an inside, the neutral 里 (公里 is a measure, 阿里 a name).
_PLACES = frozenset(("f", "n", "r", "s", "t"))
_NO_PLACES = frozenset(("邻里", "故里", "乡里", "哪里"))
#: Word classes in which 不 stands between a verb and what is not managed.
_NOT_MANAGED = frozenset(("l", "v", "i", "a", "vn"))


def apply(syllables: Sequence[Syllable], kinds: Sequence[str]) -> list[Syllable]:
    """Return a clause's syllables with the tones that are spoken.

    `kinds` has jieba's word class for each word that `Syllable.word` counts.
    """
    changed = _neutral(list(syllables), kinds)
    for index, syllable in enumerate(syllables):
        if syllable.text == "一":
            changed[index] = _toned(syllable, _tone_of_one(syllables, index))
        elif syllable.text == "不":
            changed[index] = _toned(syllable, _tone_of_not(syllables, index, kinds))
    return _thirds(changed, kinds)


def _words(syllables: Sequence[Syllable]) -> list[list[int]]:
    words: list[list[int]] = []
    for index, syllable in enumerate(syllables):
        if index and syllables[index - 1].word == syllable.word:
            words[-1].append(index)
        else:
            words.append([index])
    return words


def _toned(syllable: Syllable, tone: int) -> Syllable:
    return Syllable(syllable.text, syllable.sound, tone, syllable.word)


def _neutral(syllables: list[Syllable], kinds: Sequence[str]) -> list[Syllable]:
    """Neutral last syllables: listed words, suffixes, 里 after a place, a verb said twice."""
    for places in _words(syllables):
        text = "".join(syllables[place].text for place in places)
        last, kind = places[-1], kinds[syllables[places[-1]].word]
        suffix = len(places) > 1 and text[-1] in "们么"
        inside = text[-1] == "里" and last > 0 and kind in _PLACES and text not in _NO_PLACES
        twice = len(places) == 2 and text[0] == text[1] and kind == "v"
        if text in NEUTRAL or text[-2:] in NEUTRAL or suffix or inside or twice:
            syllables[last] = _toned(syllables[last], 5)
    return syllables


def _tone_of_one(base: Sequence[Syllable], index: int) -> int:
    """一: `yi2` before a fourth tone, `yi4` before others, `yi1` as a number or at an end."""
    before = base[index - 1].text if index else ""
    after = base[index + 1] if index + 1 < len(base) else None
    if after is None or (
        after.word != base[index].word and _ENDS_IN_ONE.search(_word(base, index))
    ):
        return 1
    if before == after.text:
        return 5
    counts = before in _DIGITS | _POWERS | {"第", "初"} or after.text in _DIGITS | {"十"}
    dated = after.text in _SERIES or (after.text == "日" and before == "月")
    if counts or dated:
        return 1
    return 2 if after.tone == 4 or after.text == "个" else 4


def _tone_of_not(base: Sequence[Syllable], index: int, kinds: Sequence[str]) -> int:
    """不: `bu2` before a fourth tone, neutral within `是不是` and `对不起`."""
    before = base[index - 1] if index else None
    after = base[index + 1] if index + 1 < len(base) else None
    if before and after:
        within = before.word == base[index].word == after.word
        managed = kinds[before.word] in _NOT_MANAGED and len(_word(base, index)) == 3
        if before.text == after.text or (within and managed):
            return 5
    return 2 if after and after.tone == 4 else 4


def _word(base: Sequence[Syllable], index: int) -> str:
    return "".join(each.text for each in base if each.word == base[index].word)


def _thirds(syllables: list[Syllable], kinds: Sequence[str]) -> list[Syllable]:
    """A third tone before a third tone becomes a second, first within words, then between.

    Between words only where one of them is a single syllable, or counts the other.
    """
    words = _words(syllables)
    for places in words:
        _within(syllables, places)
    changed = list(syllables)
    alone = {places[0] for places in words if len(places) == 1}
    counting = {
        places[-1]
        for places in words
        if kinds[syllables[places[0]].word] in "mr" and _COUNTING.match(syllables[places[0]].text)
    }
    for index in range(len(syllables) - 1):
        leans = index in alone | counting or index + 1 in alone
        if leans and syllables[index].tone == syllables[index + 1].tone == 3:
            changed[index] = _toned(syllables[index], 2)
    return changed


def _within(syllables: list[Syllable], places: Sequence[int]) -> None:
    """`2 3` and `2 2 3`; a word of one and two (`小老虎`) keeps its first: `3 2 3`."""
    keeps = len(places) == 3 and syllables[places[0]].text in _PREFIXES
    for number, place in enumerate(places[:-1]):
        if keeps and number == 0:
            continue
        if syllables[place].tone == 3 and syllables[places[number + 1]].tone == 3:
            syllables[place] = _toned(syllables[place], 2)


#: Adjectives that stand before a word of two: small, old, good, paper, ...
_PREFIXES = frozenset("小老好纸有很女每冷母总")
