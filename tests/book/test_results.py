from __future__ import annotations

import io
import json
import subprocess
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from farm.audio import files
from farm.book.results import Input, Pack
from farm.errors import NotFound
from farm.jobs import Mark, Output
from farm.schema import to_json
from farm.storage.local import LocalStore

RATE = 8000
ALL = ("words", "sentences")


class Shop:
    """A store with the audio and the marks of inputs."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder / "store")
        self.folder = folder / "work"
        self.folder.mkdir()

    def spoken(self, name: str, text: str, ms: int = 1000, format: str = "wav") -> Input:
        """An input whose words share its time."""
        path = self.folder / name
        with files.Writer(path, format, RATE) as writer:
            writer.write(np.full(RATE * ms // 1000, 0.25, np.float32))
        self.store.put_file(f"{name}/audio", path)
        path.unlink()
        words = text.split()
        each = ms // len(words)
        marks = [Mark("sentence", text, 0, ms, 0, len(text))]
        marks += [Mark("word", w, n * each, (n + 1) * each, 0, 0) for n, w in enumerate(words)]
        self.store.put(f"{name}/marks", b"".join(to_json(mark) + b"\n" for mark in marks))
        return Input(text, ms / 1000, f"{name}/audio", f"{name}/marks")

    def write(
        self, *inputs: Input, name: str = "results.zip", pause_ms: int = 0, **output: Any
    ) -> Path:
        made = Output(**{"format": "wav", "package": "azure", "sample_rate": RATE, **output})
        path = self.folder / name
        Pack(self.store, made, self.folder, pause_ms).write(path, "my-job", inputs)
        return path

    def opened(self, *inputs: Input, **output: Any) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.write(*inputs, **output))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def listed(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


def test_every_input_has_its_files_and_its_row(shop: Shop) -> None:
    archive = shop.opened(shop.spoken("a", "one two"), shop.spoken("b", "three"), options=ALL)
    assert archive.namelist() == [
        "0001.debug.json", "0001.word.json", "0001.sentence.json", "0001.wav",
        "0002.debug.json", "0002.word.json", "0002.sentence.json", "0002.wav",
        "summary.json",
    ]  # fmt: skip
    assert archive.testzip() is None
    assert listed(archive, "summary.json") == {
        "jobID": "my-job",
        "status": "Succeeded",
        "results": [
            {
                "contents": [text],
                "status": "Succeeded",
                "audioFileName": f"{number}.wav",
                "properties": {"sizeInBytes": "16044", "durationInMilliseconds": "1000"},
                "wordBoundaryFileName": f"{number}.word.json",
                "sentenceBoundaryFileName": f"{number}.sentence.json",
            }
            for number, text in (("0001", "one two"), ("0002", "three"))
        ],
    }


def test_boundaries_are_milliseconds_and_only_those_asked_for(shop: Shop) -> None:
    archive = shop.opened(shop.spoken("a", "one two"), options=("words",))
    assert listed(archive, "0001.word.json") == [
        {"Text": "one", "AudioOffset": 0, "Duration": 500},
        {"Text": "two", "AudioOffset": 500, "Duration": 500},
    ]
    assert "0001.sentence.json" not in archive.namelist()
    assert "sentenceBoundaryFileName" not in listed(archive, "summary.json")["results"][0]


def test_a_failed_input_has_empty_boundaries_and_a_reason(shop: Shop) -> None:
    lost = Input("bad", error="no such phoneme", warnings=("odd",))
    archive = shop.opened(lost, shop.spoken("b", "good"), options=ALL)
    assert listed(archive, "0001.word.json") == listed(archive, "0001.sentence.json") == []
    assert listed(archive, "0001.debug.json") == {"error": "no such phoneme", "warnings": ["odd"]}
    row = listed(archive, "summary.json")["results"][0]
    assert row["error"] == {"code": "SynthesisFailed", "message": "no such phoneme"}
    assert "audioFileName" not in row
    assert "0001.wav" not in archive.namelist()


@pytest.mark.parametrize("joined", [(), ("joined",)])
def test_a_batch_of_which_all_failed_still_has_every_file(
    shop: Shop, joined: tuple[str, ...]
) -> None:
    archive = shop.opened(Input("bad", error="why"), options=(*ALL, *joined))
    assert archive.namelist() == [
        "0001.debug.json", "0001.word.json", "0001.sentence.json", "summary.json",
    ]  # fmt: skip
    assert listed(archive, "summary.json")["status"] == "Failed"


def test_joined_inputs_follow_each_other_after_a_pause(shop: Shop) -> None:
    inputs = [
        shop.spoken("a", "one two", 1000, "flac"),
        Input("bad", error="why"),
        shop.spoken("b", "three", 500, "flac"),
    ]
    archive = shop.opened(*inputs, pause_ms=250, options=(*ALL, "joined"))
    audio, rate = soundfile.read(io.BytesIO(archive.read("0001.wav")))
    assert (len(audio), rate) == (RATE * 1750 // 1000, RATE)
    assert np.allclose(audio[:RATE], 0.25)
    assert not audio[RATE : RATE + RATE // 4].any()
    assert np.allclose(audio[RATE + RATE // 4 :], 0.25)
    assert [(w["Text"], w["AudioOffset"]) for w in listed(archive, "0001.word.json")] == [
        ("one", 0),
        ("two", 500),
        ("three", 1250),
    ]
    spoken, lost = listed(archive, "summary.json")["results"]
    assert spoken["contents"] == ["one two", "three"]
    assert spoken["properties"]["durationInMilliseconds"] == "1750"
    assert lost["contents"] == ["bad"]


def test_what_is_put_in_decides_every_byte(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = shop.spoken("a", "one two"), shop.spoken("b", "three")
    first = shop.write(*inputs, name="first.zip", options=ALL).read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    second = shop.write(*inputs, name="second.zip", options=ALL).read_bytes()
    assert first == second


def test_nothing_is_left_beside_the_archive(shop: Shop) -> None:
    shop.write(shop.spoken("a", "one", format="flac"), options=(*ALL, "joined"))
    shop.write(shop.spoken("b", "one"), options=ALL)
    assert [path.name for path in shop.folder.iterdir()] == ["results.zip"]


def test_other_programs_find_it_sound(shop: Shop) -> None:
    path = shop.write(shop.spoken("a", "één 二"), options=ALL)
    tested = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=True)
    assert "No errors detected" in tested.stdout
    read = subprocess.run(["unzip", "-p", path, "0001.word.json"], capture_output=True, check=True)
    assert [row["Text"] for row in json.loads(read.stdout)] == ["één", "二"]


def test_audio_is_never_held_in_memory(shop: Shop) -> None:
    long = shop.spoken("a", "long", 600_000)
    tracemalloc.start()
    path = shop.write(long, options=ALL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 9_600_000
    assert peak < 3_000_000  # the store copies a megabyte at a time


def test_ten_thousand_inputs_are_numbered_in_order(shop: Shop) -> None:
    archive = shop.opened(*[Input(str(n), error="why") for n in range(1, 10_001)])
    names = archive.namelist()
    assert (names[0], names[9998], names[9999]) == (
        "0001.debug.json",
        "9999.debug.json",
        "10000.debug.json",
    )
    assert [row["contents"] for row in listed(archive, "summary.json")["results"]][-1] == ["10000"]


def test_audio_that_is_gone_is_an_error(shop: Shop) -> None:
    spoken = shop.spoken("a", "one")
    shop.store.delete(spoken.audio)
    with pytest.raises(NotFound):
        shop.write(spoken)
