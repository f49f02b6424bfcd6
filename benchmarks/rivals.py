"""Other programs that speak the same model files, each as a function that speaks lines.

Every one is loaded once and then speaks line after line, as it would in a program of its own.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

#: Speaks lines, one after another, and returns how many seconds of audio each became.
Speak = Callable[[Sequence[str]], list[float]]

#: Zeros that Coqui's `Synthesizer` puts after each sentence; nothing was computed for them.
_COQUI_SILENCE = 10_000


def piper(folder: Path, threads: int) -> Speak:
    """Start the `piper` command on a folder's only model; it reads lines as they are sent.

    It has no option for threads and takes all cores.
    """
    assert not threads, "piper chooses its threads itself"
    (model,) = folder.glob("*.onnx")
    made = tempfile.TemporaryDirectory(prefix="bench-piper-")
    process = subprocess.Popen(
        [sys.executable, "-m", "piper", "-m", str(model), "--output-dir", made.name],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.terminate)

    def speak(lines: Sequence[str]) -> list[float]:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("".join(f"{line}\n" for line in lines))
        process.stdin.flush()
        written = [_written(process.stderr.readline()) for _ in lines]
        return [_wav_seconds(path) for path in written]

    return speak


def _written(line: str) -> Path:
    """Take the path from the line that `piper` logs for each file that it has written."""
    _, found, path = line.partition("Wrote ")
    if not found:
        raise RuntimeError(f"the piper command said {line!r}")
    return Path(path.strip())


def _wav_seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        seconds: float = file.getnframes() / file.getframerate()
    path.unlink()
    return seconds


def sherpa(folder: Path, threads: int) -> Speak:
    """Load `model.onnx` and `tokens.txt` into sherpa-onnx; espeak's phonemes come from outside."""
    import sherpa_onnx
    from piper.phonemize_espeak import EspeakPhonemizer

    vits = sherpa_onnx.OfflineTtsVitsModelConfig(
        model=str(folder / "model.onnx"), lexicon="", tokens=str(folder / "tokens.txt")
    )
    model = sherpa_onnx.OfflineTtsModelConfig(vits=vits, num_threads=threads)
    tts = sherpa_onnx.OfflineTts(sherpa_onnx.OfflineTtsConfig(model=model, max_num_sentences=-1))
    phonemizer = EspeakPhonemizer()

    def speak(lines: Sequence[str]) -> list[float]:
        seconds = []
        for line in lines:
            config = sherpa_onnx.GenerationConfig()
            said = phonemizer.phonemize("en-us", line)
            config.phoneme_codepoints = [[ord(each) for each in one] for one in said]
            audio = tts.generate(line, config)
            seconds.append(len(audio.samples) / audio.sample_rate)
        return seconds

    return speak


def coqui(folder: Path, threads: int) -> Speak:
    """Load a checkpoint into Coqui's `Synthesizer`, what its `tts` command speaks with."""
    import torch
    from TTS.utils.synthesizer import Synthesizer

    torch.set_num_threads(threads)
    synthesizer = Synthesizer(
        tts_checkpoint=folder / "model_file.pth", tts_config_path=folder / "coqui.json"
    )
    speaker = synthesizer.tts_model.speaker_manager.speaker_names[0]

    def speak(lines: Sequence[str]) -> list[float]:
        given = [synthesizer.tts(line, speaker, "en", split_sentences=False) for line in lines]
        rate = synthesizer.output_sample_rate
        return [(len(samples) - _COQUI_SILENCE) / rate for samples in given]

    return speak


SPEAKERS: dict[str, Callable[[Path, int], Speak]] = {
    "coqui": coqui,
    "piper": piper,
    "sherpa": sherpa,
}
