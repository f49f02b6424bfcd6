"""Piper's own exports, with the `.onnx.json` that piper.train writes (role `config`).

Inputs `input`, `input_lengths`, `scales` and perhaps `sid`. Ids are those of
`piper.phoneme_ids.phonemes_to_ids` (OHF-Voice/piper1-gpl). Voices of plain text and of espeak-ng's
phonemes are read; other alphabets (pinyin, ...) belong to the engine `piper`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from farm.engines.dialects.base import Dialect, Files, Tokens, encode, framed, numbered, spaced
from farm.errors import EngineError
from farm.phonemes import espeak

INPUTS = {"input", "input_lengths", "scales"}

#: Symbols that every Piper voice has: padding, begin and end.
PAD, BEGIN, END = "_", "^", "$"

_KINDS = ("espeak", "text")


def read(files: Files) -> Dialect:
    """Read a Piper voice, or raise `EngineError`."""
    config = files.json("config", "Piper's .onnx.json")
    kind = config.get("phoneme_type", "espeak")
    if kind not in _KINDS:
        raise EngineError(f"{files.what} wants {kind!r} phonemes: give it the engine 'piper'")
    voice = config.get("espeak", {}).get("voice", "")
    table = config["phoneme_id_map"]
    count = int(config.get("num_speakers", 1))
    scales = config.get("inference", {})
    return Dialect(
        name="piper",
        sample_rate=int(config.get("audio", {}).get("sample_rate", 0)),
        tokenise=lambda text, _: tokens(text, voice if kind == "espeak" else "", table),
        languages=(config.get("language", {}).get("code") or voice,),
        reads_ipa=kind == "espeak",
        speakers=config.get("speaker_id_map") or (numbered(count) if count > 1 else {}),
        hop=int(config.get("hop_length", 256)),
        noise=float(scales.get("noise_scale", 0.667)),
        length=float(scales.get("length_scale", 1)),
        noise_w=float(scales.get("noise_w", 0.8)),
    )


def tokens(text: str, voice: str, table: Mapping[str, Sequence[int]]) -> Tokens:
    """Number a text's phonemes (no voice: its code points), padding after each but the end."""
    known = {symbol: ids[0] for symbol, ids in table.items() if ids}
    symbols = espeak.symbols(text, voice).symbols if voice else unicodedata.normalize("NFD", text)
    coded = spaced(encode(symbols, known), known[PAD])
    return framed(coded, known[BEGIN], known[END])
