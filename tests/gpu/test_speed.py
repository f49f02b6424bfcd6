"""How fast every engine is on a card, and whether that reaches the project's goals.

The goals are judged by models of full size, untrained: their audio costs what a trained one's does.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import contenders
from farm.calibration import choose, compare
from farm.cli import trying
from farm.jobs import Voice
from farm.voices import VoiceFile, read
from tests.gpu.conftest import DEVICE

#: Model of `benchmarks.contenders` to how many times real time a data-centre GPU must speak it.
GOALS = {"slt-pair": 750.0, "sherpa": 300.0}
#: How many times as fast as in PyTorch a YourTTS must be in ONNX Runtime.
ONNX_GAIN = 2.0

#: Seconds for a model of full size to be made, exported and measured.
LONG = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def models(card: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models of full size are made."""
    assert card
    return tmp_path_factory.mktemp("models")


def fastest(file: VoiceFile, card: str, capsys: pytest.CaptureFixture[str]) -> float:
    """Seconds of audio per second in the best size of batch; all are printed, and kept in OUT."""
    with trying.loaded(file, DEVICE) as (voice, engine):
        longest = max(trying.segments(voice), key=lambda segment: len(segment.text))
        passes = compare(engine, longest)
    with capsys.disabled():
        print(f"\n{voice.engine} {voice.id} on {card}: {choose(passes)}")
        for each in passes:
            way = {None: "", False: ", masks", True: ", fixed windows"}[each.fixed_windows]
            print(f"{each.segments:5} segments {each.throughput:10.1f} x real time{way}")
    keep(voice, card, [asdict(each) for each in passes])
    return max(each.throughput for each in passes)


def keep(voice: Voice, card: str, rows: list[dict[str, float]]) -> None:
    if "OUT" in os.environ:
        path = Path(os.environ["OUT"], f"throughput-{voice.engine}-{voice.id}.json")
        path.write_text(json.dumps({"card": card, "voice": voice.digest, "passes": rows}))


def test_the_table_of_throughput(
    file: VoiceFile, card: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fastest(file, card, capsys) > 1


@LONG
@pytest.mark.parametrize("model", GOALS)
def test_an_engine_reaches_its_goal(
    model: str, models: Path, card: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fastest(read(contenders.model(model, models)), card, capsys)
    judge(found, GOALS[model])


@LONG
def test_yourtts_in_onnx_is_twice_as_fast_as_in_pytorch(
    models: Path, card: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("TTS", reason="coqui-tts is not installed: make setup EXTRAS=gpu")
    ours, theirs = (
        fastest(read(contenders.model(name, models)), card, capsys)
        for name in ("yourtts_onnx", "yourtts")
    )
    judge(ours / theirs, ONNX_GAIN)


def judge(found: float, least: float) -> None:
    """Compare with a goal, which is a card's: on a CPU only the way there is tried."""
    assert found > 0
    if DEVICE != "cpu":
        assert found >= least
