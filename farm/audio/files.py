"""Encoded audio files, written and read.

Everything written is a function of the samples, the tags and the cover: no time, no version.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
import av.error
import numpy as np
import soxr
from av.container import InputContainer

from farm.audio.encoders import Encoder, FfmpegEncoder, FlacEncoder
from farm.audio.formats import format_named
from farm.audio.replacing import replacing
from farm.audio.signal import Samples
from farm.errors import InvalidInput, NotFound

#: Bytes of a title in a file's name: file systems take 255 with number, suffix and all.
NAME_BYTES = 200


class Writer:
    """Writes a mono signal, block by block, into a file that appears when it is closed.

    Or into a file object that can be sought, where the format does not `reread` it.
    """

    def __init__(
        self,
        target: Path | BinaryIO,
        format: str,
        sample_rate: int,
        tags: Mapping[str, str] | None = None,
        cover: bytes | None = None,
        bit_rate: int = 0,
    ) -> None:
        """Begin a file beside the path; leaving the `with` block by an error removes it.

        `sample_rate` is that of the samples to come, resampled (soxr) where the codec needs it.
        `tags` are FFmpeg's names: title, artist, album, track, genre, date, comment. `cover` is
        a JPEG or PNG; `wav`, `flac` and `opus` files carry none. `bit_rate` (bits per second) is
        for formats that lose something; 0: the format's own.

        Raises:
            InvalidInput: no such format, or the cover is no picture.
            StoreUnavailable: the file cannot be written.
        """
        self.format = format_named(format)
        if bit_rate and self.format.bit_rate:
            self.format = replace(self.format, bit_rate=bit_rate)
        self.sample_rate = self.format.rate(sample_rate)
        self._resampler = (
            None
            if self.sample_rate == sample_rate
            else soxr.ResampleStream(sample_rate, self.sample_rate, 1, "float32", "HQ")
        )
        kind = FlacEncoder if self.format.codec == "flac" else FfmpegEncoder
        with ExitStack() as stack:
            if isinstance(target, Path):
                target = stack.enter_context(replacing(target))
            encoder = kind(target, self.format, self.sample_rate, tags or {}, cover)
            self._encoder: Encoder = stack.enter_context(encoder)
            stack.push(self._flush)
            self._stack = stack.pop_all()

    def write(self, samples: Samples) -> None:
        """Append float samples in [-1, 1] of shape (n,), n any; louder ones are clipped."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples.astype(np.float32), last=False)
        self._encode(samples)

    def close(self) -> None:
        """Finish the file and put it in its place; the second time nothing happens."""
        self._stack.close()

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; after an error leave no file."""
        self._stack.__exit__(kind, error, trace)

    def _encode(self, samples: Samples) -> None:
        if len(samples):
            self._encoder.encode(samples)

    def _flush(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if self._resampler is not None:
            self._encode(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        self._encoder.finish()


@dataclass(frozen=True)
class Probe:
    """What a file says of itself."""

    seconds: float
    sample_rate: int
    channels: int
    codec: str


def probe(path: Path) -> Probe:
    """Return length and kind of a file's first audio stream, without decoding it.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it holds no audio that can be read.
    """
    with open_input(path) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (container.duration or 0) / av.time_base
        context = stream.codec_context
        return Probe(seconds, context.sample_rate, context.channels, context.codec.canonical_name)


def read_blocks(path: Path) -> Iterator[Samples]:
    """Yield a file's signal, its channels averaged, as float32 blocks of shape (n,).

    Encoder delay is skipped as the container says. Raises as `probe` does, perhaps only after
    some blocks.
    """
    with open_input(path) as container:
        as_float = av.AudioResampler(format="fltp")
        for frame in container.decode(audio=0):
            for channels in as_float.resample(frame):
                yield channels.to_ndarray().mean(axis=0, dtype=np.float32)


@contextmanager
def open_input(path: Path) -> Iterator[InputContainer]:
    """Open a file that has audio; errors of reading become `NotFound` or `InvalidInput`."""
    try:
        with av.open(str(path), "r") as container:
            if not container.streams.audio:
                raise InvalidInput(f"{str(path)!r} holds no audio")
            yield container
    except FileNotFoundError as error:
        raise NotFound(f"no such file: {str(path)!r}") from error
    except av.error.FFmpegError as error:
        raise InvalidInput(f"{str(path)!r} is not readable audio: {error.strerror}") from error


def readable(title: str) -> str:
    """Return a title as a file's name without its suffix; empty where nothing of it can stay.

    Letters with their accents, digits, spaces and `-_',` stay, up to `NAME_BYTES` in UTF-8.
    """
    kept = (c if _stays(c) else " " for c in unicodedata.normalize("NFC", title))
    name = " ".join("".join(kept).split()).encode()[:NAME_BYTES]
    return name.decode(errors="ignore").strip()


def _stays(sign: str) -> bool:
    return sign.isalnum() or sign in " -_'," or unicodedata.category(sign).startswith("M")
