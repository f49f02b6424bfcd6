"""Lexicons in a whole farm: kept with the job, told in its report, paid for by what they touch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farm import editing, keys, lifecycle, paging, reading, revising
from farm.assembly import read_marks
from farm.engines import Engine
from farm.errors import Damaged, InvalidInput
from farm.jobs import Block, Edit, Item, Output, Phones, Segment
from farm.synthesis import UNREAD
from farm.text import lexicon
from tests.running import Running, running, tone
from tests.text.lexicons import SIOBHAN, aliases, lexeme, pls

TEXT = "I met Siobhan\nin 1999. Tom had left. “Siobhan!” she said."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def done(farm: Running, *lexicons: str, text: str = TEXT, job: str = "j", **more: Any) -> None:
    """Bring a speech with lexicons to its end."""
    named = {lexicon.named(each.encode()): each.encode() for each in lexicons}
    spec = farm.spec(job, lexicons=tuple(named), **more)
    assert lifecycle.submit(farm.farm, spec, text.encode(), also=named)
    assert farm.finish(job) == "completed"


def spoken(farm: Running, job: str = "j", revision: int = 1) -> list[str]:
    return [each.text for each in farm.planned(job, revision)]


def test_an_alias_is_spoken_and_an_edited_one_costs_only_the_sentences_that_have_it(
    farm: Running,
) -> None:
    done(farm)
    assert farm.count("misses") == 3
    done(farm, aliases(Siobhan="Shivawn"), job="k")
    assert spoken(farm, "k") == [
        "I met Shivawn in nineteen ninety nine.",
        "Tom had left.",
        "“Shivawn!” she said.",
    ]
    assert (farm.count("hits", "k"), farm.count("misses", "k")) == (1, 2)
    done(farm, aliases(Siobhan="Shivawn", Tom="Thomas"), job="l")
    assert (farm.count("hits", "l"), farm.count("misses", "l")) == (2, 1)


def test_positions_and_marks_are_those_of_the_text_as_written(farm: Running) -> None:
    done(farm, aliases(Siobhan="a long way to say it"), output=Output("wav", subtitles=("srt",)))
    whole = [(each.start, each.end) for each in farm.planned()]
    assert [TEXT[start:end] for start, end in whole] == [
        "I met Siobhan\nin 1999.",
        "Tom had left.",
        "“Siobhan!” she said.",
    ]
    marks = read_marks(farm.item(kind="marks"))
    assert (marks[0].type, marks[0].text) == ("sentence", "I met Siobhan in 1999.")
    words = {mark.text: TEXT[mark.source_start : mark.source_end] for mark in marks
             if mark.type == "word"}  # fmt: skip
    assert (words["long"], words["met"], words["Tom"]) == ("Siobhan", "met", "Tom")
    assert b"Siobhan!" in farm.item(kind="srt")
    assert b"long way" not in farm.item(kind="srt")


def test_phonemes_reach_the_engine_and_name_the_audio(farm: Running) -> None:
    done(farm)
    done(farm, pls(lexeme("Siobhan", ipa=SIOBHAN)), job="k")
    before, after = farm.planned(), farm.planned("k")
    assert [each.text for each in after] == [each.text for each in before]
    assert [each.phones for each in after] == [(Phones(6, 13, SIOBHAN),), (), ((1, 8, SIOBHAN),)]
    assert [a.digest == b.digest for a, b in zip(after, before, strict=True)] == [0, 1, 0]
    done(farm, pls(lexeme("Siobhan", ipa="ʃoːn")), job="l")
    assert (farm.count("hits", "l"), farm.count("misses", "l")) == (1, 2)


def test_phonemes_that_an_engine_does_not_read_are_a_warning_that_stays(farm: Running) -> None:
    words = pls(lexeme("Siobhan", ipa=SIOBHAN))
    for job in "jk":  # the second time from the store
        done(farm, words, job=job)
        (notice,) = farm.manifest(job)["items"][0]["warnings"]
        assert notice == {
            "message": UNREAD,
            "text": "I met Siobhan in nineteen ninety nine.",
            "segments": 2,
        }
    assert (farm.count("hits", "k"), farm.count("warned", "k")) == (3, 2)


class Reading(Engine):
    """The tone engine, which notes what it is asked to say."""

    reads_ipa = True

    def __init__(self, inner: Engine) -> None:
        self.sample_rate = inner.sample_rate
        self._inner, self.said = inner, list[Segment]()

    def speak(self, segments: Any) -> Any:
        self.said += segments
        return self._inner.speak(segments)


def test_an_engine_that_reads_phonemes_gets_them_and_nothing_is_warned_of(farm: Running) -> None:
    digest = tone().digest
    engine = farm.farm.engines[digest] = Reading(farm.farm.engines[digest])
    done(farm, pls(lexeme("Siobhan", ipa=SIOBHAN)))
    assert [each.text[slice(*each.phones[0][:2])] for each in engine.said if each.phones] == [
        "Siobhan",
        "Siobhan",
    ]
    assert farm.count("warned") == 0


def test_ssml_says_how_a_word_sounds_before_a_lexicon_does(farm: Running) -> None:
    text = '<speak>Say <phoneme ph="ʃoːn">Siobhan</phoneme>, not Siobhan or Tom.</speak>'
    words = pls(lexeme("Siobhan", ipa=SIOBHAN), lexeme("Tom", "Thomas"))
    done(farm, words, text=text, name="a.ssml")
    (segment,) = farm.planned()
    assert segment.text == "Say Siobhan, not Siobhan or Thomas."
    assert segment.phones == ((4, 11, "ʃoːn"), (17, 24, SIOBHAN))


def test_a_paragraph_of_several_pages_keeps_its_sounds() -> None:
    text = "A word or two. " * 4_000 + "Siobhan."
    block = Block(text, start=7, phones=(Phones(15, 16, "eɪ"), Phones(60_000, 60_007, SIOBHAN)))
    blocks = [
        each
        for page in paging.pages([Item(0, "a", blocks=(block,))])
        for passage in page
        for each in passage.item.blocks
    ]
    assert len(blocks) > 1
    found = [(each.in_source(at), each.text[at:end], ipa) for each in blocks
             for at, end, ipa in each.phones]  # fmt: skip
    assert found == [(22, "A", "eɪ"), (60_007, "Siobhan", SIOBHAN)]


def test_a_lexicon_in_no_language_of_the_job_is_a_warning_of_its_first_item(farm: Running) -> None:
    done(farm, aliases("fr", Siobhan="x"), job="k")
    (row,) = farm.manifest("k")["items"]
    told = "a lexicon is for 'fr': nothing in en is looked up in it"
    assert [notice["message"] for notice in row["warnings"]] == [told]
    assert spoken(farm, "k")[1] == "Tom had left."


def test_every_line_of_a_batch_is_looked_up(farm: Running) -> None:
    rows = [{"id": "a", "text": "Siobhan."}, {"id": "b", "ssml": "<speak>Siobhan?</speak>"}]
    data = aliases(Siobhan="Shivawn").encode()
    spec = farm.spec(kind="batch", lexicons=(lexicon.named(data),))
    text = "\n".join(map(json.dumps, rows)).encode()
    assert lifecycle.submit(farm.farm, spec, text, also={lexicon.named(data): data})
    assert farm.finish() == "completed"
    assert sorted(spoken(farm)) == ["Shivawn.", "Shivawn?"]


def test_a_retry_and_an_edit_use_the_lexicons_that_the_job_came_with(farm: Running) -> None:
    done(farm, aliases(Siobhan="Shivawn"))
    farm.redis.flushall()
    revising.retry(farm.farm, "j")
    assert farm.finish() == "completed"
    assert spoken(farm, revision=2) == spoken(farm)
    assert (farm.count("hits"), farm.count("misses")) == (3, 0)
    second = farm.planned(revision=2)[1].start
    editing.edit(farm.farm, farm.farm.spec("j"), [Edit(0, second, "Siobhan had left.")])
    assert farm.finish() == "completed"
    assert spoken(farm, revision=3)[1] == "Shivawn had left."
    assert farm.count("misses") == 1


def test_an_edit_whose_aliases_make_it_too_long_is_refused(farm: Running) -> None:
    done(farm, aliases(Siobhan="long " * 40))
    edit = [Edit(0, 0, "Siobhan and Siobhan and Siobhan")]
    with pytest.raises(InvalidInput, match="as written or spoken"):
        editing.edit(farm.farm, farm.farm.spec("j"), edit)


def test_a_retake_keeps_the_phonemes(farm: Running) -> None:
    done(farm, pls(lexeme("Siobhan", ipa=SIOBHAN)))
    editing.retake(farm.farm, farm.farm.spec("j"), 0, 0)
    assert farm.finish() == "completed"
    before, after = farm.planned()[0], farm.planned(revision=2)[0]
    assert after.phones == before.phones
    assert after.digest != before.digest


def test_a_lexicon_that_is_not_what_it_was_is_damage_and_no_fault_of_the_caller(
    farm: Running,
) -> None:
    done(farm, aliases(Siobhan="Shivawn"))
    spec = farm.farm.spec("j")
    assert reading.lexicons(farm.farm.store, spec).held[0].language == "en"
    farm.farm.store.put(keys.job("j", "input", spec.lexicons[0]), aliases(Siobhan="x").encode())
    with pytest.raises(Damaged, match=spec.lexicons[0]):
        reading.lexicons(farm.farm.store, spec)


def test_a_removed_job_leaves_no_lexicon(farm: Running) -> None:
    done(farm, aliases(Siobhan="Shivawn"))
    assert [key for key in farm.farm.store.list(keys.job("j", "input") + "/") if ".pls" in key]
    lifecycle.remove(farm.farm, "j")
    assert not list(farm.farm.store.list(keys.job("j") + "/"))
