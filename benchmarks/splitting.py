"""What cutting a VITS graph costs and gives; prints the figures of docs/vits-split.md.

    python -m benchmarks.splitting VOICE.onnx

The voice takes Piper's inputs and has one speaker. Times are CPU seconds of one thread, the
original and its parts in turns, medians of the rounds: on a shared machine the wall clock says
little. Peaks of memory are those of processes of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import psutil

from farm.engines.sessions import open_session
from farm.engines.split import Split, Utterance

#: Ids of utterances: a few words, sentences, a long paragraph.
COUNTS = (20, 60, 120, 240, 600)
#: Most frames decoded at once; the last: all.
WINDOWS = (64, 128, 256, 512, 1024, 100_000)
ROUNDS = 5
#: Samples of a frame of all Piper voices.
HOP = 256
_PEAK = """
import sys
from functools import partial
from pathlib import Path
from benchmarks import splitting
splitting.print_peak(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""


def main() -> None:
    """Measure one voice and print."""
    parser = argparse.ArgumentParser(description="Measure a VITS graph whole and cut.")
    parser.add_argument("model", type=Path)
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        _print_loads(model, cache)
        _print_frames(model, cache)
        _print_windows(model, cache)


def _print_loads(model: Path, cache: Path) -> None:
    content = model.read_bytes()
    print(f"load, whole: {_cpu(lambda: open_session(content, 'voice', 'cpu', {})):.2f} s")
    for what in ("cold", "warm"):
        print(f"load, cut, {what} cache: {_cpu(lambda: _open(model, cache)):.2f} s")


def _print_frames(model: Path, cache: Path) -> None:
    session = open_session(model.read_bytes(), "voice", "cpu", {})
    split, masked = _open(model, cache), Split(model, "voice", "cpu", {"batched": 1}, cache)
    for count in COUNTS:
        each = _utterance(count)
        rounds = [
            (
                _per_frame(_whole, session, each),
                _per_frame(_cut, split, each),
                _per_frame(_cut, masked, each),
            )
            for _ in range(ROUNDS)
        ]
        times = [f"{1e3 * median(column):.3f}" for column in zip(*rounds, strict=True)]
        ratios = [f"{median(row[way] / row[0] for row in rounds):.2f}" for way in (1, 2)]
        print(
            f"{count} ids, ms a frame: whole {times[0]}, cut {times[1]} (x {ratios[0]}), "
            f"cut and masked {times[2]} (x {ratios[1]})"
        )


def _whole(session: onnxruntime.InferenceSession, each: Utterance) -> int:
    feeds = {
        "input": each.ids[np.newaxis],
        "input_lengths": np.array([len(each.ids)]),
        "scales": np.array([each.noise, each.length, each.noise_w], np.float32),
    }
    return int(session.run(None, feeds)[0].size) // HOP


def _cut(split: Split, each: Utterance) -> int:
    return int(split.speak([each])[0].frames.sum())


def _per_frame(run: Callable[..., int], *arguments: object) -> float:
    begin = time.process_time()
    frames = run(*arguments)
    return (time.process_time() - begin) / frames


def _print_windows(model: Path, cache: Path) -> None:
    split, each = _open(model, cache), _utterance(COUNTS[-1])
    reading = split.speak([each])[0]
    frames = int(reading.frames.sum())
    for window in WINDOWS:
        pieces = np.concatenate([piece.samples for piece in split.stream(each, window)])
        apart = np.abs(pieces - reading.samples).max()
        first, all_ = (
            median(_cpu(partial(take, split.stream(each, window))) for _ in range(ROUNDS))
            for take in (next, list)
        )
        run = subprocess.run(
            [sys.executable, "-c", _PEAK, str(model), str(cache), str(window)],
            capture_output=True,
            text=True,
            check=True,
        )
        print(
            f"{frames} frames in windows of {window}: first sound {first:.2f} s, all {all_:.2f} s, "
            f"memory {run.stdout.strip()} MB, {apart:.1e} from the whole"
        )


def print_peak(model: Path, cache: Path, window: int) -> None:
    """Print by how many MB a long utterance in such windows raises the peak of this process."""
    split = _open(model, cache)
    split.speak([_utterance(COUNTS[0])])
    before = psutil.Process().memory_info().rss
    for _ in split.stream(_utterance(COUNTS[-1]), window):
        pass
    print(round((_peak_bytes() - before) / 1e6))


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _open(model: Path, cache: Path) -> Split:
    return Split(model, "voice", "cpu", {}, cache)


def _utterance(count: int) -> Utterance:
    return Utterance(np.random.default_rng(count).integers(1, 140, count), seed=count)


def _cpu(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
