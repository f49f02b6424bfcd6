"""Piper voices (`.onnx` + `.onnx.json`), spoken through piper-tts's own phonemiser.

The graph is cut in three at load (`farm.engines.split`): noise is drawn from the segment's
digest, so the same segment has the same samples in any company, and timings of phonemes come
with it. What cannot be cut runs whole (`farm.engines.piper_whole`): with random nodes inside, the
same segment then differs from run to run, the first stored wins, and the log says so at load.
"""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from piper.config import PhonemeType, PiperConfig
from piper.const import PAD
from piper.voice import PiperVoice

from farm.audio import Audio, Timing
from farm.engines.base import Engine
from farm.engines.piper_whole import Whole
from farm.engines.split import Reading, Split, Uncut, Utterance, seed
from farm.errors import EngineError
from farm.jobs import Phones, Prosody, Segment, Voice
from farm.phonemes import ipa

_LOGGER = logging.getLogger(__name__)

#: Folder of the parts of a cut model, within the voice's own.
_PARTS = ".split"


class Piper(Engine):
    """One Piper voice on one device."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        """Load model and config; see `Engine.__init__`."""
        self._config = _config(folder / _file(voice, "config"))
        self.sample_rate = self._config.sample_rate
        if self.sample_rate != voice.sample_rate:
            raise EngineError(
                f"voice {voice.id!r} says {voice.sample_rate} Hz but its config "
                f"{self.sample_rate} Hz: pin the voice again"
            )
        self._voice = voice
        self._model = _opened(voice, folder, device, self._config.hop_length)
        self.decoding = self._model.decoding
        others = set(self._model.extra) - {"sid"}
        if others:
            raise EngineError(f"voice {voice.id!r} is no Piper voice: it takes {sorted(others)}")
        # It only turns text into phonemes and phonemes into ids: it needs no session.
        self._piper = PiperVoice(None, self._config, download_dir=folder)
        self.reads_ipa = self._config.phoneme_type == PhonemeType.ESPEAK
        self._symbols = _symbols(self._config.phoneme_id_map)
        self._phonemes("a")

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak the segments in order; see `Engine.speak`."""
        lines = [self._pronounced(segment) for segment in segments]
        utterances = [
            self._utterance(phonemes, segment)
            for (phonemes, _), segment in zip(lines, segments, strict=True)
        ]
        readings = self._model.speak(utterances)
        return [
            self._audio(utterance, reading, segment, missing)
            for utterance, reading, segment, (_, missing) in zip(
                utterances, readings, segments, lines, strict=True
            )
        ]

    def stream(self, segment: Segment) -> Iterator[Audio]:
        """Speak a segment window by window; see `Engine.stream`."""
        phonemes, missing = self._pronounced(segment)
        utterance = self._utterance(phonemes, segment)
        for reading in self._model.stream(utterance):
            yield replace(self._audio(utterance, reading, segment, missing), timings=())

    def _pronounced(self, segment: Segment) -> tuple[list[str], list[str]]:
        """Phonemes of a text that the voice has, in order, and those that it lacks, each once."""
        spoken, own = segment.language or self._voice.language, self._voice.language
        if _primary(spoken) != _primary(own):
            raise EngineError(f"voice {self._voice.id!r} speaks {own!r}, not {spoken!r}")
        phonemes = self._phonemes(segment.text, segment.phones if self.reads_ipa else ())
        known = [symbol for symbol in phonemes if symbol in self._config.phoneme_id_map]
        if not any(unicodedata.category(symbol[0])[0] in "LN" for symbol in known):
            raise EngineError(f"nothing to pronounce in {segment.text!r}")
        return known, sorted(set(phonemes) - set(known))

    def _utterance(self, phonemes: list[str], segment: Segment) -> Utterance:
        noise, length, noise_w = self._scales(segment.prosody)
        speaker = np.array(self._speaker(segment.prosody.speaker))
        return Utterance(
            np.array(self._piper.phonemes_to_ids(phonemes), np.int64),
            seed(segment.digest),
            noise,
            length,
            noise_w,
            {"sid": speaker} if self._model.extra else {},
        )

    def _audio(
        self, utterance: Utterance, reading: Reading, segment: Segment, missing: Sequence[str]
    ) -> Audio:
        gain = np.float32(10 ** (segment.prosody.volume / 20))
        return Audio(
            np.clip(reading.samples * gain, -1, 1),
            self.sample_rate,
            self._timings(utterance.ids, reading.frames),
            tuple(f"the voice lacks {symbol!r}" for symbol in missing),
        )

    def _phonemes(self, text: str, phones: Sequence[Phones] = ()) -> list[str]:
        """Phonemes of a text, and of parts of it those that are given."""
        clusters = map("".join, self._config.vowel_clusters or ())
        return ipa.spliced(ipa.inlined(text, phones), self._phonemised, clusters)

    def _phonemised(self, text: str) -> list[str]:
        """Phonemes of a text; sentences that espeak sees in it are joined by a space."""
        try:
            # Piper takes `[[...]]` for phonemes; in a book it is text like any other.
            sentences = self._piper.phonemize(text.replace("[[", "[ ["))
        except (RuntimeError, ValueError, ImportError) as error:
            raise EngineError(f"cannot turn {text!r} into phonemes: {error}") from error
        joined: list[str] = []
        for sentence in filter(None, sentences):
            joined += [" ", *sentence] if joined else sentence
        return joined

    def _scales(self, prosody: Prosody) -> tuple[float, float, float]:
        """Return the scales of noise, length and the noise of durations."""
        if prosody.pitch:
            raise EngineError(
                f"engine 'piper' cannot change the pitch (asked for {prosody.pitch!r} semitones): "
                "leave it at 0"
            )
        if prosody.energy != 1:
            raise EngineError(
                f"engine 'piper' cannot change the energy (asked for {prosody.energy!r}): "
                "leave it at 1"
            )
        if prosody.speed <= 0:
            raise EngineError(f"speed {prosody.speed!r} is not valid: it must be above 0")
        given, config = self._voice.parameters, self._config
        length = float(given.get("length_scale", config.length_scale)) / prosody.speed
        noise = float(given.get("noise_scale", config.noise_scale))
        noise_w = float(given.get("noise_w", config.noise_w_scale))
        return noise, length, noise_w

    def _speaker(self, name: str) -> int:
        config = self._config
        name = name or str(self._voice.parameters.get("speaker", ""))
        names = dict(config.speaker_id_map)
        if config.num_speakers > 1 and not names:
            names = {str(number): number for number in range(config.num_speakers)}
        if not name:
            return config.default_speaker_id
        if name not in names:
            choices = ", ".join(sorted(names)) or "none, it has a single voice"
            raise EngineError(
                f"voice {self._voice.id!r} has no speaker {name!r}; its speakers: {choices}"
            )
        return names[name]

    def _timings(self, ids: NDArray[np.int64], frames: NDArray[np.int64]) -> tuple[Timing, ...]:
        """One timing per phoneme: what follows from padding counts to the phoneme before it."""
        timings: list[Timing] = []
        samples = (frames * self._model.hop).tolist()
        for number, length in zip(ids.tolist() if samples else (), samples, strict=True):
            symbol = self._symbols.get(number, PAD)
            if symbol == PAD and timings:
                timings[-1] = Timing(timings[-1].symbol, timings[-1].samples + length)
            else:
                timings.append(Timing(symbol, length))
        return tuple(timings)


def _opened(voice: Voice, folder: Path, device: str, hop: int) -> Split | Whole:
    """Open a voice's model cut in three, or whole with a warning where it then draws noise."""
    model, what = folder / _file(voice, "model"), f"voice {voice.id!r}"
    try:
        return Split(model, what, device, voice.parameters, folder / _PARTS)
    except Uncut as reason:
        whole = Whole(model, what, device, voice.parameters, hop)
        if whole.noisy:
            _LOGGER.warning(
                "%s runs whole and is not deterministic: the same text sounds different each "
                "time unless its noise scales are 0. Its graph cannot be cut: %s",
                what,
                reason,
            )
        return whole


def _file(voice: Voice, role: str) -> str:
    if role not in voice.files:
        raise EngineError(f"voice {voice.id!r} names no {role!r} file; it has {[*voice.files]}")
    return voice.files[role]


def _config(path: Path) -> PiperConfig:
    try:
        return PiperConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else error
        raise EngineError(f"{str(path)!r} is no Piper config: {reason}") from error


def _symbols(id_map: Mapping[str, Sequence[int]]) -> dict[int, str]:
    """Phoneme id to its symbol; further ids of one symbol count as padding after it."""
    return {ids[0]: symbol for symbol, ids in id_map.items() if ids}


def _primary(tag: str) -> str:
    """The language of a BCP 47 tag, without region or script."""
    return tag.replace("_", "-").partition("-")[0].lower()
