from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from farm.access import Allowance, Key, KeyFile
from farm.errors import Conflict, InvalidInput, StoreUnavailable
from farm.storage.local import LocalStore
from farm.submission import Draft, Exceeded, accept, inside, named_by, outside
from tests.running import Running, running


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as farm:
        yield farm


def draft(farm: Running, text: str = "Hello.", **changes: object) -> Draft:
    spec = replace(farm.spec(), id="", owner="", input="", created=0.0)
    return Draft(replace(spec, **changes), text.encode(), len(text))  # type: ignore[arg-type]


def key(folder: Path, **limits: int) -> Key:
    return KeyFile(folder / "keys.json").add(owner="ann", limits=Allowance(**limits))[0]


def test_two_owners_may_use_the_same_name(farm: Running) -> None:
    one, new = accept(farm.farm, draft(farm), "ann", name="book")
    two, also_new = accept(farm.farm, draft(farm), "bob", name="book")
    assert (new, also_new) == (True, True)
    assert (one.id, two.id) == ("ann~book", "bob~book")
    assert outside(one.id) == outside(two.id) == "book"
    farm.drain()
    assert farm.show("ann~book")["state"] == farm.show("bob~book")["state"] == "completed"


def test_the_command_lines_owner_has_plain_ids() -> None:
    assert inside("local", "book") == outside("book") == "book"


@pytest.mark.parametrize("name", ["a/b", "", "../x", "a~b", ".a", "x" * 81, "a b", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="job id"):
        inside("ann", name)


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
    assert (again.id, new) == ("ann~a", False)
