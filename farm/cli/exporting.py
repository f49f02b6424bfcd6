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


@app.command()
def yourtts(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Folder with config.json, model_file.pth, ...")
    ],
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")],
    voice: Annotated[str, typer.Option(help="Id of the voice; else the folder's name.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights; they keep it.")] = "",
    json: JsonOption = False,
) -> None:
    """Turn a Coqui YourTTS checkpoint into ONNX: model, speaker encoder, config, voice."""
    name = voice or target.resolve().name
    exported = export("yourtts", Wish(source, target, name, licence))
    if json:
        print_json(_fields(exported))
        return
    for path in exported.files:
        out.print(str(path))
    out.print(
        f"checked against PyTorch: samples differ by {exported.difference:.1e}, "
        f"d-vectors agree to {exported.similarity:.6f}"
    )
    if not licence:
        out.print("no --licence given: the weights keep the one they came with")


def _fields(exported: Exported) -> dict[str, object]:
    return {
        "files": [str(path) for path in exported.files],
        "difference": exported.difference,
        "similarity": exported.similarity,
    }
