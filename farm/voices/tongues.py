"""Which languages a voice speaks, as its files say, and what it calls one that is asked for.

What counts is the primary subtag: `fr` and `fr-CA` are spoken by a voice of `fr-FR`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from farm.engines import dialects
from farm.engines.dialects import coqui, languages
from farm.engines.dialects.base import Files
from farm.errors import EngineError, InvalidInput, UnknownVoice
from farm.jobs import Voice
from farm.voices.files import VoiceFile

#: Engines whose voices' languages nobody here knows: what they are sent decides.
_UNTOLD = frozenset({"tone", "yourtts_http"})
#: Engines whose voices may speak several languages, which their files name.
_SEVERAL = frozenset({"fastspeech2", "vits", "yourtts", "yourtts_onnx"})
#: Symbols by which a PaddleSpeech map is known to hold Mandarin and English.
_MIXED = frozenset({"a1", "AH0"})
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,6}")
#: Tags that name no language: undetermined, uncoded, several, none.
_UNSAID = frozenset({"und", "mis", "mul", "zxx"})


def said(language: str) -> str:
    """Return the language that a document says it is in; empty: it says none that is known.

    Malformed tags, and those for what is undetermined or no language, say nothing.
    """
    found = language.strip().replace("_", "-")
    found = languages.tag(found) if found.isalpha() else found
    valid = _TAG.fullmatch(found) and languages.primary(found) not in _UNSAID
    return found if valid else ""


def spoken(voice: Voice) -> tuple[str, ...]:
    """Return every language that a voice is known to speak, its own first."""
    return tuple(dict.fromkeys((voice.language, *voice.languages)))


def tongue(voice: Voice, language: str) -> str:
    """Return a voice's own tag for a language: the same one, else of the same primary subtag.

    Raises:
        UnknownVoice: the voice does not speak it.
    """
    try:
        return languages.choose(language, spoken(voice), f"voice {voice.id!r}")
    except EngineError as error:
        if voice.engine in _UNTOLD:
            return language
        raise UnknownVoice(str(error), value=language, valid=[*spoken(voice)]) from error


def of_text(voice: Voice, asked: str, document: str) -> str:
    """Return a voice's own tag for the language of a text; empty: nothing says that.

    It is what is `asked` for, else what its `document` says.

    Raises:
        UnknownVoice: the voice does not speak it; the message says how to go on.
    """
    if asked:
        return tongue(voice, asked)
    language = said(document)
    try:
        return tongue(voice, language) if language else ""
    except UnknownVoice as error:
        raise UnknownVoice(
            f"the document says that it is in {language!r}, and {error}: choose a voice that "
            f"speaks it, or have it read as another language: --language {voice.language} "
            "(`language` in the API)",
            value=error.value,
            valid=error.valid,
        ) from error


def of_part(voice: Voice, usual: str, document: str) -> str:
    """Return a voice's own tag for the language that a part of a `document` says it is in.

    Empty: it says none, or the one that is `usual` around it, of whatever region.

    Raises:
        UnknownVoice: the voice is not known to speak it; the message says what is done then.
    """
    language = said(document)
    if not language or languages.primary(language) == languages.primary(usual):
        return ""
    try:
        return languages.choose(language, spoken(voice), f"voice {voice.id!r}")
    except EngineError as error:
        what = f"voice {voice.id!r} is not known to speak {language!r}"
        raise UnknownVoice(f"{what}: parts in it are read like the rest") from error


def several(file: VoiceFile, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tags of a voice's languages where its files name several; else nothing.

    `config` is its role `config`, empty where it has none.

    Raises:
        InvalidInput: a file is not what its role says.
    """
    if file.engine not in _SEVERAL:
        return ()
    try:
        found = tuple(dict.fromkeys(map(languages.tag, _named(file, config))))
    except (EngineError, TypeError, ValueError, AttributeError, OSError) as error:
        raise InvalidInput(f"{file.path}: the languages of its files: {error}") from error
    return found if len(found) > 1 else ()


def _named(file: VoiceFile, config: Mapping[str, Any]) -> tuple[str, ...]:
    if file.engine == "vits" and "tokens" in file.files:
        return in_model(f"{file.path}: files", file.files)[1]
    if "phones" in file.files:
        lines = file.files["phones"].read_text(encoding="utf-8").splitlines()
        mixed = {line.partition(" ")[0] for line in lines} >= _MIXED
        return ("zh", "en") if mixed and languages.primary(file.language) == "zh" else ()
    return coqui.named(Files(f"{file.path}: files", file.files, (), {}), config)


def in_model(what: str, files: Mapping[str, Path]) -> tuple[int, tuple[str, ...]]:
    """Return sample rate and languages as the files of a VITS voice say, by their own names.

    Raises:
        InvalidInput: they are no VITS voice.
    """
    stats = ((role, path, path.stat()) for role, path in files.items())
    return _in_model(what, tuple((role, p, s.st_size, s.st_mtime_ns) for role, p, s in stats))


@lru_cache(maxsize=256)
def _in_model(
    what: str, files: tuple[tuple[str, Path, int, int], ...]
) -> tuple[int, tuple[str, ...]]:
    try:
        dialect = dialects.read(what, {role: path for role, path, *_ in files})
    except EngineError as error:
        raise InvalidInput(str(error)) from error
    return dialect.sample_rate, dialect.languages
