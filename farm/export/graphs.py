"""The computations of YourTTS in the form in which they are traced into ONNX.

Shapes may vary in every axis that is named below; nothing depends on the texts and recordings
with which they were traced. The traps: docs/yourtts-onnx.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from farm.engines.cloning import passes
from farm.engines.cloning.checkpoint import SpeakerEncoder

#: Coqui's windows over a recording (`BaseEncoder.compute_embedding`): how many, in frames.
WINDOWS, WINDOW_FRAMES = 10, 250


def speech(
    model: Any, ids: Tensor, lengths: Tensor, scales: Tensor, d_vector: Tensor, language: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Speak ids [B, T]: signals [B, 1, S], their samples [B], frames per id [B, T].

    `scales` [3]: noise, length, noise of durations. `d_vector` [B, D], `language` [B].
    """
    condition = passes.conditioned(d_vector)
    tongue = passes.tongues(model, language)
    prior = passes.encode(model, ids, lengths, tongue)
    noise = torch.randn_like(prior.mean[:, :2]) * scales[2]
    lasting = passes.durations(model, prior, condition, tongue, noise)
    frames = torch.ceil(lasting * scales[1])
    totals = frames.sum([1, 2])
    mask, path = _aligned(frames.squeeze(1), totals, prior.mask)
    mean = torch.matmul(path, prior.mean.transpose(1, 2)).transpose(1, 2)
    spread = torch.matmul(path, prior.spread.transpose(1, 2)).transpose(1, 2)
    latent = mean + torch.randn_like(mean) * torch.exp(spread) * scales[0]
    latent = model.flow(latent, mask, g=condition, reverse=True)
    sound = model.waveform_decoder(latent * mask, g=condition)
    hop = int(np.prod(model.args.upsample_rates_decoder))
    return sound, totals.long() * hop, frames.squeeze(1).long()


def _aligned(frames: Tensor, totals: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mask of frames [B, 1, F] and which frame speaks which id, [B, F, T]."""
    longest: Any = totals.max().long()
    count = torch.arange(longest, dtype=frames.dtype)
    mask = (count.unsqueeze(0) < totals.unsqueeze(1)).to(frames.dtype).unsqueeze(1)
    ends = torch.cumsum(frames, 1).unsqueeze(1)
    begins = ends - frames.unsqueeze(1)
    here = count.reshape(1, -1, 1)
    path = ((here >= begins) & (here < ends)).to(frames.dtype)
    return mask, path * mask.transpose(1, 2) * ids


def free_lengths(model: Any) -> None:
    """Make a model's relative positions depend on the number of ids alone, without branches."""
    for layer in model.text_encoder.encoder.attn_layers:
        layer._get_relative_embeddings = partial(_positions, layer.rel_attn_window_size)


def _positions(window: int, embeddings: Tensor, length: int) -> Tensor:
    """Take the embeddings of the offsets from 1 - length to length - 1, zero beyond the window."""
    padded = functional.pad(embeddings, (0, 0, length, length))
    return padded[:, window + 1 : window + 2 * length]


def embedding(encoder: SpeakerEncoder) -> Callable[[Tensor], Tensor]:
    """Return what makes a d-vector [1, D] of one recording [1, S], as `SpeakerEncoder.embed`."""
    audio = encoder.config.audio
    level = 10 ** (audio.db_level / 20) if audio.do_rms_norm else None
    window = WINDOW_FRAMES * int(audio.hop_length)
    spectrum = _mel(encoder.model.torch_spec)
    forward = type(encoder.model).forward
    # The encoder's own forward pass then starts at the mel bands.
    encoder.model.use_torch_spec = False

    def embed(wav: Tensor) -> Tensor:
        wave = wav[0]
        if level is not None:
            wave = wave * torch.sqrt(level**2 / wave.square().mean())
        mel = spectrum(_windows(wave, window))
        vectors: Tensor = forward(encoder.model, mel, l2_norm=True)
        return vectors.mean(0, keepdim=True)

    return embed


def _windows(wave: Tensor, window: int) -> Tensor:
    """Cut ten windows, evenly begun, of a recording; of a short one the whole ten times."""
    samples = torch.tensor(wave.shape[0])
    length: Any = torch.clamp(samples, max=window)
    # NumPy's linspace, which Coqui calls, in doubles: exact at its last step only.
    step = (samples - length).double() / (WINDOWS - 1)
    begins = (torch.arange(WINDOWS - 1, dtype=torch.float64) * step).long()
    begins = torch.cat([begins, (samples - length).reshape(1)])
    return wave[begins.unsqueeze(1) + torch.arange(length).unsqueeze(0)]


def _mel(transform: Any) -> Callable[[Tensor], Tensor]:
    """Return Coqui's mel front end with its Fourier transform as a convolution.

    `torch.stft` has no ONNX form that all runtimes take. Window, padding and bands are those of
    the loaded `torchaudio.transforms.MelSpectrogram` after Coqui's pre-emphasis.
    """
    emphasis, mel = transform
    stft, bands = mel.spectrogram, mel.mel_scale.fb
    size, hop = stft.n_fft, stft.hop_length
    margin = (size - stft.win_length) // 2
    window = functional.pad(stft.window, (margin, size - stft.win_length - margin)).double()
    turns = torch.outer(torch.arange(size // 2 + 1), torch.arange(size)) % size
    angles = 2 * np.pi / size * turns.double()
    basis = torch.cat([angles.cos() * window, angles.sin() * window]).float().unsqueeze(1)

    def spectrum(waves: Tensor) -> Tensor:
        waves = functional.pad(emphasis(waves).unsqueeze(1), (size // 2, size // 2), "reflect")
        parts = functional.conv1d(waves, basis, stride=hop).square()
        power = parts[:, : size // 2 + 1] + parts[:, size // 2 + 1 :]
        return torch.matmul(power.transpose(1, 2), bands).transpose(1, 2)

    return spectrum
