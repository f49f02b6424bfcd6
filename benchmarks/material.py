"""The text and the voices that are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from farm import builtin, text
from farm.text import documents

#: Sentences of a paragraph: 17 s.
SENTENCES = 4

SAMPLE = builtin.SOURCE / "sample" / "late-letters.epub"


def sentences(characters: int, first: int = 0) -> list[str]:
    """Return sentences of the sample book, as spoken, over and over, up to so many characters.

    They are numbered from `first`, so that no sentence is the same as another and none is a hit.
    """
    book = documents.read(SAMPLE, SAMPLE.name)
    blocks = [block.text for section in book.sections for block in section.blocks]
    spoken = [s.spoken for block in blocks for s in text.sentences(block, "en") if s.spoken]
    found: list[str] = []
    size = 0
    while size < characters:
        said = "".join(c for c in spoken[len(found) % len(spoken)] if c.isalpha() or c in " ',")
        line = f"{said}, {_letters(first + len(found))}."
        found.append(line)
        size += len(line)
    return found


def paragraphs(sentences: list[str]) -> list[str]:
    """Join sentences to paragraphs of four, the last of what is left."""
    starts = range(0, len(sentences), SENTENCES)
    return [" ".join(sentences[at : at + SENTENCES]) for at in starts]


def _letters(number: int) -> str:
    """Name a number by letters, which no normaliser changes."""
    names = ["ash", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple", "oak"]
    return " ".join(names[int(digit)] for digit in str(number))


def write_lines(lines: list[str], path: Path) -> None:
    """Write a batch."""
    with path.open("w") as stream:
        for number, line in enumerate(lines):
            stream.write(json.dumps({"id": f"{number:06d}", "text": line}) + "\n")


def medium_voice(folder: Path) -> Path | None:
    """Return the folder of the untrained voice of Piper's medium size, made if it is not there.

    None where what its script needs (requirements/train.txt) is not installed.
    """
    model = folder / "medium.onnx"
    if not model.exists():
        script = Path("scripts/make-medium-voice")
        if subprocess.run([sys.executable, str(script), str(folder)], check=False).returncode:
            return None
    voice = "id: medium\nengine: piper\nlicence: none\nrtf: 0.1\n"
    files = "files: {model: medium.onnx, config: medium.onnx.json}\n"
    (folder / "medium.yaml").write_text(voice + files)
    return folder
