"""Signals, loudness and encoded files. `files` is the only home of the codec library."""

from farm.audio.signal import Audio, Samples, Timing

__all__ = ["Audio", "Samples", "Timing"]
