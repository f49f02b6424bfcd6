"""`scripts/bench engines`: the smallest run of it, its rivals, and what it reckons."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import profiles
from benchmarks.contenders import GROUPS, OURS, THEIRS, Contender, Goal, setup
from benchmarks.engines import main
from benchmarks.probe import Probe, Setup
from benchmarks.rows import Row, filled, judged
from tests.exports import copy, export

ROOT = Path(__file__).parent.parent
LINES = ["A short one.", "A rather longer one, which goes on and on until nobody can doubt it is."]


@contextmanager
def probe(loaded: Setup, folder: Path) -> Iterator[Probe]:
    with ExitStack() as stack:
        started = Probe(loaded, folder / "log")
        stack.callback(started.close)
        yield started


def row(title: str, rates: list[float], batched: bool = False, cost: float = 0.1) -> Row:
    made = Row(Contender(title, "tone"), replace(OURS[0], batched=batched), [], 1)
    made.rates.extend(rates)
    made.costs.extend(cost for _ in rates)
    return made


def test_the_bench_prints_what_the_issue_asks_for_of_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    main(["--groups", "tone", "--seconds", "0.1", "--rounds", "2", "--batch", "4"])
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("| `tone`")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [cells[1] for cells in rows] == [way.title for way in OURS]
    for cells in rows:
        rate, rtf, cost, load, warm, megabytes = (float(each.split()[0]) for each in cells[2:8])
        assert rate * rtf == pytest.approx(1, rel=0.05)
        assert 0 < cost < 0.2
        assert 0 < warm < load < 60
        assert 10 < megabytes < 1_000
    fill, waste = (int(each.rstrip("%")) for each in rows[2][8:10])
    assert 25 < fill <= 100
    assert 0 <= waste < 60


def test_a_group_that_is_not_known_is_refused_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--groups", "tone,espeak"])
    assert "no group 'espeak': choose of piper, vits" in capsys.readouterr().err


def test_both_benches_are_one_script() -> None:
    for name, option in (("engines", "--groups"), ("farm", "--voices")):
        command = [str(ROOT / "scripts" / "bench"), name, "--help"]
        shown = subprocess.run(
            command, cwd=ROOT, env={"PYTHON": sys.executable}, capture_output=True, check=True
        )
        assert option in shown.stdout.decode()


def test_a_process_that_cannot_load_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'espeak'"):
        Probe(Setup("espeak", str(tmp_path), LINES[0]), tmp_path / "log")


def test_the_piper_command_is_measured_without_its_loading(tmp_path: Path) -> None:
    copy("piper", tmp_path / "voice")
    with probe(Setup("piper", str(tmp_path / "voice"), LINES[0], threads=0), tmp_path) as started:
        spoken = started.speak(LINES)
        assert started.warm_s > spoken["cpu"] > 0
    assert 0.1 < spoken["spoken"][0] < spoken["spoken"][1] < 20
    # The command's own, not those of the process that feeds it.
    assert spoken["peak_mb"] > 60


def test_sherpa_onnx_is_measured_on_the_files_that_vits_reads(tmp_path: Path) -> None:
    pytest.importorskip("sherpa_onnx", reason="sherpa-onnx is not installed: make setup EXTRAS=all")
    folder = export("sherpa_piper")
    with probe(Setup("sherpa", str(folder), LINES[0], threads=2), tmp_path) as started:
        first, second = started.speak(LINES)["spoken"]
    assert 0.1 < first < second < 100


def test_an_engine_behind_http_is_measured_with_its_service(tmp_path: Path) -> None:
    contender = Contender("it", "slt", serve="piper")
    with probe(setup(contender, OURS[0], tmp_path, LINES[0], 1), tmp_path) as started:
        spoken = started.speak(LINES)
    assert 0.3 < spoken["spoken"][0] < spoken["spoken"][1] < 10
    # The service's, which has the model.
    assert spoken["peak_mb"] > 100


def test_batches_are_as_full_and_as_padded_as_their_lines_say() -> None:
    lines = ["a" * 10, "a" * 20, "a" * 20, "a" * 30]
    # Budget 40: the first two (padded to 40), then one each.
    fill, waste = filled(lines, [1.0, 2.0, 2.0, 3.0], 40)
    assert fill == pytest.approx((40 / 40 + 20 / 40 + 30 / 40) / 3)
    assert waste == pytest.approx(1 - 8 / 9)
    assert filled(["a" * 50], [4.0], 40) == (1.0, 0.0)


@pytest.mark.parametrize(("least", "met"), [(1.2, True), (1.6, False)])
def test_a_goal_compares_the_best_ways_round_by_round(least: float, met: bool) -> None:
    rows = [
        row("ours", [10.0, 10.0, 10.0]),
        row("ours", [12.0, 15.0, 30.0]),
        row("ours", [99.0], batched=True),
        row("theirs", [10.0, 10.0, 10.0], cost=0.2),
        row("theirs", [1.0, 1.0, 1.0]),
    ]
    found, said = judged(Goal("ours", least, "theirs"), rows)
    assert found is met
    assert "1.5 (1.2-3) times as fast as theirs (alone)" in said
    assert "3 in their fastest rounds, 2 by CPU seconds" in said
    assert judged(Goal("ours", 14), rows)[0]
    assert not judged(Goal("ours", 16), rows)[0]


def test_a_profile_counts_what_convolutions_and_products_multiply() -> None:
    def event(
        kind: str, microseconds: int, given: list[list[int]], made: list[int]
    ) -> dict[str, Any]:
        shapes = {
            "input_type_shape": [{"float": each} for each in given],
            "output_type_shape": [{"float": made}],
        }
        return {"dur": microseconds, "args": {"op_name": kind, **shapes}}

    events = [
        event("Conv", 600, [[1, 8, 100], [16, 8, 3], [16]], [1, 16, 100]),
        event("ConvTranspose", 200, [[1, 8, 10], [8, 4, 16], [4]], [1, 4, 80]),
        event("MatMul", 100, [[1, 6, 5], [5, 7]], [1, 6, 7]),
        event("Add", 100, [[1], [1]], [1]),
    ]
    found = profiles.summed(events, audio=2.0, peak=1e9)
    assert found.operations == 2 * 16 * 100 * 8 * 3 + 2 * 8 * 10 * 4 * 16 + 2 * 6 * 7 * 5
    assert found.seconds["ConvTranspose"] == pytest.approx(2e-4)
    assert "Conv 60%" in found.text("it")
    assert "matrix products take 90%" in found.text("it")


def test_the_profile_of_an_engine_is_taken_while_it_speaks(tmp_path: Path) -> None:
    said = profiles.of(GROUPS["home"].contenders[0], tmp_path)
    found = re.search(r"products take (\d+)%.* (\d+)% of the (\d+) G", said)
    assert found, said
    share, reached, peak = map(int, found.groups())
    assert 10 < share < 100
    assert reached > 0
    assert peak > 0


def test_an_engine_is_loaded_as_its_voice_says_and_a_batch_only_where_asked(tmp_path: Path) -> None:
    contender = GROUPS["tone"].contenders[0]
    alone, batched = (setup(contender, way, tmp_path, LINES[0], 300) for way in OURS[::2])
    assert (alone.budget, batched.budget) == (1, 300)
    assert '"engine":"tone"' in alone.voice
    rival = replace(contender, rival="sherpa")
    assert setup(rival, THEIRS[2], tmp_path, LINES[0], 300).threads == 2
