"""Mel to audio: pulses and noise, filtered by masks that a small network estimates.

A source-filter vocoder in the spirit of NSF (Wang et al. 2019) and DDSP (Engel et al.
2020). All learned work is at frame rate; the signal work is three matrix products.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

from training.blocks import ConvNeXt
from training.settings import F0_CENTRE, F0_RANGE, HOP, MELS, SAMPLE_RATE, SEED

WIDTH: Final = 192
HIDDEN: Final = 576
BLOCKS: Final = 5

#: Samples of the filters' FFT and between two filters (8 ms: two per mel frame).
FFT: Final = 512
STEP: Final = 128
BINS: Final = FFT // 2 + 1

#: Hertz; harmonics above are left to the noise.
HARMONICS_BELOW: Final = 7800.0

#: Filter steps after which the noise repeats (4.1 s).
NOISE_STEPS: Final = 512

#: Squared Hann windows at a quarter of their length add up to this.
_OVERLAP: Final = 1.5

#: Samples that a filter reaches beyond its own step, on each side.
_EDGE: Final = (FFT - STEP) // 2


def _transform() -> tuple[Tensor, Tensor]:
    """Return the windowed DFT (FFT, 2 * BINS), real parts first, and its inverse."""
    n, k = torch.arange(FFT, dtype=torch.float64), torch.arange(BINS, dtype=torch.float64)
    angle = 2 * math.pi * n[:, None] * k[None, :] / FFT
    window = torch.hann_window(FFT, dtype=torch.float64)[:, None]
    forward = torch.cat([angle.cos(), -angle.sin()], dim=1) * window
    weight = torch.full((BINS,), 2.0, dtype=torch.float64)
    weight[0] = weight[-1] = 1.0
    inverse = torch.cat([angle.cos() * weight, -angle.sin() * weight], dim=1) * window
    return forward.float(), (inverse.T / (FFT * _OVERLAP)).float()


def windows(signal: Tensor) -> Tensor:
    """Cut (B, samples) into overlapping windows (B, samples // STEP, FFT), one per step."""
    padded = nn.functional.pad(signal, (_EDGE, _EDGE))
    hops = padded.reshape(signal.shape[0], -1, STEP)
    count = hops.shape[1] - (FFT // STEP - 1)
    return torch.cat([hops[:, i : i + count] for i in range(FFT // STEP)], dim=-1)


def _noise_spectra() -> Tensor:
    """Return the spectra of one fixed stretch of white noise, (NOISE_STEPS, 2 * BINS)."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(NOISE_STEPS * STEP, generator=generator)
    frames = torch.cat([noise, noise[: FFT - STEP]]).unfold(0, FFT, STEP)
    return frames @ _transform()[0]


class Vocoder(nn.Module):
    """Predicts pitch and two spectral masks per half frame, and lets them speak."""

    noise: Tensor
    dft: Tensor
    inverse: Tensor
    ramp: Tensor
    f0_range = F0_RANGE
    """Hertz between which the pulses lie."""

    def __init__(self) -> None:
        """Start from random weights; the caller seeds torch."""
        super().__init__()
        self.enter = nn.Conv1d(MELS, WIDTH, 7, padding=3)
        self.enter_norm = nn.LayerNorm(WIDTH)
        self.trunk = nn.ModuleList(ConvNeXt(WIDTH, HIDDEN, 7) for _ in range(BLOCKS))
        self.leave_norm = nn.LayerNorm(WIDTH)
        self.to_pitch = nn.Linear(WIDTH, 1)
        self.to_masks = nn.Linear(WIDTH, 2 * 2 * BINS)
        dft, inverse = _transform()
        self.register_buffer("dft", dft, persistent=False)
        self.register_buffer("inverse", inverse, persistent=False)
        self.register_buffer("noise", _noise_spectra(), persistent=False)
        ramp = (torch.arange(HOP, dtype=torch.float32) + 0.5) / HOP - 0.5
        self.register_buffer("ramp", ramp, persistent=False)

    def estimate(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Map mel (B, MELS, F) to log(F0 / F0_CENTRE) (B, F) and log masks (B, 2F, 2, BINS)."""
        x = self.enter_norm(self.enter((mel + 5.0) / 3.0).transpose(1, 2))
        for block in self.trunk:
            x = block(x)
        x = self.leave_norm(x)
        pitch = self.to_pitch(x).squeeze(-1).float()
        masks = self.to_masks(x).float() - 3.0
        return pitch, masks.reshape(mel.shape[0], -1, 2, BINS).clamp(-16.0, 6.0)

    def pulses(self, pitch: Tensor) -> Tensor:
        """Return a band-limited pulse train of unit power, (B, F) -> (B, F * HOP).

        All harmonics below HARMONICS_BELOW in closed form (the Dirichlet kernel). The
        phase adds up in float64 over frames, so it does not drift in long sentences.
        """
        low, high = self.f0_range
        f0 = (F0_CENTRE * torch.exp(pitch)).clamp(low, high)[..., None]
        before = torch.cat([f0[:, :1], f0[:, :-1]], dim=1)
        after = torch.cat([f0[:, 1:], f0[:, -1:]], dim=1)
        f0 = f0 + self.ramp.clamp(max=0) * (f0 - before) + self.ramp.clamp(min=0) * (after - f0)
        within = torch.cumsum(f0 / SAMPLE_RATE, dim=2)
        frames = within[:, :, -1:].double()
        phase = within + torch.remainder(torch.cumsum(frames, dim=1) - frames, 1.0).float()
        phase = math.pi * (phase - torch.floor(phase + 0.5))
        # The topmost harmonic fades in: a switched one would click where the last bit of f0
        # differs, as it does between a batch and a single row.
        room = HARMONICS_BELOW / f0
        count = torch.floor(room)
        share = room - count
        sine = torch.sin(phase)
        near = sine.abs() < 1e-5
        kernel = torch.sin((2 * count + 1) * phase) / torch.where(near, torch.ones_like(sine), sine)
        kernel = torch.where(near, 2 * count + 1, kernel)
        top = 2 * share * torch.cos(2 * (count + 1) * phase)
        power = 2 * (count + share.square())
        return ((kernel - 1 + top) * torch.rsqrt(power)).reshape(pitch.shape[0], -1)

    def render(self, pitch: Tensor, masks: Tensor, noise: Tensor) -> Tensor:
        """Filter pulses and noise and add them up: audio (B, F * HOP).

        `noise` holds white spectra, (B or 1, 2F, 2 * BINS).
        """
        voiced = windows(self.pulses(pitch)) @ self.dft
        gains = torch.exp(masks)
        harmonic, breath = gains[:, :, 0], gains[:, :, 1]
        spectra = voiced * torch.cat([harmonic, harmonic], dim=-1)
        spectra = spectra + noise * torch.cat([breath, breath], dim=-1)
        return overlap_add(spectra @ self.inverse)

    def forward(self, mel: Tensor) -> Tensor:
        """Map mel (B, MELS, F) to audio (B, F * HOP) with the fixed noise."""
        pitch, masks = self.estimate(mel)
        index = torch.remainder(torch.arange(masks.shape[1], device=mel.device), NOISE_STEPS)
        return self.render(pitch, masks, self.noise[index][None])


def overlap_add(frames: Tensor) -> Tensor:
    """Add windows (B, N, FFT) at distances of STEP and cut both edges: (B, N * STEP)."""
    batch, count, _ = frames.shape
    parts = frames.reshape(batch, count, FFT // STEP, STEP)
    total = sum(
        nn.functional.pad(parts[:, :, i], (0, 0, i, FFT // STEP - 1 - i))
        for i in range(FFT // STEP)
    )
    assert isinstance(total, Tensor)
    signal = total.reshape(batch, -1)
    return signal[:, _EDGE : _EDGE + count * STEP]
