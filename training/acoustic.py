"""Phoneme ids to mel: FastSpeech 2 in shape (Ren et al. 2020), ConvNeXt inside."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from training.blocks import ConvNeXt
from training.settings import MELS, SYMBOLS

WIDTH: Final = 192
HIDDEN: Final = 576

#: How many numbers tell a frame where in its symbol it lies.
PLACE: Final = 5


@dataclass(frozen=True)
class Predicted:
    """What the predictors say of each symbol; all float32 of shape (B, T)."""

    duration: Tensor
    """log(1 + frames)."""
    pitch: Tensor
    """log(F0 / F0_CENTRE) times PITCH_SCALE."""
    energy: Tensor
    """Log of the mean magnitude, shifted by ENERGY_SHIFT."""


#: Brings the pitch, which moves by some 7 % around its centre, near unit variance.
PITCH_SCALE: Final = 5.0

#: Added to log energies so that they lie around zero.
ENERGY_SHIFT: Final = 4.5


class Stack(nn.Module):
    """Several ConvNeXt blocks and a last norm."""

    def __init__(self, blocks: int, kernel: int) -> None:
        """`blocks` of kernel width `kernel`."""
        super().__init__()
        self.blocks = nn.ModuleList(ConvNeXt(WIDTH, HIDDEN, kernel) for _ in range(blocks))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (B, N, WIDTH) to the same shape; zero outside the mask (B, N, 1)."""
        for block in self.blocks:
            x = block(x, mask)
        out: Tensor = self.norm(x) * mask
        return out


def _log1p(x: Tensor) -> Tensor:
    """Return log(1 + x) from operators that ONNX has."""
    return torch.log(1 + x)


def _count(size: Tensor | int) -> Tensor:
    """Return 0, 1, ... size - 1; a tensor stays one when the graph is traced."""
    return torch.arange(size)  # type: ignore[arg-type]


def valid(lengths: Tensor, size: Tensor | int) -> Tensor:
    """Return a float mask (B, size, 1): 1 where the position is below the row's length."""
    inside = _count(size)[None] < lengths[:, None]
    mask: Tensor = inside.float()[..., None]
    return mask


def whole(frames: Tensor) -> Tensor:
    """Round durations (B, T) on their running sum, so that a row's length is exact."""
    ends = torch.floor(torch.cumsum(frames, dim=1) + 0.5)
    return torch.cat([ends[:, :1], ends[:, 1:] - ends[:, :-1]], dim=1).long()


def places(durations: Tensor, size: Tensor | int) -> tuple[Tensor, Tensor]:
    """Return each frame's symbol (B, F) and its place in it (B, F, PLACE).

    Frames beyond a row's own get its last symbol; mask them.
    """
    ends = torch.cumsum(durations, dim=1)
    frame = _count(size)[None]
    symbol = (ends[:, None, :] <= frame[..., None]).long().sum(dim=2)
    symbol = symbol.clamp(max=durations.shape[1] - 1)
    length = torch.gather(durations, 1, symbol).clamp(min=1).float()
    done = (frame - torch.gather(ends - durations, 1, symbol)).float()
    left = length - 1 - done
    share = (done + 0.5) / length
    parts = [share, 1 - share, _log1p(length) / 3, done.clamp(0, 8) / 8, left.clamp(0, 8) / 8]
    return symbol, torch.stack(parts, dim=-1)


class Acoustic(nn.Module):
    """Encoder, predictors of duration, pitch and energy, and a decoder to mel frames."""

    def __init__(self) -> None:
        """Start from random weights; the caller seeds torch."""
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, WIDTH)
        self.order = nn.Linear(2, WIDTH)
        self.encoder = Stack(4, 9)
        self.duration = Stack(2, 5)
        self.to_duration = nn.Linear(WIDTH, 1)
        self.prosody = Stack(2, 5)
        self.to_prosody = nn.Linear(WIDTH, 2)
        self.from_prosody = nn.Linear(2, WIDTH)
        self.place = nn.Linear(PLACE, WIDTH)
        self.decoder = Stack(6, 7)
        self.to_mel = nn.Linear(WIDTH, MELS)

    def encode(
        self, ids: Tensor, lengths: Tensor, voice: Tensor | None = None
    ) -> tuple[Tensor, Predicted]:
        """Map ids (B, T) without pads to hidden (B, T, WIDTH) and what is predicted.

        `voice` (B, WIDTH) joins the hidden before anything is predicted of it.
        """
        mask = valid(lengths, ids.shape[1])
        index = _count(ids.shape[1])[None].expand(ids.shape)
        before = _log1p(index.float())
        after = _log1p((lengths[:, None] - 1 - index).clamp(min=0).float())
        order = torch.stack([before, after], dim=-1) / 5 - 0.5
        hidden = self.encoder((self.embed(ids) + self.order(order)) * mask, mask)
        if voice is not None:
            hidden = (hidden + voice[:, None]) * mask
        duration = self.to_duration(self.duration(hidden, mask))[..., 0].float()
        prosody = self.to_prosody(self.prosody(hidden, mask)).float()
        return hidden, Predicted(duration, prosody[..., 0], prosody[..., 1])

    def decode(
        self, hidden: Tensor, pitch: Tensor, energy: Tensor, durations: Tensor, size: Tensor | int
    ) -> Tensor:
        """Map T symbols of whole `durations` to mel frames, (B, size, MELS)."""
        mask = valid(durations.sum(dim=1), size)
        hidden = hidden + self.from_prosody(torch.stack([pitch, energy], dim=-1))
        symbol, place = places(durations, size)
        row = _count(hidden.shape[0])[:, None] * hidden.shape[1]
        frames = hidden.reshape(-1, WIDTH)[symbol + row] + self.place(place)
        mel = self.to_mel(self.decoder(frames * mask, mask)).float() * 2.0 - 5.0
        out: Tensor = mel * mask
        return out

    def frames(self, predicted: Predicted, lengths: Tensor, scale: Tensor) -> Tensor:
        """Return whole frames per symbol (B, T); `scale` () stretches them.

        The first symbol gets one frame at least, so that no sentence is empty.
        """
        wished = (torch.exp(predicted.duration) - 1).clamp(min=0) * scale
        wished = torch.cat([wished[:, :1].clamp(min=1.0), wished[:, 1:]], dim=1)
        return whole(wished * valid(lengths, wished.shape[1])[..., 0])
