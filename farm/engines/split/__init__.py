"""VITS graphs of any exporter, cut in encoder, flow and decoder at load.

Cut open, a graph gives what it keeps to itself: the frames of every id, noise that is a function
of the segment alone, batches that change no item, and windows that bound its memory. How the cut
is found: `cut`; measured: docs/vits-split.md.
"""

from farm.engines.split.arrays import seed
from farm.engines.split.cache import read
from farm.engines.split.cut import has_noise
from farm.engines.split.running import Baked, Reading, Split, Utterance
from farm.engines.split.seams import Uncut

__all__ = ["Baked", "Reading", "Split", "Uncut", "Utterance", "has_noise", "read", "seed"]
