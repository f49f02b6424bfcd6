"""The MP4 file of a book: FFmpeg's boxes, an index that is right, memory that does not grow."""

from __future__ import annotations

import io
import itertools
import os
import struct
import tracemalloc
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.packet import Packet

from farm.audio.encoders import open_output
from farm.audio.files import Writer, read_blocks
from farm.book import m4b, mp4
from farm.book.boxes import TAGS, Table
from farm.errors import InvalidInput
from tests.audio.signals import speech_like

if TYPE_CHECKING:  # a TypedDict of the stubs only
    from av.container.core import Chapter as Mark

RATE = 22_050
#: AAC-LC, 22,050 Hz, mono.
CONFIG = bytes.fromhex("1388")
HOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts", b"dinf", b"tref", b"ilst"}


def boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield each box's kind, and where its content begins and ends, outer ones first."""
    end = len(data) if end is None else end
    while begin < end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        head = 16 if size == 1 else 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin + 8)
        yield kind, begin + head, begin + size
        if kind in HOLDERS:
            yield from boxes(data, begin + head, begin + size)
        begin += size


def content(data: bytes, kind: bytes, track: int = 0) -> bytes:
    """Return the content of the first box of a kind, or of the one in a later track."""
    found = [data[begin:end] for name, begin, end in boxes(data) if name == kind]
    return found[track]


def numbers(data: bytes, kind: bytes, track: int = 0) -> list[int]:
    """Return a box's content after version and flags as integers of four bytes."""
    body = content(data, kind, track)[4:]
    return list(struct.unpack(f">{len(body) // 4}I", body))


def samples(data: bytes, track: int) -> list[bytes]:
    """Return a track's samples by its index."""
    runs = numbers(data, b"stsc", track)[1:]
    wide = any(kind == b"co64" for kind, _, _ in boxes(data))
    kind = b"co64" if wide and track == 0 else b"stco"
    offsets = content(data, kind, 0 if wide else track)[8:]
    code = "Q" if kind == b"co64" else "I"
    places = [place for (place,) in struct.iter_unpack(f">{code}", offsets)]
    sizes = iter(numbers(data, b"stsz", track)[2:])
    found, starts = [], [*runs[::3], len(places) + 1]
    for first, after, count in zip(starts, starts[1:], runs[1::3], strict=False):
        for at in places[first - 1 : after - 1]:
            for size in itertools.islice(sizes, count):
                found.append(data[at : at + size])
                at += size
    assert next(sizes, None) is None
    return found


def book(frames: int, titles: Sequence[str] = ("One",), wide: bool = False) -> mp4.Book:
    length = frames * mp4.FRAME // len(titles)
    marks = [mp4.Mark(title, n * length, (n + 1) * length) for n, title in enumerate(titles)]
    return mp4.Book(mp4.Sound(RATE, frames, CONFIG), marks, {}, wide=wide)


def written(made: mp4.Book, frames: Sequence[bytes]) -> bytes:
    file = io.BytesIO()
    mp4.write(file, made, iter(frames))
    return file.getvalue()


def by_ffmpeg(path: Path, chapters: Sequence[m4b.Chapter], tags: dict[str, str]) -> None:
    """Write a book as FFmpeg's muxer does it."""
    at = 0
    marks: list[Mark] = []
    packets: list[Packet[AudioStream]] = []
    for number, chapter in enumerate(chapters):
        with av.open(str(chapter.path)) as file:
            found = [p for p in file.demux(audio=0) if p.size]
        end = at + len(found) * mp4.FRAME - mp4.FRAME * (number == len(chapters) - 1)
        tick, title = Fraction(1, RATE), {"title": chapter.title}
        marks.append({"id": number, "start": at, "end": end, "time_base": tick, "metadata": title})
        at, packets = end, [*packets, *found]
    options = {"movflags": "+faststart", "brand": "M4B "}
    with open_output(path, "mp4", options) as out, av.open(str(chapters[0].path)) as first:
        stream = out.add_stream_from_template(first.streams.audio[0])
        out.metadata.update({"media_type": "2", "genre": "Audiobook", **tags})
        out.set_chapters(marks)
        out.start_encoding()
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = (number - 1) * mp4.FRAME
            packet.duration, packet.time_base = mp4.FRAME, Fraction(1, RATE)
            packet.stream = stream
            out.mux(packet)


@pytest.fixture
def chapters(tmp_path: Path) -> list[m4b.Chapter]:
    """Three chapters; the shortest, whose bit rate is the highest, comes first."""
    made = []
    for number, length in enumerate((777, 5 * RATE + 123, 40 * mp4.FRAME)):
        path = tmp_path / f"{number}.m4a"
        with Writer(path, "m4a", RATE) as writer:
            writer.write(speech_like(9, RATE, number)[:length])
        made.append(m4b.Chapter("Teil 二" + "!" * number, path))
    return made


def test_but_for_its_chunks_a_book_is_what_ffmpeg_writes(
    tmp_path: Path, chapters: list[m4b.Chapter]
) -> None:
    tags = {"title": "Böok", "artist": "Ä", "album": "B", "date": "2026", "comment": "c"}
    ours, theirs = tmp_path / "ours.m4b", tmp_path / "theirs.m4b"
    m4b.write(ours, chapters, tags)
    by_ffmpeg(theirs, chapters, tags)
    found = []
    for data in (ours.read_bytes(), theirs.read_bytes()):
        kinds = [(kind, data[begin:end]) for kind, begin, end in boxes(data)]
        same = [(k, b) for k, b in kinds if k not in HOLDERS | {b"stsc", b"stco"}]
        found.append(same)
        assert [kind for kind, _ in kinds].count(b"stco") == 2
    assert found[0] == found[1]
    signals = [np.concatenate(list(read_blocks(path))) for path in (ours, theirs)]
    np.testing.assert_array_equal(signals[0], signals[1])


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 100])
def test_every_frame_and_title_is_where_the_index_says(count: int, wide: bool) -> None:
    frames = [os.urandom(1 + n % 7) for n in range(count)]
    titles = ["One", "二", ""]
    data = written(book(count, titles, wide), frames)
    assert samples(data, 0) == frames
    assert samples(data, 1) == [
        struct.pack(">H", len(title.encode())) + title.encode() + mp4.UTF_8 for title in titles
    ]


def test_an_index_longer_than_what_waits_is_whole() -> None:
    count = Table.WAITING * 2 + 5
    frames = [bytes([n % 251]) * (1 + n % 3) for n in range(count)]
    assert samples(written(book(count), frames), 0) == frames


def test_ffmpeg_reads_long_offsets(tmp_path: Path, chapters: list[m4b.Chapter]) -> None:
    with av.open(str(chapters[1].path)) as file:
        config = file.streams.audio[0].codec_context.extradata or b""
        frames = [bytes(packet) for packet in file.demux(audio=0) if packet.size]
    sound = mp4.Sound(RATE, len(frames), config)
    signals = []
    for wide in (False, True):
        path = tmp_path / f"{wide}.m4b"
        marks = [mp4.Mark("One", 0, sound.samples)]
        path.write_bytes(written(mp4.Book(sound, marks, {}, wide=wide), frames))
        signals.append(np.concatenate(list(read_blocks(path))))
    np.testing.assert_array_equal(signals[0], signals[1])
    assert np.abs(signals[0]).max() > 0.1


class Sparse(io.FileIO):
    """A file that skips what is large, so that it takes no room on the disk."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if len(data) < 1 << 20:
            return super().write(data)
        self.seek(len(data), io.SEEK_CUR)
        return len(data)


def test_a_book_beyond_four_gigabytes_is_told_by_its_boxes(tmp_path: Path) -> None:
    path, frame, count = tmp_path / "long.m4b", bytes(1 << 20), 4_100
    frames = itertools.chain([frame] * (count - 1), [b"last"])
    with Sparse(path, "w+") as file:
        mp4.write(file, book(count, wide=True), frames)
        file.seek(0)
        head = file.read(30_000)
        at = head.index(b"mdat") - 4
        size = path.stat().st_size - at
        assert head[at : at + 16] == struct.pack(">I4sQ", 1, b"mdat", size)
        (last,) = struct.unpack(">Q", content(head[:at], b"co64")[-8:])
        file.seek(last + len(frame) * ((count - 1) % mp4.CHUNK))
        assert (last >> 32, file.read()) == (1, b"last")


def test_a_length_beyond_32_bits_is_told_in_64() -> None:
    frames = (1 << 22) + 1
    file = io.BytesIO()
    mp4.write(file, book(frames), itertools.repeat(b"", frames))
    head = content(file.getvalue(), b"mdhd")
    assert struct.unpack(">B3xQQIQ4x", head) == (1, 0, 0, RATE, frames * mp4.FRAME)


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    peaks = []
    tracemalloc.start()
    try:
        for count in (Table.WAITING, 20 * Table.WAITING):
            tracemalloc.reset_peak()
            with (tmp_path / "book.m4b").open("wb") as file:
                mp4.write(file, book(count), itertools.repeat(b"frame", count))
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    # Kept, the sizes alone would take 1.2 MB more.
    assert peaks[1] < peaks[0] + 100_000


def test_ffmpeg_reads_every_tag_and_their_order_is_no_matter(tmp_path: Path) -> None:
    tags = {name: f"{name} é" for name in TAGS}
    sound = mp4.Sound(RATE, 1, CONFIG)
    marks = [mp4.Mark("One", 0, 1024)]
    one = written(mp4.Book(sound, marks, tags), [b"frame"])
    other = written(mp4.Book(sound, marks, dict(reversed(tags.items()))), [b"frame"])
    assert one == other
    path = tmp_path / "book.m4b"
    path.write_bytes(one)
    with av.open(str(path)) as container:
        assert {name: container.metadata[name] for name in TAGS} == tags
        assert container.metadata["media_type"] == "2"


def test_a_tag_without_a_place_is_refused_and_an_empty_one_left_out() -> None:
    made = book(1)
    with pytest.raises(InvalidInput, match=r"'mood'.*choose one of title, artist"):
        written(mp4.Book(made.sound, made.marks, {"mood": "grim"}), [b"frame"])
    empty = written(mp4.Book(made.sound, made.marks, {"artist": ""}), [b"frame"])
    assert empty == written(made, [b"frame"])


def test_a_long_title_is_cut_between_characters() -> None:
    data = written(book(1, ["二" * 30_000]), [b"frame"])
    nero = content(data, b"chpl")
    assert (nero[17], nero[18:].decode()) == (255, "二" * 85)
    assert samples(data, 1)[0][2:-12].decode() == "二" * 21_845
    assert content(written(book(1, ["é" * 128]), [b"frame"]), b"chpl")[17] == 254


@pytest.mark.parametrize("lost", [1, 200, 5000])
def test_a_chapter_that_was_cut_off_is_refused(
    tmp_path: Path, chapters: list[m4b.Chapter], lost: int
) -> None:
    path = chapters[1].path
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InvalidInput, match=r"1\.m4a' is cut off: \d+ of 109 frames"):
        m4b.write(tmp_path / "book.m4b", chapters, {})
    assert not (tmp_path / "book.m4b").exists()
