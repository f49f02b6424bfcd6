"""What a mel spectrogram's numbers mean, as far as the files of a voice say, and who disagrees."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from farm.errors import EngineError


@dataclass(frozen=True)
class MelConfig:
    """How a mel spectrogram was computed; None where a file does not say."""

    sample_rate: int | None = None
    """Hertz."""
    n_fft: int | None = None
    """Samples."""
    hop: int | None = None
    """Samples between two frames."""
    window: int | None = None
    """Samples of the analysis window."""
    bands: int | None = None
    low: float | None = None
    """Hertz at the lower edge of the lowest band."""
    high: float | None = None
    """Hertz at the upper edge of the highest band."""
    log: str | None = None
    """`ln`, `log10` or `db`."""
    normalisation: str | None = None
    """How the logarithms were scaled, in the words of the file."""


def read(path: Path) -> MelConfig:
    """Read the config of an acoustic model or a vocoder.

    Known by their fields: PaddleSpeech's YAML (`fs`, `n_shift`), Coqui's JSON (`audio.num_mels`),
    HiFi-GAN's JSON (`sampling_rate`, `hop_size`) and Piper's (`audio.sample_rate`).

    Raises:
        EngineError: there is no such file, or it is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise EngineError(f"cannot read the config {str(path)!r}: {reason}") from error
    for known, layout in _LAYOUTS:
        if isinstance(content, dict) and known(content):
            return layout(content)
    raise EngineError(
        f"{str(path)!r} is no config of a model: expected the fields of PaddleSpeech (fs, n_shift),"
        " Coqui (audio.num_mels), HiFi-GAN (sampling_rate, hop_size) or Piper (audio.sample_rate)"
    )


def of_metadata(properties: Mapping[str, str]) -> MelConfig:
    """Read what an ONNX file says of itself (`metadata_props`), as sherpa-onnx's exports do."""

    def number(name: str) -> int | None:
        return int(properties[name]) if properties.get(name, "").isdecimal() else None

    return MelConfig(
        sample_rate=number("sample_rate"),
        n_fft=number("n_fft"),
        hop=number("hop_length"),
        window=number("win_length"),
        bands=number("num_mels") or number("n_mels"),
    )


def merged(first: MelConfig, second: MelConfig) -> MelConfig:
    """Take each field from the first that knows it."""
    return MelConfig(
        **{name: _either(getattr(first, name), getattr(second, name)) for name in _NAMES}
    )


def agree(acoustic: MelConfig, vocoder: MelConfig, who: str) -> None:
    """Raise `EngineError` where both say something and say different things.

    The message begins with `who` and names every such field with both values.
    """
    different = [
        f"{name} {ours!r} against {theirs!r}"
        for name in _NAMES
        if (ours := getattr(acoustic, name)) is not None
        and (theirs := getattr(vocoder, name)) is not None
        and ours != theirs
    ]
    if different:
        raise EngineError(
            f"{who}: the acoustic model and the vocoder do not fit: {', '.join(different)}; "
            "take a vocoder that was trained on the same mel spectrograms"
        )


_NAMES = tuple(field.name for field in fields(MelConfig))


def _either(first: Any, second: Any) -> Any:
    return second if first is None else first


def _edge(value: Any, rate: Any) -> float | None:
    """The upper edge in Hertz; none given means half the sample rate."""
    if value is None:
        return rate / 2 if isinstance(rate, (int, float)) else None
    return float(value)


def _low(value: Any) -> float | None:
    return None if value is None else float(value)


def _paddle(content: Mapping[str, Any]) -> MelConfig:
    # paddlespeech/t2s/datasets/get_feats.py, LogMelFBank: log10, fmin and fmax as given.
    rate = content.get("fs")
    return MelConfig(
        sample_rate=rate,
        n_fft=content.get("n_fft"),
        hop=content.get("n_shift"),
        window=content.get("win_length") or content.get("n_fft"),
        bands=content.get("n_mels"),
        low=_low(content.get("fmin")),
        high=_edge(content.get("fmax"), rate),
        log="log10",
    )


def _hifigan(content: Mapping[str, Any]) -> MelConfig:
    rate = content.get("sampling_rate")
    return MelConfig(
        sample_rate=rate,
        n_fft=content.get("n_fft"),
        hop=content.get("hop_size"),
        window=content.get("win_size"),
        bands=content.get("num_mels"),
        low=_low(content.get("fmin")),
        high=_edge(content.get("fmax"), rate),
        log="ln",
    )


def _coqui(content: Mapping[str, Any]) -> MelConfig:
    # TTS/utils/audio/numpy_transforms.py and processor.py: amp_to_db, normalize.
    audio = content["audio"]
    rate = audio.get("sample_rate")
    return MelConfig(
        sample_rate=rate,
        n_fft=audio.get("fft_size"),
        hop=audio.get("hop_length"),
        window=audio.get("win_length"),
        bands=audio.get("num_mels"),
        low=_low(audio.get("mel_fmin")),
        high=_edge(audio.get("mel_fmax"), rate),
        log=_coqui_log(audio),
        normalisation=_coqui_normalisation(audio),
    )


def _coqui_log(audio: Mapping[str, Any]) -> str | None:
    if audio.get("do_amp_to_db_mel") is False:
        return "none"
    gain, name = audio.get("spec_gain", 20), str(audio.get("log_func", "np.log10"))
    logarithm = "ln" if name == "np.log" else "log10"
    if logarithm == "log10" and math.isclose(gain, 20):
        return "db"
    return logarithm if math.isclose(gain, 1) else f"{gain} {logarithm}"


def _coqui_normalisation(audio: Mapping[str, Any]) -> str:
    if not audio.get("signal_norm"):
        return "none"
    if audio.get("stats_path"):
        return "mean and variance"
    names = ("symmetric_norm", "max_norm", "clip_norm", "min_level_db", "ref_level_db")
    return " ".join(f"{name}={audio.get(name)}" for name in names)


def _piper(content: Mapping[str, Any]) -> MelConfig:
    return MelConfig(sample_rate=content["audio"]["sample_rate"], hop=content.get("hop_length"))


def _in_audio(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda content: isinstance(content.get("audio"), dict) and name in content["audio"]


#: What tells a layout, and how it is read; the first that fits counts.
_LAYOUTS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[..., MelConfig]], ...] = (
    (lambda content: "fs" in content and "n_shift" in content, _paddle),
    (lambda content: "sampling_rate" in content and "hop_size" in content, _hifigan),
    (_in_audio("num_mels"), _coqui),
    (_in_audio("sample_rate"), _piper),
)
