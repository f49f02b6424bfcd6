from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm import lifecycle, streaming
from farm.errors import EngineError, JobError, Unavailable
from tests.running import Running, acting, running

TEXT = "One is here. Two is there. Three is nowhere."


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def submit_here(farm: Running, text: str = TEXT) -> None:
    sending, farm.farm = farm.farm, streaming.planning_here(farm.farm)
    farm.submit(text)
    farm.farm = sending


def listen(farm: Running, patience_s: float = 10.0) -> Iterator[streaming.Spoken]:
    return streaming.spoken(farm.farm, farm.farm.spec("j"), patience_s)


def test_speech_is_planned_where_it_is_submitted(farm: Running) -> None:
    submit_here(farm)
    assert farm.show()["segments_total"] == 3
    assert {ref.stage for ref, _ in farm.queue} == {"chunk"}
    farm.drain()
    assert farm.show()["state"] == "completed"


def test_segments_come_in_order_while_others_are_still_to_be_spoken(farm: Running) -> None:
    submit_here(farm)
    wait = threading.Event()
    said: list[str] = []

    def act(segments: object) -> None:
        said.extend(segment.text for segment in segments)  # type: ignore[attr-defined]
        if len(said) > 1:
            wait.wait(10)

    acting(farm, act)
    worker = threading.Thread(target=farm.drain)
    heard = listen(farm)
    worker.start()
    first = next(heard)
    assert first.segment["text"] == "One is here."
    assert first.audio is not None
    assert len(first.audio.samples) > 1000
    assert farm.show()["state"] == "running"
    wait.set()
    assert [spoken.segment["text"] for spoken in heard] == ["Two is there.", "Three is nowhere."]
    worker.join()


def test_a_segment_that_cannot_be_spoken_leaves_a_gap(farm: Running) -> None:
    submit_here(farm)

    def refuse(segments: object) -> None:
        if any("Two" in segment.text for segment in segments):  # type: ignore[attr-defined]
            raise EngineError("no")

    acting(farm, refuse)
    farm.drain()
    heard = list(listen(farm))
    assert [spoken.audio is None for spoken in heard] == [False, True, False]


def test_a_speech_of_which_nothing_can_be_spoken_is_an_error(farm: Running) -> None:
    submit_here(farm, "Two.")

    def refuse(_: object) -> None:
        raise EngineError("cannot say that")

    acting(farm, refuse)
    farm.drain()
    with pytest.raises((EngineError, JobError), match="cannot say that"):
        list(listen(farm))


def test_a_listener_hears_of_a_cancelled_job(farm: Running) -> None:
    submit_here(farm)
    lifecycle.cancel(farm.farm, "j")
    with pytest.raises(JobError, match="cancelled"):
        list(listen(farm))


def test_a_listener_does_not_wait_for_ever(farm: Running) -> None:
    submit_here(farm)
    with pytest.raises(Unavailable, match=r"nothing was spoken for 0\.3 s"):
        list(listen(farm, 0.3))
