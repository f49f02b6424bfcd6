"""Text of which some stretches are read otherwise: by other words, or by their sounds."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from farm.jobs import Phones
from farm.text.normalise import INVISIBLE, normalise

_UNSEEN = re.compile(f"[{INVISIBLE}]")


class Reading(NamedTuple):
    """How a stretch of a text is read."""

    start: int
    """Its first character."""
    end: int
    """One past its last."""
    alias: str = ""
    """Words spoken in its place; empty: it has sounds."""
    ipa: str = ""


def merged(first: Sequence[Reading], others: Sequence[Reading]) -> list[Reading]:
    """Put readings in order; of `others` those that overlap one of the first are left out."""
    starts = [each.start for each in first]

    def free(other: Reading) -> bool:
        before = bisect_left(starts, other.end) - 1
        return before < 0 or first[before].end <= other.start

    return sorted([*first, *filter(free, others)])


class Spoken(NamedTuple):
    """A text as it is spoken."""

    text: str
    """Normalised; empty where nothing can be pronounced."""
    phones: tuple[Phones, ...] = ()
    """Sounds of parts of it."""

    def part(self, start: int, end: int) -> Spoken:
        """Return a stretch of it, without the white space at its ends."""
        stretch = self.text[start:end]
        start += len(stretch) - len(stretch.lstrip())
        end = start + len(stretch.strip())
        held = [each for each in self.phones if start <= each.start and each.end <= end]
        moved = (Phones(each.start - start, each.end - start, each.ipa) for each in held)
        return Spoken(self.text[start:end], tuple(moved))


def spoken(text: str, language: str, readings: Sequence[Reading] = ()) -> Spoken:
    """Normalise a text; `readings`, in order and apart from each other, say what to read otherwise.

    Aliases are normalised with the words around them. What has sounds stays as it is written, and
    is a name to the rules for what stands around it: "St." before it is "Saint".
    """
    if not readings:
        heard = any(character.isalnum() for character in text)
        return Spoken(normalise(text, language) if heard else "")
    written = [
        " ".join(_UNSEEN.sub("", text[each.start : each.end]).split())
        for each in readings
        if each.ipa
    ]
    around = _normalised(_stretches(text, readings), written, language)
    return _joined(around, written, [each.ipa for each in readings if each.ipa])


def _stretches(text: str, readings: Sequence[Reading]) -> list[str]:
    """Return what is around the stretches that have sounds, aliases in place of the others."""
    found, at = [""], 0
    for each in readings:
        found[-1] += text[at : each.start] + each.alias
        at = each.end
        if each.ipa:
            found.append("")
    found[-1] += text[at:]
    return found


def _normalised(stretches: Sequence[str], written: Sequence[str], language: str) -> Sequence[str]:
    """Normalise the stretches around some words in one go, names in place of the words."""
    names = _names("".join(stretches), written)
    woven = stretches[0] + "".join(map(str.__add__, names, stretches[1:]))
    whole, pattern = normalise(woven, language), "|".join(names) or r"(?!)"
    if re.findall(pattern, whole) == names:
        return re.split(pattern, whole)
    # No rule is known to change a name; should one, the stretches are read without each other.
    return [f" {normalise(each, language)} " for each in stretches]


def _names(text: str, written: Sequence[str]) -> list[str]:
    """Make up a name, not to be found in the text, for each of some words."""
    stem = "xq"
    while stem in text.lower():
        stem += "q"
    names = [stem + chr(97 + n // 26 % 26) + chr(97 + n % 26) for n in range(len(written))]
    return [
        name if word[:1].islower() else name.capitalize()
        for name, word in zip(names, written, strict=True)
    ]


def _joined(around: Sequence[str], written: Sequence[str], sounds: Sequence[str]) -> Spoken:
    text, phones = around[0], []
    for word, ipa, stretch in zip(written, sounds, around[1:], strict=True):
        phones.append(Phones(len(text), len(text) + len(word), ipa))
        text += word + stretch
    heard = phones or any(character.isalnum() for character in text)
    return Spoken(text, tuple(phones)).part(0, len(text)) if heard else Spoken("")
