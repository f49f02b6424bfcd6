"""VITS voices of transformers (MMS), Coqui, sherpa-onnx and Piper, told apart by their content.

How a voice is spoken to (token ids, languages, speakers, sample rate) is its dialect
(`farm.engines.dialects`); the graph is cut in three at load (`farm.engines.split`), so noise is
drawn from the segment's digest and timings come with the signal. Of Piper's signature, one that
draws no noise runs whole (`farm.engines.piper_whole`). Any other that cannot be cut is refused.

Roles of files: `model`, and what the dialect wants: `config`, `vocab`, `tokenizer` (transformers),
`config`, `speakers`, `languages` (Coqui), `tokens`, `lexicon`, `speakers` (sherpa-onnx), `config`
(Piper). Parameters: `noise_scale`, `length_scale`, `noise_w`, `speaker`, `window`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from farm.audio import Audio
from farm.engines import dialects
from farm.engines.base import Engine
from farm.engines.dialects import Dialect, Tokens, languages
from farm.engines.dialects.base import timings
from farm.engines.piper_whole import Whole
from farm.engines.split import Reading, Split, Uncut, Utterance, has_noise, read, seed
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice
from farm.phonemes import ipa

#: Folder of the parts of a cut model, within the voice's own.
_PARTS = ".split"

_SPEAKERS = {"sid", "speaker", "speaker_id"}
_LANGUAGES = {"langid", "language_id"}


class Vits(Engine):
    """One VITS voice on one device."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        """Read the voice's dialect and open its graph; see `Engine.__init__`."""
        self._voice, self._what = voice, f"voice {voice.id!r}"
        roles = {role: folder / name for role, name in voice.files.items()}
        self._dialect = dialects.read(self._what, roles)
        self.sample_rate = self._dialect.sample_rate
        self.reads_ipa = self._dialect.reads_ipa
        if self.sample_rate != voice.sample_rate:
            raise EngineError(
                f"{self._what} says {voice.sample_rate} Hz but its model {self.sample_rate} Hz: "
                "pin the voice again"
            )
        self._model = _opened(
            roles["model"], self._what, device, voice.parameters, folder / _PARTS, self._dialect
        )
        self.decoding = self._model.decoding
        if others := sorted(set(self._model.extra) - _SPEAKERS - _LANGUAGES):
            raise EngineError(f"{self._what} wants {', '.join(others)}, which are not known")
        # Loads what the first text would wait for, and says now what is not installed.
        self._dialect.tokenise("a", next(iter(self._dialect.languages), ""))

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak the segments in order; see `Engine.speak`."""
        texts = [self._tokens(segment) for segment in segments]
        utterances = [
            self._utterance(tokens, segment)
            for tokens, segment in zip(texts, segments, strict=True)
        ]
        return [
            self._audio(tokens, reading, segment)
            for tokens, reading, segment in zip(
                texts, self._model.speak(utterances), segments, strict=True
            )
        ]

    def stream(self, segment: Segment) -> Iterator[Audio]:
        """Speak a segment window by window; see `Engine.stream`."""
        tokens = self._tokens(segment)
        for reading in self._model.stream(self._utterance(tokens, segment)):
            yield replace(self._audio(tokens, reading, segment), timings=())

    def _tokens(self, segment: Segment) -> Tokens:
        text = ipa.inlined(segment.text, segment.phones if self.reads_ipa else ())
        tokens = self._dialect.tokenise(text, self._language(segment.language))
        if not tokens.heard:
            lacks = f"; the voice lacks {', '.join(tokens.missing)}" if tokens.missing else ""
            raise EngineError(f"nothing to pronounce in {segment.text!r}{lacks}")
        return tokens

    def _utterance(self, tokens: Tokens, segment: Segment) -> Utterance:
        noise, length, noise_w = self._scales(segment.prosody)
        speaker = self._speaker(segment.prosody.speaker)
        own = self._dialect.languages
        language = own.index(self._language(segment.language)) if own else 0
        return Utterance(
            np.array(tokens.ids, np.int64),
            seed(segment.digest),
            noise,
            length,
            noise_w,
            {
                name: np.array(speaker if name in _SPEAKERS else language, np.int64)
                for name in self._model.extra
            },
        )

    def _audio(self, tokens: Tokens, reading: Reading, segment: Segment) -> Audio:
        gain = np.float32(10 ** (segment.prosody.volume / 20))
        # A graph that runs whole may keep its durations to itself.
        symbols = tokens.symbols if len(reading.frames) else ()
        return Audio(
            np.clip(reading.samples * gain, -1, 1),
            self.sample_rate,
            timings(symbols, (reading.frames * self._model.hop).tolist()),
            tuple(f"the voice lacks {symbol!r}" for symbol in tokens.missing),
        )

    def _scales(self, prosody: Prosody) -> tuple[float, float, float]:
        """Return the scales of noise, length and the noise of durations."""
        if prosody.pitch:
            raise EngineError(
                f"engine 'vits' cannot change the pitch (asked for {prosody.pitch!r} semitones): "
                "leave it at 0"
            )
        if prosody.energy != 1:
            raise EngineError(
                f"engine 'vits' cannot change the energy (asked for {prosody.energy!r}): "
                "leave it at 1"
            )
        if prosody.speed <= 0:
            raise EngineError(f"speed {prosody.speed!r} is not valid: it must be above 0")
        noise = self._scale("noise_scale", self._model.baked.noise, self._dialect.noise)
        length = self._scale("length_scale", self._model.baked.length, self._dialect.length)
        noise_w = self._scale("noise_w", self._model.baked.noise_w, self._dialect.noise_w)
        return noise, length / prosody.speed, noise_w

    def _scale(self, name: str, baked: float | None, default: float) -> float:
        return float(self._voice.parameters.get(name, default if baked is None else baked))

    def _language(self, spoken: str) -> str:
        """The model's own name of a language, or raise `EngineError`."""
        own, voice = self._dialect.languages, self._voice.language
        asked = spoken or voice
        chosen = languages.choose(asked, own if len(own) > 1 else (voice,), self._what)
        return chosen if len(own) > 1 else next(iter(own), "")

    def _speaker(self, name: str) -> int:
        known = self._dialect.speakers
        name = name or str(self._voice.parameters.get("speaker", ""))
        if not name:
            return min(known.values(), default=0)
        numbers = {str(number) for number in known.values()}
        if name not in known and name not in numbers:
            choices = ", ".join(known) or "none, it has a single voice"
            raise EngineError(f"{self._what} has no speaker {name!r}; its speakers: {choices}")
        return known[name] if name in known else int(name)


def _opened(
    model: Path,
    what: str,
    device: str,
    parameters: Mapping[str, float | int | str],
    cache: Path,
    dialect: Dialect,
) -> Split | Whole:
    """Open a model cut in three; whole where it is Piper's and draws no noise."""
    try:
        return Split(model, what, device, parameters, cache)
    except Uncut:
        if dialect.name != "piper" or has_noise(read(model)):
            raise
        return Whole(model, what, device, parameters, dialect.hop)
