"""The `check` stage: does the voice follow a reference, and is it understood?

It clones speakers that it never learnt from, from one recording of each, and speaks the held-out
sentences as them through the farm's own engine. A recogniser hears the originals and the clones;
the median F0 of both is compared. The control is a clone of somebody else.
"""

from pathlib import Path

import numpy as np
import yaml

from farm import voices
from farm.audio import Samples
from farm.engines.cloning.embedding import SpeakerEncoder
from farm.engines.yourtts_onnx import YourTtsOnnx
from farm.jobs import Prosody, Segment
from training import features
from training.recogniser import Recogniser, word_error_rate
from training.settings import HELD_OUT, HOP, SAMPLE_RATE
from training.zeroshot.export import REFERENCE
from training.zeroshot.speakers import F0_RANGE, UNSEEN


def median_f0(signal: Samples) -> float:
    """Return the median F0 of the voiced frames, in Hertz."""
    f0, voiced = features.pitch(signal, len(signal) // HOP, F0_RANGE)
    return float(np.median(f0[voiced]))


def check(out: Path, sentences: int = 10) -> list[dict[str, object]]:
    """Print a row for each unseen speaker; return the rows."""
    file = voices.read(out / "flite.yaml")
    engine = YourTtsOnnx(voices.pin(file), out, "cpu")
    texts = HELD_OUT.read_text("utf-8").splitlines()[:sentences]
    judge, rows = Recogniser(), []
    for speaker in UNSEEN:
        reference = speaker.speak(REFERENCE)[0]
        engine.speakers.register(speaker.name, engine.embed(reference, SAMPLE_RATE))
        own = [speaker.speak(text)[0] for text in texts]
        wanted = Prosody(speaker=speaker.name)
        segments = [Segment(f"{n:064x}", text, "flite", wanted) for n, text in enumerate(texts)]
        made = [audio.samples for audio in engine.speak(segments)]
        row = {
            "speaker": speaker.name,
            "f0": round(median_f0(np.concatenate(own)), 1),
            "clone's f0": round(median_f0(np.concatenate(made)), 1),
            "wer": round(word_error_rate(texts, [judge.hear(each) for each in own]), 3),
            "clone's wer": round(word_error_rate(texts, [judge.hear(each) for each in made]), 3),
        }
        rows.append(row)
        print(yaml.safe_dump(row, sort_keys=False, default_flow_style=True, width=200).strip())
    _print_likeness(out)
    return rows


def _print_likeness(out: Path) -> None:
    """Print how alike d-vectors are: of one speaker's two recordings, of two speakers."""
    encoder = SpeakerEncoder(out / "encoder.onnx", SAMPLE_RATE)
    texts = HELD_OUT.read_text("utf-8").splitlines()
    vectors = [
        [encoder.embed(speaker.speak(" ".join(part))[0], SAMPLE_RATE) for part in halves]
        for speaker in UNSEEN
        for halves in [(texts[:3], texts[3:6])]
    ]
    same = [float(a @ b) for a, b in vectors]
    other = [float(a[0] @ b[1]) for i, a in enumerate(vectors) for b in vectors[i + 1 :]]
    print(
        f"cosine: same speaker {np.mean(same):.3f} (least {min(same):.3f}), "
        f"others {np.mean(other):.3f} (most {max(other):.3f})"
    )
