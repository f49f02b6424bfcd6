"""Names with a lexicon, spoken by `slt` and heard by a recogniser that knows only digits."""

from __future__ import annotations

import numpy as np
import pytest

from farm import engines, planning
from farm.audio import Audio
from farm.builtin import prepare
from farm.engines import Engine
from farm.jobs import Block, Item, Spec, Voice
from farm.plans import Passage
from farm.text import Lexicons
from tests.text.lexicons import held, lexeme, pls
from training.recogniser import Recogniser, word_error_rate

FILES = {"model": "slt.onnx", "config": "slt.onnx.json"}
SLT = Voice("slt", "0" * 64, "piper", "piper", "en-US", 16_000, files=FILES)
#: Names that are read as digits, by an alias or by their sounds.
LEXICON = pls(
    lexeme("Siobhan", "seven"),
    lexeme("Nguyen", ipa="wˈʌn"),
    lexeme("Saoirse", ipa="sˈɪks"),
    lexeme("St. John", "8"),
)
TEXT = "Siobhan, Nguyen, two, St. John, Saoirse, Nguyen."
MEANT = "seven one two eight six one"
#: What the recogniser may get wrong of it: one word.
ERROR = 0.17


@pytest.fixture(scope="module")
def slt(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engines.load(SLT, prepare(tmp_path_factory.mktemp("home")), "cpu")


def spoken(slt: Engine, lexicons: Lexicons) -> list[Audio]:
    """The text as a farm would plan and speak it."""
    spec = Spec("j", "speech", "f", "ann", "", "slt", {"slt": SLT}, 0.0)
    passage = Passage(Item(0, "a", blocks=(Block(TEXT),)))
    page = planning.plan([passage], spec, engines.phonemiser, lexicons=lexicons)
    return slt.speak(page.parts[0].segments)


def error(audio: list[Audio]) -> float:
    """The word error rate of what is heard, by what is meant."""
    signal = np.concatenate([each.samples for each in audio])
    return word_error_rate([MEANT], [Recogniser.of_digits().hear(signal)])


def test_names_are_heard_as_the_lexicon_has_them(slt: Engine) -> None:
    audio = spoken(slt, held(LEXICON))
    assert error(audio) < ERROR
    assert [each.warnings for each in audio] == [()]


def test_without_the_lexicon_they_are_not(slt: Engine) -> None:
    assert error(spoken(slt, Lexicons())) > 3 * ERROR
