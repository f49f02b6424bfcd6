"""FastSpeech 2 voices of PaddleSpeech in a folder: told by the map of symbols and by the graphs.

A folder holds `phone_id_map.txt`, an acoustic model in one ONNX graph or three, and a vocoder; the
archives of both are unpacked into it. What a graph is, its inputs and outputs say, never its name:

    text int64 -> [F, bands]                 acoustic, in one graph
    text int64 -> [1, F, H]                  acoustic, the first of three graphs
    [1, F, H] -> [1, F, bands]               decoder, the second
    [1, bands, F] -> [1, bands, F]           postnet, the third
    a mel of any layout -> anything else     vocoder
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from farm.engines.fastspeech import mel
from farm.errors import EngineError, InvalidInput

#: The file that says that a folder holds such a voice.
MAP = "phone_id_map.txt"
#: Role to the name that PaddleSpeech gives its file, for those that may be there.
_BESIDE = {
    "acoustic_config": "default.yaml",
    "pitch": "pitch_stats.npy",
    "energy": "energy_stats.npy",
}
#: What is wanted of a voice in three graphs, and of one that takes a speaker.
_STATISTICS, _SPEAKERS = "speech_stats.npy", "speaker_id_map.txt"
#: Number of an element type in ONNX (`TensorProto.INT64`).
_INT64 = 7

Shape = list[int]
"""Sizes of the axes; 0: not fixed."""


@dataclass(frozen=True)
class _Graph:
    """What an ONNX file takes and gives."""

    inputs: dict[str, tuple[int, Shape]]
    """Name to element type and shape."""
    outputs: list[Shape]

    @property
    def kind(self) -> str:
        """Which part of a voice it is."""
        first = self.outputs[0]
        if self.inputs.get("text", (0, []))[0] == _INT64:
            return "acoustic" if len(first) == 2 else "encoder"
        ((_, given), *more) = self.inputs.values()
        if more or len(self.outputs) > 1 or len(given) != 3 or len(first) != 3:
            return "vocoder"
        if first[1] > 1 and first[1] == given[1]:
            return "postnet"
        return "decoder" if first[2] > 1 else "vocoder"


def choose(
    names: Collection[str], model: str, where: str, read: Callable[[str], Path]
) -> dict[str, str]:
    """Return role to path for the voice whose map is among the files of a repository.

    `model` names the acoustic model by its path, or the end of it; empty: there is only one.
    `read` gives a file that is needed to tell.

    Raises:
        InvalidInput: a part is missing, or there are several; the message names them.
        EngineError: a file is no ONNX model.
    """
    maps = [each for each in names if PurePosixPath(each).name == MAP]
    if len(maps) > 1:
        raise InvalidInput(f"{where} holds {len(maps)} voices: name the folder of one")
    folder = PurePosixPath(maps[0]).parent
    beside = {PurePosixPath(each).name: each for each in names if _in(each, folder)}
    graphs = {each: _graph(read(each)) for each in beside.values() if each.endswith(".onnx")}
    parts = _parts(graphs, model, where)
    wanted = dict(_BESIDE)
    if "decoder" in parts:
        wanted["stats"] = _STATISTICS
    if "spk_id" in graphs[parts["acoustic"]].inputs:
        wanted["speakers"] = _SPEAKERS
    there = {role: beside[name] for role, name in wanted.items() if name in beside}
    return {**parts, "phones": maps[0], **there}


def _in(name: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(name).parent == folder


def _parts(graphs: Mapping[str, _Graph], model: str, where: str) -> dict[str, str]:
    """Return role to path of the graphs of one voice."""
    kinds: dict[str, list[str]] = {}
    for name, graph in sorted(graphs.items()):
        kinds.setdefault(graph.kind, []).append(name)
    end = f"/{model}" if model else ""
    spoken = [*kinds.get("acoustic", []), *kinds.get("encoder", [])]
    acoustic = _one("acoustic model", [name for name in spoken if f"/{name}".endswith(end)], where)
    parts = {"acoustic": acoustic, "vocoder": _one("vocoder", kinds.get("vocoder", []), where)}
    if acoustic in kinds.get("encoder", []):
        parts["decoder"] = _one("decoder", kinds.get("decoder", []), where)
        if "postnet" in kinds:
            parts["postnet"] = _one("postnet", kinds["postnet"], where)
    return parts


def _one(what: str, found: list[str], where: str) -> str:
    if len(found) != 1:
        raise InvalidInput(
            f"{where} holds {', '.join(found) or 'nothing'} where one {what} of a FastSpeech 2 "
            f"voice ({MAP}) is wanted: have one there, beside the map"
        )
    return found[0]


def _graph(path: Path) -> _Graph:
    # Imported here, because most commands read no graph.
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (OSError, ValueError, DecodeError) as error:
        raise EngineError(f"{path.name!r} is no ONNX model: {error}") from error
    weights = {each.name for each in graph.initializer}

    def shape(value: onnx.ValueInfoProto) -> Shape:
        return [each.dim_value for each in value.type.tensor_type.shape.dim]

    inputs = {
        each.name: (each.type.tensor_type.elem_type, shape(each))
        for each in graph.input
        if each.name not in weights
    }
    if not (inputs and graph.output):
        raise EngineError(f"{path.name!r} is a model without inputs or outputs")
    return _Graph(inputs, [shape(each) for each in graph.output])


def sample_rate(roles: Mapping[str, Path]) -> int:
    """Return the Hertz that a voice's config says; 0: it has none, or that does not say it.

    Raises:
        EngineError: it is no config.
    """
    path = roles.get("acoustic_config")
    return int((mel.read(path).sample_rate if path else None) or 0)


def language(roles: Mapping[str, Path]) -> str:
    """Return the language of a map's symbols: `zh`, `en`, or empty where they are neither's.

    Raises:
        EngineError: it is no map of symbols.
    """
    # Loaded here, because it is slow and few voices need it.
    known = importlib.import_module("farm.phonemes.paddle").read_map(roles["phones"])
    return "zh" if "a1" in known else "en" if "AH0" in known else ""
