"""A Redis that is down, full, restarted or has cut the line."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from farm.errors import LedgerUnavailable
from farm.jobs import State
from farm.ledger import Events, Ledger, parse
from tests.disks import small_disk
from tests.ledger.desk import Desk, result, share, unit
from tests.redises import Server

STEPS: dict[str, Callable[[Ledger], Any]] = {
    "job": lambda ledger: ledger.job("j"),
    "take": lambda ledger: ledger.take("piper", 1),
    "events": lambda ledger: Events(ledger).of("j", wait_ms=1),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_redis_that_is_down_is_unavailable_within_seconds(step: str) -> None:
    ledger = Ledger("unix:///nowhere/redis.sock")
    started = time.monotonic()
    with pytest.raises(LedgerUnavailable, match=r"Redis: ConnectionError: .*nowhere"):
        STEPS[step](ledger)
    assert time.monotonic() - started < 20


def test_a_tcp_address_is_taken_as_well() -> None:
    with pytest.raises(LedgerUnavailable, match="ConnectionError"):
        Ledger("redis://127.0.0.1:1/0").ping()


@pytest.fixture
def full() -> Iterator[Server]:
    """A Redis whose disk is full, and that has noticed."""
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk", 8) as disk:
        server = Server(disk.folder)
        server.start()
        try:
            with redis.Redis.from_url(server.url) as client:
                client.config_set("appendfsync", "everysec")  # otherwise it ends
                disk.fill()
                with suppress(redis.ResponseError):
                    while client.set("x", bytes(1 << 16)):
                        pass
            yield server
        finally:
            server.stop()


@pytest.mark.parametrize("may_ask", [True, False])
def test_a_redis_whose_disk_is_full_is_said_with_its_folder(may_ask: bool, full: Server) -> None:
    if not may_ask:
        with redis.Redis.from_url(full.url) as client:
            client.execute_command("ACL", "SETUSER", "default", "-config")
    desk = Desk(full.url)
    where = f" to {str(full.folder)!r}" if may_ask else ""
    reason = "No space left on device; make room there, and it goes on"
    for step in (desk.ledger.check, lambda: desk.open("j")):
        with pytest.raises(LedgerUnavailable) as caught:
            step()
        assert str(caught.value) == f"Redis cannot write{where}: {reason}"
    desk.close()


@pytest.fixture
def without_memory(desk: Desk) -> Iterator[Callable[[], None]]:
    yield lambda: desk.redis.config_set("maxmemory", 1)
    desk.redis.config_set("maxmemory", 0)


CHUNK = parse("piper/chunk/j/1/0.0")
FULL: dict[str, Callable[[Desk], Any]] = {
    "open": lambda d: d.open("new"),
    "reopen": lambda d: d.open("j", revision=2),
    "send": lambda d: d.ledger.send(unit(CHUNK, "page", "9")),
    "claim": lambda d: d.ledger.claim(parse("piper/chunk/j/1/0.1"), "w2"),
    "renew": lambda d: d.ledger.renew(CHUNK, "w1"),
    "flight": lambda d: d.ledger.flight(CHUNK, "w1", ["d1"]),
    "release": lambda d: d.ledger.release(CHUNK, "w1", "why"),
    "take": lambda d: d.take(9),
    "planned": lambda d: d.plan("j", 3, page=1, shares=[share(1, 0, 0)]),
    "finish": lambda d: d.ledger.finish(CHUNK, result(share(0, 1, 1))),
    "assembled": lambda d: d.ledger.assembled(parse("audio/items/j/1/0@0"), "r"),
    "close": lambda d: d.ledger.close("j", 1, State.FAILED, {"error": "e"}),
    "cancel": lambda d: d.ledger.cancel("j"),
    "pause": lambda d: d.ledger.pause("j"),
    "overdue": lambda d: d.ledger.overdue(["piper"], -1),
    "follow": lambda d: d.ledger.follow("j"),
    "lock": lambda d: d.ledger.lock("a", 30),
}


#: Steps that begin with a write that needs memory; the others free some first, and go through.
REFUSED = {"send", "claim", "renew", "flight", "release", "close", "overdue", "lock"}


def shape(desk: Desk) -> dict[str, Any]:
    """What Redis holds, but for times and the ids of events."""
    found: dict[str, Any] = {}
    for key in sorted(desk.redis.keys("*")):
        kind = desk.redis.type(key)
        if kind == "hash":
            timeless = {"begun", "ended"}
            fields = desk.redis.hgetall(key)
            found[key] = {name: fields[name] for name in fields.keys() - timeless}
        elif kind == "list":
            found[key] = desk.redis.lrange(key, 0, -1)
        elif kind == "stream":
            found[key] = [entry for _, entry in desk.redis.xrange(key)]
        elif kind == "string" and key != "farm:round":
            found[key] = desk.redis.getbit(key, 0), desk.redis.getbit(key, 1)
        elif kind in ("zset", "set"):
            read = desk.redis.zrange if kind == "zset" else lambda k, *_: desk.redis.smembers(k)
            found[key] = sorted(read(key, 0, -1))
    return found


def scene(desk: Desk) -> None:
    desk.redis.flushall()
    desk.begin("j", 4, items=2)
    desk.begin("k", 2)
    first, _ = desk.take(2)
    assert first == CHUNK
    desk.ledger.claim(CHUNK, "w1")


@pytest.mark.parametrize("name", FULL)
def test_a_step_without_memory_happens_whole_or_not_at_all(
    desk: Desk, without_memory: Callable[[], None], name: str
) -> None:
    scene(desk)
    before = shape(desk)
    without_memory()
    refusal = ""
    try:
        FULL[name](desk)
    except LedgerUnavailable as error:
        refusal = str(error)
    desk.redis.config_set("maxmemory", 0)
    after = shape(desk)
    assert bool(refusal) == (name in REFUSED)
    if refusal:
        assert "OutOfMemory" in refusal or "OOM command not allowed" in refusal
        assert after == before
        FULL[name](desk)
        after = shape(desk)
    scene(desk)
    FULL[name](desk)
    assert after == shape(desk)


def test_a_script_forgotten_by_redis_is_sent_anew(desk: Desk) -> None:
    desk.begin("j", 2)
    desk.redis.script_flush()
    assert len(desk.take(2)) == 2


def test_a_client_that_redis_cut_off_connects_again(desk: Desk) -> None:
    desk.begin("j", 2)
    with redis.Redis.from_url(desk.url) as killer:
        assert killer.client_kill_filter(skipme=True, _type="normal") >= 1
    assert len(desk.take(2)) == 2
