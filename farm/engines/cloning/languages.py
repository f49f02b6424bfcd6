"""Languages of a checkpoint (`en`, `fr-fr`, `pt-br`) and the tags that mean them (BCP 47)."""

from __future__ import annotations

from collections.abc import Collection

from farm.errors import EngineError


def choose(tag: str, languages: Collection[str]) -> str:
    """Return the checkpoint's name of a language: the same tag, else the first of that language.

    Regions do not part speakers of one language: `pt-PT` and `pt` are spoken as `pt-br`.

    Raises:
        EngineError: the checkpoint does not speak the language.
    """
    wanted = tag.replace("_", "-").lower()
    names = {name.replace("_", "-").lower(): name for name in languages}
    if wanted in names:
        return names[wanted]
    first = wanted.partition("-")[0]
    for name, original in names.items():
        if name.partition("-")[0] == first:
            return original
    choices = ", ".join(languages)
    raise EngineError(f"the voice does not speak {tag!r}: its languages are {choices}")
