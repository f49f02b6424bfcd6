"""The audiobook: chapter marks at the sample, the chapters' own packets, the same bytes always."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from farm.audio import Samples
from farm.audio.files import Writer, probe, read_blocks
from farm.book import m4b, mp4
from farm.book.m4b import Chapter
from farm.errors import InvalidInput, NotFound, StoreUnavailable
from tests.audio.signals import picture, sine, speech_like

RATE = 22_050
#: Samples: odd lengths, one of whole frames, one shorter than a frame.
LENGTHS = [3 * RATE + 123, 40 * 1024, 777, 2 * RATE + 1023]


def chapter(path: Path, signal: Samples, title: str = "", rate: int = RATE) -> Chapter:
    with Writer(path, "m4a", rate, {"title": title}, picture()) as writer:
        writer.write(signal)
    return Chapter(title or path.stem, path)


def clicks(length: int, *at: int) -> Samples:
    signal = np.zeros(length, np.float32)
    for start in at:
        signal[start : start + 21] = 0.8 * np.hanning(21)
    return signal


@pytest.fixture
def chapters(tmp_path: Path) -> list[Chapter]:
    return [
        chapter(tmp_path / f"{number}.m4a", speech_like(9, RATE, number)[:length], f"Teil {number}")
        for number, length in enumerate(LENGTHS)
    ]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def atoms(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return type and content of each atom in an MP4 box."""
    found = []
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return found


def inside(data: bytes, *kinds: bytes) -> bytes:
    """Return the content of the first atom on a path."""
    for kind in kinds:
        data = dict(reversed(atoms(data)))[kind]
    return data


def tracks(book: Path) -> dict[bytes, bytes]:
    """Return a book's tracks by what handles them: `soun`, `text`, `vide`."""
    movie = inside(book.read_bytes(), b"moov")
    found = [track for kind, track in atoms(movie) if kind == b"trak"]
    return {inside(track, b"mdia", b"hdlr")[8:12]: track for track in found}


def test_clicks_of_every_chapter_are_heard_when_the_marks_say(tmp_path: Path) -> None:
    where = [(RATE, 2 * RATE), (0, RATE // 2), (300,), (RATE, RATE + 5000)]
    chapters = [
        chapter(tmp_path / f"{n}.m4a", clicks(length, *at))
        for n, (length, at) in enumerate(zip(LENGTHS, where, strict=True))
    ]
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {})
    signal = np.concatenate(list(read_blocks(book)))
    peaks = np.flatnonzero(
        (signal[1:-1] > signal[:-2]) & (signal[1:-1] >= signal[2:]) & (signal[1:-1] > 0.3)
    )
    heard = (peaks + 1 - 10) / RATE
    starts = m4b.starts(chapters)
    expected = [s + c / RATE for s, row in zip(starts, where, strict=True) for c in row]
    np.testing.assert_allclose(heard, expected, atol=0.001)


def test_marks_hold_titles_and_follow_on_each_other(
    tmp_path: Path, chapters: list[Chapter]
) -> None:
    book = tmp_path / "book.m4b"
    seconds = m4b.write(book, chapters, {})
    with av.open(str(book)) as container:
        marks = container.chapters()
    assert [mark["metadata"]["title"] for mark in marks] == [c.title for c in chapters]
    starts = [float(mark["start"] * (mark["time_base"] or 0)) for mark in marks]
    ends = [float(mark["end"] * (mark["time_base"] or 0)) for mark in marks]
    assert starts == pytest.approx(m4b.starts(chapters), abs=0.001)
    assert ends == pytest.approx([*starts[1:], seconds], abs=0.002)


def test_nero_marks_are_there(tmp_path: Path, chapters: list[Chapter]) -> None:
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {})
    nero = inside(book.read_bytes(), b"moov", b"udta", b"chpl")
    assert nero[8] == len(chapters)
    at, found = 9, []
    while at < len(nero):
        ticks, length = struct.unpack_from(">QB", nero, at)
        found.append((nero[at + 9 : at + 9 + length].decode(), ticks / 1e7))
        at += 9 + length
    assert [title for title, _ in found] == [c.title for c in chapters]
    assert [start for _, start in found] == pytest.approx(m4b.starts(chapters), abs=0.0001)


def test_quicktime_marks_are_there(tmp_path: Path, chapters: list[Chapter]) -> None:
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {})
    found = tracks(book)
    number = inside(found[b"text"], b"tkhd")[12:16]
    assert inside(found[b"soun"], b"tref", b"chap") == number
    sizes = inside(found[b"text"], b"mdia", b"minf", b"stbl", b"stsz")
    assert int.from_bytes(sizes[8:12]) == len(chapters)
    for one in chapters:
        title = one.title.encode()
        assert len(title).to_bytes(2) + title in book.read_bytes()


def test_no_packet_is_encoded_again(tmp_path: Path, chapters: list[Chapter]) -> None:
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {})
    assert packets(book) == [packet for c in chapters for packet in packets(c.path)]


def test_the_seconds_returned_are_those_of_the_file(
    tmp_path: Path, chapters: list[Chapter]
) -> None:
    book = tmp_path / "book.m4b"
    seconds = m4b.write(book, chapters, {})
    assert probe(book).seconds == pytest.approx(seconds, abs=0.001)
    spoken = sum(LENGTHS) / RATE
    assert spoken <= seconds < spoken + len(chapters) * 2 * mp4.FRAME / RATE


def test_one_chapter_is_a_book(tmp_path: Path) -> None:
    only = chapter(tmp_path / "a.m4a", sine(440, 2, RATE), "Only")
    assert m4b.write(tmp_path / "b.m4b", [only], {}) == pytest.approx(2, abs=0.05)
    assert m4b.starts([only]) == [0]


def test_tags_cover_and_kind_are_there(tmp_path: Path, chapters: list[Chapter]) -> None:
    book = tmp_path / "book.m4b"
    cover = picture()
    tags = {"title": "Böok", "artist": "Ä", "album": "Böok", "date": "2026", "comment": "c"}
    m4b.write(book, chapters, tags, cover)
    with av.open(str(book)) as container:
        assert {key: container.metadata[key] for key in tags} == tags
        assert container.metadata["genre"] == "Audiobook"
        assert container.metadata["media_type"] == "2"
        assert container.metadata["major_brand"] == "M4B "
        pictures = [bytes(p) for p in container.demux(container.streams.video[0]) if p.size]
    assert pictures == [cover]
    assert b"covr" in book.read_bytes()


def test_the_index_comes_before_the_audio(tmp_path: Path, chapters: list[Chapter]) -> None:
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {})
    order = [kind for kind, _ in atoms(book.read_bytes())]
    assert order.index(b"moov") < order.index(b"mdat")


SCRIPT = """
import sys
from pathlib import Path
from farm.book import m4b
folder = Path(sys.argv[1])
chapters = [m4b.Chapter(f"Teil {n}", folder / f"{n}.m4a") for n in range(4)]
m4b.write(Path(sys.argv[2]), chapters, {"title": "T", "artist": "A"}, None)
"""


def test_another_process_makes_the_same_bytes(tmp_path: Path, chapters: list[Chapter]) -> None:
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {"title": "T", "artist": "A"})
    other = tmp_path / "other.m4b"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(other)],
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert other.read_bytes() == book.read_bytes()


def test_chapters_that_do_not_fit_together_are_refused_by_name(
    tmp_path: Path, chapters: list[Chapter]
) -> None:
    odd = chapter(tmp_path / "odd.m4a", sine(440, 1, 24_000), rate=24_000)
    with pytest.raises(InvalidInput, match=r"odd\.m4a.*24000 Hz"):
        m4b.write(tmp_path / "book.m4b", [*chapters, odd], {})
    assert not (tmp_path / "book.m4b").exists()


def test_what_is_no_chapter_is_refused(tmp_path: Path, chapters: list[Chapter]) -> None:
    with Writer(tmp_path / "a.mp3", "mp3", RATE) as writer:
        writer.write(sine(440, 1, RATE))
    book = tmp_path / "book.m4b"
    with pytest.raises(InvalidInput, match="at least one"):
        m4b.write(book, [], {})
    with pytest.raises(InvalidInput, match=r"a\.mp3.*not AAC"):
        m4b.write(book, [*chapters, Chapter("x", tmp_path / "a.mp3")], {})
    with pytest.raises(NotFound, match=r"gone\.m4a"):
        m4b.write(book, [*chapters, Chapter("x", tmp_path / "gone.m4a")], {})
    with pytest.raises(InvalidInput, match="JPEG or PNG"):
        m4b.write(book, chapters, {}, b"no picture")
    with pytest.raises(StoreUnavailable, match="nowhere"):
        m4b.write(tmp_path / "nowhere" / "b.m4b", chapters, {})
    assert not list(tmp_path.glob("*.m4b"))


def test_more_chapters_than_nero_can_count_are_all_in_the_text_track(tmp_path: Path) -> None:
    one = chapter(tmp_path / "a.m4a", sine(440, 0.1, RATE))
    chapters = [Chapter(f"Chapter {n}", one.path) for n in range(300)]
    book = tmp_path / "book.m4b"
    m4b.write(book, chapters, {})
    assert inside(book.read_bytes(), b"moov", b"udta", b"chpl")[8] == 255
    sizes = inside(tracks(book)[b"text"], b"mdia", b"minf", b"stbl", b"stsz")
    assert int.from_bytes(sizes[8:12]) == 300
    with av.open(str(book)) as container:
        assert len(container.chapters()) == 300


MEMORY = """
import resource, sys, time
from pathlib import Path
from farm.book import m4b
folder = Path(sys.argv[1])
def run(count):
    chapters = [m4b.Chapter(f"{n}", folder / "two.m4a") for n in range(count)]
    seconds = m4b.write(folder / "book.m4b", chapters, {})
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(1)
begun = time.perf_counter()
short = run(30)
print(*short, time.perf_counter() - begun, *run(150))
"""


def test_five_hours_take_no_more_memory_than_one(tmp_path: Path) -> None:
    with Writer(tmp_path / "two.m4a", "m4a", RATE) as writer:
        for _ in range(12):
            writer.write(sine(440, 10, RATE))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    hour, short, took, five, long = map(float, done.stdout.split())
    print(f"one hour in {took:.2f} s; {short:.0f} KiB for 1 h, {long:.0f} KiB for 5 h")
    assert hour == pytest.approx(3600, abs=2)
    assert five == pytest.approx(18_000, abs=10)
    # 310,000 frames more; their sizes alone, kept, would be 1.2 MB.
    assert long - short < 1_000
