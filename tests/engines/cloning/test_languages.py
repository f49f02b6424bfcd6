"""BCP 47 tags and the languages of a checkpoint."""

from __future__ import annotations

import pytest

from farm.engines.cloning.languages import choose
from farm.errors import EngineError

YOURTTS = ("en", "fr-fr", "pt-br")


@pytest.mark.parametrize(
    ("tag", "name"),
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
def test_a_tag_means_the_checkpoints_language(tag: str, name: str) -> None:
    assert choose(tag, YOURTTS) == name


def test_the_very_tag_goes_before_its_language() -> None:
    assert choose("pt-BR", ("pt", "pt-br")) == "pt-br"
    assert choose("pt-AO", ("pt", "pt-br")) == "pt"


@pytest.mark.parametrize("tag", ["zh", "de-DE", "e", ""])
def test_a_language_that_the_voice_does_not_speak_is_an_error_with_the_choices(tag: str) -> None:
    with pytest.raises(EngineError) as caught:
        choose(tag, YOURTTS)
    assert str(caught.value) == (
        f"the voice does not speak {tag!r}: its languages are en, fr-fr, pt-br"
    )
