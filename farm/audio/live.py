"""Audio encoded while it is still being spoken: bytes that a player may begin with at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import soxr

from farm.audio.encoders import FfmpegEncoder
from farm.audio.formats import FORMATS, Format
from farm.audio.pcm import to_int16
from farm.audio.signal import Samples
from farm.errors import InvalidInput

#: Hertz of raw samples, which cannot say their own rate: OpenAI's.
PCM_RATE = 24_000

#: What can be written without going back to its beginning, by name. `wav` says, as is the custom
#: for streams, that it is as long as a file can be.
LIVE: Mapping[str, Format] = {
    "mp3": replace(FORMATS["mp3"], container_options={"write_xing": "0", "id3v2_version": "0"}),
    "opus": replace(FORMATS["opus"], container_options={"page_duration": "200000"}),
    "aac": replace(
        FORMATS["m4a"], suffix=".aac", mime="audio/aac", container="adts", container_options={}
    ),
    "flac": FORMATS["flac"],
    "wav": FORMATS["wav"],
    "pcm": Format(".pcm", "audio/pcm", "", "", "s16", rates=(PCM_RATE,)),
}


def live_format(name: str) -> Format:
    """Return a format of `LIVE`, or raise `InvalidInput` with the choices."""
    if name not in LIVE:
        raise InvalidInput(f"unknown audio format {name!r}; choose one of {', '.join(LIVE)}")
    return LIVE[name]


class _Sink:
    """A file for FFmpeg that cannot be sought."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        held, self._held = bytes(self._held), bytearray()
        return held


class LiveEncoder:
    """Encodes a mono signal block by block."""

    def __init__(self, format: str, sample_rate: int) -> None:
        """Begin; the signal is resampled (soxr) where the format needs another rate.

        Raises:
            InvalidInput: no such format.
        """
        kind = live_format(format)
        self.mime = kind.mime
        self.sample_rate = kind.rate(sample_rate)
        same = self.sample_rate == sample_rate
        self._resampler = (
            None if same else soxr.ResampleStream(sample_rate, self.sample_rate, 1, "float32", "HQ")
        )
        self._sink = _Sink()
        # The sink has all that the encoder asks of a file.
        target: object = self._sink
        self._encoder = (
            FfmpegEncoder(target, kind, self.sample_rate, {}, None)  # type: ignore[arg-type]
            if kind.codec
            else None
        )

    def encode(self, samples: Samples) -> bytes:
        """Take a block, float of shape (n,); return what there is to send, perhaps nothing yet."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples.astype(np.float32), last=False)
        return self._encoded(samples)

    def finish(self) -> bytes:
        """Return the rest."""
        rest = b""
        if self._resampler is not None:
            rest = self._encoded(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        if self._encoder is None:
            return rest
        with self._encoder:
            self._encoder.finish()
        return rest + self._sink.take()

    def _encoded(self, samples: Samples) -> bytes:
        if not len(samples):
            return b""
        if self._encoder is None:
            return to_int16(samples).astype("<i2").tobytes()
        self._encoder.encode(samples)
        return self._sink.take()
