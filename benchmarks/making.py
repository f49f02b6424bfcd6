"""Makes the models of `benchmarks.engines` that need torch: `python -m benchmarks.making NAME TO`.

They are untrained and of full size: a second of their audio costs what one of a trained model does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from tests.exports.sherpa import add_metadata, write_tokens
from tests.exports.yourtts import make_checkpoint


def sherpa(folder: Path) -> None:
    """Copy Piper's medium voice and add what sherpa-onnx reads; `vits` reads it too."""
    shutil.copyfile(folder.parent / "medium" / "medium.onnx", folder / "model.onnx")
    says = {"comment": "piper", "language": "English", "voice": "en-us", "version": 1}
    counts = {"has_espeak": 1, "has_g2pw": 0, "n_speakers": 1, "sample_rate": 22_050}
    add_metadata(folder / "model.onnx", says | counts)
    single = {each: ids[0] for each, ids in DEFAULT_PHONEME_ID_MAP.items() if len(each) == 1}
    write_tokens(folder, single)
    files = "{model: model.onnx, tokens: tokens.txt}"
    (folder / "voice.yaml").write_text(f"id: medium\nengine: vits\nlanguage: en\nfiles: {files}\n")


def yourtts(folder: Path) -> None:
    """Write a checkpoint of YourTTS of the released size: 40 M parameters."""
    make_checkpoint(folder, full=True, resnet=True)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    # Coqui looks for the speakers where the config says, the farm beside it.
    config["model_args"]["d_vector_file"] = [str(folder.absolute() / "speakers.json")]
    (folder / "coqui.json").write_text(json.dumps(config), "utf-8")
    files = "{config: config.json, model: model_file.pth, languages: language_ids.json, "
    files += "speakers: speakers.json}"
    about = "id: yourtts\nengine: yourtts\nlanguage: en\nparameters: {speaker: female-en-5}\n"
    (folder / "voice.yaml").write_text(f"{about}files: {files}\n")


def yourtts_onnx(folder: Path) -> None:
    """Export that checkpoint by the farm's own command."""
    checkpoint = folder.parent / "yourtts"
    export = [sys.executable, "-m", "farm.cli", "export", "yourtts", str(checkpoint), str(folder)]
    subprocess.run([*export, "--voice", "yourtts-onnx", "--licence", "none"], check=True)


MAKERS = {"sherpa": sherpa, "yourtts": yourtts, "yourtts_onnx": yourtts_onnx}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]))
