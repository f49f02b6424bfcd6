"""Text to ids for FastSpeech 2 voices: by Coqui's config, Piper's, or a map of symbols.

A map (file `phones`) is PaddleSpeech's `phone_id_map.txt`. What its symbols are follows from the
voice's language: Mandarin (with English where the map has ARPAbet) or English. The parameter
`alphabet: symbols` says that texts are written in the map's symbols, parted by spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from farm.engines.dialects import coqui, languages, piper
from farm.engines.dialects.base import Dialect, Files, Tokens, encode
from farm.errors import EngineError
from farm.jobs import Voice
from farm.phonemes import Pronunciation, paddle

#: Language to what turns its text into PaddleSpeech's symbols.
_PADDLE: Mapping[str, Callable[[str, Mapping[str, int]], Pronunciation]] = {
    "zh": paddle.mandarin,
    "en": paddle.english,
}


def read(voice: Voice, folder: Path) -> Dialect:
    """Find out how a voice wants its texts.

    Raises:
        EngineError: no file says it, or one is not what its role says.
    """
    roles = {role: folder / name for role, name in voice.files.items()}
    # As if the graph took a speaker: whether it does, the engine knows.
    files = Files(f"voice {voice.id!r}", roles, ("sid",), {})
    if "phones" in roles:
        return _by_map(voice, paddle.read_map(roles["phones"]), _speakers(roles))
    if "config" not in roles:
        raise EngineError(
            f"voice {voice.id!r} has neither 'phones' (phone_id_map.txt) nor 'config' (Coqui's or "
            f"Piper's JSON), which say its symbols; it names {', '.join(sorted(roles))}"
        )
    config = files.json("config", "")
    try:
        return piper.read(files) if "phoneme_id_map" in config else coqui.read(files)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else error
        raise EngineError(
            f"voice {voice.id!r}: {str(roles['config'])!r} is not what was expected: {reason}"
        ) from error


def language(dialect: Dialect, voice: Voice, asked: str) -> str:
    """Return the dialect's name of a language (BCP 47; empty: the voice's own).

    Raises:
        EngineError: the voice does not speak it.
    """
    own = dialect.languages
    known = own if len(own) > 1 else (voice.language,)
    chosen = languages.choose(asked or voice.language, known, f"voice {voice.id!r}")
    return chosen if len(own) > 1 else next(iter(own), "")


def _by_map(voice: Voice, known: Mapping[str, int], speakers: Mapping[str, int]) -> Dialect:
    alphabet = str(voice.parameters.get("alphabet", "paddle"))
    own = voice.language.partition("-")[0].lower()
    spoken = (own, "en") if own == "zh" and paddle.is_mixed(known) else (own,)
    if alphabet not in ("paddle", "symbols"):
        raise EngineError(
            f"voice {voice.id!r}: unknown alphabet {alphabet!r}: choose 'paddle' or 'symbols'"
        )
    if alphabet == "paddle" and own not in _PADDLE:
        raise EngineError(
            f"voice {voice.id!r}: there is no front end for a map of {voice.language!r}: known are "
            f"{', '.join(_PADDLE)}; or write texts in its symbols (parameter alphabet: symbols)"
        )

    def tokenise(text: str, language: str) -> Tokens:
        if alphabet == "symbols":
            return encode(text.split(), known)
        # A mixed map's Mandarin front end reads English words too.
        front_end = _PADDLE[own if len(spoken) > 1 else language]
        said = front_end(text, known)
        tokens = encode(said.symbols, known)
        missing = tuple(dict.fromkeys([*said.missing, *tokens.missing]))
        return Tokens(tokens.ids, tokens.symbols, missing)

    return Dialect("paddle", voice.sample_rate, tokenise, spoken, speakers=speakers)


def _speakers(roles: Mapping[str, Path]) -> Mapping[str, int]:
    return paddle.read_map(roles["speakers"]) if "speakers" in roles else {}
