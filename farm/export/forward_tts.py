"""Coqui's ForwardTTS (FastPitch, FastSpeech 2, SpeedySpeech) and its HiFi-GAN as ONNX.

Coqui exports neither. What is written here takes batches and gives lengths:

    acoustic   input int64 [B, T], input_lengths int64 [B], length_scale float32 [B],
               pitch_scale, pitch_shift, energy_scale, energy_shift float32 [B] where the model
               predicts pitch or energy, sid int64 [B] where it has several speakers
               -> mel [B, bands, F], mel_lengths [B], durations [B, T]
    vocoder    mel [B, bands, F] -> wav [B, 1, S]

Each row is as if it were alone: what lies beyond its end is zeroed before every convolution and
unseen by attention, which Coqui's own transformers do not do. Durations are those of
`ForwardTTS.format_durations`: rounded, at least one frame a symbol. The mel may be longer than any
row says: some convolutions need room, and short texts fail in Coqui itself for want of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional
from TTS.tts.models.forward_tts import ForwardTTS
from TTS.tts.utils.helpers import sequence_mask

from farm.export.tracing import trace


class Acoustic(nn.Module):
    """A ForwardTTS that reads padded rows and says how long each became."""

    def __init__(self, model: Any) -> None:
        """Wrap a loaded model; its convolutions will hear nothing beyond a row's end."""
        super().__init__()
        self.model = model.eval()
        self._mask: Tensor | None = None
        self._room = _room(model)
        for part in (model.encoder, model.decoder):
            for layer in part.modules():
                if isinstance(layer, nn.Conv1d):
                    layer.register_forward_pre_hook(self._silence)
                if isinstance(layer, nn.ZeroPad2d):
                    layer.register_forward_hook(self._shorten)
                if isinstance(layer, nn.MultiheadAttention):
                    # PyTorch's own is traced with the lengths of the example.
                    layer.forward = partial(self._attend, layer)

    def forward(self, ids: Tensor, lengths: Tensor, *controls: Tensor) -> tuple[Tensor, ...]:
        """Map ids [B, T] to mel [B, bands, F], its lengths [B] and durations [B, T]."""
        given = dict(zip(self.controls, controls, strict=True))
        model, width = self.model, ids.shape[1]
        ids = functional.pad(ids, (0, self._room))
        mask = sequence_mask(lengths, ids.shape[1]).unsqueeze(1).float()
        voice = None
        if "sid" in given:
            voice = model.emb_g(given["sid"]).unsqueeze(-1)
        with self._hushed(mask):
            hidden, mask, _, _ = model._forward_encoder(ids, mask, voice)
        logs = model.duration_predictor(hidden, mask)
        frames = (torch.exp(logs) - 1) * mask * model.length_scale
        frames = frames * given["length_scale"][:, None, None]
        frames = torch.round(torch.clamp(frames, min=1.0)) * mask
        hidden = self._embed(hidden, mask, given)
        totals = frames.sum((1, 2))
        mel, beyond = self._decode(hidden, frames, mask, totals)
        return mel * beyond, totals.long(), frames.squeeze(1)[:, :width].long()

    @property
    def controls(self) -> tuple[str, ...]:
        """The names of the inputs after ids and lengths."""
        model, names = self.model, ["length_scale"]
        for name in ("pitch", "energy"):
            if getattr(model.args, f"use_{name}"):
                names += [f"{name}_scale", f"{name}_shift"]
        return (*names, "sid") if hasattr(model, "emb_g") else tuple(names)

    def _embed(self, hidden: Tensor, mask: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """Add pitch and energy, both predicted from what the encoder gave, pitch first."""
        for name in ("pitch", "energy"):
            if f"{name}_scale" not in given:
                continue
            value = getattr(self.model, f"{name}_predictor")(hidden, mask)
            scale, shift = (given[f"{name}_{each}"][:, None, None] for each in ("scale", "shift"))
            value = (value * scale + shift) * mask
            hidden = hidden + getattr(self.model, f"{name}_emb")(value)
        return hidden * mask

    def _decode(
        self, hidden: Tensor, frames: Tensor, mask: Tensor, totals: Tensor
    ) -> tuple[Tensor, Tensor]:
        longest: Any = totals.max().long() + self._room
        place = torch.arange(longest, dtype=frames.dtype).reshape(1, -1, 1)
        ends = torch.cumsum(frames, 2)
        path = ((place >= ends - frames) & (place < ends)).float() * mask
        beyond = (place.transpose(1, 2) < totals[:, None, None]).float()
        spread = torch.matmul(path, hidden.transpose(1, 2)).transpose(1, 2)
        if hasattr(self.model, "pos_encoder"):
            spread = self.model.pos_encoder(spread, beyond)
        with self._hushed(beyond):
            return self.model.decoder(spread, beyond, g=None), beyond

    @contextmanager
    def _hushed(self, mask: Tensor) -> Iterator[None]:
        self._mask = mask
        yield
        self._mask = None

    def _shorten(self, layer: nn.ZeroPad2d, _: tuple[Tensor, ...], padded: Tensor) -> Tensor:
        """Pad where the row ends: Coqui's `Conv1dBN` convolves first and pads what that took."""
        assert self._mask is not None
        after = layer.padding[1]
        return padded * functional.pad(self._mask[..., after:], (0, after))

    def _attend(
        self, layer: nn.MultiheadAttention, values: Tensor, *_: Tensor, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Attend to the row's own places only; `values` [T, B, C] are also keys and queries."""
        assert self._mask is not None
        parts = functional.linear(values, layer.in_proj_weight, layer.in_proj_bias).chunk(3, 2)
        query, key, value = (self._heads(part, layer.num_heads) for part in parts)
        weights = torch.matmul(query, key.transpose(2, 3)) / layer.head_dim**0.5
        weights = weights.masked_fill(self._mask.unsqueeze(1) == 0, -1e9).softmax(3)
        heard = torch.matmul(weights, value).permute(2, 0, 1, 3).flatten(2)
        return layer.out_proj(heard), weights.mean(1)

    @staticmethod
    def _heads(part: Tensor, heads: int) -> Tensor:
        """Turn [T, B, C] into [B, heads, T, C / heads]."""
        length, rows, width = part.shape
        return part.reshape(length, rows, heads, width // heads).permute(1, 2, 0, 3)

    def _silence(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        assert self._mask is not None
        return (inputs[0] * self._mask, *inputs[1:])


def _room(model: nn.Module) -> int:
    """How many places the widest convolution takes that does not pad what it reads."""
    return max(
        (
            layer.dilation[0] * (layer.kernel_size[0] - 1)
            for layer in model.modules()
            if isinstance(layer, nn.Conv1d) and layer.padding == (0,)
        ),
        default=0,
    )


def export_acoustic(model: ForwardTTS, path: Path, metadata: Mapping[str, str]) -> None:
    """Write an acoustic model; `metadata` says `pitch_mean`, `pitch_std` in Hertz where known.

    Coqui normalises F0 in Hertz and energy (`F0Dataset`, `EnergyDataset`); both statistics lie in
    the caches of its training data, not in the checkpoint.
    """
    wrapped = Acoustic(model)
    ids = torch.randint(1, model.args.num_chars, (2, 9))
    count = len(wrapped.controls)
    values = [torch.ones(2) for _ in range(count)]
    if "sid" in wrapped.controls:
        values[-1] = torch.zeros(2, dtype=torch.int64)
    names = ["input", "input_lengths", *wrapped.controls]
    axes = {name: {0: "batch"} for name in [*names, "mel_lengths"]}
    axes |= {"input": {0: "batch", 1: "symbols"}, "durations": {0: "batch", 1: "symbols"}}
    axes["mel"] = {0: "batch", 2: "frames"}
    outputs = ["mel", "mel_lengths", "durations"]
    trace(wrapped, (ids, torch.tensor([9, 7]), *values), names, outputs, axes, path)
    _annotate(path, metadata)


def export_vocoder(generator: nn.Module, bands: int, path: Path) -> None:
    """Write Coqui's HiFi-GAN generator, without the padding of its `inference`."""
    generator.eval()
    axes = {"mel": {0: "batch", 2: "frames"}, "wav": {0: "batch", 2: "samples"}}
    trace(generator, (torch.randn(2, bands, 20),), ["mel"], ["wav"], axes, path)


def _annotate(path: Path, metadata: Mapping[str, str]) -> None:
    model = onnx.load(path)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
