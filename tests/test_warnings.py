"""Nothing is dropped in silence: what an item's audio lacks is in the job's report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from farm import lifecycle, standing
from farm.assembly import ItemRecord
from farm.audio import Audio, flac
from farm.schema import from_json, to_json
from farm.tape import NOTICES, Notice
from tests.running import Running, running, tone
from tests.text.epubs import page, write_epub

LACK = "the voice lacks '[[lack]]'"


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def lines(*texts: str, **more: Any) -> str:
    return "\n".join(json.dumps({"id": f"l{n}", "text": t, **more}) for n, t in enumerate(texts))


def done(farm: Running, data: str, job: str = "j", **changes: Any) -> list[dict[str, Any]]:
    """Bring a batch to its end; the items of its manifest."""
    farm.submit(data, job, "batch", **changes)
    assert farm.finish(job) == "completed"
    found: list[dict[str, Any]] = farm.manifest(job)["items"]
    return found


def notices(row: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(n["text"], n["message"], n["segments"]) for n in row.get("warnings", ())]


def test_a_warning_is_listed_with_the_first_text_and_the_number_of_segments(farm: Running) -> None:
    rows = done(farm, lines("Fine.", "One [[lack]]. Whole. Two [[lack]]."))
    assert notices(rows[0]) == []
    assert notices(rows[1]) == [("One [[lack]].", LACK, 2)]
    assert (rows[1]["segments"], rows[1]["warned"]) == (3, 2)
    assert "failed" not in rows[1]
    assert "wav" in rows[1]["files"]


def test_a_text_that_its_voice_reads_letter_by_letter_is_told(farm: Running) -> None:
    rows = done(farm, lines("Fine.", "你好，世界。"))
    assert notices(rows[0]) == []
    assert notices(rows[1]) == [("", "not in the script of its language: '你好，世界。'", 0)]
    assert (farm.count("warned"), farm.count("failed")) == (1, 0)


def test_the_jobs_record_counts_the_segments_that_lack_something(farm: Running) -> None:
    done(farm, lines("One [[lack]]. Two [[lack]].", "Fine.", "Three [[lack]]."))
    assert (farm.count("warned"), farm.count("failed")) == (3, 0)
    farm.redis.flushall()
    assert farm.count("warned") == 3


def test_a_job_that_lacks_nothing_counts_none(farm: Running) -> None:
    (row,) = done(farm, lines("Fine."))
    assert farm.count("warned") == 0
    assert row.keys().isdisjoint({"warned", "warnings"})


def test_what_of_a_book_is_read_like_the_rest_is_told_once_of_each_chapter(
    farm: Running, tmp_path: Path
) -> None:
    latin = page("<p lang='la'>Sic transit.</p><p lang='la'>Pax.</p><p>Yes.</p>")
    path = write_epub(tmp_path / "b.epub", {"a.xhtml": latin, "b.xhtml": page("<p>No.</p>")})
    farm.submit(path.read_bytes(), "j", "book", name="b.epub")
    assert farm.finish() == "completed"
    first, second = farm.manifest()["items"]
    told = "voice 'tone' is not known to speak 'la': parts in it are read like the rest"
    assert notices(first) == [("", f"{told}: 2 times, first 'Sic transit.'", 0)]
    assert notices(second) == []
    assert (first["segments"], farm.count("warned"), farm.count("failed")) == (3, 1, 0)


def test_a_segment_that_was_stored_already_keeps_its_warning(farm: Running) -> None:
    first = done(farm, lines("One [[lack]]."))
    second = done(farm, lines("One [[lack]]."), "k")
    assert (farm.count("hits", "k"), farm.count("misses", "k")) == (1, 0)
    assert notices(second[0]) == notices(first[0]) == [("One [[lack]].", LACK, 1)]
    assert farm.count("warned", "k") == 1


def test_a_job_begun_again_counts_its_warnings_once(farm: Running) -> None:
    farm.submit(lines("One [[lack]]. Two."), kind="batch")
    farm.until("package")
    farm.redis.flushall()
    farm.queue.clear()
    assert farm.finish() == "completed"
    assert farm.count("warned") == 1


def test_the_warning_is_in_the_segment_itself(farm: Running) -> None:
    done(farm, lines("One [[lack]].", "Two."))
    found = [flac.decode(farm.farm.store.get(key))[0].warnings for key in farm.segments()]
    assert sorted(found) == [(), (LACK,)]


def test_an_item_quotes_a_bounded_number_of_warnings_and_counts_all(farm: Running) -> None:
    texts = " ".join(f"Number {n} is here." for n in range(NOTICES + 5))
    farm.submit(lines(texts), kind="batch")
    farm.until("items")
    for n, key in enumerate(farm.segments()):
        audio, comments = flac.decode(farm.farm.store.get(key))
        lacking = Audio(audio.samples, audio.sample_rate, audio.timings, (f"lacks {n}",))
        farm.farm.store.put(key, flac.encode(lacking, comments))
    farm.finish()
    (row,) = farm.manifest()["items"]
    assert len(row["warnings"]) == NOTICES
    assert row["warned"] == farm.count("warned") == NOTICES + 5


def test_an_items_record_keeps_its_warnings_as_json() -> None:
    record = ItemRecord(3, "line", warned=2, warnings=(Notice("lacks 'ʘ'", "A text.", 2),))
    assert from_json(ItemRecord, to_json(record)) == record
    assert from_json(ItemRecord, json.dumps(asdict(record))) == record


def test_an_item_that_cannot_be_planned_says_why_in_the_manifest(farm: Running) -> None:
    data = lines("Fine.") + "\n" + json.dumps({"id": "ghost", "text": "Boo.", "voice": "ghost"})
    ghost = tone("ghost", "f" * 64, engine="x")
    spec = replace(farm.spec(kind="batch"), voices={"tone": tone(), "ghost": ghost})
    assert lifecycle.submit(farm.farm, spec, data.encode())
    assert farm.finish() == "completed"
    rows = farm.manifest()["items"]
    assert rows[1]["error"].startswith("unknown engine 'x': choose one of ")
    assert "files" not in rows[1]
    (failure,) = farm.farm.ledger.failures("j")
    assert (failure["item"], failure["text"], failure["error"]) == (1, "", rows[1]["error"])
    assert (rows[1]["failed"], farm.count("failed")) == (1, 1)


def test_a_line_that_is_not_valid_keeps_its_own_error(farm: Running) -> None:
    rows = done(farm, lines("Fine.") + '\n{"id": "bad"}')
    assert rows[1]["error"] == "line 2: 'text' is missing"


def test_a_text_of_marks_alone_still_holds_nothing_to_speak(farm: Running) -> None:
    rows = done(farm, lines("Fine.", "***"))
    assert rows[1]["error"] == "nothing to speak in '***'"
    assert (rows[1]["failed"], farm.count("failed")) == (1, 1)


def test_a_line_without_words_is_counted_once_however_long_it_is(farm: Running) -> None:
    stars = "\n\n".join(["* * *"] * 1_000)
    rows = done(farm, lines(stars, f"Fine.\n\n{stars}", "* " * 50_000, "***", f"{stars}\n\nFine."))
    told = f"nothing to speak in {'* ' * 20!r}"
    assert [(row.get("error", ""), row.get("failed", 0)) for row in rows] == [
        (told, 1),
        ("", 0),
        (told, 1),
        ("nothing to speak in '***'", 1),
        ("", 0),
    ]
    assert farm.count("failed") == 3
    failures = standing.failures(farm.farm, "j")
    assert sorted((row["item"], row["error"]) for row in failures) == [
        (row["index"], row["error"]) for row in rows if "error" in row
    ]


def test_what_of_a_text_is_in_no_segment_is_listed_of_every_page_of_it(farm: Running) -> None:
    long = "\n\n".join(f"It rained on {day}." for day in ("Monday", "Tuesday") * 100)
    rows = done(farm, lines("One.\n\n😀\n\nTwo.\n\n* * *", f"⠓⠑⠇⠇⠕\n\n{long}\n\n😀", "Three."))
    lost = "nothing that can be spoken: "
    assert notices(rows[0]) == [("", f"{lost}'😀'", 0)]
    assert notices(rows[1]) == [("", f"{lost}'⠓⠑⠇⠇⠕'", 0), ("", f"{lost}'😀'", 0)]
    assert notices(rows[2]) == []
    assert farm.count("warned") == 3


@pytest.mark.parametrize("text", ["😀", "⠓⠑⠇⠇⠕"])
def test_a_text_of_nothing_else_is_an_error_that_says_what_it_was(farm: Running, text: str) -> None:
    row, _ = done(farm, lines(text, "Two."))
    assert row["error"] == f"nothing to speak in {text!r}"
    assert notices(row) == [("", f"nothing that can be spoken: {text!r}", 0)]
