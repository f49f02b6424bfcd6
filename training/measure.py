"""The `measure` stage: figures about the exported voice that need the corpus or torch."""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from training import features, teacher
from training.check import load as load_voice
from training.check import speaker
from training.corpus import Corpus
from training.export import load
from training.recogniser import Recogniser, word_error_rate
from training.refine import contrast
from training.settings import EDGE_FRAMES, F0_CENTRE, HELD_OUT, HOP, SAMPLE_RATE
from training.train_acoustic import validate

FloatArray = npt.NDArray[np.float32]


def _session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def parity(work: Path, out: Path) -> tuple[float, float]:
    """Return the largest difference between PyTorch and ONNX Runtime: mel, audio."""
    acoustic, vocoder = load(work)
    ids = np.random.default_rng(0).integers(14, 120, (3, 80))
    feed = {
        "input": ids,
        "input_lengths": np.array([80, 51, 12]),
        "scales": np.array([0, 1, 0], np.float32),
    }
    mel, lengths, _ = _session(out / "acoustic.onnx").run(None, feed)
    wav = _session(out / "vocoder.onnx").run(None, {"mel": mel, "mel_lengths": lengths})[0]
    with torch.no_grad():
        mel_torch = acoustic(*(torch.from_numpy(value) for value in feed.values()))[0]
        wav_torch = vocoder(torch.from_numpy(mel), torch.from_numpy(lengths))
    return np.abs(mel - mel_torch.numpy()).max(), np.abs(wav - wav_torch.numpy()).max()


def copy(out: Path, sentences: list[str]) -> list[FloatArray]:
    """Return the teacher's own mels turned back to audio by the vocoder."""
    session, made = _session(out / "vocoder.onnx"), []
    for text in sentences:
        mel = features.log_mel(torch.from_numpy(teacher.speak(text)[0].copy())[None]).numpy()
        feed = {"mel": mel, "mel_lengths": np.array([mel.shape[2]])}
        made.append(session.run(None, feed)[0][0])
    return made


def contrasts(work: Path, out: Path) -> tuple[FloatArray, FloatArray]:
    """Return the harmonics' contrast per band of the teacher and of the vocoder's copy."""
    corpus, session = Corpus(work / "corpus"), _session(out / "vocoder.onnx")
    rows = []
    for index in corpus.split()[1]:
        one = corpus[index]
        feed = {"mel": one.mel.T[None], "mel_lengths": np.array([len(one.mel)])}
        signals = np.stack([one.signal / np.float32(32768), session.run(None, feed)[0][0]])
        f0 = torch.from_numpy(F0_CENTRE * np.exp(one.pitch)).expand(2, -1)
        voiced = torch.from_numpy(one.voiced.astype(np.float32)).expand(2, -1)
        rows.append(contrast(torch.from_numpy(signals), f0, voiced).numpy())
    true, made = np.mean(rows, axis=0)
    return true, made


def measure(work: Path, out: Path) -> None:
    """Print all figures."""
    np.set_printoptions(precision=2, suppress=True)
    sentences = HELD_OUT.read_text("utf-8").splitlines()
    print("validation losses", {k: round(v, 3) for k, v in validate(work).items()})
    print("PyTorch against ONNX Runtime, mel and audio: {:.1e} {:.1e}".format(*parity(work, out)))
    judge, copies = Recogniser(), copy(out, sentences)
    wer = word_error_rate(sentences, [judge.hear(signal) for signal in copies])
    print(f"open WER of the vocoder on the teacher's mel: {wer:.3f}")
    true, made = contrasts(work, out)
    print(f"contrast of harmonics per kHz: teacher {true}, copy {made}")
    speak, began = speaker(load_voice(out)), time.process_time()
    lengths = np.array([len(speak(text)) for text in sentences]) / SAMPLE_RATE
    print(f"{time.process_time() - began:.2f} CPU seconds for {lengths.sum():.1f} s of audio")
    edges = sum(EDGE_FRAMES) * HOP / SAMPLE_RATE
    ratio = lengths / np.array([_spoken(text) + edges for text in sentences])
    print(f"length, voice / teacher: {ratio.mean():.3f} +- {ratio.std():.3f}")


def _spoken(text: str) -> float:
    """Return the teacher's seconds between its first and its last pause."""
    _, phones = teacher.speak(text)
    return phones[-2].end - phones[0].end
