"""The `piper` command on the same text and voice: (c). One process, as it comes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def run(model: Path, lines: list[str], folder: Path) -> float:
    """Speak a file of lines into one file each; return seconds, loading included."""
    folder.mkdir(parents=True)
    text = folder / "lines.txt"
    text.write_text("\n".join(lines) + "\n")
    begin = time.perf_counter()
    command = [sys.executable, "-m", "piper", "-m", str(model), "-i", str(text)]
    subprocess.run([*command, "-d", str(folder)], check=True, capture_output=True)
    return time.perf_counter() - begin
