"""The numbers that data, models and export share, each with its unit and reason."""

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]

#: Where Debian's `wordnet-base` puts its text files.
WORDNET: Final = Path("/usr/share/wordnet")

#: The sentences that no training set may hold; judged by `scripts/check-voice`.
HELD_OUT: Final = REPOSITORY / "tests" / "voice" / "held_out.txt"

#: The committed voice.
VOICE: Final = REPOSITORY / "farm" / "data" / "slt"

#: Every random choice of every stage derives from this.
SEED: Final = 20261122

#: Hertz; the teacher's own rate.
SAMPLE_RATE: Final = 16_000

#: Samples between two mel frames (16 ms). Piper's default, so its alignments fit.
HOP: Final = 256

#: Samples in the analysis window and in its FFT (64 ms).
WINDOW: Final = 1024

#: Mel bands between 0 and 8 kHz.
MELS: Final = 80

#: Floor under the mel magnitudes before the logarithm, as in HiFi-GAN.
MEL_FLOOR: Final = 1e-5

#: Hertz; what pyworld may find as fundamental frequency of `slt`.
F0_RANGE: Final = (90.0, 350.0)

#: Hertz; the middle of the teacher's voice. Pitch is kept as log(f0 / this).
F0_CENTRE: Final = 185.0

#: Size of the embedding table; Piper reserves this many symbols.
SYMBOLS: Final = 256

#: Frames of silence kept before and after the speech of a sentence. The teacher
#: gives 10-12 at each end; pauses between sentences belong to the caller.
EDGE_FRAMES: Final = (4, 6)
