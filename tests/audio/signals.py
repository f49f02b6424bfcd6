"""Signals that the audio tests share."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from farm.audio import Samples


def sine(hertz: float, seconds: float, rate: int, level: float = 0.5) -> Samples:
    """Return a sine of a peak level."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def speech_like(seconds: float, rate: int, seed: int = 0) -> Samples:
    """Return noise that swells and fades three times a second, peaks below 1."""
    length = round(seconds * rate)
    noise = np.random.default_rng(seed).standard_normal(length + 24)
    smooth = np.convolve(noise, np.hanning(25) / 25, "valid")
    swell = np.abs(np.sin(2 * np.pi * 1.5 * np.arange(length) / rate))
    return np.clip(smooth * swell, -0.9, 0.9).astype(np.float32)


def picture(kind: str = "JPEG") -> bytes:
    """Return a small picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(buffer, kind)
    return buffer.getvalue()
