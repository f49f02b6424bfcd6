"""Configs of mel spectrograms, as each exporter writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farm.engines.fastspeech.mel import MelConfig, agree, merged, of_metadata, read
from farm.errors import EngineError

COQUI = {
    "sample_rate": 22_050, "fft_size": 1024, "hop_length": 256, "win_length": 1024,
    "num_mels": 80, "mel_fmin": 0, "mel_fmax": 8000, "log_func": "np.log", "spec_gain": 1,
    "signal_norm": False,
}  # fmt: skip
HIFIGAN = {
    "sampling_rate": 22_050, "n_fft": 1024, "hop_size": 256, "win_size": 1024, "num_mels": 80,
    "fmin": 0, "fmax": 8000,
}  # fmt: skip
PADDLE = {
    "fs": 24_000, "n_fft": 2048, "n_shift": 300, "win_length": 1200, "fmin": 80, "fmax": 7600,
    "n_mels": 80,
}  # fmt: skip


def config(folder: Path, content: Any, name: str = "config.json") -> MelConfig:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read(folder / name)


def test_each_layout_is_read(tmp_path: Path) -> None:
    usual = MelConfig(22_050, 1024, 256, 1024, 80, 0.0, 8000.0, "ln")
    assert config(tmp_path, HIFIGAN) == usual
    assert config(tmp_path, {"audio": COQUI}) == merged(usual, MelConfig(normalisation="none"))
    told = config(tmp_path, json.dumps(PADDLE), "default.yaml")
    assert told == MelConfig(24_000, 2048, 300, 1200, 80, 80.0, 7600.0, "log10")
    piper = {"audio": {"sample_rate": 16_000}, "hop_length": 256}
    assert config(tmp_path, piper) == MelConfig(sample_rate=16_000, hop=256)


def test_no_upper_edge_is_half_the_rate(tmp_path: Path) -> None:
    assert config(tmp_path, HIFIGAN | {"fmax": None}).high == 11_025


@pytest.mark.parametrize(
    ("fields", "log"),
    [
        ({"log_func": "np.log10", "spec_gain": 20}, "db"),
        ({"log_func": "np.log10", "spec_gain": 1}, "log10"),
        ({"log_func": "np.log", "spec_gain": 20}, "20 ln"),
        ({"do_amp_to_db_mel": False}, "none"),
    ],
)
def test_coquis_logarithms(tmp_path: Path, fields: dict[str, Any], log: str) -> None:
    assert config(tmp_path, {"audio": COQUI | fields}).log == log


def test_coquis_normalisations_differ(tmp_path: Path) -> None:
    found = {
        config(tmp_path, {"audio": COQUI | fields}).normalisation
        for fields in (
            {},
            {"signal_norm": True, "stats_path": "scale_stats.npy"},
            {"signal_norm": True, "max_norm": 4.0},
            {"signal_norm": True, "max_norm": 1.0},
        )
    }
    assert len(found) == 4


def test_two_that_agree_or_say_nothing_pass() -> None:
    agree(MelConfig(hop=256), MelConfig(hop=256, low=0.0), "voice 'x'")
    agree(MelConfig(), MelConfig(hop=256), "voice 'x'")


def test_every_difference_is_named_with_both_values() -> None:
    with pytest.raises(EngineError) as caught:
        agree(MelConfig(22_050, hop=256, log="ln"), MelConfig(24_000, hop=300, log="ln"), "voice x")
    assert "voice x: the acoustic model and the vocoder do not fit: " in str(caught.value)
    assert "sample_rate 22050 against 24000, hop 256 against 300;" in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"audio": 3}', "\0"])
def test_what_is_no_config_is_named(tmp_path: Path, content: str) -> None:
    for name in ("config.json", "config.yaml"):
        with pytest.raises(EngineError, match=name):
            config(tmp_path, content, name)
    with pytest.raises(EngineError, match="cannot read the config"):
        read(tmp_path / "none.json")


def test_metadata_says_what_it_has() -> None:
    told = of_metadata({"sample_rate": "22050", "hop_length": "256", "n_fft": "x"})
    assert told == MelConfig(sample_rate=22_050, hop=256)
