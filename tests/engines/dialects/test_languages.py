"""BCP 47 tags, and what models call their languages."""

from __future__ import annotations

import pytest

from farm.engines.dialects.languages import choose
from farm.errors import EngineError

YOURTTS = ("en", "fr-fr", "pt-br")


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("en_US", "en"),
        ("fr", "fr-fr"),
        ("fr-FR", "fr-fr"),
        ("fr-CA", "fr-fr"),
        ("pt", "pt-br"),
        ("pt-BR", "pt-br"),
        ("pt-PT", "pt-br"),
    ],
)
def test_a_tag_means_the_models_language(asked: str, name: str) -> None:
    assert choose(asked, YOURTTS, "v") == name


def test_the_very_tag_goes_before_its_language() -> None:
    assert choose("pt-BR", ("pt", "pt-br"), "v") == "pt-br"
    assert choose("pt-AO", ("pt", "pt-br"), "v") == "pt"


def test_models_may_name_their_languages_in_their_own_way() -> None:
    assert choose("en-GB", ("cmn", "eng"), "v") == "eng"
    assert choose("zh", ("English", "Chinese"), "v") == "Chinese"


@pytest.mark.parametrize("asked", ["zh", "de-DE", "e", ""])
def test_a_language_that_the_voice_does_not_speak_is_an_error_with_the_choices(asked: str) -> None:
    with pytest.raises(EngineError) as caught:
        choose(asked, YOURTTS, "voice 'v'")
    assert str(caught.value) == f"voice 'v' does not speak {asked!r}, only en, fr-fr, pt-br"
