"""Commands that speak: `say`, `book`, `batch`, `demo`."""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from farm import keys, lifecycle
from farm.cli import batches, checking, watching
from farm.cli.session import Session, session
from farm.errors import InvalidInput, JobError
from farm.farm import Farm
from farm.jobs import Kind, Output, Prosody, Spec, State, to_json

SAMPLE = Path(str(resources.files("farm"))) / "data" / "sample" / "late-letters.epub"

VoiceOption = Annotated[str, typer.Option("--voice", help="Voice; `farm voices list` shows all.")]
SpeedOption = Annotated[float, typer.Option("--speed", help="0.25 to 4; 1: as the voice.")]

out = Console(soft_wrap=True, highlight=False)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (demo, say, book, batch):
        app.command()(command)


def make_spec(
    joined: Session, kind: Kind, name: str, content: str, voice: str, output: Output, **more: Any
) -> Spec:
    """Make the spec of a job whose id is a function of its content and options.

    So the same command again finds the job of the first one.
    """
    voices = joined.pin({voice or joined.settings.voice})
    pinned = next(iter(voices.values()))
    spec = Spec(
        id="",
        kind=kind,
        farm=joined.farm.id,
        owner="local",
        input="",
        voice=pinned.id,
        voices=voices,
        created=0,
        name=name,
        output=output,
        **more,
    )
    identity = hashlib.sha256(to_json(spec) + content.encode()).hexdigest()[:16]
    id_ = f"{kind}-{identity}"
    return replace(spec, id=id_, input=keys.job(id_, "input", "text"), created=time.time())


def run(joined: Session, spec: Spec, data: bytes | Path) -> dict[str, Any]:
    """Run a job to its end; return its record.

    Raises:
        JobError: the job failed, was cancelled or expired.
        Unavailable: the farm could not go on; the same command does, later.
    """
    record = follow(joined, spec, data)
    if record["state"] != State.COMPLETED:
        raise JobError(record.get("error") or f"job {spec.id} is {record['state']}")
    return record


def follow(joined: Session, spec: Spec, data: bytes | Path) -> dict[str, Any]:
    """Submit a job, or join the one that the same command submitted before; wait for its end.

    One that ended badly, or with failed segments, is run again; only those are spoken. The
    record of one that is complete says `hits` for all its segments.
    """
    record = joined.patiently(lambda: _taken_up(joined.farm, spec, data))
    return record or joined.patiently(lambda: watching.follow(joined.farm, spec.id))


def _taken_up(farm: Farm, spec: Spec, data: bytes | Path) -> dict[str, Any] | None:
    """See to it that a job runs; return its record where there is nothing left to do."""
    if lifecycle.submit(farm, spec, data):
        return None
    record = lifecycle.show(farm, spec.id)
    if record["state"] == State.COMPLETED and not record["failed"]:
        return {**record, "hits": record["segments"], "misses": 0}
    if State(record["state"]).terminal:
        lifecycle.retry(farm, spec.id)
    elif record["state"] == State.PAUSED:
        lifecycle.resume(farm, spec.id)
    else:  # the command before this may have died on its way from the store to Redis
        lifecycle.begin(farm, spec, lifecycle.current(farm, spec.id))
    return None


def summary(record: dict[str, Any], where: Path) -> None:
    """Print what was made, in one line, and what was left out."""
    hits, misses = record.get("hits", 0), record.get("misses", 0)
    seconds = record.get("seconds", 0)
    out.print(f"{where}  {seconds:.1f} s, {misses} segments spoken, {hits} were there already")
    if record.get("failed"):
        out.print(f"{record['failed']} could not be spoken: farm jobs show {record['job']}")


def say(
    text: Annotated[str, typer.Argument(help="What to say; `-` reads standard input.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    voice: VoiceOption = "",
    speed: SpeedOption = 1.0,
) -> None:
    """Speak one text into a file."""
    words = sys.stdin.read() if text == "-" else text
    if not words.strip():
        raise InvalidInput("nothing to say: the text is empty")
    format_ = checking.format_of(output)
    checking.check_options(voice, speed)
    checking.check_file(output)
    with session() as joined:
        spec = make_spec(
            joined,
            "speech",
            output.name,
            words,
            voice,
            Output(format_),
            prosody=Prosody(speed=speed),
        )
        record = run(joined, spec, words.encode())
        item = next(watching.records(watching.manifest(joined.farm, spec.id)))
        watching.fetch(joined.farm, item.files[format_], output)
    summary(record, output)


def book(
    file: Annotated[Path, typer.Argument(help="EPUB, text or Markdown; `-`: standard input.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File (.m4b) or folder.")],
    voice: VoiceOption = "",
    format: Annotated[
        str, typer.Option(help="m4b, or one file a chapter: mp3, m4a, flac, opus, wav.")
    ] = "",
    also: Annotated[list[str] | None, typer.Option(help="Further formats of the chapters.")] = None,
    subtitles: Annotated[list[str] | None, typer.Option(help="srt, vtt.")] = None,
    speed: SpeedOption = 1.0,
) -> None:
    """Make an audiobook of a document."""
    format = format or "m4b"
    single = checking.is_single(output, format)
    chapters = [*(also or []), *([] if format == "m4b" else [format])]
    checking.check_options(voice, speed, chapters, subtitles or ())
    if str(file) != "-":
        checking.check_document(file)
    (checking.check_file if single else checking.check_folder)(output)
    options = Output(
        format="m4a" if format == "m4b" else format,
        package="m4b" if format == "m4b" else "",
        formats=tuple(also or ()),
        subtitles=tuple(subtitles or ()),
    )
    with session() as joined:
        record, listed = make_book(joined, file, voice, options, speed)
        paths = fetch_book(joined, listed, output)
    summary(record, paths[0] if single else output)


def make_book(
    joined: Session, file: Path, voice: str, options: Output, speed: float = 1.0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a book's job; return its record and the manifest."""
    data: bytes | Path = sys.stdin.buffer.read() if str(file) == "-" else file
    content = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else checking.digest(data)
    spec = make_spec(
        joined, "book", file.name, content, voice, options, prosody=Prosody(speed=speed)
    )
    record = run(joined, spec, data)
    return record, watching.manifest(joined.farm, spec.id)


def fetch_book(joined: Session, listed: dict[str, Any], output: Path) -> list[Path]:
    """Write a book's files: to one file, or all of them with the manifest into a folder."""
    if output.suffix == ".m4b":
        main = watching.package_file(listed, "m4b")
        paths = [watching.fetch(joined.farm, main, output)]
        for name in listed["package"].keys() - {"m4b"}:
            side = watching.package_file(listed, name)
            paths.append(watching.fetch(joined.farm, side, output.with_suffix(f".{name}")))
        return paths
    wanted = [watching.package_file(listed, name) for name in listed["package"]]
    hidden = {"marks"} | ({"m4a"} if "m4b" in listed["package"] else set())
    for item in watching.records(listed):
        wanted += [file for name, file in item.files.items() if name not in hidden]
    paths = [watching.fetch(joined.farm, one, output / one.name) for one in wanted]
    key = keys.manifest(listed["job"], listed["revision"])
    joined.farm.store.get_file(key, output / "manifest.json")
    return [*paths, output / "manifest.json"]


def batch(
    lines: Annotated[Path, typer.Argument(help='JSONL: {"id","text","voice"?,"speed"?,"format"?}')],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.")],
    voice: VoiceOption = "",
    format: Annotated[str, typer.Option(help="Of lines that name none.")] = "flac",
) -> None:
    """Speak many lines, one file each; bad lines are listed in results.jsonl."""
    checking.check_options(voice, 1.0, [format])
    content = checking.digest(lines)
    checking.check_folder(output)
    with session() as joined:
        spec = make_spec(joined, "batch", lines.name, content, voice, Output(format))
        voices = joined.pin({spec.voice, *batches.voices_named(lines, joined.settings)})
        record = follow(joined, replace(spec, voices=voices), lines)
        done, failed = batches.fetch(joined.farm, record, output)
    summary(record, output)
    if failed:
        out.print(f"{failed} of {done + failed} lines failed; see {output / 'results.jsonl'}")
        raise typer.Exit(1)


def demo() -> None:
    """Turn the sample book into an audiobook in out/demo."""
    folder = Path("out/demo")
    checking.check_folder(folder)
    begin = time.monotonic()
    options = Output("m4a", "m4b", ("mp3",), ("srt", "vtt"))
    with session() as joined:
        record, listed = make_book(joined, SAMPLE, "", options)
        paths = fetch_book(joined, listed, folder)
    for path in sorted(paths):
        out.print(f"  {path}")
    summary(record, folder)
    out.print(f"{record['seconds'] / (time.monotonic() - begin):.0f} times real time, all told")
