"""The one building block of both models: ConvNeXt in one dimension, masked."""

import torch
from torch import Tensor, nn


class ConvNeXt(nn.Module):
    """Depthwise convolution, norm and a two-layer perceptron around a residual.

    Liu et al. 2022 (arXiv:2201.03545), in one dimension as in Vocos (Siuzdak 2023).
    What lies outside the mask stays zero, so a row does not depend on its padding.
    """

    def __init__(self, width: int, hidden: int, kernel: int, scale: float = 0.25) -> None:
        """`kernel` is odd; `scale` is where the layer scale starts."""
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, F, width) to the same shape; `mask` is (B, F, 1), 1 where valid."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.narrow(nn.functional.gelu(self.widen(self.norm(y))))
        out: Tensor = x + self.scale * y
        return out if mask is None else out * mask
