"""YourTTS checkpoints in Coqui's layout, spoken by PyTorch and coqui-tts's own layers.

Files of a voice: `config` (config.json) and `model` (model_file.pth); `languages`
(language_ids.json); `speakers` (speakers.json) for built-in speakers; `encoder_config` and
`encoder` (config_se.json, model_se.pth) to clone from references. Whose voice it is: the speaker a
segment names, else `d_vector` (.npy, computed once), else `reference` (`reference_2`, ...),
embedded once and kept, else the parameter `speaker`.

Parameters: `noise_scale`, `length_scale`, `noise_w` in place of the config's; `batched: 1` speaks
a batch in one pass on a CPU too, where padding costs more than batching saves.

Noise comes from the segment's digest. Coqui's own `Synthesizer` draws other noise at every call,
embeds the reference again for every sentence, and appends 10,000 zeros to each; this does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farm.audio import Audio, Samples
from farm.engines.base import Engine
from farm.engines.cloning import noise, passes
from farm.engines.cloning.checkpoint import Checkpoint, SpeakerEncoder, load_checkpoint
from farm.engines.cloning.script import Line, Scales, Script, cast, check_rate, file
from farm.engines.cloning.speakers import DVector
from farm.errors import DeviceLost, EngineError, OutOfMemory, Unavailable
from farm.jobs import Segment, Voice

_CUDA = re.compile(r"cuda(?::(\d+))?")


class YourTts(Engine):
    """One YourTTS checkpoint on one device."""

    def __init__(self, voice: Voice, folder: Path, device: str) -> None:
        """Load model, tables and the voice's d-vector; see `Engine.__init__`."""
        self._device = _device(device)
        self._voice, self._folder = voice, folder
        with mapped(f"voice {voice.id!r} on {device!r}"):
            loaded = self._load()
            check_rate(voice, loaded.sample_rate)
            self.speakers = cast(voice, folder, loaded.d_vector, loaded.speakers, self.embed)
        self._model, args = loaded.model, loaded.model.args
        self._batched = device != "cpu" or bool(voice.parameters.get("batched", 0))
        self.sample_rate = loaded.sample_rate
        scales = Scales(
            args.inference_noise_scale, args.length_scale, args.inference_noise_scale_dp
        )
        self._script = Script(
            voice,
            loaded.characters,
            loaded.languages,
            scales.of(voice),
            self.speakers,
            loaded.hop,
        )

    def speak(self, segments: Sequence[Segment]) -> list[Audio]:
        """Speak the segments in order; see `Engine.speak`."""
        lines = [self._script.line(segment) for segment in segments]
        batches = [lines] if self._batched and lines else [[line] for line in lines]
        with torch.inference_mode(), mapped(f"cannot speak {[s.text for s in segments]!r}"):
            return [audio for batch in batches for audio in self._speak(batch)]

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        """Return the d-vector of a reference recording: float32, of shape (size,).

        Raises:
            EngineError: the voice has no speaker encoder, or the recording no speech.
        """
        return self._encoder.embed(samples, sample_rate)

    @cached_property
    def _encoder(self) -> SpeakerEncoder:
        voice, folder = self._voice, self._folder
        return SpeakerEncoder(
            file(voice, folder, "encoder"), file(voice, folder, "encoder_config"), self._device
        )

    def _load(self) -> Checkpoint:
        voice, folder = self._voice, self._folder
        return load_checkpoint(
            file(voice, folder, "model"),
            file(voice, folder, "config"),
            file(voice, folder, "languages") if "languages" in voice.files else None,
            file(voice, folder, "speakers") if "speakers" in voice.files else None,
            self._device,
        )

    def _speak(self, lines: Sequence[Line]) -> list[Audio]:
        """Speak a batch in one pass."""
        counts = [len(line.spelling.ids) for line in lines]
        ids = np.zeros((len(lines), max(counts)), np.int64)
        for row, line, count in zip(ids, lines, counts, strict=True):
            row[:count] = line.spelling.ids
        condition = passes.conditioned(self._tensor([line.d_vector for line in lines]))
        tongue = passes.tongues(self._model, self._tensor([line.language for line in lines]))
        prior = passes.encode(self._model, self._tensor(ids), self._tensor(counts), tongue)
        drawn = self._duration_noise(lines, max(counts))
        lasting = passes.durations(self._model, prior, condition, tongue, drawn)
        scales = self._tensor([[line.scales.length] for line in lines]).float()
        frames = torch.ceil(lasting.squeeze(1) * scales).long()
        latent, mask = self._expanded(lines, prior, frames)
        latent = self._model.flow(latent, mask, g=condition, reverse=True)
        sound = passes.decode(self._model.waveform_decoder, latent, condition, mask)
        rows = zip(lines, counts, sound[:, 0].cpu().numpy(), frames.cpu().numpy(), strict=True)
        return [self._script.audio(line, row, each[:count]) for line, count, row, each in rows]

    def _duration_noise(self, lines: Sequence[Line], most: int) -> Tensor:
        drawn = np.zeros((len(lines), 2, most), np.float32)
        for row, line in zip(drawn, lines, strict=True):
            count, scale = len(line.spelling.ids), np.float32(line.scales.noise_w)
            row[:, :count] = noise.draw(line.segment.digest, 0, count, 2).T * scale
        return self._tensor(drawn)

    def _expanded(
        self, lines: Sequence[Line], prior: passes.Prior, frames: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Repeat mean and spread for each id's frames, and draw from them; [B, C, F], [B, 1, F]."""
        totals, channels = frames.sum(1).tolist(), prior.mean.shape[1]
        latent = prior.mean.new_zeros(len(lines), channels, max(totals))
        mask = prior.mean.new_zeros(len(lines), 1, max(totals))
        for number, (line, total) in enumerate(zip(lines, totals, strict=True)):
            mean = prior.mean[number].repeat_interleave(frames[number], dim=1)
            spread = prior.spread[number].repeat_interleave(frames[number], dim=1)
            drawn = self._tensor(noise.draw(line.segment.digest, 1, total, channels).T)
            latent[number, :, :total] = mean + drawn * torch.exp(spread) * line.scales.noise
            mask[number, :, :total] = 1
        return latent, mask

    def _tensor(self, values: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)


def _device(device: str) -> str:
    match, there = _CUDA.fullmatch(device), torch.cuda.device_count()
    if device == "cpu":
        # A farm runs a process per core, and sums must not depend on how many threads made them.
        torch.set_num_threads(1)
    elif not match:
        raise Unavailable(f"unknown device {device!r}: choose 'cpu' or 'cuda:<n>'")
    elif int(match[1] or 0) >= there:
        raise Unavailable(
            f"device {device!r} is not there: this torch finds {there} CUDA devices; "
            "check the driver, or use device 'cpu'"
        )
    # As ONNX sessions have it: see `farm.engines.sessions`.
    torch.backends.cudnn.allow_tf32 = False
    return device


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn torch's errors into the farm's, beginning with `what`.

    Raises:
        OutOfMemory: an allocation failed, on the host or the device.
        DeviceLost: the device failed.
        EngineError: anything else.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(f"{what}: out of memory") from error
    except torch.AcceleratorError as error:
        raise DeviceLost(f"{what}: {error}") from error
    except RuntimeError as error:
        line = " ".join(str(error).split())[:300]
        # torch has no type for memory that the host lacks.
        if "alloc" in line:
            raise OutOfMemory(f"{what}: {line}") from error
        raise EngineError(f"{what}: {line}") from error
