"""`farm export`: checkpoints that need torch become voices that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farm.cli.printing import JsonOption, out, print_json
from farm.export import Exported, Wish, export

app = typer.Typer(help="Turn checkpoints into ONNX voices.", no_args_is_help=True)


@app.callback()
def _export() -> None:
    """Turn checkpoints into ONNX voices."""


SourceArgument = Annotated[
    Path, typer.Argument(metavar="SRC", help="Folder with config.json, model_file.pth, ...")
]
TargetArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")]
VoiceOption = Annotated[str, typer.Option(help="Id of the voice; else the folder's name.")]
LicenceOption = Annotated[str, typer.Option(help="Licence of the weights; they keep it.")]


@app.command("forward-tts")
def forward_tts(
    source: SourceArgument,
    target: TargetArgument,
    vocoder: Annotated[Path, typer.Option(help="Folder of Coqui's HiFi-GAN for it, the same.")],
    voice: VoiceOption = "",
    language: Annotated[str, typer.Option(help="Such as en-US; else as its config says.")] = "",
    licence: LicenceOption = "",
    json: JsonOption = False,
) -> None:
    """Turn a Coqui FastPitch, FastSpeech 2 or SpeedySpeech and its HiFi-GAN into ONNX."""
    name = voice or target.resolve().name
    wish = Wish(source, target, name, licence, language, vocoder)
    _print(export("forward-tts", wish), licence, json)


@app.command()
def yourtts(
    source: SourceArgument,
    target: TargetArgument,
    voice: VoiceOption = "",
    licence: LicenceOption = "",
    json: JsonOption = False,
) -> None:
    """Turn a Coqui YourTTS checkpoint into ONNX: model, speaker encoder, config, voice."""
    name = voice or target.resolve().name
    _print(export("yourtts", Wish(source, target, name, licence)), licence, json)


def _print(exported: Exported, licence: str, json: bool) -> None:
    if json:
        print_json(_fields(exported))
        return
    for path in exported.files:
        out.print(str(path))
    alike = exported.similarity
    d_vectors = "" if alike is None else f", d-vectors agree to {alike:.6f}"
    out.print(f"checked against PyTorch: samples differ by {exported.difference:.1e}{d_vectors}")
    if not licence:
        out.print("no --licence given: the weights keep the one they came with")


def _fields(exported: Exported) -> dict[str, object]:
    return {
        "files": [str(path) for path in exported.files],
        "difference": exported.difference,
        "similarity": exported.similarity,
    }
