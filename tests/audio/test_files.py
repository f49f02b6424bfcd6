"""Encoded files: lengths, rates, tags and covers; the same bytes every time; whole or absent."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from farm.audio import Samples
from farm.audio.files import Writer, probe, read_blocks
from farm.audio.formats import FORMATS, format_named
from farm.audio.pcm import to_int16
from farm.errors import InvalidInput, NotFound, StoreUnavailable
from tests.audio.signals import picture, sine, speech_like

TAGS = {
    "title": "Chapter 1: Über uns",
    "artist": "A. N. Author",
    "album": "The Book",
    "track": "1/12",
    "genre": "Audiobook",
    "date": "2026",
    "comment": "made by machine",
}
RATE = 22_050
LOSSLESS = ["wav", "flac"]
LOSSY = ["mp3", "opus", "m4a"]


def write(
    path: Path, signal: Samples, rate: int = RATE, block: int = 5000, cover: bytes | None = None
) -> Path:
    with Writer(path, path.suffix[1:], rate, TAGS, cover) as writer:
        for at in range(0, len(signal), block):
            writer.write(signal[at : at + block])
    return path


def read(path: Path) -> Samples:
    return np.concatenate(list(read_blocks(path)))


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("length", [1, 100, 4096, 33_333])
def test_lossless_files_hold_every_sample_at_sixteen_bits(
    tmp_path: Path, name: str, length: int
) -> None:
    signal = speech_like(2, RATE)[:length]
    back = read(write(tmp_path / f"a.{name}", signal))
    np.testing.assert_array_equal(to_int16(back), to_int16(signal))


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_lossy_files_keep_length_and_position_of_the_sound(
    tmp_path: Path, name: str, rate: int
) -> None:
    signal = np.zeros(2 * rate, np.float32)
    signal[rate : rate + rate // 10] = sine(440, 0.1, rate)
    path = write(tmp_path / f"a.{name}", signal, rate)
    back = read(path)
    own = 48_000 if name == "opus" else probe(path).sample_rate
    assert 2 * own <= len(back) <= 2 * own + 1152
    loud = np.flatnonzero(np.abs(back) > 0.2)
    assert loud[0] / own == pytest.approx(1.0, abs=0.005)
    assert loud[-1] / own == pytest.approx(1.1, abs=0.005)


@pytest.mark.parametrize("name", FORMATS)
def test_a_probe_knows_length_rate_and_codec(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"a{FORMATS[name].suffix}", speech_like(3, RATE))
    found = probe(path)
    assert found.seconds == pytest.approx(3, abs=0.01)
    assert found.channels == 1
    codec = {"wav": "pcm_s16le", "m4a": "aac"}.get(name, name)
    assert found.codec == codec
    assert found.sample_rate == (48_000 if name == "opus" else RATE)


def test_wav_is_read_by_the_standard_library(tmp_path: Path) -> None:
    signal = speech_like(1, RATE)
    with wave.open(str(write(tmp_path / "a.wav", signal)), "rb") as stream:
        assert (stream.getnchannels(), stream.getsampwidth(), stream.getframerate()) == (1, 2, RATE)
        data = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    np.testing.assert_array_equal(data, to_int16(signal))


@pytest.mark.parametrize("name", ["flac", "mp3", "opus"])
def test_libsndfile_reads_what_was_written(tmp_path: Path, name: str) -> None:
    signal = speech_like(2, 24_000)
    data, rate = soundfile.read(write(tmp_path / f"a.{name}", signal, 24_000), dtype="float32")
    assert rate in (24_000, 48_000)
    assert len(data) / rate == pytest.approx(2, abs=0.06)


@pytest.mark.parametrize("name", FORMATS)
def test_tags_are_there(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"a{FORMATS[name].suffix}", sine(440, 0.5, RATE))
    with av.open(str(path)) as container:
        tags = container.metadata | container.streams.audio[0].metadata
    named = {key.lower(): value for key, value in tags.items()}
    assert {key: named[key] for key in TAGS} == TAGS


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].cover])
def test_the_cover_is_there_byte_for_byte(tmp_path: Path, name: str, kind: str) -> None:
    cover = picture(kind)
    path = write(tmp_path / f"a.{name}", sine(440, 0.5, RATE), cover=cover)
    with av.open(str(path)) as container:
        packet = next(packet for packet in container.demux(video=0) if packet.size)
        assert bytes(packet) == cover
    assert len(read(path)) >= RATE // 2


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].cover])
def test_formats_without_pictures_are_written_without(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"a.{name}", sine(440, 0.5, RATE), cover=picture())
    with av.open(str(path)) as container:
        assert not container.streams.video


@pytest.mark.parametrize("cover", [b"", b"not a picture", picture("GIF"), picture()[:20]])
def test_a_cover_that_is_no_picture_is_refused_and_leaves_no_file(
    tmp_path: Path, cover: bytes
) -> None:
    with pytest.raises(InvalidInput, match="JPEG or PNG"):
        write(tmp_path / "a.mp3", sine(440, 0.5, RATE), cover=cover)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_the_size_of_the_blocks_does_not_change_a_byte(tmp_path: Path, name: str) -> None:
    signal = speech_like(1, RATE)
    paths = [tmp_path / f"{block}{FORMATS[name].suffix}" for block in (1, 777, 100_000)]
    for path, block in zip(paths, (441, 777, 100_000), strict=True):
        write(path, signal, block=block)
    assert len({path.read_bytes() for path in paths}) == 1


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from farm.audio.files import Writer
from farm.audio.formats import FORMATS
signal = (0.5 * np.sin(np.arange(66150) ** 1.2 * 0.01)).astype(np.float32)
cover = Path(sys.argv[2]).read_bytes()
for name, format in FORMATS.items():
    with Writer(Path(sys.argv[1]) / f"a{format.suffix}", name, 22050, {"title": "T"}, cover) as w:
        w.write(signal)
"""


def test_another_process_makes_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "cover.jpg").write_bytes(picture())
    digests = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "cover.jpg")],
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        made = sorted(folder.iterdir())
        digests.append([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in made])
    assert len(digests[0]) == len(FORMATS)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", FORMATS)
def test_no_encoders_version_is_in_the_file(tmp_path: Path, name: str) -> None:
    data = write(tmp_path / f"a{FORMATS[name].suffix}", sine(440, 0.5, RATE)).read_bytes()
    assert b"Lavf6" not in data
    assert b"Lavc6" not in data
    assert b"libFLAC" not in data


def test_too_loud_samples_are_clipped_not_wrapped(tmp_path: Path) -> None:
    for name in FORMATS:
        back = read(write(tmp_path / f"a{FORMATS[name].suffix}", sine(200, 0.5, RATE, 2.0)))
        middle = back[len(back) // 4 : -len(back) // 4]
        assert np.abs(middle).max() < 1.6
        # A wrapped sample would jump by nearly the whole range.
        assert np.abs(np.diff(middle)).max() < 1.0


@pytest.mark.parametrize(
    ("name", "source", "encoded"),
    [
        ("opus", 22_050, 24_000),
        ("opus", 16_000, 16_000),
        ("opus", 44_100, 48_000),
        ("opus", 96_000, 48_000),
        ("mp3", 22_050, 22_050),
        ("mp3", 20_000, 22_050),
        ("m4a", 96_000, 48_000),
        ("wav", 12_345, 12_345),
        ("flac", 96_000, 96_000),
    ],
)
def test_the_rate_is_the_signals_own_or_the_next_that_the_codec_takes(
    name: str, source: int, encoded: int
) -> None:
    assert FORMATS[name].rate(source) == encoded


def test_a_rate_that_the_codec_does_not_take_is_resampled_exactly(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", sine(1000, 2, 20_000), 20_000)
    back = read(path)
    assert probe(path).sample_rate == 22_050
    assert len(back) == 44_100
    assert np.argmax(np.abs(np.fft.rfft(back[:22_050]))) == 1000


def test_an_unknown_format_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'ogg'.*wav, flac, mp3, opus, m4a"):
        Writer(tmp_path / "a.ogg", "ogg", RATE)


def test_the_file_appears_only_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    writer = Writer(path, "m4a", RATE)
    writer.write(sine(440, 1, RATE))
    assert not path.exists()
    writer.close()
    writer.close()
    assert probe(path).seconds == pytest.approx(1, abs=0.001)
    assert [p.name for p in tmp_path.iterdir()] == ["a.m4a"]


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_on_the_way_leaves_no_file(tmp_path: Path, name: str) -> None:
    def fail() -> None:
        with Writer(tmp_path / "a", name, RATE) as writer:
            writer.write(sine(440, 1, RATE))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_a_sample_is_still_a_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / f"a{FORMATS[name].suffix}", np.zeros(0, np.float32))
    assert path.exists()


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from farm.audio.files import Writer
from farm.errors import StoreUnavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
noise = np.random.default_rng(0).standard_normal(22050).astype(np.float32) * 0.3
def write():
    with Writer(path, path.suffix[1:], 22050) as writer:
        for _ in range(6):
            writer.write(noise)
write()
size = path.stat().st_size
path.unlink()
for limit in (0, size // 2, size - 10):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write()
    except StoreUnavailable as error:
        print(error, len(list(path.parent.iterdir())))
"""


@pytest.mark.parametrize("name", FORMATS)
def test_a_disk_that_is_full_is_said_with_the_path(tmp_path: Path, name: str) -> None:
    # A limit on the size of files stands for the full disk: both refuse a write, the first
    # one, one half way or that of the last buffer.
    path = tmp_path / f"a{FORMATS[name].suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done
    assert all(line.startswith(f"cannot write {str(path)!r}: ") for line in lines)
    assert all(line.endswith(" 0") for line in lines), "files were left"


def test_a_folder_that_is_not_there_is_said_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere/a\.wav"):
        Writer(tmp_path / "nowhere" / "a.wav", "wav", RATE)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("no audio at all\n" * 50)
    (tmp_path / "cover.png").write_bytes(picture("PNG"))
    with pytest.raises(NotFound, match=r"missing\.wav"):
        probe(tmp_path / "missing.wav")
    with pytest.raises(InvalidInput, match=r"a\.mp3"):
        list(read_blocks(tmp_path / "a.mp3"))
    with pytest.raises(InvalidInput, match="holds no audio"):
        probe(tmp_path / "cover.png")


def test_stereo_is_read_as_the_mean_of_its_channels(tmp_path: Path) -> None:
    left, right = sine(440, 0.5, RATE, 0.4), sine(880, 0.5, RATE, 0.2)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    assert probe(tmp_path / "a.wav").channels == 2
    np.testing.assert_allclose(read(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from farm.audio.files import Writer, read_blocks
path = Path(sys.argv[1])
block = np.random.default_rng(0).standard_normal(22050).astype(np.float32) * 0.1
def run(seconds):
    with Writer(path, path.suffix[1:], 22050) as writer:
        for _ in range(seconds):
            writer.write(block)
    length = sum(len(block) for block in read_blocks(path))
    return length, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(run(20)[1], *run(600))
"""


@pytest.mark.parametrize("name", ["wav", "flac", "m4a"])
def test_ten_minutes_take_the_memory_of_twenty_seconds(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / f"a.{name}")],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    short, length, long = map(int, done.stdout.split())
    assert length >= 600 * RATE
    # Ten minutes of float samples are 52,000 KiB.
    assert long - short < 6_000, f"{short} KiB for 20 s, {long} KiB for 600 s"


def test_every_format_says_what_it_is() -> None:
    assert {format.suffix for format in FORMATS.values()} == {f".{name}" for name in FORMATS}
    assert all(format.mime.startswith("audio/") for format in FORMATS.values())
    assert format_named("m4a") is FORMATS["m4a"]


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].rereads])
def test_a_file_in_memory_has_the_bytes_of_one_on_disk(tmp_path: Path, name: str) -> None:
    memory, path = io.BytesIO(), tmp_path / "a"
    signal = np.sin(np.arange(RATE, dtype=np.float32) / 20)
    for target in (memory, path):
        with Writer(target, name, RATE, TAGS) as writer:
            writer.write(signal[:9_999])
            writer.write(signal[9_999:])
    assert memory.getvalue() == path.read_bytes()
