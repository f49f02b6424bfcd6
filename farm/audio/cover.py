"""Cover pictures in audio files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from farm.errors import InvalidInput


def start(container: OutputContainer, cover: bytes | None) -> None:
    """Write a file's header, and the cover, for which the audio streams must be there already.

    Raises:
        InvalidInput: the cover is not a JPEG or PNG.
    """
    if cover is None:
        container.start_encoding()
        return
    with _picture(cover) as (source, packet):
        stream = container.add_stream_from_template(source)
    stream.disposition = Disposition.attached_pic
    stream.metadata["comment"] = "Cover (front)"
    container.start_encoding()
    packet.stream = stream
    packet.pts = packet.dts = 0
    container.mux(packet)


@contextmanager
def _picture(cover: bytes) -> Iterator[tuple[VideoStream, Packet[VideoStream]]]:
    """Open a picture; `InvalidInput` if it is not a JPEG or PNG."""
    try:
        with av.open(io.BytesIO(cover), "r") as picture:
            source = picture.streams.video[0]
            packet = next(picture.demux(source))
            if source.codec_context.name not in ("mjpeg", "png") or not source.width:
                raise InvalidInput(
                    f"the cover is no whole JPEG or PNG ({source.codec_context.name})"
                )
            yield source, packet
    except (av.error.FFmpegError, IndexError, StopIteration) as error:
        raise InvalidInput(f"the cover ({len(cover)} bytes) is no whole JPEG or PNG") from error


def is_picture(cover: bytes) -> bool:
    """Whether a file can carry this cover."""
    try:
        with _picture(cover):
            return True
    except InvalidInput:
        return False
