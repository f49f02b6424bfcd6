"""Piper voices (`.onnx` + `.onnx.json`), spoken through piper-tts's own phonemiser.

The graph (OHF-Voice/piper1-gpl, `export_onnx.py`): `input` int64 [1, T] phoneme ids,
`input_lengths` int64 [1], `scales` float32 [3] = noise, length, noise of durations, `sid`
int64 [1] where there are several speakers; the first output is the signal. Frames per phoneme id
are the second output, or those of the graph's one `Ceil` node, which is made an output in memory.

A batch is spoken one segment after another: on a CPU a padded batch costs three times as much.

Determinism: graphs without random nodes (the farm's own voice) give samples that are a function
of the segment. VITS graphs draw noise from a generator inside the session, seeded when the
session is made and moved on by each run (`onnxruntime.set_seed` does not reach it later): with
noise parameters above 0 the same segment differs from run to run, and the first stored wins.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from piper.config import PiperConfig
from piper.const import PAD
from piper.patch_voice_with_alignment import add_alignment_output
from piper.voice import PiperVoice

from farm.audio import Audio, Samples, Timing
from farm.engines.base import Engine
from farm.engines.sessions import mapped, open_session
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice


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
        path = folder / _file(voice, "model")
        self._voice = voice
        self._session = open_session(graph(path), f"voice {voice.id!r}", device, voice.parameters)
        self._chooses_speaker = "sid" in {each.name for each in self._session.get_inputs()}
        self._piper = PiperVoice(self._session, self._config, download_dir=folder)
        self._symbols = _symbols(self._config.phoneme_id_map)
        self._phonemes("a")

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak the segments in order; see `Engine.speak`."""
        return [self._speak(segment) for segment in segments]

    def _speak(self, segment: Segment) -> Audio:
        phonemes, missing = self._pronounced(segment.text)
        feeds = self._feeds(phonemes, segment.prosody)
        with mapped(f"cannot speak {segment.text!r}"):
            signal, *others = self._session.run(None, feeds)
        samples = np.asarray(signal, np.float32).reshape(-1)
        if not np.isfinite(samples).all():
            raise EngineError(f"the model gave no finite signal for {segment.text!r}")
        timings = self._timings(feeds["input"][0].tolist(), others)
        if timings:
            samples = _cut(samples, sum(timing.samples for timing in timings), segment.text)
        gain = np.float32(10 ** (segment.prosody.volume / 20))
        warnings = tuple(f"the voice lacks {symbol!r}" for symbol in missing)
        return Audio(np.clip(samples * gain, -1, 1), self.sample_rate, timings, warnings)

    def _feeds(self, phonemes: list[str], prosody: Prosody) -> dict[str, NDArray[Any]]:
        ids = self._piper.phonemes_to_ids(phonemes)
        feeds: dict[str, NDArray[Any]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": self._scales(prosody),
        }
        speaker = self._speaker(prosody.speaker)
        if self._chooses_speaker:
            feeds["sid"] = np.array([speaker], np.int64)
        return feeds

    def _pronounced(self, text: str) -> tuple[list[str], list[str]]:
        """Phonemes of a text that the voice has, in order, and those that it lacks, each once."""
        phonemes = self._phonemes(text)
        known = [symbol for symbol in phonemes if symbol in self._config.phoneme_id_map]
        if not any(unicodedata.category(symbol[0])[0] in "LN" for symbol in known):
            raise EngineError(f"nothing to pronounce in {text!r}")
        return known, sorted(set(phonemes) - set(known))

    def _phonemes(self, text: str) -> list[str]:
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

    def _scales(self, prosody: Prosody) -> NDArray[np.float32]:
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
        return np.array([noise, length, noise_w], np.float32)

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

    def _timings(self, ids: Sequence[int], outputs: Sequence[Any]) -> tuple[Timing, ...]:
        """One timing per phoneme: what follows from padding counts to the phoneme before it."""
        frames = [each for each in outputs if each.ndim > 1 and each.size == len(ids)]
        if not frames:
            return ()
        samples = np.rint(frames[0].reshape(-1) * self._config.hop_length).astype(int).tolist()
        timings: list[Timing] = []
        for number, length in zip(ids, samples, strict=True):
            symbol = self._symbols.get(number, PAD)
            if symbol == PAD and timings:
                timings[-1] = Timing(timings[-1].symbol, timings[-1].samples + length)
            else:
                timings.append(Timing(symbol, length))
        return tuple(timings)


def graph(path: Path) -> bytes:
    """Read a model and make its durations an output, where it has them and none is yet.

    Raises:
        EngineError: there is no such file, or it is no ONNX graph with Piper's inputs.
    """
    try:
        model = onnx.load(path)
    except (OSError, ValueError, DecodeError) as error:
        raise EngineError(f"{str(path)!r} is no ONNX model: {error}") from error
    inputs = {each.name for each in model.graph.input}
    inputs -= {each.name for each in model.graph.initializer}
    if inputs - {"sid"} != {"input", "input_lengths", "scales"}:
        raise EngineError(
            f"{str(path)!r} is no Piper voice: its inputs are {sorted(inputs)}, "
            "not input, input_lengths, scales and perhaps sid"
        )
    if len(model.graph.output) == 1:
        with suppress(ValueError):  # no Ceil node, or several: a voice without timings
            add_alignment_output(model)
    content: bytes = model.SerializeToString()
    return content


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


def _cut(samples: Samples, length: int, text: str) -> Samples:
    if len(samples) < length:
        raise EngineError(
            f"the durations of {text!r} say {length} samples, the model gave {len(samples)}: "
            "check hop_length in its config"
        )
    return samples[:length]
