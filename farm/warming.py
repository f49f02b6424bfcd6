"""Which voices this host used last, and loading them before there is work for them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from farm.errors import InvalidInput
from farm.farm import Farm
from farm.jobs import Segment, Voice
from farm.schema import from_json, to_json
from farm.slots import Slot

log = logging.getLogger(__name__)

#: Voices of a family that are remembered.
KEPT = 8
#: What is spoken to warm up, by language; the first for those that are not listed.
GREETINGS = {"en": "Good morning.", "fr": "Bonjour.", "pt": "Bom dia.", "zh": "早上好。"}


def note(farm: Farm, voice: Voice) -> None:
    """Remember that a voice was used now."""
    used = recent(farm, voice.family)
    if used[:1] == [voice]:
        return
    lines = [voice, *(each for each in used if each.digest != voice.digest)][:KEPT]
    path = _path(farm, voice.family)
    temporary = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a memory, nothing more
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(b"\n".join(map(to_json, lines)))
        temporary.replace(path)


def recent(farm: Farm, family: str) -> list[Voice]:
    """Return the voices of a family that this host used, the last first."""
    try:
        return [from_json(Voice, row) for row in _path(farm, family).read_bytes().splitlines()]
    except (OSError, InvalidInput):
        return []


def warm(farm: Farm, family: str, count: int) -> int:
    """Load the voices used last, and have each say something; return how many did.

    Nothing is done where the slot's last process died of it.
    """
    trace = _trace(farm.cache.parent, family, farm.slot)
    voices = recent(farm, family)[:count]
    if not voices:
        return 0
    if trace.exists():
        log.warning(
            "%s: the last process died while it warmed up; this one does not", farm.slot.name
        )
        trace.unlink(missing_ok=True)
        return 0
    trace.touch()
    done = sum(_greets(farm, voice) for voice in reversed(voices))
    trace.unlink(missing_ok=True)
    return done


def acquit(cache: Path, family: str, slots: Sequence[Slot]) -> None:
    """Forget that processes of these slots died while they warmed up: somebody ended them.

    `cache` is the host's, not that of its voices.
    """
    for slot in slots:
        with suppress(OSError):
            _trace(cache, family, slot).unlink(missing_ok=True)


def _trace(cache: Path, family: str, slot: Slot) -> Path:
    """Where it is noted that a slot's process warms up."""
    return cache / "recent" / f"{family}.{slot.name}.{slot.place}.warming"


def _greets(farm: Farm, voice: Voice) -> bool:
    text = GREETINGS.get(voice.language.partition("-")[0], GREETINGS["en"])
    segment = Segment("0" * 64, text, voice.id, language=voice.language)
    try:
        farm.engine(voice).speak([segment])
    except Exception as error:  # whatever it is: the chunk that meets it again will tell
        log.warning("voice %s does not warm up: %s", voice.id, error)
        return False
    return True


def _path(farm: Farm, family: str) -> Path:
    return farm.cache.parent / "recent" / f"{family}.jsonl"
