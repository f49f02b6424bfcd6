"""Azure's names of audio formats, and what the farm makes of each.

As in Microsoft's page on the text to speech REST API, "Audio outputs".
"""

from __future__ import annotations

from collections.abc import Mapping

from farm.jobs import Output

_RATES = {
    "8khz": 8000,
    "16khz": 16000,
    "22050hz": 22050,
    "24khz": 24000,
    "44100hz": 44100,
    "48khz": 48000,
}
_MP3 = {"16khz": (32, 64, 128), "24khz": (48, 96, 160), "48khz": (96, 192)}
#: Name to what is made; Azure's others are refused.
FORMATS: Mapping[str, Output] = {
    **{f"riff-{r}-16bit-mono-pcm": Output("wav", sample_rate=_RATES[r]) for r in _RATES},
    **{
        f"audio-{r}-{kilobits}kbitrate-mono-mp3": Output(
            "mp3", sample_rate=_RATES[r], bit_rate=kilobits * 1000
        )
        for r in _MP3
        for kilobits in _MP3[r]
    },
    **{
        f"ogg-{r}-16bit-mono-opus": Output("opus", sample_rate=_RATES[r])
        for r in ("16khz", "24khz", "48khz")
    },
}
#: What is made where nothing is said.
USUAL = "riff-24khz-16bit-mono-pcm"
