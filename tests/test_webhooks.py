from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from farm import keys, webhooks
from farm.errors import NotFound, StoreUnavailable, Unavailable
from farm.jobs import State
from farm.outgoing import Outgoing
from farm.storage.local import LocalStore
from farm.webhooks import sending
from farm.webhooks.deliveries import DEAD_S, DELAYS_S, JITTER, RETRY_AFTER_S
from tests.deliveries import ENDED, PATH, SECRET, World, make, record, spec
from tests.receivers import Receiver, receiver


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(LocalStore(tmp_path / "store"))


def test_the_end_of_a_job_is_delivered_signed_as_the_specification_says(
    world: World, there: Receiver
) -> None:
    world.clock.now = time.time()  # the receiver's library knows no other
    world.note(there.url + PATH)
    make(world)
    (got,) = there.got
    assert (got.method, got.path, got.headers["content-type"]) == ("POST", PATH, "application/json")
    assert Webhook(SECRET).verify(got.body, dict(got.headers)) == json.loads(got.body)
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mac = hmac.new(b"twenty-four secret bytes", signed, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body + b" ", dict(got.headers))
    assert world.keys() == []


def test_the_signature_is_that_of_the_vector_of_the_specification() -> None:
    # What its reference libraries test against.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'
    stamp = datetime.fromtimestamp(1_614_265_330, UTC)
    signature = Webhook(secret).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", stamp, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_payload_tells_the_clients_own_id_and_numbers_and_no_text(
    world: World, there: Receiver
) -> None:
    world.note(there.url)
    make(world)
    assert json.loads(there.got[0].body) == {
        "type": "job.completed",
        "timestamp": "2026-09-21T14:13:20.250Z",
        "data": {
            "id": "book-1",
            "revision": 1,
            "state": "completed",
            "items_total": 3,
            "items_done": 3,
            "segments_total": 40,
            "segments": 39,
            "failed": 1,
            "warned": 2,
            "characters": 2_000,
            "audio_ms": 90_000,
        },
    }


@pytest.mark.parametrize("state", [state for state in State if state.terminal])
def test_each_end_has_its_event(state: State, world: World, there: Receiver) -> None:
    world.note(there.url, state=state.value)
    make(world)
    assert json.loads(there.got[0].body)["type"] == f"job.{state}"


def test_a_job_without_a_receiver_notes_nothing(world: World) -> None:
    world.note("")
    assert list(world.store.list("")) == []


def test_an_end_that_is_noted_again_is_neither_written_nor_sent_again(
    world: World, there: Receiver
) -> None:
    there.answer = lambda _: (500, {}, b"")
    world.note(there.url)
    first = world.pending()
    world.note(there.url)
    assert world.pending() == first
    make(world)
    failed = world.pending()
    world.note(there.url)
    assert world.pending() == failed
    there.answer = lambda _: (200, {}, b"")
    world.clock.now += DELAYS_S[0] * (1 + JITTER)
    make(world)
    world.note(there.url)
    make(world)
    assert len(there.got) == 2
    assert world.keys() == []


def test_a_crash_in_the_midst_of_noting_leaves_one_delivery(world: World, there: Receiver) -> None:
    world.note(there.url)
    (key,) = world.store.list("webhooks/")
    world.store.delete(keys.revision("ann~book-1~0", 1, "webhook"))
    world.note(there.url)
    assert list(world.store.list("webhooks/")) == [key]
    assert world.store.exists(keys.revision("ann~book-1~0", 1, "webhook"))
    make(world)
    assert len(there.got) == 1


def test_every_acceptance_revision_and_job_has_a_message_of_its_own(
    world: World, there: Receiver
) -> None:
    world.note(there.url)
    world.note(there.url, revision=2)
    world.note(there.url, job="ann~book-2~0")
    world.note(there.url, job="bob~book-1~0", owner="bob")
    again = replace(spec(there.url, "ann~book-3~0"), created=ENDED - 5)
    webhooks.note(world.store, again, record())
    for key in list(world.store.list("jobs/ann~book-3~0/")):
        world.store.delete(key)
    webhooks.note(world.store, replace(again, created=ENDED), record())
    assert len(world.keys()) == 6


def test_what_fails_is_sent_again_with_the_same_id_at_the_times_that_are_told(
    world: World, there: Receiver
) -> None:
    there.answer = lambda _: (500, {}, b"")
    world.note(there.url)
    process = make(world)
    waits = []
    for _ in DELAYS_S:
        begun = world.clock.now
        due = world.pending().next_at
        waits.append(due - begun)
        world.clock.now = due - 0.01
        sent = len(there.got)
        make(world, process)
        assert len(there.got) == sent
        world.clock.now = due
        make(world, process)
        assert len(there.got) == sent + 1
    assert len(there.got) == len(DELAYS_S) + 1 == 8
    for wait, delay in zip(waits, DELAYS_S, strict=True):
        assert (1 - JITTER) * delay <= wait <= (1 + JITTER) * delay
    assert len({wait / delay for wait, delay in zip(waits, DELAYS_S, strict=True)}) == 7
    assert len({got.headers["webhook-id"] for got in there.got}) == 1
    assert len({got.body for got in there.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in there.got}) == 8
    assert world.keys() == ["webhooks/farm/dead/ann/"]


def test_the_jitter_is_a_function_of_the_message(tmp_path: Path, there: Receiver) -> None:
    there.answer = lambda _: (500, {}, b"")
    due = []
    for name, job in (("a", "ann~book-1~0"), ("b", "ann~book-1~0"), ("c", "ann~book-2~0")):
        world = World(LocalStore(tmp_path / name))
        world.note(there.url, job=job)
        make(world)
        due.append(world.pending().next_at)
    assert due[0] == due[1] != due[2]


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("1", DELAYS_S[0] * (1 - JITTER), DELAYS_S[0] * (1 + JITTER)),
        ("3600", 3_600.0, 3_600.0),
        ("99999999", RETRY_AFTER_S, RETRY_AFTER_S),
    ],
)
def test_a_receiver_may_ask_for_more_time_within_bounds(
    header: str, least: float, most: float, world: World, there: Receiver
) -> None:
    there.answer = lambda _: (429, {"Retry-After": header}, b"")
    world.note(there.url)
    make(world)
    assert least <= world.pending().next_at - ENDED <= most


@pytest.mark.parametrize(
    ("status", "error"),
    [(301, "the receiver answers 301"), (404, "the receiver answers 404"), (503, "answers 503")],
)
def test_every_status_but_success_and_gone_is_tried_again(
    status: int, error: str, world: World, there: Receiver
) -> None:
    there.answer = lambda _: (status, {"Location": "http://127.0.0.1/"}, b"words of the receiver")
    world.note(there.url)
    make(world)
    assert (world.pending().tries, len(there.got)) == (1, 1)
    assert error in world.pending().last_error
    assert "words" not in repr(world.pending())


def test_a_receiver_that_wants_no_more_is_not_asked_again(world: World, there: Receiver) -> None:
    there.answer = lambda _: (410, {}, b"")
    world.note(there.url)
    make(world)
    (found,) = webhooks.dead(world.store, "farm")
    assert "410" in found.last_error
    assert world.keys() == ["webhooks/farm/dead/ann/"]


def test_an_address_that_became_private_is_not_asked_and_tried_again_later(
    world: World, there: Receiver
) -> None:
    world.note(there.url)
    process = world.process()
    process.outgoing = Outgoing()
    make(world, process)
    assert there.got == []
    assert "not public" in world.pending().last_error


def test_without_a_secret_nothing_is_sent_unsigned(world: World, there: Receiver) -> None:
    world.secrets.clear()
    world.note(there.url)
    make(world)
    assert there.got == []
    (found,) = webhooks.dead(world.store, "farm")
    assert "'0123abcd' has no secret" in found.last_error


def test_dead_letters_are_an_owners_own_and_replayed_from_the_first_attempt(
    world: World, there: Receiver
) -> None:
    there.answer = lambda _: (410, {}, b"")
    for job, owner in (("ann~a~0", "ann"), ("ann~b~0", "ann"), ("bob~a~0", "bob")):
        world.note(there.url, job=job, owner=owner)
    process = world.process()
    while process.look():
        process.wait()
    process.wait()
    everybodys = {each.job for each in webhooks.dead(world.store, "farm")}
    assert everybodys == {"ann~a~0", "ann~b~0", "bob~a~0"}
    first, second = webhooks.dead(world.store, "farm", "ann")
    assert {first.job, second.job} == {"ann~a~0", "ann~b~0"}
    assert list(webhooks.dead(world.store, "farm", "ann", after=first.id)) == [second]
    assert list(webhooks.dead(world.store, "other")) == []

    with pytest.raises(NotFound, match="no dead delivery"):
        webhooks.replay(world.store, "farm", "bob", first.id)
    there.answer = lambda _: (500, {}, b"")
    assert webhooks.replay(world.store, "farm", "ann", first.id).tries == 0
    make(world, process)
    assert world.pending().tries == 1
    there.answer = lambda _: (200, {}, b"")
    world.clock.now += 10
    make(world, process)
    assert [each.job for each in webhooks.dead(world.store, "farm", "ann")] == [second.job]
    assert {got.headers["webhook-id"] for got in there.got[-2:]} == {first.id}
    with pytest.raises(NotFound, match="replayed already"):
        webhooks.replay(world.store, "farm", "ann", first.id)


def test_dead_letters_are_forgotten_after_a_month(world: World, there: Receiver) -> None:
    there.answer = lambda _: (410, {}, b"")
    world.note(there.url)
    process = make(world)
    world.clock.now += DEAD_S - 10
    make(world, process)
    assert len(world.keys()) == 1
    world.clock.now += sending.SWEEP_S
    make(world, process)
    assert world.keys() == []


class Dying(LocalStore):
    """A store that fails at what a process does next to it after its request."""

    fails: str = ""

    def delete(self, key: str) -> None:
        if self.fails == "delete":
            raise StoreUnavailable("the power failed")
        super().delete(key)

    def put(self, key: str, data: bytes, *, if_absent: bool = False, durable: bool = True) -> bool:
        if self.fails == "put":
            raise StoreUnavailable("the power failed")
        return super().put(key, data, if_absent=if_absent, durable=durable)


@pytest.mark.parametrize(("status", "fails"), [(200, "delete"), (500, "put"), (410, "delete")])
def test_a_crash_between_sending_and_recording_sends_again_and_loses_nothing(
    status: int, fails: str, tmp_path: Path, there: Receiver
) -> None:
    world = World(Dying(tmp_path / "store"))
    world.note(there.url)
    there.answer = lambda _: (status, {}, b"")
    assert isinstance(world.store, Dying)
    world.store.fails = fails
    with pytest.raises(StoreUnavailable):
        world.process().deliver(world.pending().id)
    world.store.fails = ""
    assert world.pending().tries == 0
    there.answer = lambda _: (200, {}, b"")
    make(world)
    assert len(there.got) == 2
    assert len({got.headers["webhook-id"] for got in there.got}) == 1
    assert not list(world.store.list("webhooks/farm/pending/"))


def test_two_processes_at_once_may_send_twice_and_lose_nothing(
    world: World, there: Receiver
) -> None:
    for n in range(6):
        world.note(there.url, job=f"ann~{n}~0")
    one, other = world.process(), world.process()
    waiting = True
    while waiting:
        waiting = any([one.look(), other.look()])
        one.wait()
        other.wait()
    ids = [got.headers["webhook-id"] for got in there.got]
    assert len(set(ids)) == 6
    assert len(ids) <= 12
    assert world.keys() == []


def test_an_outage_of_the_file_of_keys_counts_as_no_attempt(
    world: World, there: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    away = True

    def secrets(_key: str) -> str:
        if away:
            raise Unavailable("cannot read the file of keys")
        return SECRET

    world.note(there.url)
    process = make(world, world.process(secrets=secrets))
    assert (world.pending().tries, there.got) == (0, [])
    assert "cannot read the file of keys" in caplog.text
    away = False
    make(world, process)
    assert there.got == []
    world.clock.now += sending.OUTAGE_S
    make(world, process)
    assert len(there.got) == 1


def test_a_damaged_record_holds_up_no_other(
    world: World, there: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    world.store.put("webhooks/farm/pending/msg_0.json", b'{"id": ')
    world.note(there.url)
    process = make(world)
    make(world, process)
    assert len(there.got) == 1
    assert caplog.text.count("msg_0 cannot be read") == 1


def test_another_farm_in_the_same_store_is_not_touched(world: World, there: Receiver) -> None:
    webhooks.note(world.store, replace(spec(there.url), farm="other"), record())
    make(world)
    assert there.got == []
    assert world.keys() == ["webhooks/other/pending/"]


def test_neither_secret_nor_path_of_the_address_gets_into_store_or_log(
    world: World, there: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    statuses = iter([500, 410])
    there.answer = lambda _: (next(statuses), {}, b"")
    world.note(there.url + PATH)
    stored = [world.store.get(key) for key in world.store.list("")]
    process = make(world)
    stored += [world.store.get(key) for key in world.store.list("")]
    world.clock.now += 10
    make(world, process)
    stored += [world.store.get(key) for key in world.store.list("")]
    assert len(stored) == 6
    assert "dead" in caplog.text
    raw = base64.b64decode(SECRET.removeprefix("whsec_"))
    for secret in (SECRET.removeprefix("whsec_").encode(), raw, raw.hex().encode()):
        assert not any(secret in each for each in stored)
        assert secret.decode() not in caplog.text
    assert PATH not in caplog.text
    assert not any(b"diary" in each.lower() for each in stored)
