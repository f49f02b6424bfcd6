from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from standardwebhooks import Webhook, WebhookVerificationError

from farm import control, webhooks
from farm.access import KeyFile
from farm.control import Control
from farm.errors import StoreUnavailable
from farm.storage.local import LocalStore
from farm.webhooks import sending
from farm.webhooks.deliveries import DELAYS_S
from tests.deliveries import SECRET, World, make, record, slow, spec
from tests.receivers import Receiver, answering, receiver
from tests.running import Running, running

PAGE = (Path(__file__).parent.parent / "docs/webhooks.md").read_text(encoding="utf-8")


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(LocalStore(tmp_path / "store"))


def test_a_receiver_that_never_answers_holds_up_only_its_own(world: World, there: Receiver) -> None:
    def never(_connection: object, over: threading.Event) -> None:
        over.wait(25)

    process = world.process()
    process.outgoing = replace(process.outgoing, total_s=30.0)
    with answering(never) as port:
        for n in range(8):
            world.note(f"http://127.1:{port}/", job=f"ann~d{n}~0")
        world.note(there.url, job="ann~alive~0")
        assert process.look()
        end = time.monotonic() + 20
        held: list[threading.Thread] = []
        while len(held) != sending.PER_RECEIVER and time.monotonic() < end:
            time.sleep(0.01)  # until the one that was answered is over
            held = [thread for thread, _ in process._busy.values() if thread.is_alive()]
        assert len(held) == sending.PER_RECEIVER
        assert len(world.keys()) == 8
        assert len(there.got) == 1
    process.wait()
    assert len(world.keys()) == 8


def test_an_owner_has_a_share_of_what_is_made_at_once(
    world: World, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PER_OWNER", 3)
    monkeypatch.setattr(sending, "PER_RECEIVER", 100)
    go = threading.Event()
    slow(there, go, "/slow")
    for n in range(5):
        world.note(f"{there.url}/slow", job=f"ann~{n}~0")
    world.note(f"{there.url}/", job="bob~1~0", owner="bob")
    process = world.process()
    assert process.look()
    end = time.monotonic() + 30
    while len(there.got) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    assert sorted(got.path for got in there.got) == ["/", "/slow", "/slow", "/slow"]
    assert process.look()
    go.set()
    while process.look():
        process.wait()
    process.wait()
    assert len(there.got) == 6


def test_it_runs_until_it_is_told_to_end_and_only_while_it_is_the_one(
    world: World, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LOOK_S", 0.02)
    monkeypatch.setattr(sending, "PAUSE_S", 0.01)
    process, over = world.process(active=False), threading.Event()
    for n in range(6):
        world.note(there.url, job=f"ann~{n}~0")
    thread = threading.Thread(target=process.run, args=(over,))
    thread.start()
    time.sleep(0.1)
    assert there.got == []
    process.active = True
    end = time.monotonic() + 30
    while world.keys() and time.monotonic() < end:
        time.sleep(0.01)
    over.set()
    thread.join(30)
    process.wait()
    assert not thread.is_alive()
    assert len(there.got) == 6


def test_an_outage_of_the_store_ends_no_process(
    tmp_path: Path, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LOOK_S", 0.01)

    class Away(LocalStore):
        looks = 0

        def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
            self.looks += 1
            if self.looks < 4:
                raise StoreUnavailable("away") if self.looks < 3 else KeyError("a bug")
            return super().list(prefix, after=after)

    world = World(Away(tmp_path / "store"))
    world.note(there.url)
    over = threading.Event()
    thread = threading.Thread(target=world.process().run, args=(over,))
    thread.start()
    end = time.monotonic() + 30
    while not there.got and time.monotonic() < end:
        time.sleep(0.01)
    over.set()
    thread.join(30)
    assert len(there.got) == 1


@pytest.fixture
def farm(redis_url: str, tmp_path: Path) -> Iterator[Running]:
    with running(redis_url, tmp_path) as found:
        yield found


def test_the_control_process_delivers_while_it_holds_the_lock(
    farm: Running, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "TICK_S", 0.02)
    monkeypatch.setattr(sending, "LOOK_S", 0.02)
    world = World(LocalStore(farm.farm.store.root))  # type: ignore[attr-defined]
    world.note(there.url)
    process, over = world.process(), threading.Event()
    farm.redis.set("farm:control", "another")
    thread = threading.Thread(target=Control(farm.farm, deliveries=process).run, args=(over,))
    thread.start()
    time.sleep(0.2)
    assert there.got == []
    farm.redis.delete("farm:control")
    end = time.monotonic() + 30
    while world.keys() and time.monotonic() < end:
        time.sleep(0.02)
    over.set()
    thread.join(30)
    assert len(there.got) == 1


def test_a_control_process_that_is_killed_while_it_sends_is_followed_by_one_that_sends_again(
    redis_url: str, world: World, there: Receiver, tmp_path: Path
) -> None:
    key, _ = KeyFile(tmp_path / "keys.json").add("ann")
    go = threading.Event()
    slow(there, go, "/hook")
    end = replace(spec(f"{there.url}/hook"), key=key.id)
    webhooks.note(world.store, end, record(ended=time.time()))
    environment = {
        **os.environ,
        "FARM_BROKER_URL": redis_url,
        "FARM_STORE_URL": world.store.root.as_uri(),
        "FARM_HOME": str(tmp_path),
        "FARM_API_KEYS_FILE": str(tmp_path / "keys.json"),
        "FARM_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
    }
    command = [sys.executable, "-m", "farm.cli", "control"]
    for sent in (1, 2):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            patience = time.monotonic() + 60
            while len(there.got) < sent and time.monotonic() < patience:
                time.sleep(0.02)
            assert len(there.got) == sent
            if sent == 1:
                process.kill()
                process.wait(10)
                assert len(world.keys()) == 1
                redis.Redis.from_url(redis_url).delete("farm:control")  # or it waits for the lock
                go.set()
            else:
                while world.keys() and time.monotonic() < patience:
                    time.sleep(0.02)
        finally:
            process.terminate()
            process.wait(30)
    assert world.keys() == []
    first, second = there.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    for got in (first, second):
        Webhook(key.webhook_secret).verify(got.body, dict(got.headers))


def page(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def test_the_receiver_on_the_page_takes_what_is_genuine_and_nothing_else(
    world: World, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    world.clock.now = time.time()
    world.note(there.url)
    make(world)
    namespace: dict[str, Any] = {}
    exec(compile(page("python"), "webhooks.md", "exec"), namespace)
    got = there.got[0]
    assert namespace["receive"](got.body, dict(got.headers)) == "book-1: completed"
    with pytest.raises(WebhookVerificationError):
        namespace["receive"](got.body.replace(b"book-1", b"book-2"), dict(got.headers))


def test_the_payload_on_the_page_is_one_that_is_sent(world: World, there: Receiver) -> None:
    world.note(there.url)
    make(world)
    assert json.loads(page("json")) == json.loads(there.got[0].body)


def test_the_delays_on_the_page_are_those_of_the_code() -> None:
    units = {"seconds": 1, "minutes": 60, "hour": 3_600, "hours": 3_600}
    line = next(line for line in PAGE.splitlines() if line.startswith("It is sent again after "))
    told = re.findall(r"(\d+) (seconds|minutes|hours|hour)", line)
    assert [int(number) * units[unit] for number, unit in told] == list(DELAYS_S)


def test_the_shares_on_the_page_are_those_of_the_code() -> None:
    told = re.search(r"(\d+) at a time, (\d+) of one owner, (\d+) to one host", PAGE)
    assert told
    shares = [sending.AT_ONCE, sending.PER_OWNER, sending.PER_RECEIVER]
    assert [int(number) for number in told.groups()] == shares
