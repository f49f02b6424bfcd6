"""What the commands say of a job: warnings beside failures, and only what they spoke themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from farm.cli import speaking
from farm.cli.jobs import SHOWN
from farm.cli.session import Session
from farm.cli.watching import since
from farm.config import read_settings
from tests.cli.conftest import Command
from tests.homes import until
from tests.running import Running

Data = Callable[..., Any]
T = TypeVar("T")

LACK = "the voice lacks '[[lack]]'"


def batch(farm: Running, *texts: str) -> None:
    """Bring a batch to its end."""
    rows = [json.dumps({"id": f"l{n}", "text": text}) for n, text in enumerate(texts)]
    farm.submit("\n".join(rows), "lines", "batch")
    assert farm.finish("lines") == "completed"


def test_show_counts_and_lists_what_was_spoken_with_something_missing(
    farm: Running, command: Command, data: Data
) -> None:
    batch(farm, "Fine.", "One [[lack]]. Two [[lack]].", "Three [[lack]].")
    shown = data("jobs", "show", "lines")
    assert shown["warned"] == 3
    assert shown["warnings"] == [
        {"item": 1, "id": "l1", "message": LACK, "text": "One [[lack]].", "segments": 2},
        {"item": 2, "id": "l2", "message": LACK, "text": "Three [[lack]].", "segments": 1},
    ]
    text = command("jobs", "show", "lines").stdout
    assert "\nwarned    3 of the segments were spoken with something missing\n" in text
    assert f"warnings\n  item l1  'One [[lack]].': {LACK} (2 segments)\n" in text
    assert text.endswith(f"  item l2  'Three [[lack]].': {LACK}\n")


def test_show_quotes_no_text_of_a_warning_of_a_whole_item(farm: Running, command: Command) -> None:
    farm.submit(json.dumps({"id": "l1", "text": "你好。"}), "lines", "batch")
    farm.finish("lines")
    text = command("jobs", "show", "lines").stdout
    assert "warnings\n  item l1  not in the script of its language: '你好。'\n" in text


def test_show_says_nothing_of_warnings_where_there_are_none(
    farm: Running, command: Command, data: Data
) -> None:
    batch(farm, "Fine.")
    shown = data("jobs", "show", "lines")
    assert (shown["warned"], shown["warnings"]) == (0, [])
    assert "warn" not in command("jobs", "show", "lines").stdout


def test_show_prints_no_more_than_a_screen_of_warnings(
    farm: Running, command: Command, data: Data
) -> None:
    batch(farm, *["One [[lack]]."] * (SHOWN + 3))
    assert len(data("jobs", "show", "lines")["warnings"]) == SHOWN + 3
    assert command("jobs", "show", "lines").stdout.endswith("and 3 more; --json prints all\n")


def test_what_a_line_that_could_not_be_planned_lacks_is_its_reason_not_its_id(
    farm: Running, command: Command
) -> None:
    farm.submit('{"id": "good", "text": "Hi."}\n{"id": "bad"}', "lines", "batch")
    farm.finish("lines")
    text = command("jobs", "show", "lines").stdout
    assert "failures\n  item bad  line 2: 'text' is missing\n" in text


@pytest.mark.parametrize(
    ("before", "hits", "misses"),
    [
        pytest.param({}, 2, 8, id="a new job"),
        pytest.param({"begun": 1.0, "misses": 0}, 2, 8, id="nothing spoken yet"),
        pytest.param({"begun": 1.0, "misses": 5}, 7, 3, id="killed in the middle"),
        pytest.param({"begun": 0.5, "misses": 5}, 2, 8, id="an earlier run"),
    ],
)
def test_misses_count_from_the_start_of_the_command(
    before: dict[str, Any], hits: int, misses: int
) -> None:
    record = {"job": "j", "begun": 1.0, "hits": 2, "misses": 8}
    assert since(before, record) == {**record, "hits": hits, "misses": misses}


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, ""),
        ({"failed": 0, "warned": 0}, ""),
        ({"warned": 2}, "2 lack something: farm jobs show j\n"),
        (
            {"failed": 1, "warned": 2},
            "1 could not be spoken: farm jobs show j\n2 lack something: farm jobs show j\n",
        ),
    ],
)
def test_a_command_ends_with_what_is_missing(
    counts: dict[str, int], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    speaking.summary({"job": "j", "hits": 1, "misses": 2, "seconds": 3.0, **counts}, Path("o.wav"))
    head, _, rest = capsys.readouterr().out.partition("\n")
    assert head == "o.wav  3.0 s, 2 segments spoken, 1 were there already"
    assert rest == said


class Joining(Session):
    """A session whose command has looked at its job and joined it once `steps` are two."""

    steps = 0

    def patiently(self, act: Callable[[], T]) -> T:
        result = super().patiently(act)
        self.steps += 1
        return result


def test_a_second_command_says_what_it_spoke_itself(farm: Running) -> None:
    """The first is killed when one chunk is spoken; the second joins its job."""
    words = [" ".join(f"Word {n} of {line}." for n in range(20)) for line in range(24)]
    rows = [json.dumps({"id": f"l{n}", "text": text}) for n, text in enumerate(words)]
    spec = farm.submit("\n".join(rows), "lines", "batch")
    farm.until("chunk")
    farm.step()
    early = farm.count("misses", "lines")
    settings = read_settings()
    joined = Joining(settings, settings, farm.farm)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(speaking.follow, joined, spec, b"")
        until(lambda: joined.steps == 2)
        assert farm.finish("lines") == "completed"
        record = second.result()
    job = farm.show("lines")
    assert 0 < early < job["misses"]
    assert record["misses"] == job["misses"] - early
    assert record["hits"] == job["hits"] + early
    assert record["hits"] + record["misses"] == job["segments"]


def test_the_same_command_after_the_end_speaks_nothing(farm: Running) -> None:
    spec = farm.submit("One. Two.", "speech-1")
    farm.finish("speech-1")
    settings = read_settings()
    record = speaking.follow(Session(settings, settings, farm.farm), spec, b"")
    assert (record["hits"], record["misses"]) == (2, 0)
