"""PaddleSpeech's `phone_id_map.txt`s, made as its preprocessing makes them.

`get_input_token` (`paddlespeech/t2s/datasets/preprocess_utils.py`) writes `<pad>`, `<unk>`, the
sorted set of the symbols of a corpus, four marks and `<eos>`: what a corpus holds decides its ids.

CSMSC: its 10,000 sentences, by their labels and the lexicon of PaddleSpeech's aligner; `spn` is
what the aligner gives the three words that are in no lexicon. The map has the 268 symbols of the
published one, and reads the ids of the ten sentences in PaddleSpeech's Android demo back as those
sentences (111 different ids).

AISHELL-3: the published map has 306 symbols. Its labels were not at hand, so which of the
lexicon's these are is not known: `lexicon()` has all of them, and the ids of what comes late in
the alphabet are higher. `mixed()` is that with the 69 symbols of ARPAbet; the published one has
388.
"""

from __future__ import annotations

from collections.abc import Iterable

INITIALS = str.split("b c ch d f g h j k l m n p q r s sh t x z zh")
SILENCES = ("sil", "sp", "spl", "spn")
MARKS = {"zh": ("，", "。", "？", "！"), "en": (",", ".", "?", "!")}

#: The finals of the lexicon, each with every tone, plain and with erhua (but `er`).
FINALS = str.split(
    "a ai an ang ao e ei en eng er i ia ian iang iao ie ii iii in ing io iong iou o ong ou u ua "
    "uai uan uang uei uen ueng uo v van ve vn"
)
#: CSMSC's finals that it does not hold in every tone, and those with erhua, with their tones.
_CSMSC = {
    "er": "2345", "io": "15", "ueng": "1234",
    "air": "24", "anr": "134", "aor": "34", "ar": "234", "enr": "1245", "iangr": "4",
    "ianr": "123", "iar": "13", "iiir": "4", "iir": "2", "ingr": "23", "inr": "4", "iour": "1",
    "ir": "12345", "ongr": "4", "our": "2", "uair": "4", "uanr": "12", "ueir": "134", "uenr": "34",
    "uor": "23", "ur": "34", "vanr": "4",
}  # fmt: skip
_VOWELS = str.split("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW")
_CONSONANTS = str.split("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH")


def csmsc() -> list[str]:
    """The symbols of CSMSC's map in the order of their ids."""
    tones = dict.fromkeys(FINALS, "12345") | _CSMSC
    return _order([*INITIALS, *_toned(tones)], "zh")


def lexicon() -> list[str]:
    """The symbols of a corpus that holds every syllable of the lexicon."""
    return _order(_mandarin(), "zh")


def mixed() -> list[str]:
    """The same with English, as of voices that speak both."""
    vowels = [f"{vowel}{stress}" for vowel in _VOWELS for stress in "012"]
    return _order([*_mandarin(), *vowels, *_CONSONANTS], "en")


#: Name to the symbols of the map.
MAPS = {"csmsc": csmsc, "lexicon": lexicon, "mixed": mixed}


def text(symbols: Iterable[str]) -> str:
    """A map as the file that PaddleSpeech writes."""
    return "".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols))


def _mandarin() -> list[str]:
    curled = [f"{final}r" for final in FINALS if final != "er"]
    return [*INITIALS, *_toned(dict.fromkeys([*FINALS, *curled], "12345"))]


def _toned(tones: dict[str, str]) -> list[str]:
    return [final + tone for final, each in tones.items() for tone in each]


def _order(symbols: list[str], language: str) -> list[str]:
    return ["<pad>", "<unk>", *sorted([*symbols, *SILENCES]), *MARKS[language], "<eos>"]
