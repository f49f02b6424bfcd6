"""Commands that make books: `book`, and `demo` of the sample."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from farm import builtin, contents, voices
from farm.cli import checking, watching
from farm.cli.printing import JsonOption, print_json
from farm.cli.session import Session, session
from farm.cli.speaking import (
    LanguageOption,
    LexiconOption,
    PauseOption,
    PriorityOption,
    SpeedOption,
    VoiceOption,
    make_spec,
    out,
    report,
    run,
    speak,
    summary,
)
from farm.contents import Record
from farm.errors import InvalidInput, NotFound
from farm.jobs import Output, Prosody
from farm.text import documents

SAMPLE = Path(str(resources.files("farm"))) / "data" / "sample" / "late-letters.epub"
#: What each voice that ships with the farm, one for each engine of the light set, says at the end
#: of the demo.
PARAGRAPH = (
    "This is {voice}, one of the voices that come with the farm. It cost nothing to make but time: "
    "every word you hear was computed a moment ago, on this machine."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(book)


def book(
    file: Annotated[
        Path, typer.Argument(help="EPUB, text, Markdown or SSML; `-`: standard input.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File (.m4b, .epub) or folder.")],
    voice: VoiceOption = "",
    language: LanguageOption = "",
    format: Annotated[
        str,
        typer.Option(
            help="m4b, readalong (EPUB), or one file a chapter: mp3, m4a, flac, opus, wav."
        ),
    ] = "",
    also: Annotated[
        list[str] | None, typer.Option(help="Further formats of the chapters; readalong.")
    ] = None,
    subtitles: Annotated[list[str] | None, typer.Option(help="srt, vtt.")] = None,
    speed: SpeedOption = 1.0,
    pause: PauseOption = None,
    front_matter: Annotated[
        bool,
        typer.Option("--front-matter", help="An EPUB's cover, title and contents pages, too."),
    ] = False,
    lexicon: LexiconOption = None,
    priority: PriorityOption = "normal",
    json: JsonOption = False,
) -> None:
    """Make an audiobook of a document."""
    begin, format = time.monotonic(), format or checking.BOOKS.get(output.suffix, "m4b")
    single = checking.is_single(output, format)
    options = _options(format, also or [], subtitles or [])
    chapters = [*options.formats, *([] if options.package else [options.format])]
    checking.check_options(voice, speed, chapters, options.subtitles, language)
    with _at_hand(file, front_matter) as there:
        lexicons = checking.lexicons(lexicon)
        _check_output(output, single, there)
        how = {
            "language": language,
            "prosody": Prosody(speed=speed),
            "pauses": checking.pauses(pause),
            "front_matter": front_matter,
            "priority": priority,
        }
        with session() as joined:
            record, listed = make_book(joined, there, voice, options, lexicons, **how)
            files = fetch_book(joined, listed, output)
            if json:
                print_json(report(joined.farm, record, files, begin))
            else:
                summary(record, output)
    raise typer.Exit(bool(record["failed"]))


def _check_output(output: Path, single: bool, book: Path) -> None:
    """Make the folder of the output; `InvalidInput` where it cannot be, or is the book itself."""
    (checking.check_file if single else checking.check_folder)(output)
    if single and output.exists() and output.samefile(book):
        raise InvalidInput(f"{str(output)!r} is the book itself; give the output another name")


def _options(format_: str, also: list[str], subtitles: list[str]) -> Output:
    """Return what is made of a book's chapters, and of the whole."""
    wanted = [format_, *also]
    return Output(
        format="m4a" if format_ in checking.BOOKS.values() else format_,
        package="m4b" if format_ == "m4b" else "",
        formats=tuple(name for name in also if name != "readalong"),
        subtitles=tuple(subtitles),
        readalong="readalong" in wanted,
    )


@contextmanager
def _at_hand(path: Path, front_matter: bool) -> Iterator[Path]:
    """Have a book as a file; `InvalidInput`, or `NotFound`, for what the farm could not read."""
    with checking.at_hand(path) as file:
        documents.read(file, file.name, front_matter=front_matter)
        yield file


def make_book(
    joined: Session,
    file: Path,
    voice: str,
    options: Output,
    lexicons: Mapping[str, bytes] | None = None,
    **how: Any,
) -> tuple[Record, Record]:
    """Run a book's job; return its record and the manifest. `how` are fields of its spec."""
    how["lexicons"] = tuple(lexicons or ())
    spec = make_spec(joined, "book", file.name, checking.digest(file), voice, options, **how)
    named = documents.read(file, file.name, front_matter=spec.front_matter).voices
    record = run(joined, joined.cast(spec, named), file, lexicons)
    return record, contents.manifest(joined.farm, spec.id)


def fetch_book(joined: Session, listed: Record, output: Path) -> list[Record]:
    """Write a book's files: to one file with those beside it, or all of them into a folder.

    Raises:
        NotFound: the book was to be one file, and the job made none.
    """
    if output.suffix not in checking.BOOKS:
        return watching.fetch_all(joined.farm, listed, output)
    if output.suffix[1:] not in listed["package"]:
        raise NotFound(f"job {listed['job']} made no {output.suffix[1:]}")
    package = [row for row in contents.outputs(listed) if row["item"] is None]
    return [watching.fetch(joined.farm, row, _beside(output, row["format"])) for row in package]


def _beside(output: Path, format_: str) -> Path:
    """Name another file of a book; the source, which may lie there too, is not written over."""
    if format_ == "epub" and output.suffix != ".epub":
        return output.with_name(f"{output.stem}-readalong.epub")
    return output.with_suffix(f".{format_}")


def demo(json: JsonOption = False) -> None:
    """Turn the sample book into an audiobook in out/demo."""
    begin, folder = time.monotonic(), Path("out/demo")
    checking.check_folder(folder)
    options = Output("m4a", "m4b", ("mp3",), ("srt", "vtt"), readalong=True)
    with session() as joined:
        record, listed = make_book(joined, SAMPLE, "", options)
        files = fetch_book(joined, listed, folder)
        made = report(joined.farm, record, files, begin)
        made["voices"], lost = _paragraphs(joined, folder / "voices")
    if json:
        print_json(made)
    else:
        _told(made, folder)
    raise typer.Exit(bool(made["failed"] or lost))


def _told(made: Record, folder: Path) -> None:
    """Print what the demo made."""
    for path in sorted([*(file["path"] for file in made["files"]), str(folder / "manifest.json")]):
        out.print(f"  {path}")
    for voice, path in made["voices"].items():
        out.print(f"  {path}: the voice {voice!r}")
    summary(made, folder)
    out.print(f"{made['seconds'] / made['elapsed_s']:.0f} times real time, all told")


def _paragraphs(joined: Session, folder: Path) -> tuple[dict[str, str], int]:
    """Let every voice that ships with the farm say a few words.

    Returns voice to path, and how many segments could not be spoken.
    """
    folder.mkdir(exist_ok=True)
    made, lost = {}, 0
    for voice in voices.catalogue([builtin.prepare(joined.settings.home)]):
        path = folder / f"{voice}.flac"
        record, _ = speak(joined, PARAGRAPH.format(voice=voice.replace("-", " ")), path, voice)
        made[voice], lost = str(path), lost + record["failed"]
    return made, lost
