"""What a command looks at before it starts anything: files, folders, voices, options."""

from __future__ import annotations

import hashlib
import importlib
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from farm import voices
from farm.audio.formats import FORMATS, format_named
from farm.book import subtitles
from farm.config import read_settings
from farm.errors import InvalidInput, NotFound, StoreUnavailable
from farm.storage import scratch
from farm.storage.atomic import mapped
from farm.studio import catalogue

#: What a book of one file is, by its suffix.
BOOKS = {".m4b": "m4b", ".epub": "readalong"}
#: Speeds that a voice is asked for.
SLOWEST, FASTEST = 0.25, 4.0
#: What ends in a text, after which a pause can be set.
ENDS = ("clause", "sentence", "paragraph", "heading")
#: Milliseconds that such a pause lasts at most.
LONGEST_PAUSE_MS = 20_000
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def standard_input() -> TextIO:
    """Return standard input, of which `buffer` has the bytes; `InvalidInput` if it is closed."""
    if sys.stdin is None:
        raise InvalidInput("standard input is closed: give a file or a pipe")
    return sys.stdin


@contextmanager
def at_hand(path: Path) -> Iterator[Path]:
    """Have what a person named as a file that can be read twice; a pipe, and `-`, as a copy.

    Raises:
        InvalidInput: it is standard input, which is closed.
        NotFound: it cannot be read.
        StoreUnavailable: there is no room for the copy.
    """
    if str(path) != "-" and path.is_file():
        yield path
        return
    with scratch("farm-input-") as folder:
        # What a shell calls a pipe (`63`) says nothing, and is not the same the next time.
        copy = folder / (path.name if path.suffix else "-")
        try:
            source = nullcontext(standard_input().buffer) if str(path) == "-" else path.open("rb")
        except OSError as error:
            raise NotFound(f"cannot read {str(path)!r}: {error.strerror}") from error
        with mapped("write", copy), source as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file)
        yield copy


def digest(path: Path) -> str:
    """SHA-256 of a file that a person named, in hex; one clear line if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise NotFound(f"cannot read {str(path)!r}: {error.strerror}") from error


def lexicons(paths: Iterable[Path] | None) -> dict[str, bytes]:
    """Read lexicons that a person named; return them by the names under which they are stored."""
    paths = list(paths or ())
    if not paths:
        return {}
    # It loads an XML parser and the front end: only for those who have a lexicon.
    lexicon = importlib.import_module("farm.text.lexicon")
    if len(paths) > lexicon.MOST_LEXICONS:
        raise InvalidInput(f"{len(paths)} lexicons: {lexicon.MOST_LEXICONS} at most")
    found: dict[str, bytes] = {}
    for path in paths:
        try:
            data = path.read_bytes()
            lexicon.read(data)
        except OSError as error:
            raise NotFound(f"cannot read {str(path)!r}: {error.strerror}") from error
        except InvalidInput as error:
            raise InvalidInput(f"{str(path)!r}: {error}") from error
        found[lexicon.named(data)] = data
    return found


def pauses(given: Iterable[str] | None) -> dict[str, int]:
    """Read pauses that a person set (`sentence=400`); return milliseconds by what ends."""
    found: dict[str, int] = {}
    for each in given or ():
        end, _, value = each.partition("=")
        if end not in ENDS:
            raise InvalidInput(
                f"--pause {each!r}: unknown {end!r}; choose one of {', '.join(ENDS)}"
            )
        if not re.fullmatch("[0-9]{1,5}", value) or int(value) > LONGEST_PAUSE_MS:
            raise InvalidInput(
                f"--pause {each!r}: {value!r} should be milliseconds, 0 to {LONGEST_PAUSE_MS}"
            )
        if end in found:
            raise InvalidInput(f"--pause {each!r}: there is another one for {end!r}")
        found[end] = int(value)
    return {end: found[end] for end in ENDS if end in found}


def check_folder(folder: Path) -> None:
    """Make a folder for outputs, or say why it cannot be."""
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{str(folder)!r} is no folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".farm-{time.time_ns()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreUnavailable(f"cannot write to {str(folder)!r}: {error.strerror}") from error


def check_file(path: Path) -> None:
    """Make the folder of an output file, or say why the file cannot be."""
    if path.is_dir():
        raise InvalidInput(f"{str(path)!r} is a folder; name a file in it")
    check_folder(path.parent)


def format_of(path: Path) -> str:
    """Return the audio format that a file's name asks for."""
    suffixes = {format_.suffix: name for name, format_ in FORMATS.items()}
    if path.suffix not in suffixes:
        raise InvalidInput(f"{path.name!r}: the suffix should be one of {', '.join(suffixes)}")
    return suffixes[path.suffix]


def is_single(output: Path, format_: str) -> bool:
    """Whether a book is to be one file; raises `InvalidInput` where name and format disagree."""
    audio = {each.suffix for each in FORMATS.values()}
    if output.suffix in audio and not output.is_dir():
        raise InvalidInput(
            f"{output.name!r}: a book is one .m4b or read-along .epub, or a folder of chapters"
        )
    wanted = BOOKS.get(output.suffix)
    if wanted and wanted != format_:
        raise InvalidInput(f"{output.name!r} is a book of one file, but --format is {format_!r}")
    return bool(wanted)


def check_language(tag: str) -> None:
    """Raise `InvalidInput` for what is no language's tag; empty: it is not given."""
    if tag and not _LANGUAGE.fullmatch(tag):
        raise InvalidInput(f"language {tag!r} is not valid: give a tag such as en-US")


def check_options(
    voice: str,
    speed: float,
    formats: Iterable[str] = (),
    also: Iterable[str] = (),
    language: str = "",
) -> None:
    """Raise `InvalidInput`, or `UnknownVoice`, for what no job can be; `also` names subtitles."""
    check_language(language)
    if not SLOWEST <= speed <= FASTEST:
        raise InvalidInput(f"speed {speed!r} is outside {SLOWEST} to {FASTEST}")
    for name in formats:
        format_named(name)
    for name in also:
        if name not in subtitles.WRITERS:
            valid = ", ".join(subtitles.WRITERS)
            raise InvalidInput(f"unknown subtitles {name!r}; choose one of {valid}")
    settings = read_settings()
    voices.find(catalogue(settings), voice or settings.voice)
