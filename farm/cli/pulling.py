"""`farm voices pull`: a voice from the hub of models becomes this host's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from farm.cli import checking, installing
from farm.cli.installing import Draft
from farm.cli.printing import JsonOption, out, print_json, print_table
from farm.config import Settings, read_settings
from farm.errors import InvalidInput, NotFound
from farm.jobs import check_id
from farm.voices import VoiceFile, hub, recognising, sha256
from farm.voices.hub import Address, Listing

#: Where Piper's voices are, in folders such as `en/en_US/lessac/medium`.
PIPER = "rhasspy/piper-voices"

#: Piper's name of a voice: language and region, name, quality.
_PIPER_NAME = re.compile(r"([a-z]{2,3})(_[A-Z]{2})-([^-\s/]+)-(x_low|low|medium|high)")

#: How Piper's model cards state a licence.
_CARD_LICENCE = re.compile(r"^\s*[*-]\s*Licen[cs]e:\s*(\S.*?)\s*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Wish:
    """A voice of the hub that a person wants to have here."""

    source: str
    """`piper:<name>` or `hf:owner/name[/folder][@revision]`."""
    id: str = ""
    """Empty: the model's name, or the repository's."""
    language: str = ""
    """Empty: as the files say."""
    licence: str = ""
    """Empty: as the model's or the repository's card says."""
    model: str = ""
    """Which of several models; empty: there is only one."""
    sample_rate: int = 0
    """Hertz; 0: as the files say."""
    replace: bool = False


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(pull)


def pull(
    source: Annotated[
        str,
        typer.Argument(help="piper:en_US-lessac-medium, or hf:owner/name[/folder][@revision]."),
    ],
    id: Annotated[str, typer.Option(help="Id; the model's name if not given.")] = "",
    language: Annotated[str, typer.Option(help="Such as en-US; else as the model says.")] = "",
    licence: Annotated[str, typer.Option(help="Licence; else as its card says.")] = "",
    model: Annotated[str, typer.Option(help="Which of several models, by its file.")] = "",
    sample_rate: Annotated[int, typer.Option(help="Hertz, where no file says it.", min=0)] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="In place of one there is.")] = False,
    json: JsonOption = False,
) -> None:
    """Pull a voice from the hub of models, once it has loaded and spoken here."""
    wish = Wish(source, id, language, licence, model, sample_rate, replace)
    file = fetch(read_settings(), wish)
    if json:
        print_json(about(file))
    else:
        print_table([(name, str(value)) for name, value in _lines(file)])
        out.print(f"pulled {file.id}; try it with: farm voices check {file.id}")


def about(file: VoiceFile) -> dict[str, object]:
    """Return what is worth knowing of a pulled voice."""
    return {
        "id": file.id,
        "engine": file.engine,
        "language": file.language,
        "licence": file.licence,
        "source": file.source,
        "sha256": dict(file.sha256),
        "path": str(file.path),
    }


def _lines(file: VoiceFile) -> list[tuple[str, object]]:
    found = about(file) | {"licence": file.licence or "not stated: ask before you publish with it"}
    sums = found.pop("sha256")
    assert isinstance(sums, dict)
    return [*found.items(), *((f"sha256 of {role}", value) for role, value in sums.items())]


def fetch(settings: Settings, wish: Wish) -> VoiceFile:
    """Download a voice, recognise it and make it this host's own.

    Raises:
        NotFound: the hub has no such thing.
        InvalidInput, EngineError: what was found is no voice that the farm can speak.
        Conflict: the id is taken.
        Unavailable: the hub does not answer, or an engine is not installed here.
    """
    checking.check_language(wish.language)
    where = address(wish.source)
    if wish.id:  # before anything is downloaded
        installing.check_free(settings, check_id(wish.id, "voice"), replace=wish.replace)
    listed = _listing(where)
    named = recognising.choose(
        listed.files, wish.model, repr(str(where)), lambda name: hub.download(listed, name)
    )
    model = recognising.main(named)
    voice = wish.id or recognising.named_after(model, where.repo.rpartition("/")[2])
    installing.check_free(settings, voice, replace=wish.replace)
    files = {role: hub.download(listed, name) for role, name in named.items()}
    draft = _draft(replace(wish, id=voice), listed, named, files)
    return installing.install(settings, draft, wish.source)


def address(source: str) -> Address:
    """Return where in the hub a source is.

    Raises:
        InvalidInput: it is not written as a source is.
    """
    kind, _, name = source.partition(":")
    if kind == "hf":
        return hub.address(name)
    match = _PIPER_NAME.fullmatch(name)
    if kind != "piper" or match is None:
        raise InvalidInput(
            f"{source!r} is no source of voices: give piper:<language>_<REGION>-<name>-<quality>, "
            "such as piper:en_US-lessac-medium, or hf:owner/name[/folder][@revision]"
        )
    language, region, speaker, quality = match.groups()
    return Address(PIPER, f"{language}/{language}{region}/{speaker}/{quality}")


def _listing(where: Address) -> Listing:
    """List a folder of the hub; of a Piper voice that is not there, say which there are."""
    try:
        return hub.listing(where)
    except NotFound as error:
        language = "/".join(where.folder.split("/")[:2])
        if where.repo != PIPER or language in ("", where.folder):
            raise
        try:
            there = hub.listing(replace(where, folder=language)).files
        except NotFound:
            raise error from None
        voices = sorted(PurePosixPath(name).stem for name in there if name.endswith(".onnx"))
        raise NotFound(f"{error}; of that language there are {', '.join(voices)}") from error


def _draft(wish: Wish, listed: Listing, named: dict[str, str], files: dict[str, Path]) -> Draft:
    source = repr(str(listed.address))
    found = recognising.described(files, source)
    fields = {
        **found.fields(wish.language, wish.sample_rate, source),
        "licence": wish.licence or _licence(listed, recognising.main(named)),
        "source": f"hf:{listed.pinned}",
        "sha256": {role: sha256(path) for role, path in files.items()},
    }
    names = {role: (path, PurePosixPath(named[role]).name) for role, path in files.items()}
    return Draft(wish.id, fields, names)


def _licence(listed: Listing, model: str) -> str:
    """Return the licence that the model's own card states, else the repository's."""
    card = str(PurePosixPath(model).with_name("MODEL_CARD"))
    if card in listed.files:
        text = hub.download(listed, card).read_text(encoding="utf-8", errors="replace")
        if stated := _CARD_LICENCE.search(text):
            return stated.group(1)
    return hub.licence(listed)
