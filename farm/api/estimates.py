"""What a job would be: looked at, nothing stored."""

from __future__ import annotations

from pathlib import Path

from farm import batching
from farm.api import records
from farm.api.drafting import Wish, look, pin, read_lexicons
from farm.api.service import Service
from farm.errors import UnknownVoice
from farm.jobs import Voice
from farm.survey import SHOWN, Survey
from farm.text import scripts
from farm.voices import tongues


def estimate(held: Service, owner: str, wish: Wish, data: bytes | Path) -> records.Estimate:
    """Predict a job's length and cost by its characters and the voice's stated cost.

    Raises:
        InvalidInput: the input cannot be read.
        UnknownVoice: this owner has no such voice.
    """
    found = look(wish, data)
    (voice,) = pin(held, owner, wish).values()
    audio_s = found.characters / batching.CHARACTERS_PER_S / wish.prosody.speed
    compute_s = audio_s * voice.rtf
    children = max(1, held.farm.ledger.slots(voice.family))
    language = wish.language or tongues.said(found.language)
    unknown = sorted(found.voices - held.studio.voices(owner).keys())
    return records.Estimate(
        kind=wish.kind,
        title=wish.title or found.title,
        author=found.author,
        voice=voice.id,
        items=found.items,
        chapters=[records.Chapter(**vars(chapter)) for chapter in found.chapters],
        characters=found.characters,
        audio_s=round(audio_s, 1),
        compute_s=round(compute_s, 1),
        wait_s=round(compute_s / children, 1),
        warnings=[
            *found.warnings,
            *(f"unknown voice {name!r}" for name in unknown),
            *read_lexicons(wish).unheard({language or voice.language}),
            *_unspoken(wish, found, voice),
        ],
    )


def _unspoken(wish: Wish, found: Survey, voice: Voice) -> list[str]:
    """Say what the voice does not speak: language or script of the whole, languages of parts."""
    try:
        usual = tongues.of_text(voice, wish.language, found.language) or voice.language
    except UnknownVoice as error:
        return [str(error)]
    told: dict[str, None] = {}
    if scripts.foreign(found.sample, usual):
        told[f"it is not in the script of its language {usual!r}: choose a voice of its own"] = None
    for language in sorted(found.parts) if not wish.language else ():
        try:
            tongues.of_part(voice, usual, language)
        except UnknownVoice as error:
            told[str(error)] = None
    return list(told)[:SHOWN]
