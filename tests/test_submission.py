from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from farm import keys, lifecycle, recovery
from farm.access import Allowance, Key, KeyFile
from farm.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from farm.ledger import Ledger
from farm.storage.local import LocalStore
from farm.submission import Draft, Exceeded, accept, check_name, digest, find, named_by
from tests.running import Running, quiet, running
from tests.test_lifecycle import Brittle


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def draft(farm: Running, text: str = "Hello.", **changes: object) -> Draft:
    spec = replace(farm.spec(), id="", owner="", input="", created=0.0)
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    asked = digest(spec, text.encode())
    return Draft(replace(spec, request=asked), text.encode(), len(text))


def key(folder: Path, **limits: int) -> Key:
    return KeyFile(folder / "keys.json").add(owner="ann", limits=Allowance(**limits))[0]


def test_two_owners_may_use_the_same_name(farm: Running) -> None:
    one, new = accept(farm.farm, draft(farm), "ann", name="book")
    two, also_new = accept(farm.farm, draft(farm), "bob", name="book")
    assert (new, also_new) == (True, True)
    assert keys.called(one.id) == keys.called(two.id) == "book"
    assert (find(farm.farm, "ann", "book"), find(farm.farm, "bob", "book")) == (one, two)
    farm.drain()
    assert farm.show(one.id)["state"] == farm.show(two.id)["state"] == "completed"


def test_the_command_lines_jobs_are_called_by_their_ids(farm: Running) -> None:
    lifecycle.submit(farm.farm, replace(farm.spec("book-1"), owner="local"), b"Hello.")
    assert find(farm.farm, "local", "book-1").id == "book-1"
    with pytest.raises(NotFound):
        find(farm.farm, "ann", "book-1")


@pytest.mark.parametrize("name", ["a/b", "", "../x", "a~b", ".a", "x" * 81, "a b", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="job id"):
        check_name(name)


def test_the_same_request_again_finds_its_job(farm: Running) -> None:
    name = named_by("ann", "key-1")
    first, _ = accept(farm.farm, draft(farm), "ann", name=name)
    second, new = accept(farm.farm, draft(farm), "ann", name=name)
    assert (second, new) == (first, False)
    assert named_by("ann", "key-1") != named_by("bob", "key-1") != named_by("ann", "key-2")


def test_a_name_with_another_request_is_a_conflict(farm: Running) -> None:
    accept(farm.farm, draft(farm), "ann", name="book")
    for other in (draft(farm, "Bye."), draft(farm, title="Other")):
        with pytest.raises(Conflict, match="'book'"):
            accept(farm.farm, other, "ann", name="book")


def test_without_a_name_each_request_is_a_job(farm: Running) -> None:
    ids = {accept(farm.farm, draft(farm), "ann")[0].id for _ in range(3)}
    assert len(ids) == 3


def test_beyond_a_keys_limits_nothing_is_written(farm: Running, tmp_path: Path) -> None:
    limited = key(tmp_path, characters_per_day=10, jobs_in_flight=1)
    accept(farm.farm, draft(farm), "ann", limited)
    stored = list(farm.farm.store.list("jobs/"))
    with pytest.raises(Exceeded, match="jobs in flight"):
        accept(farm.farm, draft(farm, "Bye."), "ann", limited)
    farm.drain()
    with pytest.raises(Exceeded, match="characters per day") as caught:
        accept(farm.farm, draft(farm), "ann", limited)
    with pytest.raises(InvalidInput, match="11 characters: this key may have 10 a day"):
        accept(farm.farm, draft(farm, "Hello again"), "ann", limited)
    assert caught.value.verdict.retry_after_s > 0
    accept(farm.farm, draft(farm, "Bye."), "ann", limited)  # the refused one was not counted
    names = {k.split("/")[1] for k in farm.farm.store.list("jobs/")}
    assert len(names) == 2
    assert stored


def test_what_cannot_be_submitted_costs_nothing(farm: Running, tmp_path: Path) -> None:
    limited = key(tmp_path, characters_per_day=6, jobs_in_flight=1)
    store, farm.farm.store = farm.farm.store, LocalStore(tmp_path / "none")
    (tmp_path / "none").write_text("no folder")
    with pytest.raises(StoreUnavailable):
        accept(farm.farm, draft(farm), "ann", limited)
    farm.farm.store = store
    accept(farm.farm, draft(farm), "ann", limited, "a")
    again, new = accept(farm.farm, draft(farm), "ann", limited, "a")
    assert (keys.called(again.id), new) == ("a", False)


def test_of_two_requests_at_once_one_is_accepted_with_its_own_text(
    farm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes while the first is writing: nothing of it may stay."""
    submit, others = lifecycle.submit, [draft(farm, "Bye.")]

    def late(*arguments: object) -> bool:
        if others:
            accept(farm.farm, others.pop(), "ann", name="book")
        return submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lifecycle, "submit", late)
    with pytest.raises(Conflict):
        accept(farm.farm, draft(farm), "ann", name="book")
    spec = find(farm.farm, "ann", "book")
    assert farm.farm.store.get(spec.input) == b"Bye."
    assert len(list(farm.farm.store.list("index/"))) == 1
    assert len(list(farm.farm.store.list("open/"))) == 1


def test_a_name_is_free_again_when_its_job_is_gone(farm: Running) -> None:
    first, _ = accept(farm.farm, draft(farm), "ann", name="book")
    stale = list(farm.queue)
    lifecycle.cancel(farm.farm, first.id)
    lifecycle.remove(farm.farm, first.id)
    second, new = accept(farm.farm, draft(farm, "Bye now."), "ann", name="book")
    assert (new, second.id != first.id) == (True, True)
    farm.queue.extendleft(stale)  # what was under way for the first disturbs nobody
    farm.drain()
    assert farm.show(second.id)["state"] == "completed"
    assert [segment.text for segment in farm.planned(second.id)] == ["Bye now."]


@pytest.mark.parametrize("writes", range(7))
def test_a_submission_that_dies_at_any_write_can_be_made_again(
    writes: int, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Brittle(tmp_path / "store")
    with running(redis_url, tmp_path, store) as farm, quiet():
        store.left = writes
        with suppress(StoreUnavailable):
            accept(farm.farm, draft(farm), "ann", name="book")
        store.left = 1_000_000
        farm.queue.clear()
        spec, _ = accept(farm.farm, draft(farm), "ann", name="book")
        assert farm.farm.ledger.knows(spec.id)  # it waits for nobody to take it up
        assert farm.finish(spec.id) == "completed"
        monkeypatch.setattr(recovery, "WRITING_S", -1.0)
        recovery.recover(farm.farm)
        assert list(store.list("open/")) == []
        assert len(list(store.list("index/"))) == 1


def test_a_farm_without_redis_accepts_jobs(farm: Running) -> None:
    live, farm.farm.ledger = farm.farm.ledger, Ledger("unix:///nowhere/redis.sock")
    with quiet():
        spec, new = accept(farm.farm, draft(farm), "ann", name="book")
    farm.farm.ledger = live
    assert new
    assert recovery.recover(farm.farm) == 1
    assert farm.finish(spec.id) == "completed"
