"""IPA as people write it, and its place among what espeak-ng makes of the text around it."""

from __future__ import annotations

import re

import pytest

from farm.errors import InvalidInput
from farm.phonemes import espeak, ipa

#: `{word|sounds}` in a text.
_GIVEN = re.compile(r"\{(.*?)\|(.*?)\}")


def said(text: str, voice: str = "en-us") -> str:
    """What a text is in phonemes, with sounds given in braces."""
    return "".join(espeak.symbols(inlined(text), voice).symbols)


def inlined(text: str) -> str:
    words, at, sounds = "", 0, list[tuple[int, int, str]]()
    for found in _GIVEN.finditer(text):
        words += text[at : found.start()]
        sounds.append((len(words), len(words) + len(found[1]), ipa.read(found[2])))
        words, at = words + found[1], found.end()
    return ipa.inlined(words + text[at:], sounds)


@pytest.mark.parametrize(
    ("written", "sounds"),
    [
        ("ʃɪˈvɔːn", "ʃɪˈvɔːn"),
        ("/ˈt͡ʃɛ.ɡə/", "ˈtʃɛɡə"),
        ("[ɡoː  g]", "ɡoː ɡ"),
        ("ma˨˩˦", "ma˨˩˦"),
        ("ɛ̃", "ɛ̃"),
    ],
)
def test_ipa_is_written_as_espeak_writes_it(written: str, sounds: str) -> None:
    assert ipa.read(written) == sounds


@pytest.mark.parametrize("written", ["", "ˈ", ".", 'S"i', "S@", "a,b", "a!", "a\ufdd1b", "a\0"])
def test_what_is_no_ipa_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput, match="is no IPA: it has "):
        ipa.read(written)


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("{Siobhan|ʃɪvɔːn}", "ʃɪvɔːn"),
        ("I gave it to {Siobhan|ʃɪvɔːn}, and to her.", "aɪ ɡˈeɪv ɪt tə ʃɪvɔːn, ænd tə hɜː."),
        ("Of the {X|ɛks}!", "ʌvðə ɛks!"),
        ("{A|eɪ} {B|biː}; {C|siː}?", "eɪ biː; siː?"),
        ("The {New York|nuː jɔːk}’s mayor", "ðə nuː jɔːkz mˈeɪɚ"),
        ("“{X|ɛks}” — {X|ɛks}", "ɛks; ɛks"),
    ],
)
def test_sounds_stand_where_the_word_would_be_read_in_its_sentence(
    text: str, phonemes: str
) -> None:
    assert said(text) == phonemes


#: Names of espeak-ng's.
LANGUAGES = "ar cmn cs de es fr hi it ja ko nl pl pt-br ru sv tr vi"


@pytest.mark.parametrize("voice", list(LANGUAGES.split()))
def test_sounds_are_spliced_in_every_language(voice: str) -> None:
    whole = said("{A|ʘʘ}, {B|ʘʘʘ}.", voice)
    assert re.fullmatch("ʘʘ, ?ʘʘʘ.", whole), whole


def test_sounds_come_as_code_points_and_clusters() -> None:
    assert espeak.symbols(inlined("{X|ɛ̃ç}"), "fr").symbols == ("ɛ", "\u0303", "c", "\u0327")
    text = inlined("{X|aɪaɪa}")
    assert ipa.spliced(text, list, ["aɪ"]) == ["aɪ", "aɪ", "a"]


def test_where_the_made_up_word_is_in_the_text_its_parts_are_read_one_by_one() -> None:
    assert said("The mumavuzo {X|ɛks} came.") == f"{said('The mumavuzo')} ɛks {said('came.')}"


def test_a_text_without_sounds_is_as_it_was() -> None:
    assert ipa.inlined("a b", ()) == "a b"
    assert ipa.spliced("a b", list) == ["a", " ", "b"]


def test_characters_that_part_sounds_from_text_are_blanks_in_a_text() -> None:
    text = "a\ufdd0x\ufdd1b"
    assert "\ufdd0" not in ipa.inlined(text, ())
    assert ipa.spliced(ipa.inlined(text, [(0, 1, "ɛ")]), list)[0] == "ɛ"
