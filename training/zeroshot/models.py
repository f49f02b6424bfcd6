"""The acoustic model with a d-vector, the speaker encoder, and a vocoder with a wider range."""

import math
from typing import Final

import torch
from torch import Tensor, nn

from training.acoustic import WIDTH, Acoustic, Predicted
from training.blocks import ConvNeXt
from training.features import mel_filters
from training.settings import HOP, MEL_FLOOR, MELS, WINDOW
from training.vocoder import Vocoder
from training.zeroshot.speakers import F0_RANGE

#: Numbers in a d-vector.
SIZE: Final = 64

#: Width and blocks of the speaker encoder.
ENCODER_WIDTH: Final = 128
ENCODER_BLOCKS: Final = 3

#: Frames this much below the loudest (natural log) tell nothing of a speaker.
QUIET: Final = 5.0


class ZeroShot(Acoustic):
    """The default voice's acoustic model, told who speaks."""

    def __init__(self) -> None:
        """Begin as a model that does not listen to its d-vector."""
        super().__init__()
        self.speaker = nn.Linear(SIZE, WIDTH, bias=False)
        nn.init.zeros_(self.speaker.weight)

    def encode_as(self, ids: Tensor, lengths: Tensor, d_vector: Tensor) -> tuple[Tensor, Predicted]:
        """Do as `encode`, as whom the d-vectors (B, SIZE) of norm 1 tell."""
        return self.encode(ids, lengths, self.speaker(d_vector * math.sqrt(SIZE)))


class SpeakerEncoder(nn.Module):
    """A recording becomes a d-vector of norm 1."""

    dft: Tensor
    filters: Tensor

    def __init__(self) -> None:
        """Start from random weights; the caller seeds torch."""
        super().__init__()
        self.enter = nn.Linear(MELS, ENCODER_WIDTH)
        self.trunk = nn.ModuleList(
            ConvNeXt(ENCODER_WIDTH, 2 * ENCODER_WIDTH, 5) for _ in range(ENCODER_BLOCKS)
        )
        self.norm = nn.LayerNorm(ENCODER_WIDTH)
        self.leave = nn.Linear(2 * ENCODER_WIDTH, SIZE)
        n, k = torch.arange(WINDOW).double(), torch.arange(WINDOW // 2 + 1).double()
        angle = 2 * math.pi * n[:, None] * k[None] / WINDOW
        window = torch.hann_window(WINDOW, dtype=torch.float64)[:, None]
        dft = torch.cat([angle.cos(), -angle.sin()], dim=1) * window
        self.register_buffer("dft", dft.float(), persistent=False)
        self.register_buffer("filters", mel_filters().T.contiguous(), persistent=False)

    def mels(self, wav: Tensor) -> Tensor:
        """Return log-mel frames (B, F, MELS) of (B, S), as `features.log_mel` but unpadded."""
        count = wav.shape[1] // HOP
        hops = wav[:, : count * HOP].reshape(wav.shape[0], count, HOP)
        last = count - WINDOW // HOP + 1
        frames = torch.cat([hops[:, i : i + last] for i in range(WINDOW // HOP)], dim=2)
        real, imaginary = (frames @ self.dft).chunk(2, dim=2)
        magnitude = torch.sqrt(real.square() + imaginary.square() + 1e-9)
        return torch.log(torch.clamp(magnitude @ self.filters, min=MEL_FLOOR))

    def embed(self, mel: Tensor) -> Tensor:
        """Map mel frames (B, F, MELS) to d-vectors (B, SIZE); their level does not matter."""
        level = mel.mean(dim=2, keepdim=True)
        top = level.amax(dim=1, keepdim=True)
        heard = (level > top - QUIET).float()
        mean = (level * heard).sum(dim=1, keepdim=True) / heard.sum(dim=1, keepdim=True)
        x = self.enter((mel - mean) / 2 * heard)
        for block in self.trunk:
            x = block(x, heard)
        x = self.norm(x)
        total = heard.sum(dim=1)
        first = (x * heard).sum(dim=1) / total
        spread = ((x - first[:, None]).square() * heard).sum(dim=1) / total
        pooled = torch.cat([first, torch.sqrt(spread + 1e-5)], dim=1)
        out: Tensor = nn.functional.normalize(self.leave(pooled), dim=1)
        return out

    def forward(self, wav: Tensor) -> Tensor:
        """Map recordings (B, S) at 16 kHz, in [-1, 1], to d-vectors (B, SIZE)."""
        return self.embed(self.mels(wav))


class WideVocoder(Vocoder):
    """The default voice's vocoder, for every pseudo-speaker's pitch."""

    f0_range = F0_RANGE
