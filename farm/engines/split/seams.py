"""The seams of a cut graph: tensors by what they mean, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from farm.errors import EngineError


class Uncut(EngineError):
    """A graph cannot be cut; the text says why."""


@dataclass(frozen=True)
class Text:
    """The inputs that say the text."""

    ids: str
    lengths: str
    """Ids that count, of each item; empty: the graph has none."""
    mask: str
    """1 for each id that counts, 0 for padding; empty: the graph has none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those that the graph has."""
        return tuple(filter(None, (self.ids, self.lengths, self.mask)))


@dataclass(frozen=True)
class Table:
    """What is known of each id and repeated for its frames."""

    name: str
    rows: bool
    """Whether it is [B, T, C], not [B, C, T]."""


@dataclass(frozen=True)
class Scaled:
    """A tensor and the product of the scales that were met on the way to it."""

    name: str
    scale: float | None
    """None: at least one of them is an input."""


@dataclass(frozen=True)
class Cut:
    """The tensors at which a graph is cut."""

    text: Text
    durations: Scaled
    duration_noise: Scaled | None
    """None: the durations are not drawn."""
    mean: Table
    spread: Table
    prior: Scaled
    frame_mask: str
    latent: str
    signal: str
    bypassed: Mapping[str, str]
    """Product with a scale to its other factor, which takes its place."""
    scales: tuple[str, ...]
    """Inputs that no part may need."""


@dataclass(frozen=True)
class Seams:
    """Where a model was cut, and what its decoder's convolutions say. Tensors keep their names."""

    cut: Cut
    extra: tuple[str, ...]
    """The further inputs: speakers, languages, d-vectors."""
    hop: int
    """Samples of a frame."""
    context: int
    """Frames on each side of a frame that the decoder takes into account."""
