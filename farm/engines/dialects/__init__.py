"""Dialects: how VITS voices of several exporters want to be spoken to.

A dialect is told by the inputs of the graph, its metadata and the content of its config, never by
the name of a file. Adding one: a module with `read(files) -> Dialect`, and a line in `_read`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from farm.engines.dialects import coqui, mms, piper, sherpa
from farm.engines.dialects.base import Dialect, Files, Tokens
from farm.errors import EngineError

__all__ = ["Dialect", "Tokens", "read"]

#: What tells where the inputs do not.
_FORMS = (
    "transformers (input_ids, attention_mask), Coqui and Piper (input, input_lengths, scales, "
    "with their config), sherpa-onnx (its metadata in the model)"
)


def read(what: str, roles: Mapping[str, Path]) -> Dialect:
    """Read how to speak to a model, from it and the files beside it, by role.

    Raises:
        EngineError: the files are none that is known, one is missing, or it is not what its role
            says.
    """
    files = _files(what, roles)
    try:
        dialect = _read(files)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else error
        raise EngineError(f"{what}: its config is not what was expected: {reason}") from error
    if dialect.sample_rate <= 0:
        raise EngineError(f"{what} says no sample rate")
    return dialect


def _read(files: Files) -> Dialect:
    inputs = set(files.inputs)
    if all(mark in files.metadata for mark in sherpa.MARKS):
        return sherpa.read(files)
    if inputs >= mms.INPUTS:
        return mms.read(files)
    if inputs >= piper.INPUTS:
        config = files.json("config", "Coqui's config.json or Piper's .onnx.json")
        return piper.read(files) if "phoneme_id_map" in config else coqui.read(files)
    raise EngineError(
        f"{files.what} has inputs {', '.join(files.inputs)} and no metadata that tell who made "
        f"it; known are {_FORMS}"
    )


def _files(what: str, roles: Mapping[str, Path]) -> Files:
    if "model" not in roles:
        raise EngineError(f"{what} names no 'model' file; it has {', '.join(sorted(roles))}")
    # Imported here, because the voices' catalogue asks this module and most commands do not.
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(roles["model"], load_external_data=False)
    except (OSError, ValueError, DecodeError) as error:
        raise EngineError(f"{what}: {str(roles['model'])!r} is no ONNX model: {error}") from error
    weights = {each.name for each in model.graph.initializer}
    inputs = tuple(each.name for each in model.graph.input if each.name not in weights)
    return Files(what, roles, inputs, {each.key: each.value for each in model.metadata_props})
