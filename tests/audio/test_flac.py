"""FLAC segments: bit-exact samples, timings and comments; damage is never taken for audio."""

from __future__ import annotations

import io
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.audio import Audio, Timing, flac
from farm.errors import EngineError, InvalidInput
from tests.audio.signals import speech_like

TIMINGS = (Timing("^", 100), Timing("ə", 22_000), Timing(" ", 5_000), Timing("$", 17_000))


def timed() -> Audio:
    return Audio(speech_like(2, 22_050), 22_050, TIMINGS)


def test_samples_come_back_to_the_nearest_sixteenth_bit() -> None:
    audio = timed()
    back, _ = flac.decode(flac.encode(audio, {}))
    assert back.samples.dtype == np.float32
    assert np.abs(back.samples - audio.samples).max() <= 0.5 / 32_768
    assert (back.sample_rate, back.timings) == (22_050, TIMINGS)


def test_warnings_come_back_and_are_no_comment() -> None:
    lines = ("the voice lacks 'ʘ'", "the voice lacks '\"'")
    data = flac.encode(Audio(timed().samples, 22_050, TIMINGS, lines), {"A": "b"})
    back, comments = flac.decode(data)
    assert back.warnings == lines
    assert comments == {"A": "b"}
    assert flac.encode(back, comments) == data


def test_a_segment_without_warnings_says_nothing_of_them() -> None:
    data = flac.encode(timed(), {})
    assert flac.decode(data)[0].warnings == ()
    assert b"WARNINGS" not in data


@pytest.mark.parametrize("value", ["{", "1", "null"])
def test_warnings_that_cannot_be_read_are_refused(value: str) -> None:
    data = flac.encode(Audio(timed().samples, 22_050), {"WARNINGZ": value})
    with pytest.raises(InvalidInput, match="not a readable FLAC"):
        flac.decode(data.replace(b"WARNINGZ=", b"WARNINGS="))


def test_what_was_decoded_once_is_encoded_without_loss() -> None:
    data = flac.encode(timed(), {"x": "1"})
    audio, comments = flac.decode(data)
    assert flac.encode(audio, comments) == data


def test_comments_come_back_with_names_in_upper_case() -> None:
    comments = {"farm_cost": "0.25", "PHONEMES": "həˈloʊ=wɜːld\nline two", "EMPTY": ""}
    _, back = flac.decode(flac.encode(timed(), comments))
    assert back == {"FARM_COST": "0.25", "PHONEMES": comments["PHONEMES"], "EMPTY": ""}


def test_a_segment_without_timings_has_none() -> None:
    audio, comments = flac.decode(flac.encode(Audio(timed().samples, 16_000), {}))
    assert audio.timings == ()
    assert comments == {}
    assert audio.sample_rate == 16_000


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 4095, 4096, 4097])
def test_short_signals_keep_every_sample(length: int) -> None:
    samples = np.linspace(-1, 1, length, dtype=np.float32)
    back, _ = flac.decode(flac.encode(Audio(samples, 24_000), {}))
    assert len(back.samples) == length


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=300),
    st.dictionaries(
        st.text("ABC_", min_size=1, max_size=8), st.text(max_size=30).filter(str.isprintable)
    ),
)
def test_any_sixteen_bits_and_any_text_survive(values: list[int], comments: dict[str, str]) -> None:
    samples = np.array(values, np.float32) / np.float32(32_768)
    back, read = flac.decode(flac.encode(Audio(samples, 22_050), comments))
    np.testing.assert_array_equal(back.samples, samples)
    assert read == comments


def test_louder_than_full_scale_is_clipped_not_wrapped() -> None:
    samples = np.array([1.5, 1.0, -1.0, -7.0], np.float32)
    back, _ = flac.decode(flac.encode(Audio(samples, 22_050), {}))
    np.testing.assert_array_equal(back.samples * 32_768, [32_767, 32_767, -32_768, -32_768])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_the_engines_error(bad: float) -> None:
    samples = np.zeros(100, np.float32)
    samples[50] = bad
    with pytest.raises(EngineError, match="NaN or infinity"):
        flac.encode(Audio(samples, 22_050), {})


@pytest.mark.parametrize("shape", [(0,), (1, 100), (100, 2)])
def test_an_empty_or_stacked_signal_is_the_engines_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="shape"):
        flac.encode(Audio(np.zeros(shape, np.float32), 22_050), {})


def test_timings_that_do_not_add_up_are_the_engines_error() -> None:
    with pytest.raises(EngineError, match="99 samples, the signal has 100"):
        flac.encode(Audio(np.zeros(100, np.float32), 22_050, (Timing("a", 99),)), {})


@pytest.mark.parametrize("name", ["", "A=B", "Ä", "A\n", "TIMINGS", "timings", "Warnings"])
def test_a_comment_that_flac_has_no_name_for_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="comment"):
        flac.encode(timed(), {name: "x"})


def test_comments_beyond_a_block_are_refused() -> None:
    with pytest.raises(InvalidInput, match="16777215"):
        flac.encode(timed(), {"BIG": "x" * (1 << 24)})


def test_a_file_cut_short_anywhere_is_refused() -> None:
    data = flac.encode(timed(), {"A": "b"})
    for length in [0, 3, 4, 30, 41, 42, 60, 200, len(data) // 2, len(data) - 1]:
        with pytest.raises(InvalidInput):
            flac.decode(data[:length])


def test_a_flipped_bit_anywhere_is_refused_or_without_effect() -> None:
    data = flac.encode(timed(), {"A": "b"})
    whole, _ = flac.decode(data)
    for at in range(4, len(data), 997):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        try:
            audio, _ = flac.decode(bytes(damaged))
        except InvalidInput:
            continue
        np.testing.assert_array_equal(audio.samples, whole.samples)


def test_a_flipped_bit_in_the_frames_is_refused() -> None:
    damaged = bytearray(flac.encode(timed(), {}))
    damaged[-2000] ^= 0x10
    with pytest.raises(InvalidInput):
        flac.decode(bytes(damaged))


@pytest.mark.parametrize("data", [b"", b"RIFF....WAVE", b"fLaC", b"<Error>NoSuchKey</Error>"])
def test_what_is_not_flac_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a readable FLAC"):
        flac.decode(data)


def test_a_stereo_file_is_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((100, 2), np.int16), 22_050, format="FLAC")
    with pytest.raises(InvalidInput, match="16-bit x 2"):
        flac.decode(buffer.getvalue())


@pytest.mark.parametrize("value", ["{", "[1]", '[["a"]]', '{"a": 1}', '[["a","b"]]'])
def test_timings_that_cannot_be_read_are_refused(value: str) -> None:
    data = flac.encode(Audio(timed().samples, 22_050), {"TIMINGZ": value})
    with pytest.raises(InvalidInput, match="not a readable FLAC"):
        flac.decode(data.replace(b"TIMINGZ=", b"TIMINGS="))


def test_another_decoder_reads_samples_and_comments() -> None:
    data = flac.encode(timed(), {"voice": "slt"})
    with av.open(io.BytesIO(data), "r") as container:
        assert container.metadata["VOICE"] == "slt"
        assert container.metadata["TIMINGS"].startswith('[["^",100],["ə",22000]')
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    np.testing.assert_array_equal(
        np.concatenate(frames), flac.decode(data)[0].samples * np.float32(32_768)
    )


def test_another_process_makes_the_same_bytes() -> None:
    script = (
        "import hashlib, numpy as np\n"
        "from farm.audio import Audio, Timing, flac\n"
        "s = np.sin(np.arange(30000) * 0.05).astype(np.float32)\n"
        "d = flac.encode(Audio(s, 22050, (Timing('a', 30000),)), {'B': '1', 'A': '2'})\n"
        "print(hashlib.sha256(d).hexdigest())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=True,
            text=True,
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in (1, 2)
    }
    assert len(outputs) == 1


def test_the_encoders_name_and_version_are_not_in_the_bytes() -> None:
    data = flac.encode(timed(), {})
    assert b"libFLAC" not in data
    assert b"libsndfile" not in data
