"""`farm say`: one text into a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from farm.cli import checking
from farm.cli.printing import JsonOption, print_json
from farm.cli.session import session
from farm.cli.speaking import (
    LanguageOption,
    LexiconOption,
    PauseOption,
    SpeedOption,
    VoiceOption,
    report,
    speak,
    summary,
)
from farm.errors import InvalidInput
from farm.jobs import Prosody


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(say)


def say(
    text: Annotated[str, typer.Argument(help="What to say; `-` reads standard input.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    voice: VoiceOption = "",
    language: LanguageOption = "",
    speed: SpeedOption = 1.0,
    pause: PauseOption = None,
    lexicon: LexiconOption = None,
    json: JsonOption = False,
) -> None:
    """Speak one text into a file."""
    begin = time.monotonic()
    words = _words(text)
    checking.format_of(output)
    checking.check_options(voice, speed, language=language)
    checking.check_file(output)
    lexicons = checking.lexicons(lexicon)
    how = {
        "language": language,
        "prosody": Prosody(speed=speed),
        "pauses": checking.pauses(pause),
    }
    with session() as joined:
        record, made = speak(joined, words, output, voice, lexicons, **how)
        if json:
            print_json(report(joined.farm, record, [made], begin))
        else:
            summary(record, output)
    raise typer.Exit(bool(record["failed"]))


def _words(text: str) -> str:
    """Return what is to be said; `InvalidInput` where there is nothing, or nothing that is text."""
    try:
        words = checking.standard_input().read() if text == "-" else text
        words.encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InvalidInput(f"the text is not UTF-8 (at {error.start})") from error
    if not words.strip():
        raise InvalidInput("nothing to say: the text is empty")
    return words
