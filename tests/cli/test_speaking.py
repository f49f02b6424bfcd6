"""Bad input at the command line: one clear line that names it, and nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm import cli
from farm.api import requests
from farm.cli import checking
from farm.planning import PAUSES_MS
from farm.text.prosody_values import LONGEST_PAUSE_MS
from tests.disks import small_disk
from tests.homes import Home, book_text, digest, ended, files_below, until
from tests.homes import home as real_home
from tests.text.epubs import Toc, page, write_epub

Words = tuple[str | Path, ...]
Failing = Callable[..., str]


@pytest.fixture
def failing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Failing:
    """Run a command that must fail before anything is started; return the one line it says."""

    def run(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["farm", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert ended.value.code == 1
        assert said.out == ""
        assert said.err.startswith("farm: ")
        assert said.err.count("\n") == 1, said.err
        assert not (home / "connection.json").exists()
        return said.err.removeprefix("farm: ").rstrip()

    return run


def encrypted_epub(path: Path) -> None:
    """Write an EPUB whose chapter a seller has locked."""
    xml = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#">'
        '<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
        '<CipherData><CipherReference URI="OEBPS/one.xhtml"/></CipherData>'
        "</EncryptedData></encryption>"
    )
    write_epub(path, {"one.xhtml": "locked"}, files={"META-INF/encryption.xml": xml.encode()})


def test_a_command_loads_only_what_it_needs() -> None:
    code = (
        "import sys; from farm.cli import app; app(['say', '--help'], standalone_mode=False)\n"
        "print(*{'onnx', 'av', 'num2words', 'lxml', 'boto3', 'farm.dispatch', "
        "'farm.assembly', 'farm.cli.book', 'farm.cli.say'} & set(sys.modules))"
    )
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].split() == ["farm.cli.say"]


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    said = CliRunner().invoke(cli.app, [name, "--help"])
    assert said.exit_code == 0
    assert f"farm {name}" in said.output or f"root {name}" in said.output


# Documents


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("shot.epub", b"\x89PNG\r\n\x1a\n" + b"\0" * 500, "not an EPUB"),
        ("shot.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 500, "an image"),
        ("none.epub", b"", "empty"),
        ("none.txt", b"", "empty"),
        ("blank.md", b" \n\n \t\n", "empty"),
        ("cut.epub", b"PK\x03\x04" + b"\x14\0" * 40, "cut.epub"),
    ],
)
def test_what_is_no_book_is_named(name: str, content: bytes, reason: str, failing: Failing) -> None:
    Path(name).write_bytes(content)
    said = failing("book", name, "-o", "book.m4b")
    assert repr(name) in said
    assert reason in said
    assert not Path("book.m4b").exists()


def test_a_truncated_epub_is_named(failing: Failing) -> None:
    from_sample = (Path(cli.__file__).parents[1] / "data/sample/late-letters.epub").read_bytes()
    Path("half.epub").write_bytes(from_sample[: len(from_sample) // 2])
    assert "'half.epub'" in failing("book", "half.epub", "-o", "book.m4b")


def test_an_encrypted_epub_is_named_so(failing: Failing, tmp_path: Path) -> None:
    encrypted_epub(tmp_path / "locked.epub")
    said = failing("book", "locked.epub", "-o", "book.m4b")
    assert "'locked.epub'" in said
    assert "encrypted" in said


def test_no_such_file_and_a_folder_are_named(failing: Failing, tmp_path: Path) -> None:
    assert failing("book", "gone.epub", "-o", "b.m4b") == (
        "cannot read 'gone.epub': No such file or directory"
    )
    assert failing("batch", "gone.jsonl", "-o", "out") == (
        "cannot read 'gone.jsonl': No such file or directory"
    )
    assert failing("book", tmp_path, "-o", "b.m4b") == (
        f"cannot read {str(tmp_path)!r}: Is a directory"
    )


# Options


@pytest.mark.parametrize("words", [("",), ("  \n ",)])
def test_an_empty_text_says_so(words: Words, failing: Failing) -> None:
    assert failing("say", *words, "-o", "x.wav") == "nothing to say: the text is empty"


@pytest.mark.parametrize(
    ("options", "named", "choice"),
    [
        (("--voice", "nobody"), "'nobody'", "slt"),
        (("--speed", "9"), "9.0", "0.25 to 4.0"),
        (("--speed", "nan"), "nan", "0.25 to 4.0"),
        (("--language", "en glish"), "'en glish'", "give a tag such as en-US"),
        (("--pause", "word=40"), "'word'", "clause, sentence, paragraph, heading"),
        (("--pause", "sentence"), "''", "milliseconds, 0 to 20000"),
        (("--pause", "sentence=0.4"), "'0.4'", "milliseconds, 0 to 20000"),
        (("--pause", "heading=20001"), "'20001'", "milliseconds, 0 to 20000"),
        (("--pause", "clause=-1"), "'-1'", "milliseconds, 0 to 20000"),
        (("--pause", "clause=1", "--pause", "clause=2"), "'clause=2'", "another one"),
        (("-o", "x.doc"), "'x.doc'", ".wav"),
        (("-o", "x"), "'x'", ".wav"),
    ],
)
def test_a_bad_option_is_named_with_the_choices(
    options: Words, named: str, choice: str, failing: Failing
) -> None:
    said = failing("say", "Good morning.", "-o", "x.wav", *options)
    assert named in said
    assert choice in said


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("-o", "x", "--format", "ogg"), "'ogg'"),
        (("-o", "x", "--also", "mp5"), "'mp5'"),
        (("-o", "x", "--subtitles", "ass"), "'ass'"),
        (("-o", "x", "--voice", "nobody"), "'nobody'"),
        (("-o", "x.m4b", "--format", "mp3"), "'mp3'"),
        (("-o", "x.epub", "--format", "m4b"), "'m4b'"),
        (("-o", "x.mp3"), "'x.mp3'"),
        (("-o", "x.m4b", "--front-matter"), "'book.txt' is no EPUB"),
    ],
)
def test_a_bad_option_of_a_book_is_named(options: Words, named: str, failing: Failing) -> None:
    Path("book.txt").write_text("Once upon a time.")
    assert named in failing("book", "book.txt", *options)


def test_a_book_and_a_batch_have_the_priority_that_was_asked_for(running: Home) -> None:
    (running.folder / "bulk.txt").write_text("There is time.")
    (running.folder / "bulk.jsonl").write_text(json.dumps({"id": "a", "text": "And time."}))
    for words in (("book", "bulk.txt", "-o", "bulk.m4b"), ("batch", "bulk.jsonl", "-o", "bulk")):
        made = running.run(*words, "--json", "--priority", "bulk")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["priority"] == "bulk"


def test_pauses_are_of_the_ends_that_there_are_in_whatever_order() -> None:
    assert tuple(PAUSES_MS) == requests.End.__args__ == checking.ENDS  # type: ignore[attr-defined]
    assert checking.LONGEST_PAUSE_MS == LONGEST_PAUSE_MS
    assert list(checking.pauses(["heading=20000", "clause=0"]).items()) == [
        ("clause", 0),
        ("heading", 20_000),
    ]


def test_a_book_is_not_written_over_itself(failing: Failing, tmp_path: Path) -> None:
    book = write_epub(tmp_path / "book.epub", {"a.xhtml": page("<p>Once.</p>")})
    before = book.read_bytes()
    said = failing("book", book, "-o", book)
    assert said == f"{str(book)!r} is the book itself; give the output another name"
    assert book.read_bytes() == before


def test_an_output_that_cannot_be_is_named(failing: Failing, tmp_path: Path) -> None:
    Path("file").write_text("in the way")
    Path("folder.wav").mkdir()
    Path("lines.jsonl").write_text("{}")
    assert failing("say", "Hi.", "-o", "file/x.wav") == "'file' is no folder"
    assert "'folder.wav' is a folder" in failing("say", "Hi.", "-o", "folder.wav")
    assert "cannot write to '/proc/no'" in failing("say", "Hi.", "-o", "/proc/no/x.wav")
    assert failing("batch", "lines.jsonl", "-o", tmp_path / "file").endswith("is no folder")
    assert "cannot write to '/sys'" in failing("say", "Hi.", "-o", "/sys/x.wav")


# Settings


def test_a_bad_setting_is_named(failing: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_CHILDREN", "many")
    assert "'children'" in failing("say", "Hi.", "-o", "x.wav")
    monkeypatch.delenv("FARM_CHILDREN")
    monkeypatch.setenv("FARM_VOICE", "nobody")
    assert "'nobody'" in failing("say", "Hi.", "-o", "x.wav")


def test_a_broker_that_does_not_answer_is_named(
    failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARM_BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    said = failing("say", "Hi.", "-o", "x.wav")
    assert "FARM_BROKER_URL" in said
    assert "127.0.0.1:1" in said
    assert "secret" not in said


def test_a_family_that_there_is_not_is_named(failing: Failing) -> None:
    assert failing("worker", "--family", "bogus") == (
        "unknown family 'bogus'; choose one of cpu, http, onnx, piper, tone, yourtts"
    )


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"FARM_TAG", "FARM_API_KEY", "FARM_CHILDREN", "OTHER"}, ""),
        ({"FARM_BROKER"}, "farm: FARM_BROKER is no setting; is FARM_BROKER_URL meant?\n"),
        ({"FARM_ZQX"}, "farm: FARM_ZQX is no setting, see docs/cli.md\n"),
        ({"FARM_BROKER", "FARM_EMBEDDED"}, ""),
    ],
)
def test_a_variable_that_nobody_reads_is_named_once(
    names: set[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(sys, "argv", ["farm", "voices", "list"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().err) == (0, said)


# With a farm


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A farm of real processes."""
    with real_home(tmp_path_factory.mktemp("speaking")) as farm:
        farm.start("up")
        until((farm.home / "connection.json").exists)
        yield farm


def results(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_a_batch_goes_on_past_bad_lines_and_lists_them(running: Home) -> None:
    good = [json.dumps({"id": f"g{n}", "text": f"This is line {n}."}) for n in range(1, 61)]
    good[56] = '{"id": "g57", "text": '
    good[57] = json.dumps({"id": "g58", "text": "x" * 10_000_000})
    good[58] = json.dumps({"id": "g59", "text": "Hello.", "voice": "nobody"})
    good[59] = json.dumps({"id": "g60", "text": "..., -- !"})
    (running.folder / "lines.jsonl").write_text("\n".join(good))
    made = running.run("batch", "lines.jsonl", "-o", "lines")
    assert made.returncode == 1
    assert "Traceback" not in made.stderr
    rows = results(running.folder / "lines")
    assert len(rows) == 60
    assert [row["id"] for row in rows if "file" in row] == [f"g{n}" for n in range(1, 57)]
    for row in rows[:56]:
        assert (running.folder / "lines" / row["file"]).stat().st_size > 1000
    bad = rows[56:]
    for row, what in zip(bad, ["line 57: not JSON", "line 58 ", "'nobody'", ""], strict=True):
        assert what in row["error"]
        assert f"{row['id']}: {row['error']}" in made.stderr
    assert made.stderr.count("\n") == 4
    assert "4 of 60 lines failed" in made.stdout


def test_a_batch_of_nothing_but_bad_lines_lists_them_too(running: Home) -> None:
    (running.folder / "bad.jsonl").write_text('nonsense\n{"id": "a"}\n')
    made = running.run("batch", "bad.jsonl", "-o", "bad")
    assert made.returncode == 1
    assert [row["id"] for row in results(running.folder / "bad")] == ["line-1", "a"]
    assert made.stderr.count("\n") == 2


@pytest.mark.parametrize(
    ("command", "name", "content"),
    [
        (("batch", "empty.jsonl", "-o", "empty"), "empty.jsonl", "\n\n"),
        (("book", "dots.txt", "-o", "dots.m4b"), "dots.txt", "... !!! -- ?"),
    ],
)
def test_what_holds_nothing_to_speak_says_so(
    command: Words, name: str, content: str, running: Home
) -> None:
    (running.folder / name).write_text(content)
    for _ in range(2):  # the same command again says the same
        said = running.run(*command)
        assert said.returncode == 1
        assert said.stderr.count("\n") == 1
        assert said.stderr.startswith("farm: ")
        assert name in said.stderr or "nothing" in said.stderr


def test_a_text_of_punctuation_says_that_there_is_nothing_to_speak(running: Home) -> None:
    said = running.run("say", "?!...", "-o", "marks.wav")
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert not (running.folder / "marks.wav").exists()


def test_the_first_pages_of_a_book_are_spoken_where_that_is_asked_for(running: Home) -> None:
    pages = {
        "cover.xhtml": page("<p>The Mill.</p>"),
        "a.xhtml": page("<h1>Rain</h1><p>It rains.</p>"),
    }
    toc: Toc = [("Cover", "cover.xhtml", []), ("Rain", "a.xhtml", [])]
    write_epub(running.folder / "mill.epub", pages, toc=toc)
    for more, names in [
        ((), ["001 Rain.mp3"]),
        (("--front-matter",), ["001 Cover.mp3", "002 Rain.mp3"]),
    ]:
        folder = running.folder / f"mill{len(names)}"
        made = running.run("book", "mill.epub", "-o", folder, "--format", "mp3", *more)
        assert made.returncode == 0, made.stderr
        assert sorted(path.name for path in folder.glob("*.mp3")) == names


@pytest.mark.parametrize(
    "words",
    [
        ("say", "One is here. Two is there.", "-o", "pauses.wav"),
        ("batch", "pauses.jsonl", "-o", "pauses", "--format", "wav"),
        ("book", "pauses.txt", "-o", "pauses.m4b"),
    ],
    ids=lambda words: words[0],
)
def test_pauses_are_as_long_as_they_are_asked_for(words: Words, running: Home) -> None:
    text = "One is here. Two is there."
    (running.folder / "pauses.txt").write_text(text)
    (running.folder / "pauses.jsonl").write_text(json.dumps({"id": "a", "text": text}))

    def seconds(*options: str) -> float:
        made = running.run(*words, "--json", *options)
        assert made.returncode == 0, made.stderr
        return float(json.loads(made.stdout)["seconds"])

    long = seconds("--pause", "heading=9", "--pause", "sentence=2500")
    assert long - seconds("--pause", "sentence=0") == pytest.approx(2.5, abs=0.01)


@pytest.mark.parametrize(
    "words",
    [
        ("say", "Il a 21 ans.", "-o", "age.wav"),
        ("batch", "age.jsonl", "-o", "age", "--format", "wav"),
        ("book", "age.md", "-o", "age.m4b"),
    ],
    ids=lambda words: words[0],
)
def test_texts_are_read_in_the_language_that_is_asked_for(words: Words, running: Home) -> None:
    (running.folder / "age.md").write_text("---\nlanguage: en\n---\n\nIl a 21 ans.\n")
    (running.folder / "age.jsonl").write_text('{"id": "a", "text": "Il a 21 ans."}')
    made = running.run(*words, "--json", "--language", "fr")
    assert made.returncode == 0, made.stderr
    plan = running.home / "store" / "jobs" / json.loads(made.stdout)["job"] / "rev/1/plan/pages"
    assert "il a vingt et un ans" in (plan / "00000.json").read_text().lower()


def test_a_book_that_the_voice_cannot_read_says_how_to_go_on(running: Home) -> None:
    (running.folder / "fr.md").write_text("---\nlanguage: fr\n---\n\nBonjour.\n")
    said = running.run("book", "fr.md", "-o", "fr.m4b", "--voice", "slt")
    assert said.returncode == 1
    assert "is in 'fr', and voice 'slt' does not speak 'fr', only en: " in said.stderr
    assert "--language en" in said.stderr
    made = running.run("book", "fr.md", "-o", "fr.m4b", "--voice", "slt", "--language", "en")
    assert made.returncode == 0, made.stderr


# Full disks


#: Of a full disk.
MEGABYTES = 64


@pytest.fixture(scope="module")
def book_of_tones() -> str:
    return book_text(2, 20)


@pytest.mark.parametrize("full", ["store", pytest.param("home", marks=pytest.mark.faults)])
def test_a_full_disk_is_said_and_the_book_goes_on_when_there_is_space(
    full: str, tmp_path: Path, book_of_tones: str
) -> None:
    with small_disk(tmp_path / "disk", MEGABYTES) as disk:
        folder = disk.folder
        elsewhere = {"FARM_STORE_URL": (folder / "store").as_uri()} if full == "store" else {}
        with real_home(tmp_path if full == "store" else folder, cost=0.04, **elsewhere) as farm:
            (farm.folder / "book.md").write_text(book_of_tones)
            command = ("book", "book.md", "-o", tmp_path / "book.m4b")
            first = farm.start(*command)
            until(lambda: len(files_below(folder, ".flac")) >= 8)
            disk.fill()
            before = {path: path.stat().st_mtime_ns for path in files_below(folder, ".flac")}
            failed = ended(first)
            assert failed.returncode == 1
            assert "No space left on device" in failed.stderr
            assert failed.stderr.count("\n") == 1
            disk.free()
            again = farm.run(*command)
            assert again.returncode == 0, again.stderr
            assert (tmp_path / "book.m4b").stat().st_size > 100_000
            assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_full_output_folder_is_said_and_what_was_spoken_stays(
    running: Home, tmp_path: Path, book_of_tones: str
) -> None:
    (running.folder / "tones.md").write_text(book_of_tones)
    with small_disk(tmp_path / "disk", MEGABYTES) as disk:
        output = disk.folder / "tones.m4b"
        disk.fill()
        failed = running.run("book", "tones.md", "-o", output)
        assert failed.returncode == 1
        assert "No space left on device" in failed.stderr
        assert failed.stderr.count("\n") == 1
        assert [path.name for path in disk.folder.iterdir()] == ["ballast"]
        disk.free()
        again = running.run("book", "tones.md", "-o", output)
        assert again.returncode == 0, again.stderr
        assert " 0 segments spoken" in again.stdout
        elsewhere = running.run("book", "tones.md", "-o", tmp_path / "tones.m4b")
        assert elsewhere.returncode == 0
        assert digest(output) == digest(tmp_path / "tones.m4b")
