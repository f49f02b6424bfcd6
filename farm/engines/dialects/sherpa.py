"""Voices in sherpa-onnx's form: metadata in the graph, tokens.txt, perhaps lexicon.txt.

Inputs `x, x_length, noise_scale, length_scale, noise_scale_w` and perhaps `sid`; icefall's names
for the same; or Coqui's and Piper's. Roles `tokens`, `lexicon`, and `speakers`: a JSON object of
names, which sherpa-onnx itself does not have. Which front end a voice wants follows from its
metadata alone, by the rules of `csrc/offline-tts-vits-impl.h` (`InitFrontend`); the ids are those
of that front end for all sentences of the text, one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from farm.engines.dialects import frontends, tables
from farm.engines.dialects.base import Dialect, Files, Tokens, joined, numbered, spaced
from farm.engines.dialects.piper import tokens as piper_tokens
from farm.errors import EngineError

#: Metadata that every one of these voices has.
MARKS = ("sample_rate", "n_speakers")

_SPEAKER_INPUTS = {"sid", "speaker"}

#: Exporters whose voices espeak-ng phonemises for, as the metadata's comment names them.
_PHONEMISED = ("piper", "coqui", "icefall")


def read(files: Files) -> Dialect:
    """Read a voice in sherpa-onnx's form, or raise `EngineError`."""
    spoken = files.metadata.get("voice") or files.metadata.get("language", "")
    return Dialect(
        name="sherpa",
        sample_rate=_number(files, "sample_rate"),
        tokenise=_tokeniser(files),
        languages=tuple(each.strip() for each in spoken.split("+") if each.strip()),
        reads_ipa=_by_espeak(files),
        speakers=_speakers(files) if _SPEAKER_INPUTS & set(files.inputs) else {},
    )


def _tokeniser(files: Files) -> Callable[[str, str], Tokens]:
    says, known = files.metadata, tables.tokens(files)
    if "melo" in says.get("comment", ""):
        raise EngineError(f"{files.what} is a MeloTTS voice, which wants tones: not supported")
    if says.get("frontend") == "characters":
        return _each(frontends.characters(known, _numbers(files)))
    blank = 0 if _number(files, "add_blank") else None
    if _number(files, "jieba") or _number(files, "has_g2pw"):
        lexicon = tables.lexicon(files, frontends.aliased(known))
        return _each(frontends.phrases(known, lexicon, bool(_number(files, "has_g2pw"))), blank)
    if _by_espeak(files):
        return _espeak(files, known)
    lexicon = tables.lexicon(files, known)
    marks = frozenset(says.get("punctuation", "").split(" "))
    kind = frontends.mandarin if says.get("language", "").lower() == "chinese" else frontends.words
    return _each(kind(known, lexicon, marks), blank)


def _by_espeak(files: Files) -> bool:
    """Whether espeak-ng phonemises for a voice."""
    numbers = any(_number(files, name) for name in ("jieba", "has_g2pw"))
    spelled = files.metadata.get("frontend") == "characters" or "lexicon" in files.roles
    named = any(name in files.metadata.get("comment", "") for name in _PHONEMISED)
    return named and not (numbers or spelled)


def _espeak(files: Files, known: Mapping[str, int]) -> Callable[[str, str], Tokens]:
    voice = files.metadata.get("voice", "")
    if not voice:
        raise EngineError(f"{files.what} has no lexicon and its metadata no espeak-ng 'voice'")
    if "coqui" in files.metadata.get("comment", ""):
        return lambda text, _: frontends.coqui(text, voice, known, _numbers(files))
    table = {symbol: (number,) for symbol, number in known.items()}
    return lambda text, _: piper_tokens(text, voice, table)


def _each(
    sentences: Callable[[str], Iterator[Tokens]], blank: int | None = None
) -> Callable[[str, str], Tokens]:
    """Join the sentences of a front end, each between blanks where the voice wants them."""

    def tokenise(text: str, _: str) -> Tokens:
        parts = list(sentences(text))
        if blank is not None:
            parts = [spaced(part, blank) if part.ids else part for part in parts]
        return joined(parts)

    return tokenise


def _numbers(files: Files) -> frontends.Numbers:
    return frontends.Numbers(
        blank=_number(files, "blank_id") if _number(files, "add_blank") else None,
        begin=_number(files, "bos_id") if _number(files, "use_eos_bos", 1) else None,
        end=_number(files, "eos_id") if _number(files, "use_eos_bos", 1) else None,
    )


def _number(files: Files, name: str, default: int = 0) -> int:
    text = files.metadata.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise EngineError(f"{files.what}: its metadata {name!r} is {text!r}, no number") from error


def _speakers(files: Files) -> dict[str, int]:
    if "speakers" in files.roles:
        return {name: int(number) for name, number in files.json("speakers", "").items()}
    return numbered(max(1, _number(files, "n_speakers")))
