"""MMS and other VITS voices of transformers (`VitsModel`), exported as optimum does.

Inputs `input_ids`, `attention_mask`; beside the model lie `config.json` (role `config`: sample
rate, noise), `vocab.json` (role `vocab`) and `tokenizer_config.json` (role `tokenizer`). Ids are
those of `VitsTokenizer` (transformers, `models/vits/tokenization_vits.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from farm.engines.dialects.base import Dialect, Files, Tokens, encode, joined, spaced
from farm.engines.dialects.phonemes import BRACKETS, MARKS, ipa
from farm.engines.dialects.romanising import romanise

INPUTS = {"input_ids", "attention_mask"}

#: What the tokenizer phonemises in, whatever its language says.
_ESPEAK_VOICE = "en-us"


def read(files: Files) -> Dialect:
    """Read a transformers voice, or raise `EngineError`."""
    config = files.json("config", "transformers' config.json, which has its sample rate")
    settings = files.json("tokenizer", "transformers' tokenizer_config.json")
    vocabulary = files.json("vocab", "transformers' vocab.json, which has its token ids")
    tokeniser = _Tokeniser(vocabulary, settings)
    language = settings.get("language") or ("en" if tokeniser.phonemize else "")
    return Dialect(
        name="mms",
        sample_rate=int(config.get("sampling_rate", 0)),
        tokenise=lambda text, _: tokeniser(text),
        languages=(language,) if language else (),
        reads_ipa=tokeniser.phonemize,
        noise=float(config.get("noise_scale", 0.667)),
        length=1 / float(config.get("speaking_rate", 1)),
        noise_w=float(config.get("noise_scale_duration", 0.8)),
    )


class _Tokeniser:
    def __init__(self, vocabulary: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self._ids = {symbol: int(number) for symbol, number in vocabulary.items()}
        self._language = settings.get("language")
        self._spaced = bool(settings.get("add_blank", True))
        self._normalised = bool(settings.get("normalize", True))
        self._uroman = bool(settings.get("is_uroman", False))
        self.phonemize = bool(settings.get("phonemize", True))
        pad = settings.get("pad_token", "<pad>")
        self._pad = pad if pad in self._ids else ""

    def __call__(self, text: str) -> Tokens:
        written = self._written(text)
        kept = written
        if self.phonemize:
            written = kept = re.sub(r"\s+", " ", ipa(written, _ESPEAK_VOICE, MARKS + BRACKETS))
        elif self._normalised:
            kept = "".join(each for each in written if each in self._ids).strip()
        tokens = joined(map(self._part, self._parts(kept)))
        return Tokens(tokens.ids, tokens.symbols, encode(written, self._ids).missing)

    def _written(self, text: str) -> str:
        """The text in the case, the letters and the script of the vocabulary."""
        if self._normalised:
            text = "".join(each if each in self._ids else each.lower() for each in text)
        if self._language == "ron":
            # Comma below is what Romanians write, cedilla what the voice was trained on.
            text = text.replace("ț", "ţ")
        return romanise(text) if self._uroman and not text.isascii() else text

    def _parts(self, text: str) -> list[str]:
        """Cut a text at the padding symbol, which may be a letter: it stands without blanks."""
        if not self._pad:
            return [text]
        return [part for part in re.split(f"({re.escape(self._pad)})", text) if part]

    def _part(self, text: str) -> Tokens:
        tokens = encode(text, self._ids)
        if not self._spaced or text == self._pad:
            return tokens
        return spaced(tokens, 0)
