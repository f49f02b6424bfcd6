"""docker-compose.yml and workers/Dockerfile: what they say, and that what compose starts works.

There is no Docker engine here: no image is built. See docs/compose.md on what that leaves open.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from farm.config import Settings, read_settings
from farm.errors import InvalidInput
from tests.composed import ROOT, Service, mounts, read
from tests.test_project import locked

COMPOSE = read()
SERVICES: dict[str, Service] = COMPOSE["services"]
FARM = [name for name, service in SERVICES.items() if "build" in service]
GPU = [name for name in SERVICES if name.endswith("-gpu")]
DOCKERFILE = (ROOT / "workers/Dockerfile").read_text(encoding="utf-8")
#: Ends when it has done its work, so it has no health.
ONCE = {"bucket"}


def profile(name: str) -> list[str]:
    """The services of a profile."""
    return [each for each, service in SERVICES.items() if name in service.get("profiles", [name])]


def stages() -> dict[str, str]:
    """The stages of the Dockerfile: name to instructions, those of the stages below included."""
    found: dict[str, str] = {}
    for part in re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]:
        match = re.match(r"FROM (\S+) AS (\S+)\n", part)
        assert match, part
        found[match[2]] = found.get(match[1], f"{match[1]}\n") + part[match.end() :]
    return found


# --- what is written


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_compose_takes_the_file(name: str) -> None:
    if not shutil.which("docker-compose"):
        assert "CI" not in os.environ, "install Debian's docker-compose"
        pytest.skip("no docker-compose here (Debian: apt-get install docker-compose)")
    run = subprocess.run(
        ["docker-compose", "--profile", name, "config", "--services"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    # This old one lists the services of all profiles.
    assert set(profile(name)) <= set(run.stdout.split()) <= set(SERVICES)


def test_the_cpu_is_what_starts_unless_the_gpu_is_asked_for() -> None:
    assert "COMPOSE_PROFILES=cpu\n" in (ROOT / ".env").read_text()
    families = {"worker-onnx", "worker-piper", "worker-yourtts"}
    assert set(profile("cpu")) - set(profile("gpu")) == families
    assert set(profile("gpu")) - set(profile("cpu")) == {f"{name}-gpu" for name in families}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_little_harm(name: str) -> None:
    service = SERVICES[name]
    uid, _, gid = service["user"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service)
    assert [path for path, source in mounts(service).items()
            if source.startswith(("/", "./")) and not source.endswith(":ro")] == []  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_comes_back_tells_its_health_and_gets_time_to_end(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)
    assert int(service["stop_grace_period"].removesuffix("s")) >= 30
    assert "container_name" not in service  # so that it can be scaled


def test_no_secret_is_written_where_others_read() -> None:
    telling = re.compile("password|secret|key|token", re.IGNORECASE)
    for service in SERVICES.values():
        mounted = {f"/run/secrets/{each}" for each in service["secrets"]}
        environment = service.get("environment", {})
        assert "@" not in environment.get("FARM_BROKER_URL", "")
        assert {environment[name] for name in environment if telling.search(name)} <= mounted


def test_only_these_ports_reach_outside() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {
        "api": ["8000:8000"],
        "flower": ["127.0.0.1:5555:5555"],
        "store": ["127.0.0.1:8333:8333"],
    }
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    open_ = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert open_ == {"api", "control", "flower", "store"}


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        if name in FARM:
            assert re.fullmatch(r"farm-[\w-]+:local", service["image"])
        else:
            assert re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?", service["image"])


@pytest.mark.parametrize("name", GPU)
def test_on_a_gpu_a_worker_is_the_same_but_for_its_device(name: str) -> None:
    service, plain = SERVICES[name], SERVICES[name.removesuffix("-gpu")]
    different = {key for key in service if service[key] != plain.get(key)} - {"build", "image"}
    assert different == {"profiles", "environment", "deploy"}
    assert service["environment"] == plain["environment"] | {"FARM_DEVICES": "cuda:0"}
    (devices,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_settings_of_services_are_settings_of_the_farm() -> None:
    known = {f"FARM_{name.upper()}" for name in Settings.model_fields}
    used = {name for each in FARM for name in SERVICES[each]["environment"]}
    assert {name for name in used if name.startswith("FARM_")} <= known


# --- the images


def test_every_image_is_a_stage_of_the_dockerfile() -> None:
    built = {SERVICES[name]["build"]["target"]: SERVICES[name]["image"] for name in FARM}
    assert set(built) <= set(stages())
    assert {image: f"farm-{target}:local" for target, image in built.items()} == {
        image: image for image in built.values()
    }
    assert {SERVICES[name]["build"]["dockerfile"] for name in FARM} == {"workers/Dockerfile"}


@pytest.mark.parametrize("name", sorted({SERVICES[name]["build"]["target"] for name in FARM}))
def test_an_image_runs_as_nobody_in_particular(name: str) -> None:
    lines = re.findall(r"^(FROM|RUN|COPY|USER|ENV|CMD)\b *(.*)", stages()[name], re.MULTILINE)
    after = [word for word, _ in lines][
        max(n for n, (word, _) in enumerate(lines) if word == "USER") :
    ]
    assert set(after) <= {"USER", "CMD"}
    user = [rest for word, rest in lines if word == "USER"][-1]
    assert {SERVICES[each]["user"] for each in FARM} == {user}


def test_a_familys_image_starts_its_worker() -> None:
    for name in (each for each in SERVICES if each.startswith("worker-") and each != "worker-cpu"):
        command = stages()[SERVICES[name]["build"]["target"]].rpartition("CMD ")[2].strip()
        assert command == str(SERVICES[name]["command"]).replace("'", '"')


def test_images_fetch_nothing_but_locked_packages() -> None:
    assert re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.11-slim-bookworm"]
    assert "://" not in DOCKERFILE
    assert not re.search(
        r"^ADD|apt-get|curl|wget|index-url|--extra-index", DOCKERFILE, re.MULTILINE
    )
    installs = re.findall(r"pip install(.*?)(?=&&|\n\S|\Z)", DOCKERFILE, re.DOTALL)
    assert len(installs) == 7
    assert [
        each for each in installs if "--require-hashes" not in each and "/wheel/" not in each
    ] == []


def test_the_sets_of_the_images_agree_with_the_others() -> None:
    everything, light = (
        locked(ROOT / "requirements/all.txt"),
        locked(ROOT / "requirements/light.txt"),
    )
    yourtts, gpu = locked(ROOT / "requirements/yourtts.txt"), locked(ROOT / "requirements/gpu.txt")
    assert {name: everything.get(name) for name in yourtts} == yourtts
    assert light.items() <= yourtts.items()
    assert {"torch", "coqui-tts"} <= set(yourtts)
    # On one host with torch: CUDA's libraries are there once.
    assert gpu.pop("onnxruntime-gpu")
    assert "onnxruntime" not in gpu
    assert {name: everything.get(name) for name in gpu} == gpu


def test_secrets_do_not_reach_the_builder() -> None:
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    assert {line[1:].partition("/")[0] for line in kept} == {
        *("pyproject.toml", "README.md", "LICENSE", "requirements", "configs", "farm", "workers"),
    }


# --- the password of the broker


def test_the_brokers_password_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("p@ss/w:ö\n", encoding="utf-8")
    for url, whole in (
        ("redis://redis:6379/0", "redis://:p%40ss%2Fw%3A%C3%B6@redis:6379/0"),
        ("rediss://ann@redis:1/2", "rediss://ann:p%40ss%2Fw%3A%C3%B6@redis:1/2"),
        ("redis://:own@redis/0", "redis://:own@redis/0"),
        ("", ""),
    ):
        settings = read_settings(broker_url=url, broker_password_file=str(path))
        assert settings.broker_url.get_secret_value() == whole
        assert "p%40" not in repr(settings)


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), ("\n", "is empty")])
def test_a_password_file_without_a_password_is_refused(
    content: str | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match=f"'broker_password_file'.*{says}"):
        read_settings(broker_url="redis://redis:6379/0", broker_password_file=str(path))


def test_secrets_are_made_once_and_only_their_owner_finds_them(tmp_path: Path) -> None:
    def made() -> dict[str, str]:
        subprocess.run([ROOT / "scripts/make-secrets", tmp_path], check=True, capture_output=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    first = made()
    places = {Path(each["file"]).name for each in COMPOSE["secrets"].values()}
    assert set(first) == places | {".gitignore"}
    assert first[".gitignore"] == "*\n"
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    (identity,) = json.loads(first["s3_identities.json"])["identities"]
    (key,) = identity["credentials"]
    credentials = ConfigParser()
    credentials.read_string(first["s3_credentials"])
    assert dict(credentials["default"]) == {
        "aws_access_key_id": key["accessKey"],
        "aws_secret_access_key": key["secretKey"],
    }
    assert min(len(first[name].strip()) for name in ("redis_password", "flower_password")) == 48
    (tmp_path / "secrets/flower_password").unlink()
    second = made()
    assert {name for name in first if first[name] != second[name]} == {"flower_password"}
