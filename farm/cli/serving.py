"""`farm serve`: HTTP services that speak with voices of this host, without a farm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated

import typer

from farm import engines, serving, slots, voices
from farm.calibration import Budgets
from farm.cli.ending import end_well
from farm.config import Settings, read_settings
from farm.engines import Engine
from farm.errors import InvalidInput, UnknownVoice
from farm.jobs import Voice
from farm.serving import Options
from farm.studio import catalogue
from farm.voices import VoiceFile

app = typer.Typer(help="Serve voices over HTTP.", no_args_is_help=True)

HostOption = Annotated[str, typer.Option(help="Address to listen at; clients are not asked who.")]
QueueOption = Annotated[int, typer.Option(min=1, help="Requests that may wait; then 429.")]
TimeoutOption = Annotated[float, typer.Option(min=1, help="Seconds that a request may take.")]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda:<n>; else as the settings say.")]


@app.command()
def piper(
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 5005,
    voice: Annotated[
        list[str] | None, typer.Option(help="A voice to load, once or more; else all of Piper's.")
    ] = None,
    host: HostOption = "127.0.0.1",
    queue: QueueOption = 32,
    timeout: TimeoutOption = 300,
    device: DeviceOption = "",
) -> None:
    """Serve Piper voices: POST /tts, GET /voices, GET /health."""
    settings = read_settings()
    files = _chosen(settings, voice or [], ("piper",))
    options = Options("piper", host, port, device or settings.device, queue, timeout)
    _serve(settings, files, options)


@app.command()
def yourtts(
    port: Annotated[int, typer.Option(help="Port; 0: a free one.")] = 5004,
    voice: Annotated[
        str, typer.Option(help="The voice to load; else the only one of YourTTS there is.")
    ] = "",
    host: HostOption = "127.0.0.1",
    queue: QueueOption = 32,
    timeout: TimeoutOption = 300,
    device: DeviceOption = "",
) -> None:
    """Serve a YourTTS voice: POST /register_speaker, POST /synthesize, GET /health."""
    settings = read_settings()
    files = _chosen(settings, [voice] if voice else [], ("yourtts", "yourtts_onnx"))
    if len(files) > 1:
        choices = ", ".join(file.id for file in files)
        raise UnknownVoice(f"this service speaks with one voice: choose --voice of {choices}")
    # A d-vector belongs to the model that made it.
    speakers = settings.home / "speakers" / voices.pin(files[0]).digest[:16]
    options = Options("yourtts", host, port, device or settings.device, queue, timeout, speakers)
    _serve(settings, files, options)


def _chosen(settings: Settings, names: Sequence[str], engines: Sequence[str]) -> list[VoiceFile]:
    """Return the voices named, else all of the engines."""
    known = catalogue(settings)
    if names:
        return [voices.find(known, name) for name in dict.fromkeys(names)]
    found = [file for file in known.values() if file.engine in engines and not file.revoked]
    if not found:
        raise UnknownVoice(f"no voice here is of engine {' or '.join(engines)}: add one first")
    return found


def _serve(settings: Settings, files: Sequence[VoiceFile], options: Options) -> None:
    end_well()
    names = ", ".join(file.id for file in files)
    options = replace(options, revoked=partial(_revoked, {file.id: file.path for file in files}))
    if settings.calibrates(options.device):
        options = replace(options, budgets=partial(_budgets, settings, options.device))
    loaders = [partial(_load, file, settings, options.device) for file in files]
    serving.serve(options, loaders, lambda url: typer.echo(f"serving {names} at {url}"))


def _load(file: VoiceFile, settings: Settings, device: str) -> tuple[Voice, Engine]:
    """Load a voice from this host's cache: what its engine keeps there is there at each start."""
    voice = voices.pin(file)
    return voice, engines.load(voice, voices.keep(file, voice, settings.cache / "voices"), device)


def _revoked(paths: Mapping[str, Path], voice: Voice) -> bool:
    """Whether a voice's YAML says by now that it was revoked."""
    path = paths[voice.id]
    try:
        return _says(path, path.stat().st_mtime_ns)
    except (OSError, InvalidInput):  # somebody edits it: what is loaded was valid
        return False


@lru_cache(maxsize=64)
def _says(path: Path, _changed: int) -> bool:
    return bool(voices.read(path).revoked)


def _budgets(settings: Settings, device: str) -> Budgets:
    return Budgets(settings.cache / "budgets", slots.card(device))
