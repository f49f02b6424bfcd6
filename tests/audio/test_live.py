from __future__ import annotations

import io

import av
import numpy as np
import pytest

from farm.audio.live import LIVE, PCM_RATE, LiveEncoder
from farm.errors import InvalidInput

RATE = 22_050
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def encoded(name: str) -> list[bytes]:
    encoder = LiveEncoder(name, RATE)
    return [*(encoder.encode(block) for block in np.split(TONE, 10)), encoder.finish()]


def decoded(name: str, data: bytes) -> tuple[np.ndarray, int]:
    if name == "pcm":
        return np.frombuffer(data, "<i2") / 32768, PCM_RATE
    with av.open(io.BytesIO(data), "r") as file:
        blocks = [frame.to_ndarray().astype(float) for frame in file.decode(audio=0)]
        rate = file.streams.audio[0].rate
    signal = np.concatenate([block.mean(axis=0) for block in blocks])
    return signal / (32768 if np.abs(signal).max() > 2 else 1), rate


@pytest.mark.parametrize("name", LIVE)
def test_a_stream_is_the_signal(name: str) -> None:
    signal, rate = decoded(name, b"".join(encoded(name)))
    assert len(signal) / rate == pytest.approx(2.0, abs=0.15)
    middle = signal[rate // 2 : rate]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) / 0.5 == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("name", LIVE)
def test_most_of_it_is_there_before_the_end(name: str) -> None:
    *early, last = encoded(name)
    assert len(b"".join(early)) > 4 * len(last) or name == "opus"
    assert early[1] or early[2] or early[3]


@pytest.mark.parametrize("name", LIVE)
def test_what_has_come_so_far_can_be_played(name: str) -> None:
    first = b"".join(encoded(name)[:8])
    signal, rate = decoded(name, first)
    assert len(signal) / rate > 1.0


def test_the_same_signal_gives_the_same_bytes() -> None:
    assert encoded("mp3") == encoded("mp3")


def test_an_unknown_format_names_the_others() -> None:
    with pytest.raises(InvalidInput, match="'ogg'; choose one of mp3, opus"):
        LiveEncoder("ogg", RATE)
