"""Sounds put into a text reach every voice that espeak-ng phonemises for, exactly."""

from __future__ import annotations

import pytest

from farm.engines import dialects
from farm.engines.dialects import phonemes
from farm.engines.dialects.cleaning import CLEANERS
from farm.phonemes import ipa
from tests.exports import export
from tests.exports.voices import roles


@pytest.mark.parametrize("name", ["mms_phonemes", "piper", "sherpa_icefall", "sherpa_piper"])
def test_a_voice_of_phonemes_says_what_is_given(name: str) -> None:
    dialect = dialects.read("the voice", roles(export(name)))
    assert dialect.reads_ipa
    text = ipa.inlined("Say X, now.", [(4, 5, "ʃɪvɔːn")])
    tokens = dialect.tokenise(text, next(iter(dialect.languages), ""))
    assert "ʃɪvɔːn" in "".join(tokens.symbols)
    assert tokens.missing == ()


@pytest.mark.parametrize("cleaner", sorted(CLEANERS))
def test_no_cleaner_of_coquis_takes_sounds_away(cleaner: str) -> None:
    text = ipa.inlined("Say X, now.", [(4, 5, "ʃɪvɔːn")])
    assert "ʃɪvɔːn, n" in phonemes.ipa(CLEANERS[cleaner](text, "en"), "en-us")


@pytest.mark.parametrize("name", ["coqui", "mms", "sherpa_coqui", "sherpa_english", "sherpa_jieba"])
def test_a_voice_of_letters_or_words_takes_no_phonemes(name: str) -> None:
    assert not dialects.read("the voice", roles(export(name))).reads_ipa
