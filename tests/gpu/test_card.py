"""On a card: the provider asked for, the CPU's result, memory given back, and how fast it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farm.cli import trying
from farm.engines.sessions import open_session
from farm.errors import FarmError
from farm.jobs import Segment, Voice
from farm.schema import to_json
from farm.slots import slots
from farm.voices import VoiceFile, pin
from tests.engines.tiny_piper import make_model
from tests.gpu.conftest import DEVICE

ROOT = Path(__file__).parents[2]
#: Lengths may differ by a frame here and there: durations are rounded up from sums of floats.
LENGTHS = 0.01
#: Decibels by which a signal of the same length stands above its difference from the CPU's.
PARITY_DB = 30.0
#: Most by which a sample may differ between a segment alone and in a batch: below -50 dBFS, so that
#: a cut tail carries no noise either.
ALIKE = 1e-3
#: Bytes that may stay with the driver and the libraries after a voice is gone.
KEPT = 64 << 20


only_a_card = pytest.mark.skipif(DEVICE == "cpu", reason="only a card has this")


@only_a_card
def test_a_session_runs_on_the_card_and_says_so(card: str) -> None:
    model = make_model(True, False, False, False).SerializeToString()
    session = open_session(model, card, DEVICE, {})
    assert session.get_providers()[0] == "CUDAExecutionProvider"
    options = session.get_provider_options()["CUDAExecutionProvider"]
    assert (options["device_id"], options["cudnn_conv_algo_search"]) == ("0", "HEURISTIC")
    assert options["use_tf32"] == "0"


@only_a_card
def test_a_workers_slots_are_on_the_card(card: str) -> None:
    found = slots("onnx", DEVICE, 2, 1)
    assert [(slot.name, slot.card) for slot in found] == [("cuda:0#0", card), ("cuda:0#1", card)]


def segments(voice: Voice) -> list[Segment]:
    """Sentences, and their first words alone: the fewer durations, the fewer round differently."""
    whole = trying.segments(voice)
    words = [replace(each, text=f"{each.text.split()[0]}.") for each in whole]
    return [*whole, *words]


def test_the_card_speaks_as_the_cpu_does(file: VoiceFile) -> None:
    with trying.loaded(file, DEVICE) as (voice, fast), trying.loaded(file, "cpu") as (_, slow):
        wanted = segments(voice)
        pairs = [(fast.speak([s])[0].samples, slow.speak([s])[0].samples) for s in wanted]
    for here, there in pairs:
        assert abs(len(here) - len(there)) <= LENGTHS * len(there)
    alike = [(here, there) for here, there in pairs if len(here) == len(there)]
    assert alike, "every length differs"
    for here, there in alike:
        noise = float(np.sum((here - there) ** 2)) + 1e-12
        assert 10 * np.log10(float(np.sum(there**2)) / noise) > PARITY_DB


def test_a_batch_on_the_card_says_what_each_says_alone(file: VoiceFile) -> None:
    with trying.loaded(file, DEVICE) as (voice, engine):
        wanted = segments(voice)
        together = engine.speak(wanted)
        alone = [engine.speak([segment])[0] for segment in wanted]
    assert [len(audio.samples) for audio in together] == [len(audio.samples) for audio in alone]
    for here, there in zip(together, alone, strict=True):
        assert np.abs(here.samples - there.samples).max() < ALIKE


def test_the_memory_of_a_voice_is_given_back(file: VoiceFile, tmp_path: Path) -> None:
    """In a process of its own; what the first of several loads leaves is the libraries'."""
    pinned, folder = tmp_path / "pinned.json", tmp_path / "voice"
    pinned.write_bytes(to_json(pin(file)))
    folder.mkdir()
    for path in file.files.values():
        shutil.copyfile(path, folder / path.name)
    left = subprocess.run(
        [sys.executable, "-m", "tests.gpu.memory", pinned, folder, DEVICE],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert left.returncode == 0, left.stderr
    free = json.loads(left.stdout)
    if DEVICE != "cpu":  # there a process keeps what it was given
        assert free["loaded"] < free["before"], "a loaded voice takes memory of the card"
    assert free["after"] >= free["before"] - KEPT


def test_a_card_that_is_not_there_is_an_error(file: VoiceFile) -> None:
    with pytest.raises(FarmError, match="cuda:99"), trying.loaded(file, "cuda:99"):
        pass
