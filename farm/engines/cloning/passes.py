"""YourTTS in steps, over coqui-tts's own layers: what its `Vits.inference` does in one.

In steps, because noise must come from each segment's seed, and because Coqui's decoder is not
masked: in a batch the last frames of a shorter item would take sound from its padding. Nothing
here branches on data, so that the steps can be traced into a graph.

Sources: `TTS/tts/models/vits.py`, `TTS/tts/layers/vits/*.py` (coqui-tts 0.28.0). The model:
Casanova et al. 2021 (arXiv 2112.02418), Kim et al. 2021 (arXiv 2106.06103); the splines: Durkan
et al. 2019 (arXiv 1906.04032).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Slope of the decoder's rectifiers, and of its last one.
_SLOPE, _LAST_SLOPE = 0.1, 0.01

#: Least width, height and slope of a spline's bins.
_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Prior:
    """What the text encoder makes of a batch of texts."""

    hidden: Tensor
    """[B, H, T]"""
    mean: Tensor
    """[B, C, T]"""
    spread: Tensor
    """Log standard deviation, [B, C, T]."""
    mask: Tensor
    """[B, 1, T], 0 at padding."""


def conditioned(d_vectors: Tensor) -> Tensor:
    """Normalise d-vectors [B, D] to the conditioning [B, D, 1]."""
    return functional.normalize(d_vectors).unsqueeze(-1)


# `model` and its layers are Any: coqui-tts has no annotations that a checker could follow.
def encode(model: Any, ids: Tensor, lengths: Tensor, tongue: Tensor | None) -> Prior:
    """Encode ids [B, T]; `tongue` is the language's embedding [B, L, 1]."""
    return Prior(*model.text_encoder(ids, lengths, lang_emb=tongue))


def tongues(model: Any, languages: Tensor) -> Tensor | None:
    """Embed language ids [B] as [B, L, 1]; None where the model knows one language."""
    return model.emb_l(languages).unsqueeze(-1) if hasattr(model, "emb_l") else None


def durations(
    model: Any, prior: Prior, condition: Tensor, tongue: Tensor | None, noise: Tensor
) -> Tensor:
    """Return how many frames each id lasts, not rounded, [B, 1, T].

    `noise` [B, 2, T] is already scaled; models without stochastic durations leave it alone.
    """
    speaker = condition if model.args.condition_dp_on_speaker else None
    if model.args.use_sdp:
        lasting = _stochastic(model.duration_predictor, prior, speaker, tongue, noise)
    else:
        lasting = model.duration_predictor(prior.hidden, prior.mask, g=speaker, lang_emb=tongue)
    return torch.exp(lasting) * prior.mask


def _stochastic(
    predictor: Any, prior: Prior, speaker: Tensor | None, tongue: Tensor | None, noise: Tensor
) -> Tensor:
    text = predictor.pre(prior.hidden)
    if speaker is not None:
        text = text + predictor.cond(speaker)
    if tongue is not None:
        text = text + predictor.cond_lang(tongue)
    text = predictor.proj(predictor.convs(text, prior.mask)) * prior.mask
    # The first spline is trained but never used to speak.
    affine, _, *splines = predictor.flows
    for spline in reversed(splines):
        noise = _unspline(spline, torch.flip(noise, [1]), prior.mask, text)
    spoken: Tensor = affine(torch.flip(noise, [1]), prior.mask, reverse=True)
    return spoken[:, :1]


def _unspline(layer: Any, noise: Tensor, mask: Tensor, text: Tensor) -> Tensor:
    """Run one spline flow backwards on [B, 2, T]."""
    still, moved = torch.split(noise, [layer.half_channels] * 2, 1)
    shape = layer.proj(layer.convs(layer.pre(still), mask, g=text)) * mask
    batch, half, ids = still.shape
    shape = shape.reshape(batch, half, -1, ids).permute(0, 1, 3, 2)
    bins = layer.num_bins
    widths, heights, slopes = torch.split(shape, [bins, bins, bins - 1], dim=-1)
    scale = math.sqrt(layer.hidden_channels)
    moved = unspline(moved, widths / scale, heights / scale, slopes, layer.tail_bound)
    return torch.cat([still, moved], 1) * mask


def unspline(
    values: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float
) -> Tensor:
    """Invert a monotonic rational-quadratic spline with linear tails (Durkan et al., eq. 6-8).

    `values` [...]; `widths` and `heights` [..., K], `slopes` [..., K - 1], none normalised.
    """
    across, up = _knots(widths, bound), _knots(heights, bound)
    slopes = _LEAST + functional.softplus(
        functional.pad(slopes, (1, 1), value=math.log(math.exp(1 - _LEAST) - 1))
    )
    inside = values.clamp(-bound, bound).unsqueeze(-1)
    index = (inside >= up[..., :-1]).sum(-1, keepdim=True) - 1

    def at(knots: Tensor, step: int = 0) -> Tensor:
        return knots.gather(-1, index + step)

    height, width = at(up, 1) - at(up), at(across, 1) - at(across)
    slope, left, right = height / width, at(slopes), at(slopes, 1)
    above = inside - at(up)
    bend = above * (left + right - 2 * slope)
    a, b, c = bend + height * (slope - left), height * left - bend, -slope * above
    root = 2 * c / (-b - torch.sqrt(b.square() - 4 * a * c))
    moved = (root * width + at(across)).squeeze(-1)
    return torch.where(values.abs() <= bound, moved, values)


def _knots(parts: Tensor, bound: float) -> Tensor:
    """Cut [-bound, bound] in parts of the sizes given, not normalised; [..., K + 1]."""
    sizes = _LEAST + (1 - _LEAST * parts.shape[-1]) * functional.softmax(parts, dim=-1)
    inner = 2 * bound * torch.cumsum(sizes, -1)[..., :-1] - bound
    return functional.pad(functional.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


def decode(decoder: Any, latent: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
    """Decode [B, C, F] to signals [B, 1, F x hop], each as if it were alone.

    `mask` [B, 1, F] is 0 at padding; every convolution is kept from reading there.
    """
    sound = decoder.conv_pre(latent * mask) + decoder.cond_layer(condition)
    for number, up in enumerate(decoder.ups):
        sound = up(functional.leaky_relu(sound, _SLOPE) * mask)
        mask = mask.repeat_interleave(up.stride[0], dim=2)
        first = number * decoder.num_kernels
        blocks = decoder.resblocks[first : first + decoder.num_kernels]
        sound = sum(_residual(block, sound, mask) for block in blocks) / decoder.num_kernels
    sound = functional.leaky_relu(sound, _LAST_SLOPE) * mask
    return torch.tanh(decoder.conv_post(sound)) * mask


def _residual(block: Any, sound: Tensor, mask: Tensor) -> Tensor:
    pairs = (
        zip(block.convs1, block.convs2, strict=True)
        if hasattr(block, "convs1")
        else ((each,) for each in block.convs)
    )
    for convolutions in pairs:
        inner = sound
        for convolution in convolutions:
            inner = convolution(functional.leaky_relu(inner, _SLOPE) * mask)
        sound = inner + sound
    return sound
