"""`farm keys`: they need no farm, only the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farm.access import KeyFile
from farm.cli import COMMANDS
from farm.config import read_settings
from farm.errors import InvalidInput, NotFound
from tests.cli.conftest import Command

Data = Callable[..., Any]

LIMITS = {"characters_per_day": 0, "jobs_in_flight": 0, "requests_per_minute": 0}


@pytest.fixture
def file(home: Path) -> KeyFile:
    return KeyFile(home / "keys.json")


def test_a_key_is_printed_once_and_opens(command: Command, file: KeyFile) -> None:
    printed = command("keys", "add").stdout
    match = re.fullmatch(r"API key: (\S+)\nwebhooks are signed with: (\S+)\n", printed)
    assert match
    key = file.find(match[1])
    assert key is not None
    assert (key.owner, key.scopes, key.webhook_secret) == ("local", ("submit", "read"), match[2])
    assert match[1] not in command("keys", "list").stdout


def test_every_option_reaches_the_key(data: Data, file: KeyFile) -> None:
    made = data(
        *("keys", "add", "--owner", "alice", "--label", "the phone"),
        *("--scope", "admin", "--scope", "read"),
        *("--characters-per-day", 1000, "--jobs-in-flight", 3, "--requests-per-minute", 60),
    )
    key = file.find(made.pop("key"))
    assert key is not None
    assert made == {
        "id": key.id,
        "last": key.last,
        "created": key.created,
        "owner": "alice",
        "scopes": ["read", "admin"],
        "limits": {"characters_per_day": 1000, "jobs_in_flight": 3, "requests_per_minute": 60},
        "label": "the phone",
        "revoked": 0,
        "webhook_secret": key.webhook_secret,
    }


def test_the_list_is_empty_without_keys(command: Command, data: Data, home: Path) -> None:
    assert command("keys", "list").stdout == ""
    assert data("keys", "list") == []
    assert not home.exists()


def test_the_list_has_what_a_person_may_see_of_each(command: Command, data: Data) -> None:
    one = data("keys", "add", "--owner", "alice", "--requests-per-minute", 60)
    two = data("keys", "add", "--label", "the phone")
    command("keys", "revoke", two["id"])
    lines = [line.split() for line in command("keys", "list").stdout.splitlines()]
    assert lines[0][:4] == ["ID", "KEY", "OWNER", "SCOPES"]
    ends = [f"...{each['key'][-4:]}" for each in (one, two)]
    assert lines[1][:-1] == [one["id"], ends[0], "alice", "submit,read", "-", "-", "60"]
    assert lines[2][:4] == [two["id"], ends[1], "local", "revoked"]
    assert lines[2][-2:] == ["the", "phone"]
    rows = data("keys", "list")
    assert [row["id"] for row in rows] == [one["id"], two["id"]]
    assert (rows[0]["revoked"], rows[1]["revoked"] > 0) == (0, True)
    assert rows[1]["limits"] == LIMITS


def test_a_list_has_nothing_that_opens_or_signs(
    command: Command, data: Data, file: KeyFile
) -> None:
    made = data("keys", "add")
    (key,) = file.list()
    shown = command("keys", "list").stdout + json.dumps(data("keys", "list"))
    for secret in (made["key"], made["key"][14:], made["webhook_secret"], key.digest):
        assert secret not in shown


def test_a_revoked_key_is_not_found(data: Data, command: Command, file: KeyFile) -> None:
    made = data("keys", "add", "--owner", "alice")
    assert file.find(made["key"])
    assert command("keys", "revoke", made["id"]).stdout == f"revoked {made['id']}, of alice\n"
    assert file.find(made["key"]) is None
    assert data("keys", "revoke", made["id"])["revoked"] > 0


def test_a_key_that_is_not_there_is_named(command: Command) -> None:
    with pytest.raises(NotFound, match="no key '0123abcd'"):
        command("keys", "revoke", "0123abcd")


def test_a_whole_key_given_for_its_id_is_not_repeated(data: Data) -> None:
    made = data("keys", "add")
    run = subprocess.run(
        [sys.executable, "-m", "farm.cli", "keys", "revoke", made["key"]],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("farm: this is no key's id: give the eight digits")
    assert made["key"][14:] not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--owner", "Alice", "owner 'Alice' is not valid"),
        ("--scope", "write", "scope 'write': choose among submit, read, admin"),
        ("--jobs-in-flight", 1 << 60, "jobs_in_flight .*: give a number"),
    ],
)
def test_a_bad_option_makes_no_key(
    command: Command, home: Path, option: str, value: object, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        command("keys", "add", option, str(value))
    assert not (home / "keys.json").exists()


def test_a_limit_below_zero_is_a_wrong_command_line(command: Command) -> None:
    assert command("keys", "add", "--requests-per-minute", "-1").exit_code == 2


def test_the_settings_name_another_file(
    data: Data, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_settings().keys_path == home / "keys.json"
    monkeypatch.setenv("FARM_API_KEYS_FILE", str(tmp_path / "etc" / "farm-keys.json"))
    made = data("keys", "add")
    assert read_settings().keys_path == tmp_path / "etc" / "farm-keys.json"
    assert KeyFile(tmp_path / "etc" / "farm-keys.json").find(made["key"])
    assert not home.exists()


def test_the_page_about_keys_names_the_commands_and_options_there_are(command: Command) -> None:
    page = (Path(__file__).parents[2] / "docs/api-keys.md").read_text(encoding="utf-8")
    assert "keys" in COMMANDS
    assert set(re.findall(r"farm keys (\w+)", page)) == {"add", "list", "revoke"}
    options = set(re.findall(r"--[a-z-]+", command("keys", "add", "--help").stdout)) - {"--help"}
    assert set(re.findall(r"(?<=[\s`])--[a-z-]+", page)) == options


def test_the_example_of_the_page_makes_the_key_it_describes(data: Data, file: KeyFile) -> None:
    page = (Path(__file__).parents[2] / "docs/api-keys.md").read_text(encoding="utf-8")
    example = page.partition("\nfarm keys add")[2].partition("\nfarm ")[0]
    words = ["keys", "add", *example.replace("\\\n", " ").split()]
    key = file.find(data(*words)["key"])
    assert key is not None
    assert (key.owner, key.label, key.limits.requests_per_minute) == ("alice", "phone", 60)
