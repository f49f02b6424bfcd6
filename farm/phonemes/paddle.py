"""PaddleSpeech's symbols for Mandarin, English and both, and its `phone_id_map.txt`.

After `paddlespeech/t2s/frontend/{zh_frontend,mix_frontend,generate_lexicon}.py` and
`examples/csmsc/tts3/local/simple.lexicon`: an initial and a final with its tone, `n i2 h ao3`;
`ii` after z c s, `iii` after zh ch sh r; finals in full (`iou uei uen`, `v` for ü); erhua as `r`
before the tone; every mark is a pause `sp`, none at the end. English is ARPAbet where the map has
it (LJSpeech, mixed voices), else letters by their Mandarin names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import Path

from pypinyin.contrib.tone_convert import to_finals, to_initials

from farm.errors import EngineError
from farm.phonemes import Pronunciation, arpabet
from farm.phonemes.pinyin import is_initials, spell, tokens

PAUSE = "sp"
_FLAT = frozenset(("z", "c", "s"))
_CURLED = frozenset(("zh", "ch", "sh", "r"))
#: A neutral final that no sentence of the corpus held is read with the nearest tone that one did.
_NEAREST_TONES = {"5": "4123"}


def read_map(path: Path) -> dict[str, int]:
    """Read a `phone_id_map.txt`: lines of a symbol, a space and its id.

    Raises:
        EngineError: there is no such file, or a line is not of this form.
    """
    ids: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"cannot read the phone map {str(path)!r}: {error}") from error
    for number, line in enumerate(lines, 1):
        symbol, _, value = line.rpartition(" ")
        if not line.strip():
            continue
        if not symbol or not value.isdecimal() or symbol in ids:
            raise EngineError(f"{str(path)!r}, line {number}: {line!r} is not `symbol id`")
        ids[symbol] = int(value)
    return ids


def is_mixed(known: Collection[str]) -> bool:
    """Whether a map holds Mandarin and ARPAbet."""
    return "AH0" in known and "a1" in known


def mandarin(text: str, known: Collection[str]) -> Pronunciation:
    """Turn Mandarin, English words in it included, into symbols that the map knows.

    `known` is the map's symbols. Erhua that the map lacks becomes a syllable of its own (`er2`);
    what has no symbol at all is in `missing`.
    """
    heard: list[str] = []
    missing: dict[str, None] = {}
    spelled: dict[str, None] = {}
    mixed = is_mixed(known)
    for kind, run in groupby(tokens(text), lambda token: token.kind):
        words = [token.text for token in run]
        if kind == "latin" and mixed:
            read = english(" ".join(words), known)
            heard += [PAUSE, *read.symbols, PAUSE]
            missing |= dict.fromkeys(read.missing)
            continue
        for word in words:
            found, lost = _sounds(kind, word, known)
            heard += found
            missing |= dict.fromkeys(lost)
            if kind == "latin" and found and not is_initials(word):
                spelled[word] = None
    return Pronunciation(tuple(_pauses(heard, known)), tuple(missing), tuple(spelled))


def english(text: str, known: Collection[str]) -> Pronunciation:
    """Turn English into the ARPAbet symbols of an LJSpeech or VCTK map, marks as `sp`."""
    read = arpabet.symbols(text)
    heard = [PAUSE if sound in ",.?!" else sound for sound in read.symbols]
    lost = [sound for sound in heard if sound not in known and sound != PAUSE]
    kept = _pauses([sound for sound in heard if sound not in lost], known)
    return Pronunciation(tuple(kept), tuple(dict.fromkeys([*read.missing, *lost])))


def split(syllable: str) -> tuple[str, ...]:
    """Split a syllable as the lexicon does: `zhuangr1` to `zh uangr1`, `er2` to itself."""
    body, tone = syllable[:-1], syllable[-1]
    erhua = "r" if body.endswith("r") and body != "er" else ""
    body = body.removesuffix(erhua)
    initial = to_initials(body, strict=True)
    final = "io" if body == "yo" else to_finals(body, strict=True, v_to_u=False) or body
    if final == "i" and initial in _FLAT | _CURLED:
        final = "ii" if initial in _FLAT else "iii"
    return (initial, final + erhua + tone) if initial else (final + erhua + tone,)


def _sounds(kind: str, text: str, known: Collection[str]) -> tuple[list[str], list[str]]:
    """The symbols of a token, a Latin word by its letters, and what of it has none."""
    if kind == "mark":
        return [PAUSE], []
    if kind == "unknown":
        return [], [text]
    names, lost = spell(text) if kind == "latin" else ([text], [])
    found, unknown = _syllables(names, known)
    return found, [*lost, *unknown]


def _syllables(sounds: Iterable[str], known: Collection[str]) -> tuple[list[str], list[str]]:
    found: list[str] = []
    missing: list[str] = []
    for sound in sounds:
        symbols = _known(split(sound), known)
        found += symbols
        missing += [] if symbols else [sound]
    return found, missing


def _known(symbols: tuple[str, ...], known: Collection[str]) -> list[str]:
    """The symbols of one syllable as the map has them; none where it has not."""
    *initial, final = symbols
    if not all(symbol in known for symbol in initial):
        return []
    if final in known:
        return [*initial, final]
    body, tone = final[:-1], final[-1]
    if body.endswith("r") and (body != "er" or initial):
        plain = _known((*initial, body[:-1] + tone), known)
        suffix = _known(("er2",), known)
        return [*plain, *suffix] if plain else []
    near = (body + other for other in _NEAREST_TONES.get(tone, ""))
    return next(([*initial, other] for other in near if other in known), [])


def _pauses(heard: Iterable[str], known: Collection[str]) -> list[str]:
    """One pause for several marks, none at either end, none where the map has no `sp`."""
    kept: list[str] = []
    for symbol in heard:
        if symbol != PAUSE or (PAUSE in known and kept and kept[-1] != PAUSE):
            kept.append(symbol)
    return kept[:-1] if kept[-1:] == [PAUSE] else kept
