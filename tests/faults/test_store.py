"""The object store answers wrongly, late or not at all; the farm and its outputs do not change."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from farm import keys
from farm.cli.services import store_finding
from farm.errors import Damaged, StoreUnavailable, Unavailable
from farm.jobs import Output
from farm.ledger import Events
from farm.storage.s3 import S3Store
from farm.submission import accept
from tests.faults.proxy import Proxy, Rule, faulty
from tests.faults.undisturbed import outputs, rarely
from tests.running import Running, quiet, running
from tests.storage.servers import BUCKET, Server, connect, serve
from tests.test_submission import draft

TEXT = "# One\n\nOne is here. Two is there.\n\n# Two\n\n" + "A sentence of words, and more. " * 20
JOB: dict[str, Any] = {
    "kind": "book",
    "name": "a.md",
    "title": "Two Chapters",
    "output": Output("mp3", "m4b", ("mp3",), ("srt",)),
}
CONTENT = b"hello " * 1000
#: More than one part.
LARGE = bytes(range(256)) * (17 << 12)

Open = Callable[..., S3Store]


@pytest.fixture(scope="module", params=["moto", rarely("nanio")])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serve(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def behind(server: Server) -> Iterator[Proxy]:
    """A proxy before the server, without rules yet."""
    with faulty(server) as (_, proxy):
        yield proxy


@pytest.fixture
def open_(server: Server, behind: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return what opens a store that is empty at first, seen through the proxy."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def open_(**options: Any) -> S3Store:
        return S3Store(
            BUCKET, tmp_path.name, endpoint_url=behind.endpoint_url, attempts=3, **options
        )

    return open_


@pytest.fixture
def store(open_: Open) -> S3Store:
    return open_()


@pytest.mark.parametrize(
    "act", ["error", rarely("slow_down"), "reset_answer", "cut", "short", "wrong", "lost"]
)
def test_what_is_read_is_what_was_put(
    act: Any, store: S3Store, behind: Proxy, tmp_path: Path
) -> None:
    store.put("a", CONTENT)
    behind.set(Rule(act, "GET", times=1))
    assert store.get("a") == CONTENT
    behind.set(Rule(act, "GET", times=1))
    store.get_file("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert behind.count(act) == 2


@pytest.mark.parametrize("act", ["wrong", rarely("short")])
def test_a_large_file_that_comes_wrong_comes_again(
    act: Any, store: S3Store, behind: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    store.put_file("a", tmp_path / "large")
    behind.set(Rule(act, "GET", times=2))
    store.get_file("a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == LARGE
    assert behind.count(act) == 2


@pytest.mark.parametrize("act", ["wrong", "short"])
def test_a_stream_of_other_bytes_ends_in_an_error(act: Any, store: S3Store, behind: Proxy) -> None:
    store.put("a", CONTENT)
    behind.set(Rule(act, "GET", times=1))
    with store.open("a") as stream, pytest.raises(StoreUnavailable, match="not those that were"):
        stream.read()
    with store.open("a") as stream:
        assert stream.read() == CONTENT


@pytest.mark.parametrize("act", ["error", rarely("slow_down"), "reset_request", "lost"])
@pytest.mark.parametrize("if_absent", [True, False])
def test_what_is_put_is_stored_and_known_to_be_ours(
    act: Any, if_absent: bool, store: S3Store, behind: Proxy
) -> None:
    store.supports_if_absent()
    behind.set(Rule(act, "PUT", times=1))
    assert store.put("a", CONTENT, if_absent=if_absent) is True
    assert behind.count(act) == 1
    assert store.get("a") == CONTENT


def test_another_s_object_is_not_taken_for_ours_after_a_try_that_failed(
    store: S3Store, behind: Proxy
) -> None:
    store.put("a", b"theirs")
    behind.set(Rule("reset_request", "PUT", times=1))
    assert store.put("a", b"ours", if_absent=True) is False
    assert store.get("a") == b"theirs"


@pytest.mark.parametrize("if_absent", [True, False])
def test_what_was_garbled_on_its_way_there_is_sent_again_or_never_read(
    if_absent: bool, server: Server, store: S3Store, behind: Proxy
) -> None:
    store.supports_if_absent()
    behind.set(Rule("wrong_request", "PUT", times=1))
    assert store.put("a", CONTENT, if_absent=if_absent) is True
    assert behind.count("wrong_request") == 1
    if server.name == "moto":  # which does not look at Content-MD5, as others do
        with pytest.raises(Damaged):
            store.get("a")
    else:
        assert store.get("a") == CONTENT


@pytest.mark.parametrize("act", ["denied", "full"])
def test_a_refusal_is_one_clear_line(act: Any, store: S3Store, behind: Proxy) -> None:
    said = {"denied": "AccessDenied", "full": "InsufficientStorage"}[act]
    behind.set(Rule(act))
    with pytest.raises(StoreUnavailable, match=rf"^s3://farm at http://\S+: {said}: .*$"):
        store.put("a", CONTENT)


def test_a_damaged_object_is_told_from_damaged_transfers(
    server: Server, store: S3Store, behind: Proxy
) -> None:
    store.put("a", CONTENT)
    for act in ("wrong", "short"):
        behind.set(Rule(act, "GET"))
        with pytest.raises(StoreUnavailable) as caught:
            store.get("a")
        assert not isinstance(caught.value, Damaged)
        assert behind.count(act) == store.attempts
    behind.set()
    rot(server, store, "a")
    with pytest.raises(Damaged, match="'a' in the store is damaged: 6000 bytes came"):
        store.get("a")


def rot(server: Server, store: S3Store, key: str) -> None:
    """Change a byte of a stored object, and nothing else of it."""
    client, name = connect(server), store._name(key)
    held = client.get_object(**name)
    data = bytearray(held["Body"].read())
    data[len(data) // 2] ^= 1
    client.put_object(**name, Body=bytes(data), Metadata=held["Metadata"])
    client.close()


#: What happens to every tenth request or so, each with its seed.
TROUBLE = [
    Rule("error", chance=0.05),
    Rule("slow_down", chance=0.02),
    Rule("reset_request", "PUT", chance=0.08),
    Rule("lost", "PUT|DELETE", chance=0.05),
    Rule("reset_answer", "GET", chance=0.05),
    Rule("cut", "GET", chance=0.03),
    Rule("short", "GET", chance=0.03),
    Rule("wrong", "GET", chance=0.05),
]


@pytest.fixture(scope="module")
def expected(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outputs of the job that nothing happened to."""
    return outputs(redis_server, tmp_path_factory.mktemp("quiet"), TEXT, **JOB)


@pytest.fixture
def farm(redis_url: str, tmp_path: Path, open_: Open) -> Iterator[Running]:
    """A farm whose store is behind the proxy."""
    with running(redis_url, tmp_path, open_(timeout_s=2.0)) as farm, quiet():
        yield farm


def check(farm: Running, expected: dict[str, str]) -> None:
    """The job is whole: its files are those of a quiet farm, and the store has what they say."""
    assert farm.outputs() == expected
    assert farm.count("segments") == farm.count("segments_total")
    assert farm.count("chunks_done") == farm.count("chunks_total")
    assert farm.count("failed") == 0
    manifest = farm.manifest()
    for group in (manifest["package"], *(item["files"] for item in manifest["items"])):
        for file in group.values():
            assert hashlib.sha256(farm.farm.store.get(file["key"])).hexdigest() == file["sha256"]


@pytest.mark.parametrize("seed", [1, *map(rarely, range(2, 12))])
def test_a_book_made_in_all_kinds_of_trouble_is_the_same_in_every_byte(
    seed: int, farm: Running, behind: Proxy, expected: dict[str, str]
) -> None:
    behind.seed(seed)
    farm.submit(TEXT, **JOB)
    behind.set(*TROUBLE)
    for _ in range(10):  # who asks how it goes is told of an outage, too, and asks again
        with suppress(Unavailable):
            assert farm.finish() == "completed"
            break
    assert len(behind.faults) >= 5
    behind.set()
    check(farm, expected)


@pytest.mark.parametrize("act", ["wrong", rarely("short")])
def test_no_segment_is_removed_because_transfers_were_bad(
    act: Any, server: Server, farm: Running, behind: Proxy, expected: dict[str, str]
) -> None:
    farm.submit(TEXT, **JOB)
    farm.until("items")
    before = stored(server, farm)
    behind.set(Rule(act, "GET", "/segments/", times=7))
    assert farm.finish() == "completed"
    assert behind.count(act) == 7
    assert stored(server, farm) == before
    check(farm, expected)


def stored(server: Server, farm: Running) -> dict[str, Any]:
    """Every segment, with when it was written."""
    client = connect(server)
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{farm.farm.store.prefix}segments/")  # type: ignore[attr-defined]
    client.close()
    return {row["Key"]: row["LastModified"] for row in found["Contents"]}


def test_a_segment_that_is_damaged_in_the_store_is_spoken_again(
    server: Server, farm: Running, expected: dict[str, str]
) -> None:
    farm.submit(TEXT, **JOB)
    farm.until("items")
    (key, *_) = farm.segments()
    sound = farm.farm.store.get(key)
    rot(server, farm.farm.store, key)  # type: ignore[arg-type]
    assert farm.finish() == "completed"
    assert farm.farm.store.get(key) == sound
    assert farm.count("misses") == 1
    check(farm, expected)


STEPS = [rarely("/input/"), rarely("/open/"), "/spec.json", "/names/", rarely("/index/")]


@pytest.mark.parametrize("key", STEPS)
def test_a_job_whose_acceptance_lost_an_answer_is_accepted_once(
    key: str, farm: Running, behind: Proxy
) -> None:
    farm.farm.store.supports_if_absent()  # type: ignore[attr-defined]
    behind.set(Rule("lost", "PUT", key, times=1))
    spec, new = accept(farm.farm, draft(farm), "ann", name="book")
    assert behind.count("lost") == 1
    assert new
    assert accept(farm.farm, draft(farm), "ann", name="book") == (spec, False)
    assert farm.finish(spec.id) == "completed"


@pytest.mark.parametrize("key", STEPS)
def test_a_client_who_was_told_of_an_outage_and_asks_again_has_one_job(
    key: str, farm: Running, behind: Proxy
) -> None:
    store = farm.farm.store
    store.supports_if_absent()  # type: ignore[attr-defined]
    behind.set(Rule("lost", "PUT", key, times=3))
    with pytest.raises(StoreUnavailable):
        accept(farm.farm, draft(farm), "ann", name="book")
    assert behind.count("lost") == 3
    spec, _ = accept(farm.farm, draft(farm), "ann", name="book")
    for marker in store.list(keys.OPEN):  # who began to write the others must be dead by now
        store.put(marker, b"1.0")
    assert farm.finish(spec.id) == "completed"
    farm.redis.flushall()
    farm.control.tick()
    farm.drain()
    specs = [key for key in store.list("jobs/") if key.endswith("/spec.json")]
    assert specs == [keys.spec(spec.id)]


def test_doctor_names_what_the_store_refuses(store: S3Store, behind: Proxy) -> None:
    for act, code in OUTAGES.items():
        behind.set(Rule(act))  # type: ignore[arg-type]
        found = store_finding(store, "s3://farm")
        assert found.state == "failed"
        assert code in found.text
    behind.set(Rule("denied", "PUT"))
    assert "AccessDenied" in store_finding(store, "s3://farm").text
    behind.set(Rule("wrong", "GET", times=1))
    assert store_finding(store, "s3://farm").state in ("ok", "warning")


OUTAGES = {
    "error": "InternalError",
    "slow_down": "SlowDown",
    "denied": "AccessDenied",
    "full": "InsufficientStorage",
}


STAGES = ["read", "page", "chunk", "items", "package"]
#: Tried always; each of them in each stage by `make faults`.
USUAL = {("denied", "read"), ("full", "chunk"), ("error", "package")}


@pytest.mark.parametrize(
    ("act", "stage"),
    [
        (act, stage) if (act, stage) in USUAL else rarely(act, stage)
        for act in OUTAGES
        for stage in STAGES
    ],
)
def test_a_store_that_refuses_everything_costs_only_time(
    act: Any, stage: str, farm: Running, behind: Proxy, expected: dict[str, str]
) -> None:
    farm.submit(TEXT, **JOB)
    farm.until(stage)
    behind.set(Rule(act, "PUT" if act == "full" else ".*"))
    _, result = farm.step()
    assert OUTAGES[act] in result["waiting"]
    assert farm.farm.ledger.job("j")["state"] not in ("failed", "completed")
    waits = [data for _, type_, data in Events(farm.farm.ledger).of("j") if type_ == "waiting"]
    assert OUTAGES[act] in waits[-1]["reason"]
    behind.set()
    assert farm.finish() == "completed"
    check(farm, expected)


@pytest.mark.faults
def test_a_store_that_takes_ten_seconds_is_waited_for_and_nothing_is_sent_twice(
    farm: Running, behind: Proxy, expected: dict[str, str]
) -> None:
    farm.farm.store.timeout_s = 20.0  # type: ignore[attr-defined]
    farm.submit(TEXT, **JOB)
    chunk = farm.until("chunk")
    farm.control.tick()
    behind.set(Rule("late", "HEAD|PUT", "/segments/", times=6))
    worker = threading.Thread(target=farm.step)
    worker.start()
    while worker.is_alive():
        farm.control.tick()
        worker.join(2.0)
    assert behind.count("late") >= 2
    assert (chunk, "again") not in farm.queue
    behind.set()
    assert farm.finish() == "completed"
    check(farm, expected)
