"""FastSpeech 2 voices: an acoustic model and a vocoder, each an ONNX file of any exporter.

Files of a voice, by role:

    acoustic          symbols to mel; with `decoder` and `postnet` where it comes in three graphs,
                      and `stats` (speech_stats.npy), which de-normalises what those give
    vocoder           mel to samples
    phones, speakers  PaddleSpeech's phone_id_map.txt and speaker_id_map.txt; or
    config            Coqui's config.json or Piper's .onnx.json, which say symbols and speakers
    acoustic_config,  PaddleSpeech's default.yaml, Coqui's or HiFi-GAN's JSON: what the mel means;
    vocoder_config    the two must agree
    pitch, energy     pitch_stats.npy and energy_stats.npy: the units of both predictions

Parameters: `length_scale`; `speaker`; `alphabet`; `batched: 1` speaks a batch in one pass on a CPU
too, where padding costs more than batching saves; `pitch_unit` (`log` or `linear`), `pitch_mean`,
`pitch_std` and the same of `energy`, where no file says them.

No graph draws noise, so samples are a function of the segment; `take` changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.audio import Audio, Samples, Timing
from farm.engines.base import Engine
from farm.engines.dialects.base import Tokens, timings
from farm.engines.fastspeech import mel, reading
from farm.engines.fastspeech.acoustic import Line, Mel, Parts
from farm.engines.fastspeech.controls import Unit
from farm.engines.fastspeech.forms import open_acoustic
from farm.engines.fastspeech.vocoders import Vocoder
from farm.engines.sessions import batches
from farm.errors import EngineError
from farm.jobs import Prosody, Segment, Voice


class FastSpeech2(Engine):
    """One acoustic model and one vocoder on one device."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        """Load both graphs and check that they fit; see `Engine.__init__`."""
        self._voice, self._folder = voice, folder
        what = f"voice {voice.id!r}"
        self._dialect = reading.read(voice, folder)
        self._acoustic = open_acoustic(self._parts(), what, device)
        self._vocoder = Vocoder(self._file("vocoder"), what, device, voice.parameters)
        self.sample_rate = self._agreed_rate(what)
        self._batched = batches(device, voice.parameters)
        if self._acoustic.chooses_speaker and not self._dialect.speakers:
            raise EngineError(
                f"{what}: its model takes a speaker, but no file names them: add 'speakers' "
                "(speaker_id_map.txt)"
            )

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak the segments in order; see `Engine.speak`."""
        tokens = [self._tokens(segment) for segment in segments]
        lines = [self._line(*pair) for pair in zip(tokens, segments, strict=True)]
        if self._batched:
            mels, signals = self._render(lines, segments)
        else:
            mels, signals = [], []
            for line, segment in zip(lines, segments, strict=True):
                spoken, heard = self._render([line], [segment])
                mels, signals = mels + spoken, signals + heard
        rows = zip(segments, tokens, mels, signals, strict=True)
        return [self._audio(*row) for row in rows]

    def _render(
        self, lines: Sequence[Line], segments: Sequence[Segment]
    ) -> tuple[list[Mel], list[Samples]]:
        mels = self._acoustic.speak(lines)
        for spoken, segment in zip(mels, segments, strict=True):
            _check(spoken, segment.text)
        return mels, self._vocoder.speak([each.frames for each in mels])

    def _audio(self, segment: Segment, tokens: Tokens, spoken: Mel, samples: Samples) -> Audio:
        if not np.isfinite(samples).all():
            raise EngineError(f"the vocoder gave no finite signal for {segment.text!r}")
        gain = np.float32(10 ** (segment.prosody.volume / 20))
        marks: tuple[Timing, ...] = ()
        if spoken.durations is not None:
            lengths = (spoken.durations * self._vocoder.hop).tolist()
            marks = timings(tokens.symbols, lengths)
        return Audio(np.clip(samples * gain, -1, 1), self.sample_rate, marks, self._lacks(tokens))

    def _lacks(self, tokens: Tokens) -> tuple[str, ...]:
        if not tokens.missing:
            return ()
        names = ", ".join(map(repr, tokens.missing))
        return (f"voice {self._voice.id!r} lacks {names}: left out",)

    def _tokens(self, segment: Segment) -> Tokens:
        language = reading.language(self._dialect, self._voice, segment.language)
        tokens = self._dialect.tokenise(segment.text, language)
        if not tokens.heard:
            raise EngineError(f"nothing to pronounce in {segment.text!r}")
        return tokens

    def _line(self, tokens: Tokens, segment: Segment) -> Line:
        prosody = segment.prosody
        if prosody.speed <= 0:
            raise EngineError(f"speed {prosody.speed!r} is not valid: it must be above 0")
        line = Line(
            ids=np.array(tokens.ids, np.int64),
            length=float(self._voice.parameters.get("length_scale", 1)) / prosody.speed,
            pitch=prosody.pitch,
            energy=prosody.energy,
            speaker=self._speaker(prosody),
        )
        self._acoustic.check(line)
        return line

    def _speaker(self, prosody: Prosody) -> int:
        names = self._dialect.speakers if self._acoustic.chooses_speaker else {}
        name = prosody.speaker or str(self._voice.parameters.get("speaker", ""))
        if not name:
            return next(iter(names.values()), 0)
        if name not in names:
            choices = ", ".join(names) or "none, it has a single voice"
            raise EngineError(
                f"voice {self._voice.id!r} has no speaker {name!r}; its speakers: {choices}"
            )
        return names[name]

    def _parts(self) -> Parts:
        statistics = self._table("stats")
        return Parts(
            model=self._file("acoustic"),
            decoder=self._file("decoder") if "decoder" in self._voice.files else None,
            postnet=self._file("postnet") if "postnet" in self._voice.files else None,
            statistics=statistics,
            pitch=self._unit("pitch", log=True),
            energy=self._unit("energy", log=False),
            parameters=self._voice.parameters,
        )

    def _unit(self, name: str, log: bool) -> Unit | None:
        """The unit of a prediction: PaddleSpeech's is log F0, and linear energy, normalised."""
        given = self._voice.parameters
        table = self._table(name)
        if table is not None:
            mean, deviation = table.reshape(2, -1)[:, 0].tolist()
        elif f"{name}_std" in given:
            mean, deviation = float(given.get(f"{name}_mean", 0)), float(given[f"{name}_std"])
        else:
            return None
        unit = given.get(f"{name}_unit", "log" if log else "linear")
        if unit not in ("log", "linear") or deviation <= 0:
            raise EngineError(
                f"voice {self._voice.id!r}: {name}: unit {unit!r} with deviation {deviation!r} is "
                "not valid: choose 'log' or 'linear', and a deviation above 0"
            )
        return Unit(unit == "log", mean, deviation)

    def _table(self, role: str) -> NDArray[np.float32] | None:
        """A mean and a deviation, [2, n], as PaddleSpeech stores them."""
        if role not in self._voice.files:
            return None
        path = self._file(role)
        try:
            table = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise EngineError(f"{str(path)!r} is no .npy file of numbers: {error}") from error
        if table.ndim != 2 or len(table) != 2:
            raise EngineError(f"{str(path)!r} has shape {table.shape}, not mean and deviation")
        numbers: NDArray[np.float32] = table.astype(np.float32)
        return numbers

    def _file(self, role: str) -> Path:
        files = self._voice.files
        if role not in files:
            raise EngineError(f"voice {self._voice.id!r} names no {role!r} file; it has {[*files]}")
        return self._folder / files[role]

    def _agreed_rate(self, what: str) -> int:
        """Check both halves against each other and the voice; return the sample rate."""
        files = self._voice.files
        role = "acoustic_config" if "acoustic_config" in files else "config"
        ours = mel.merged(mel.MelConfig(bands=self._acoustic.bands), self._told(role))
        ours = mel.merged(ours, mel.of_metadata(self._acoustic.metadata))
        measured, told = self._vocoder.config(), self._told("vocoder_config")
        mel.agree(ours, measured, what)
        mel.agree(ours, told, what)
        mel.agree(told, measured, f"{what}: vocoder_config against the vocoder's graph")
        rate = ours.sample_rate or mel.merged(told, measured).sample_rate
        if (rate or self._voice.sample_rate) != self._voice.sample_rate:
            raise EngineError(
                f"{what} says {self._voice.sample_rate} Hz but its models {rate} Hz: "
                "pin the voice again with the parameter sample_rate"
            )
        return self._voice.sample_rate

    def _told(self, role: str) -> mel.MelConfig:
        return mel.read(self._file(role)) if role in self._voice.files else mel.MelConfig()


def _check(spoken: Mel, text: str) -> None:
    if not len(spoken.frames):
        raise EngineError(f"the model gives no frames for {text!r}")
    if not np.isfinite(spoken.frames).all():
        raise EngineError(f"the acoustic model gave no finite mel for {text!r}")
    if spoken.durations is not None and spoken.durations.sum() != len(spoken.frames):
        raise EngineError(
            f"the durations of {text!r} add up to {spoken.durations.sum()} frames, the mel has "
            f"{len(spoken.frames)}: the model's export is not understood"
        )
