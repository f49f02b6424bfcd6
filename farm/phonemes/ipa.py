"""IPA as people write it, and its way into what a phonemiser makes of the text around it.

Sounds travel beside a text, by the stretch that they are spoken for. Before it is phonemised they
are put into it, each between two characters that Unicode leaves to programs; the phonemiser then
reads a made-up word in their place, so that the words around it are read as before any word, and
the sounds take the place of what it made of that word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from farm.errors import InvalidInput

#: What is written that espeak-ng, whose symbols voices are trained on, does not write: tie bars,
#: syllable breaks, links, groups, brackets around it all, and the plain letter `g`.
_WRITTEN = {**dict.fromkeys(map(ord, "\u035c\u0361.‿|‖/[]")), ord("g"): "ɡ"}
#: What else is IPA: letters, modifiers and tone marks, diacritics, digits of tones, spaces.
_CLASSES = ("Ll", "Lm", "Lo", "Lu", "Mn", "Sk", "Nd", "Zs")
_BEGIN, _END = "\ufdd0", "\ufdd1"
_OURS = str.maketrans({_BEGIN: " ", _END: " "})
_INLINED = re.compile(f"{_BEGIN}([^{_END}]*){_END}")
#: A word that no language has, and that espeak-ng reads alike wherever it stands (tried in 43
#: languages; where it does not, the parts of the text are phonemised one by one).
_CARRIER = "mumavuzo"
_STRESS = frozenset("ˈˌ")

Phonemise = Callable[[str], Sequence[str]]
"""A text to its symbols."""


def read(written: str) -> str:
    """Return IPA as espeak-ng writes it.

    Raises:
        InvalidInput: it is no IPA, or there is no sound in it.
    """
    sounds = " ".join(unicodedata.normalize("NFC", written).translate(_WRITTEN).split())
    odd = next((each for each in sounds if unicodedata.category(each) not in _CLASSES), "")
    if odd:
        raise InvalidInput(f"{written[:40]!r} is no IPA: it has {odd!r}")
    if not any(each.isalpha() and each not in _STRESS for each in sounds):
        raise InvalidInput(f"{written[:40]!r} is no IPA: it has no sound")
    return sounds


def inlined(text: str, sounds: Iterable[tuple[int, int, str]]) -> str:
    """Put sounds into a text in place of the stretches, in order, that they are spoken for."""
    parts, at = [], 0
    for start, end, ipa in sounds:
        parts += [text[at:start].translate(_OURS), f"{_BEGIN}{ipa}{_END}"]
        at = end
    return "".join([*parts, text[at:].translate(_OURS)])


def spliced(text: str, phonemise: Phonemise, clusters: Iterable[str] = ()) -> list[str]:
    """Phonemise a text into which sounds may be put; these come out as they are.

    `clusters` are the sounds of several code points (NFD) that are one symbol for the voice.
    """
    parts = _INLINED.split(text)
    if len(parts) == 1:
        return list(phonemise(text))
    symbol = re.compile("|".join([*map(re.escape, sorted(clusters, key=len, reverse=True)), "."]))
    sounds = [symbol.findall(unicodedata.normalize("NFD", each)) for each in parts[1::2]]
    around = list(phonemise(_CARRIER.join(parts[::2])))
    places = _places(around, [each for each in phonemise(_CARRIER) if each not in _STRESS])
    if len(places) != len(sounds):
        return _apart(parts[::2], sounds, phonemise)
    for (start, end), each in zip(reversed(places), reversed(sounds), strict=True):
        around[start:end] = each
    return around


def _places(symbols: Sequence[str], wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Find a row of symbols in others, stress marks of it passed over; where it begins and ends."""
    spoken = [number for number, each in enumerate(symbols) if each not in _STRESS]
    found: list[tuple[int, int]] = []
    at, length = 0, len(wanted)
    while wanted and at + length <= len(spoken):
        window = spoken[at : at + length]
        if [symbols[number] for number in window] == list(wanted):
            found.append((spoken[at - 1] + 1 if at else 0, window[-1] + 1))
            at += length
        else:
            at += 1
    return found


def _apart(
    texts: Sequence[str], sounds: Sequence[Sequence[str]], phonemise: Phonemise
) -> list[str]:
    """Phonemise what is around the sounds part by part."""
    found = list(_part(texts[0], phonemise))
    for each, text in zip(sounds, texts[1:], strict=True):
        found += [*each, *_part(text, phonemise)]
    return found


def _part(text: str, phonemise: Phonemise) -> list[str]:
    """Phonemise a part; white space at its ends parts it from its neighbours."""
    before, after = ([" "] if text[at].isspace() else [] for at in (0, -1)) if text else ([], [])
    return [*before, *phonemise(text), *after] if text.strip() else before
