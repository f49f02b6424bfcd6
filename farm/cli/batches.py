"""`farm batch`: many lines, one file each, and what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from farm import contents, keys, standing
from farm.audio.replacing import replacing
from farm.cli import checking
from farm.cli.printing import JsonOption, print_json
from farm.cli.session import session
from farm.cli.speaking import (
    LanguageOption,
    LexiconOption,
    PauseOption,
    PriorityOption,
    VoiceOption,
    follow,
    make_spec,
    report,
    summary,
)
from farm.cli.watching import console, unfinished
from farm.contents import Record
from farm.errors import JobError, NotFound
from farm.farm import Farm
from farm.jobs import Output
from farm.storage import ahead
from farm.text.lines import Line, read_lines

#: Lines that could not be spoken, of which the terminal hears.
SHOWN = 20
#: Files fetched at once: the store may be far away.
FETCHES = 16


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(batch)


def batch(
    lines: Annotated[
        Path,
        typer.Argument(
            help='JSONL: {"id","text"|"ssml","voice"?,"speed"?,"format"?}; `-`: standard input.'
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")],
    voice: VoiceOption = "",
    language: LanguageOption = "",
    format: Annotated[str, typer.Option(help="Of lines that name none.")] = "flac",
    pause: PauseOption = None,
    lexicon: LexiconOption = None,
    priority: PriorityOption = "normal",
    as_json: JsonOption = False,
) -> None:
    """Speak many lines, one file each; bad lines are listed in results.jsonl."""
    begin = time.monotonic()
    checking.check_options(voice, 1.0, [format], language=language)
    lexicons = checking.lexicons(lexicon)
    how = {
        "language": language,
        "pauses": checking.pauses(pause),
        "lexicons": tuple(lexicons),
        "priority": priority,
    }
    with checking.at_hand(lines) as file:
        content = checking.digest(file)
        checking.check_folder(output)
        with session() as joined:
            spec = make_spec(joined, "batch", file.name, content, voice, Output(format), **how)
            record = follow(joined, joined.cast(spec, voices_named(file)), file, lexicons)
            done, failed = fetch(joined.farm, record, output)
            if as_json:
                made = files_in(joined.farm, record, output)
                print_json(report(joined.farm, record, made, begin))
    if not as_json:
        results = output / "results.jsonl"
        lost = f"{failed} of {done + failed} lines failed, see {results}" if failed else ""
        summary(record, output, lost)
    raise typer.Exit(bool(failed))


def voices_named(path: Path) -> set[str]:
    """Return the voices that a file's lines name, whether there are such or not."""
    with path.open("rb") as stream:
        lines = (line for line in read_lines(stream) if isinstance(line, Line))
        return {voice for line in lines for voice in line.voices}


def fetch(farm: Farm, record: Record, folder: Path) -> tuple[int, int]:
    """Write every line's file and results.jsonl; return how many were spoken and how many not.

    The first `SHOWN` that were not are said on the terminal.

    Raises:
        JobError: the job ended before there was anything to fetch.
    """
    job = record["job"]
    with replacing(folder / "manifest.json") as listed:
        try:
            farm.store.get_file(keys.manifest(job, standing.current(farm, job)), listed)
        except NotFound:
            raise JobError(unfinished(record)) from None
        fetched = ahead(
            lambda file: farm.store.get_file(file["key"], folder / file["name"]),
            (file for item in _items(listed) for file in item.get("files", {}).values()),
            FETCHES,
        )
        for _ in fetched:
            pass
        return _results(_items(listed), standing.failures(farm, job), folder / "results.jsonl")


def _items(manifest: Path) -> Iterator[Record]:
    with manifest.open("rb") as stream:
        yield from map(json.loads, contents.told(stream))


def _results(items: Iterable[Record], failures: Iterable[Record], path: Path) -> tuple[int, int]:
    """Write what became of every line; return how many were spoken and how many not."""
    done = failed = 0
    lost: dict[int, str] = {}
    for row in failures:
        lost.setdefault(row["item"], row["error"])
    with replacing(path) as new, new.open("w", encoding="utf-8") as results:
        for item in items:
            spoken = bool(item.get("files")) and not item.get("failed")
            done, failed = done + spoken, failed + (not spoken)
            row = _row(item, lost)
            if "error" in row and failed <= SHOWN:
                console.print(
                    f"{item['id']}: {row['error']}", soft_wrap=True, markup=False, highlight=False
                )
            results.write(json.dumps(row, ensure_ascii=False) + "\n")
    return done, failed


def files_in(farm: Farm, record: Record, folder: Path) -> list[Record]:
    """Return the files that `fetch` has written for a job, with their paths."""
    rows = contents.outputs(contents.manifest(farm, record["job"]))
    return [{"path": str(folder / row["name"]), **row} for row in rows]


def _row(item: Record, lost: Mapping[int, str]) -> dict[str, object]:
    row: dict[str, object] = {"id": item["id"]}
    for file in item.get("files", {}).values():
        row |= {"file": file["name"], "seconds": file["seconds"]}
    if item.get("error") or item.get("failed"):
        row["error"] = lost.get(item["index"]) or item.get("error", "")
    return row
