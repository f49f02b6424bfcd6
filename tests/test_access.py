"""API keys in a file: made once, found by their text alone, never lost, never told."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
import string
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.access import SCOPES, Allowance, Key, KeyFile
from farm.errors import FarmError, InvalidInput, NotFound, Unavailable

NOW = 1_700_000_000.9

#: A process that adds keys to the file of its first argument, one after another.
ADDING = """
import sys
from pathlib import Path
from farm.access import KeyFile
file = KeyFile(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    file.add(owner=sys.argv[2], label=str(number))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys.json"


@pytest.fixture
def file(path: Path) -> KeyFile:
    return KeyFile(path, lambda: NOW)


def content(path: Path) -> Any:
    return json.loads(path.read_bytes())


def change(path: Path, **fields: Any) -> None:
    """Change fields of the first key, as a person with an editor would."""
    data = content(path)
    data["keys"][0] |= fields
    path.write_text(json.dumps(data))


# Making and finding


def test_without_a_file_there_are_no_keys_and_nothing_is_written(file: KeyFile, path: Path) -> None:
    assert file.empty
    assert file.list() == ()
    assert file.find("farm_00000000_" + "a" * 32) is None
    assert file.get("00000000") is None
    assert not path.parent.exists()


def test_a_key_is_found_by_its_text(file: KeyFile, path: Path) -> None:
    limits = Allowance(1_000_000, 20, 60)
    key, text = file.add("alice", ["read", "submit"], limits, "the phone")
    assert file.find(text) == key == KeyFile(path).find(text)
    assert file.get(key.id) == key
    assert file.list() == (key,)
    assert not file.empty
    assert (key.owner, key.limits, key.label) == ("alice", limits, "the phone")
    assert (key.scopes, key.created, key.revoked) == (("submit", "read"), 1_700_000_000, 0)
    assert text.endswith(key.last)


def test_a_key_of_nobody_in_particular_sees_what_the_command_line_submits(file: KeyFile) -> None:
    key, _ = file.add()
    assert (key.owner, key.scopes, key.limits) == ("local", ("submit", "read"), Allowance(0, 0, 0))


def test_a_key_is_an_id_and_192_random_bits(file: KeyFile) -> None:
    made = [file.add() for _ in range(20)]
    texts = {text for _, text in made}
    assert len(texts) == len({key.id for key, _ in made}) == 20
    for key, text in made:
        assert re.fullmatch(rf"farm_{key.id}_[A-Za-z0-9_-]{{32}}", text)
        assert len(base64.urlsafe_b64decode(text[14:])) == 24


def test_each_key_has_a_secret_of_its_own_that_signs_webhooks(file: KeyFile) -> None:
    found = {file.add()[0].webhook_secret for _ in range(5)}
    assert len(found) == 5
    for secret in found:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 24


@pytest.mark.parametrize("place", [*range(46)])
def test_a_key_with_one_other_character_is_not_found(file: KeyFile, place: int) -> None:
    key, text = file.add()
    other = "0" if text[place] != "0" else "1"
    assert file.find(text[:place] + other + text[place + 1 :]) is None
    assert file.find(text[:place] + text[place + 1 :]) is None
    assert file.find(text[:place] + other + text[place:]) is None
    assert file.find(text) == key


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_other_text_is_found(tmp_path: Path, data: st.DataObject) -> None:
    file = KeyFile(tmp_path / "keys.json")
    if file.empty:
        file.add()
    (key,) = file.list()
    secret = st.text(string.ascii_letters + string.digits + "-_", min_size=32, max_size=32)
    alike = st.builds(f"farm_{key.id}_{{}}".format, secret)
    others = st.sampled_from([key.digest, f"farm_{key.id}_", f"farm_{key.id}_{key.digest}", key.id])
    assert file.find(data.draw(st.text() | alike | others)) is None


def test_a_hash_from_the_file_opens_nothing(file: KeyFile, path: Path) -> None:
    key, text = file.add()
    assert key.digest == hashlib.sha256(text[14:].encode()).hexdigest()
    assert text[14:] not in path.read_text()
    assert file.find(f"farm_{key.id}_{key.digest[:32]}") is None


def test_white_space_around_a_key_is_not_forgiven(file: KeyFile) -> None:
    _, text = file.add()
    for other in (f" {text}", f"{text}\n", text.upper(), f"{text}\0", text.encode().hex()):
        assert file.find(other) is None


def test_the_secret_of_one_key_does_not_open_another(file: KeyFile) -> None:
    (one, first), (two, second) = file.add(), file.add()
    assert file.find(f"farm_{one.id}_{second[14:]}") is None
    assert file.find(f"farm_{two.id}_{first[14:]}") is None


# Scopes and what people write


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (["submit"], ["submit"]),
        (["read"], ["read"]),
        (["read", "submit"], ["submit", "read"]),
        (["admin"], ["submit", "read", "admin"]),
    ],
)
def test_a_key_may_what_its_scopes_say(file: KeyFile, scopes: list[str], may: list[str]) -> None:
    key, _ = file.add(scopes=scopes)
    assert [scope for scope in SCOPES if key.may(scope)] == may


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "Admin"], [""]])
def test_an_unknown_scope_is_refused_with_the_choices(
    file: KeyFile, path: Path, scopes: list[str]
) -> None:
    with pytest.raises(InvalidInput, match=r"scope '.*': choose among submit, read, admin"):
        file.add(scopes=scopes)
    assert not path.exists()


@pytest.mark.parametrize("owner", ["a", "7", "alice-2", "a" * 32])
def test_an_owner_is_a_plain_word(file: KeyFile, owner: str) -> None:
    assert file.add(owner)[0].owner == owner


@pytest.mark.parametrize("owner", ["", "-a", "Alice", "a b", "a/b", "..", "a" * 33, "ä", "a\n"])
def test_an_owner_that_is_no_plain_word_is_refused(file: KeyFile, path: Path, owner: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(f"owner {owner!r} is not valid")):
        file.add(owner)
    assert not path.exists()


@pytest.mark.parametrize("label", ["two\nlines", "\x1b[31mred", "l" * 101])
def test_a_label_that_would_spoil_a_list_is_refused(file: KeyFile, label: str) -> None:
    with pytest.raises(InvalidInput, match=r"label .* is not valid: one line"):
        file.add(label=label)


@pytest.mark.parametrize("value", [-1, 1 << 50])
@pytest.mark.parametrize("name", ["characters_per_day", "jobs_in_flight", "requests_per_minute"])
def test_a_limit_out_of_range_is_refused(name: str, value: int) -> None:
    with pytest.raises(InvalidInput, match=f"{name} {value}: give a number from 1, or 0"):
        Allowance(**{name: value})


# Revoking


def test_a_revoked_key_is_not_found_but_its_record_stays(file: KeyFile, path: Path) -> None:
    key, text = file.add()
    other, other_text = file.add()
    assert file.revoke(key.id).revoked == 1_700_000_000
    assert file.find(text) is None
    assert file.find(other_text) == other
    assert KeyFile(path).find(text) is None
    assert [each.revoked for each in file.list()] == [1_700_000_000, 0]
    found = file.get(key.id)
    assert found is not None
    assert found.webhook_secret == key.webhook_secret


def test_a_file_whose_keys_are_all_revoked_is_not_empty(file: KeyFile) -> None:
    key, _ = file.add()
    file.revoke(key.id)
    assert not file.empty


def test_revoking_twice_keeps_the_first_time(path: Path) -> None:
    times = iter([1.0, 2.0, 3.0])
    file = KeyFile(path, lambda: next(times))
    key, _ = file.add()
    assert file.revoke(key.id).revoked == 2
    assert file.revoke(key.id).revoked == 2


def test_an_unknown_id_cannot_be_revoked(file: KeyFile) -> None:
    with pytest.raises(NotFound, match="no key '0123abcd'; `farm keys list` shows them"):
        file.revoke("0123abcd")


# The file


def test_only_its_owner_reads_the_file(file: KeyFile, path: Path) -> None:
    umask = os.umask(0)
    try:
        file.add()
        path.chmod(0o644)
        file.add()
    finally:
        os.umask(umask)
    assert {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {
        "keys.json": 0o600,
        "keys.json.lock": 0o600,
    }


def test_what_another_process_does_is_seen_at_the_next_call(file: KeyFile, path: Path) -> None:
    assert file.empty
    elsewhere = KeyFile(path)
    key, text = elsewhere.add()
    assert file.find(text) == key
    second, second_text = elsewhere.add()
    assert file.find(second_text) == second
    elsewhere.revoke(key.id)
    assert file.find(text) is None


def test_a_file_edited_by_hand_is_read_again(file: KeyFile, path: Path) -> None:
    _, text = file.add()
    assert file.find(text)
    change(path, limits={"requests_per_minute": 5}, owner="alice")
    found = file.find(text)
    assert found is not None
    assert (found.owner, found.limits.requests_per_minute) == ("alice", 5)


def test_a_file_that_did_not_change_is_not_read_again(file: KeyFile, path: Path) -> None:
    key, text = file.add()
    assert file.find(text) == key
    before = path.stat()
    with path.open("r+b") as there:  # the same file, size and time: nothing tells of it
        there.write(b"[")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.find(text) == key


def test_processes_that_add_at_once_lose_nothing(file: KeyFile, path: Path) -> None:
    owners, each = ["a", "b", "c"], 25
    command = [sys.executable, "-c", ADDING, str(path)]
    adding = [subprocess.Popen([*command, owner, str(each)]) for owner in owners]
    counts = [0]
    while any(process.poll() is None for process in adding):
        counts.append(len(file.list()))
    assert [process.wait() for process in adding] == [0, 0, 0]
    assert counts == sorted(counts)
    found = {(key.owner, key.label) for key in file.list()}
    assert found == {(owner, str(number)) for owner in owners for number in range(each)}
    assert sorted(left.name for left in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_a_process_that_dies_with_the_lock_stops_nobody(file: KeyFile, path: Path) -> None:
    file.add()
    holding = (
        "import fcntl, os, signal, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_WRONLY), fcntl.LOCK_EX)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", holding, f"{path}.lock"], check=False)
    file.add()
    assert len(file.list()) == 2


#: What an editor could make of a key's fields.
BAD: dict[str, Sequence[Any]] = {
    "id": ("", "0123456", "ABCDEF01", 7),
    "digest": ("", "0", "\u00e4" * 64, None),
    "last": (None, 5),
    "webhook_secret": (None, ["whsec_"]),
    "created": ("now", None, 0.5),
    "owner": ("Alice", "", None),
    "scopes": (["write"], "admin", [None]),
    "limits": ({"jobs_in_flight": -1}, {"request_per_minute": 5}, [1], None),
    "label": ("two\nlines", 5),
    "revoked": ("yes", None),
    "scope": (["read"],),
}


def damages(path: Path) -> Iterator[None]:
    """Damage a file of one key in one way after another."""
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        yield
    for name, values in BAD.items():
        for value in values:
            path.write_bytes(whole)
            change(path, **{name: value})
            yield
    for other in (b"\xff\xfe", b"null", b"[]", b"{}", b'{"schema":1}', b'{"keys":[]}'):
        path.write_bytes(other)
        yield


def test_a_damaged_file_is_named_and_never_passes_for_one_without_keys(
    file: KeyFile, path: Path
) -> None:
    _, text = file.add("alice", limits=Allowance(1, 1, 1), label="l")
    whole = path.read_bytes()
    calls: list[Callable[[KeyFile], object]] = [
        lambda known: known.empty,
        lambda known: known.list(),
        lambda known: known.find(text),
        lambda known: known.get(text[5:13]),
        lambda known: known.add(),
        lambda known: known.revoke(text[5:13]),
    ]
    for _ in damages(path):
        damaged = path.read_bytes()
        for call in calls:
            with pytest.raises(InvalidInput, match=re.escape(str(path))):
                call(KeyFile(path))
        with pytest.raises(InvalidInput):
            file.find(text)
        assert path.read_bytes() == damaged
    path.write_bytes(whole)
    assert file.find(text) is not None


def test_a_file_of_a_later_farm_is_refused(file: KeyFile, path: Path) -> None:
    file.add()
    path.write_text(json.dumps(content(path) | {"schema": 2}))
    with pytest.raises(InvalidInput, match="schema 2 by a newer farm; this one knows 1"):
        file.list()


@pytest.mark.parametrize("gone", ["removed", "emptied"])
def test_keys_that_vanish_open_nothing(file: KeyFile, path: Path, gone: str) -> None:
    key, text = file.add()
    assert file.find(text) == key
    if gone == "removed":
        path.rename(path.with_name("away"))
    else:
        path.write_text('{"schema":1,"keys":[]}')
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"had API keys and has none; put it back"):
            _ = file.empty
    if gone == "removed":
        path.with_name("away").rename(path)
        assert file.find(text) == key


def test_a_file_that_cannot_be_read_or_written_is_the_worlds_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = KeyFile(tmp_path / "file" / "keys.json")
    with pytest.raises(Unavailable, match=r"cannot read '.*keys.json': Not a directory"):
        below.list()
    with pytest.raises(Unavailable, match=r"cannot write '.*keys.json'"):
        below.add()
    folder = tmp_path / "keys.json"
    folder.mkdir()
    with pytest.raises(Unavailable, match=r"cannot read '.*keys.json': Is a directory"):
        KeyFile(folder).find("farm_")


# Nothing is told


def test_no_key_and_no_secret_is_told_by_an_error_or_a_log(
    file: KeyFile, path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    key, text = file.add("alice", limits=Allowance(1, 1, 1), label="l")
    told = [repr(key), str(key), repr(file)]
    whole = path.read_bytes()
    for _ in damages(path):
        try:
            file.find(text)
        except FarmError as error:
            told += traceback.format_exception(error)
            told += traceback.format_exception(error.__context__) if error.__context__ else []
    path.write_bytes(whole)
    for wrong in (text, text[5:], key.webhook_secret):
        with pytest.raises(InvalidInput, match="this is no key's id") as refused:
            file.revoke(wrong)
        told += traceback.format_exception(refused.value)
    said = "".join([*told, caplog.text, *capfd.readouterr()])
    assert len(told) > 500
    for secret in (text[14:], key.webhook_secret, key.webhook_secret[6:], key.digest):
        assert secret not in said


def test_a_key_is_frozen(file: KeyFile) -> None:
    key, _ = file.add()
    with pytest.raises(AttributeError):
        key.owner = "root"  # type: ignore[misc]
    assert {name for name in Key.__annotations__ if name in repr(key)} == set(
        Key.__annotations__
    ) - {"digest", "webhook_secret"}
