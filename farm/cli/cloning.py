"""`farm voices clone`: a voice that speaks like the recordings of a person who agreed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import numpy as np
import typer

from farm import builtin, voices
from farm.audio import Samples
from farm.cli import installing, trying
from farm.cli.installing import Draft
from farm.cli.printing import JsonOption, out, print_json
from farm.config import Settings, read_settings
from farm.engines.cloning import reference, speakers
from farm.engines.cloning.speakers import DVector
from farm.errors import EngineError, InvalidInput
from farm.jobs import check_id
from farm.outgoing import Outgoing
from farm.studio import catalogue
from farm.voices import VoiceFile, recordings

#: Engines that speak with a d-vector.
ENGINES = ("yourtts", "yourtts_onnx")

#: Bytes of a recording that is fetched: half an hour of CD quality, mono.
LARGEST = 160_000_000
#: Roles of a base voice that tell who it is, not how it speaks: a clone has its own d-vector.
_OF_SPEAKERS = ("d_vector", "encoder", "encoder_config", "reference", "speakers")


@runtime_checkable
class Embedder(Protocol):
    """An engine that makes a d-vector of a recording."""

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        """Return the d-vector of a recording, or raise `EngineError`."""


@dataclass(frozen=True)
class Wish:
    """A voice that a person wants to have cloned."""

    voice: str
    references: Sequence[Path]
    consent: str
    """Who agreed, and when."""
    base: str = ""
    """Empty: the only voice here that can clone."""
    replace: bool = False


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(clone)


def clone(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Id of the new voice.")],
    reference: Annotated[
        list[str],
        typer.Option(help="A file or URL of the person speaking; may be given several times."),
    ],
    consent: Annotated[str, typer.Option(help='Who agreed, and when: "Ann Smith, 2026-11-22".')],
    base: Annotated[str, typer.Option(help="Voice to clone with; the only one if not given.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="In place of one there is.")] = False,
    json: JsonOption = False,
) -> None:
    """Make a voice that speaks like recordings of a person who agreed to it."""
    settings = read_settings()
    with at_hand(settings, reference) as paths:
        file, measured = make(settings, Wish(name, paths, consent, base, replace))
    if json:
        print_json({"id": file.id, "path": str(file.path), "consent": file.consent, **measured})
    else:
        heard = f"{measured['speech_s']:.1f} s of speech in {len(reference)} recordings"
        out.print(f"cloned {file.id} from {heard}; try it with: farm voices check {file.id}")


@contextmanager
def at_hand(settings: Settings, references: Sequence[str]) -> Iterator[list[Path]]:
    """Have recordings as files during the block; those at an address are fetched.

    Raises:
        InvalidInput: an address leads to a place that is not public, or to no recording.
        Unavailable: its server does not answer.
    """
    outgoing = Outgoing(tuple(settings.webhook_networks))
    with TemporaryDirectory(prefix="farm-references-") as folder:
        paths = []
        for number, each in enumerate(references, 1):
            path = Path(each)
            if "://" in each:
                name = Path(urlsplit(each).path).name or "recording"
                path = Path(folder, f"{number}-{name}")
                outgoing.download(each, path, LARGEST)
            paths.append(path)
        yield paths


def make(settings: Settings, wish: Wish) -> tuple[VoiceFile, dict[str, Any]]:
    """Clone a voice into this host's own; return it with what was measured of the recordings.

    The d-vector is computed here, once, and stored with the voice; the recordings stay on this
    host, so that they can be erased with it.

    Raises:
        InvalidInput: the consent is missing, or the recordings will not do.
        EngineError: the base cannot clone, or a recording cannot be read.
        UnknownVoice: there is no such base.
        Conflict: the id is taken.
    """
    voice, consent = check_id(wish.voice, "voice"), " ".join(wish.consent.split())
    if not consent:
        raise InvalidInput('no consent: give --consent "who agreed, when", or do not clone')
    installing.check_free(settings, voice, replace=wish.replace)
    base = choose(catalogue(settings), wish.base)
    heard = [reference.read(path) for path in wish.references]
    found = {str(p): recordings.measure(*h) for p, h in zip(wish.references, heard, strict=True)}
    recordings.check(found)
    with ExitStack() as stack:
        _, engine = stack.enter_context(trying.loaded(base, settings.device))
        if not isinstance(engine, Embedder):
            raise EngineError(f"voice {base.id!r} cannot clone: engine {base.engine!r}")
        place = Path(stack.enter_context(TemporaryDirectory(prefix="farm-clone-")), "d_vector.npy")
        speakers.write(place, np.mean([engine.embed(*each) for each in heard], axis=0))
        draft = _draft(base, voice, consent, place, wish.references)
        file = installing.install(settings, draft, voice)
    speech_s = sum(each.speech_s for each in found.values())
    return file, {"base": base.id, "speech_s": round(speech_s, 2)}


def choose(known: dict[str, VoiceFile], base: str) -> VoiceFile:
    """Return the voice to clone with: the one named, this host's own, or else the built-in one.

    Raises:
        UnknownVoice: there is no such voice.
        InvalidInput: it cannot clone; or none is named, and there is none or several that can.
    """
    able = sorted(each.id for each in known.values() if _can_clone(each))
    choices = ", ".join(able) or f"none; it takes an engine of {', '.join(ENGINES)} with 'encoder'"
    if base:
        found = voices.find(known, base)
        if not _can_clone(found):
            raise InvalidInput(f"voice {base!r} cannot clone: voices that can: {choices}")
        return found
    own = [each for each in able if each != builtin.CLONES]
    if len(own) > 1 or not able:
        raise InvalidInput(f"give the voice to clone with as --base: voices that can: {choices}")
    return known[(own or able)[0]]


def _can_clone(file: VoiceFile) -> bool:
    return file.engine in ENGINES and "encoder" in file.files and not file.revoked


def _draft(
    base: VoiceFile, voice: str, consent: str, d_vector: Path, heard: Sequence[Path]
) -> Draft:
    pinned = voices.pin(base)
    files = {
        role: (path, path.name)
        for role, path in base.files.items()
        if not role.startswith(_OF_SPEAKERS)
    }
    fields = {
        "engine": base.engine,
        "language": pinned.language,
        "licence": base.licence,
        "parameters": {n: value for n, value in base.parameters.items() if n != "speaker"},
        "rtf": base.rtf,
        "sample_rate": pinned.sample_rate,
        "source": base.source,
        "consent": consent,
    }
    own = {f"reference-{n}{path.suffix.lower()}": path for n, path in enumerate(heard, 1)}
    return Draft(voice, fields, {**files, "d_vector": (d_vector, d_vector.name)}, own)
