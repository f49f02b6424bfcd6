"""Zero-shot voices in ONNX, spoken without torch.

Two kinds of files, both with `config` (config.json; see `farm.export.yourtts`):

* an exported YourTTS: `model` (text, d-vector, language -> signal), cut in three at load
  (`farm.engines.split`), so that noise is a function of the segment;
* a pair: `model` (text, d-vector -> mel) and `vocoder` (mel -> signal), without noise.

`encoder` (recording -> d-vector) clones. Whose voice it is: the speaker a segment names, else
`d_vector` (.npy), else `reference` (`reference_2`, ...), embedded once and kept, else the parameter
`speaker`. Sizes, rates, alphabet and languages are the config's.

Parameters: `noise_scale`, `length_scale`, `noise_w` in place of the config's; `batched: 1` speaks
a batch in one pass on a CPU too, where padding costs more than batching saves; those of sessions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from farm.audio import Audio, Samples
from farm.engines.base import Engine
from farm.engines.cloning import characters, phonemes
from farm.engines.cloning.embedding import SpeakerEncoder
from farm.engines.cloning.pair import Pair
from farm.engines.cloning.script import Line, Scales, Script, Speller, cast, check_rate, file
from farm.engines.cloning.speakers import DVector
from farm.engines.split import Split, Uncut, Utterance, seed
from farm.errors import EngineError
from farm.jobs import Segment, Voice

#: Folder of the parts of a cut model, within the voice's own.
_PARTS = ".split"


class YourTtsOnnx(Engine):
    """One zero-shot voice on one device."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        """Load graphs, config and the voice's d-vector; see `Engine.__init__`."""
        self._voice, self._folder, self._device = voice, folder, device
        path = file(voice, folder, "config")
        try:
            self._config = json.loads(path.read_text(encoding="utf-8"))
            self._script = self._read(self._config)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"no field {error}" if isinstance(error, KeyError) else error
            raise EngineError(f"{str(path)!r} is no config of a voice: {reason}") from error
        self.sample_rate = voice.sample_rate
        self.reads_ipa = self._script.speller.reads_ipa
        self.speakers = self._script.speakers
        self._model = self._opened()
        self.decoding = self._model.decoding

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak the segments in order; see `Engine.speak`."""
        lines = [self._script.line(segment) for segment in segments]
        readings = self._model.speak([self._utterance(line) for line in lines])
        return [
            self._script.audio(line, reading.samples, reading.frames)
            for line, reading in zip(lines, readings, strict=True)
        ]

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        """Return the d-vector of a reference recording: float32, of shape (size,).

        Raises:
            EngineError: the voice has no speaker encoder, or the recording no speech.
        """
        return self._encoder.embed(samples, sample_rate)

    @cached_property
    def _encoder(self) -> SpeakerEncoder:
        path = file(self._voice, self._folder, "encoder")
        rate = int(self._config["d_vector"]["sample_rate"])
        return SpeakerEncoder(path, rate, self._device, self._voice.parameters)

    def _read(self, config: Mapping[str, Any]) -> Script:
        check_rate(self._voice, int(config["audio"]["sample_rate"]))
        size = int(config["d_vector"]["size"])
        given = config["inference"]
        scales = Scales(given["noise_scale"], given["length_scale"], given["noise_w"])
        return Script(
            self._voice,
            _speller(config),
            {str(name): int(number) for name, number in config["languages"].items()},
            scales.of(self._voice),
            cast(self._voice, self._folder, size, config["speakers"], self.embed),
            int(config["hop_length"]),
        )

    def _opened(self) -> Split | Pair:
        voice, what = self._voice, f"voice {self._voice.id!r}"
        path = file(voice, self._folder, "model")
        if "vocoder" in voice.files:
            vocoder = file(voice, self._folder, "vocoder")
            return Pair(path, vocoder, what, self._device, voice.parameters, self._script.hop)
        try:
            opened = Split(path, what, self._device, voice.parameters, self._folder / _PARTS)
        except Uncut as reason:
            raise EngineError(
                f"{what} is not as 'farm export yourtts' makes it: {reason}"
            ) from reason
        if opened.hop != self._script.hop:
            raise EngineError(
                f"{what}: its model has frames of {opened.hop} samples, its config says "
                f"{self._script.hop}"
            )
        return opened

    def _utterance(self, line: Line) -> Utterance:
        extra = {"d_vector": line.d_vector, "langid": np.array(line.language)}
        return Utterance(
            np.array(line.spelling.ids, np.int64),
            seed(line.segment.digest),
            line.scales.noise,
            line.scales.length,
            line.scales.noise_w,
            {name: extra[name] for name in self._model.extra if name in extra},
        )


def _speller(config: Mapping[str, Any]) -> Speller:
    if "phoneme_id_map" in config:
        return phonemes.read(config)
    return characters.read(config["text"])
