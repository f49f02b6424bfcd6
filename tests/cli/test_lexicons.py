"""`--lexicon` of the commands that speak: checked first, kept with the job, part of what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm.errors import FarmError
from farm.text import lexicon
from tests.cli.conftest import Command
from tests.homes import Home
from tests.homes import home as real_home
from tests.test_project import ROOT
from tests.text.lexicons import aliases, lexeme, pls


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot read 'names.pls': No such file or directory"),
        (b"", "'names.pls': the lexicon is not well-formed XML"),
        (pls(lexeme("a", ipa='S"i')).encode(), "'names.pls': line 1 of the lexicon: 'S\"i' is no"),
        (b"\xff\xfe", "'names.pls': the lexicon is"),
    ],
)
@pytest.mark.parametrize("name", ["say", "book", "batch"])
def test_what_is_no_lexicon_is_named_before_anything_is_started(
    command: Command, home: Path, name: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        Path("names.pls").write_bytes(content)
    Path("a.txt").write_text('{"id": "a", "text": "Hello."}')
    made = {"say": "x.flac", "book": "x.m4b", "batch": "x"}[name]
    with pytest.raises(FarmError) as error:
        command(name, "a.txt", "-o", made, "--voice", "slt", "--lexicon", "names.pls")
    assert str(error.value).startswith(why)
    assert not (home / "connection.json").exists()


def test_there_are_so_many_lexicons_at_most(command: Command) -> None:
    Path("names.pls").write_text(aliases(a="b"))
    many = ["--lexicon", "names.pls"] * (lexicon.MOST_LEXICONS + 1)
    with pytest.raises(FarmError, match="11 lexicons: 10 at most"):
        command("say", "Hello.", "-o", "x.flac", "--voice", "slt", *many)


def test_the_example_is_one() -> None:
    found = lexicon.read((ROOT / "configs/lexicons/names.pls").read_bytes())
    assert {"Siobhan", "Nguyen", "St. John Rivers", "SQL"} <= set(found.entries)


def said(home: Home, *words: str) -> Any:
    told = home.run(*words, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_a_name_respelled_changes_the_audio_of_its_sentence_only(tmp_path: Path) -> None:
    with real_home(tmp_path) as home:
        (home.folder / "a.pls").write_text(aliases(Siobhan="Shivawn of the hills"))
        (home.folder / "book.md").write_text("# One\n\nSiobhan left. Tom stayed.")
        (home.folder / "lines.jsonl").write_text('{"id": "a", "text": "Siobhan left."}')
        plain = said(home, "book", "book.md", "-o", "one", "--format", "wav")
        assert (plain["hits"], plain["misses"]) == (0, 3)
        named = said(home, "book", "book.md", "-o", "two", "--format", "wav", "--lexicon", "a.pls")
        assert (named["hits"], named["misses"], named["warned"]) == (2, 1, 0)
        assert named["seconds"] > plain["seconds"] + 0.3
        lines = said(home, "batch", "lines.jsonl", "-o", "lines", "--lexicon", "a.pls")
        assert lines["hits"] == 1
