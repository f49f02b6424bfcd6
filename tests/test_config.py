from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from farm.config import Settings, read_settings, unknown
from farm.errors import InvalidInput


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, and no file."""
    for name in [name for name in os.environ if name.startswith("FARM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_farm_needs_no_settings(tmp_path: Path) -> None:
    settings = read_settings()
    assert settings.store == f"file://{tmp_path}/.farm/store"
    assert settings.cores == len(os.sched_getaffinity(0))
    assert not settings.broker_url.get_secret_value()


def test_arguments_go_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(Path("configs/farm.yaml"), "voice: filed\nid: filed\nhome: filed\n")
    monkeypatch.setenv("FARM_VOICE", "environment")
    monkeypatch.setenv("FARM_ID", "environment")
    settings = read_settings(id="argument")
    assert (settings.id, settings.voice, settings.home) == (
        "argument",
        "environment",
        Path("filed"),
    )


def test_farm_config_names_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(Path("configs/farm.yaml"), "voice: usual\n")
    path = write(tmp_path / "other.yaml", "children: 3\n")
    monkeypatch.setenv("FARM_CONFIG", str(path))
    settings = read_settings()
    assert (settings.cores, settings.voice) == (3, "slt")


def test_a_store_elsewhere_is_taken_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_STORE_URL", "s3://bucket/prefix")
    assert read_settings().store == "s3://bucket/prefix"


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_VOICES", '["a", "b"]')
    assert read_settings().voices == [Path("a"), Path("b")]


def test_the_brokers_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_BROKER_URL", "redis://:hunter2@host/0")
    settings = read_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    assert settings.broker_url.get_secret_value() == "redis://:hunter2@host/0"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FARM_CHILDREN", "many", "setting 'children': Input should be a valid integer"),
        ("FARM_CHILDREN", "-1", "setting 'children': Input should be greater than or equal to 0"),
        ("FARM_VOICES", "a:b", 'settings: error parsing value for field "voices"'),
        ("FARM_CONFIG", "missing.yaml", "FARM_CONFIG: no such file: 'missing.yaml'"),
    ],
)
def test_a_bad_variable_is_named(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as caught:
        read_settings()
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("home: [\n", "'configs/farm.yaml' is not settings in YAML: while parsing"),
        ("- a\n- b\n", "'configs/farm.yaml' is not settings in YAML: "),
        ("voyce: slt\n", "setting 'voyce': Extra inputs are not permitted"),
        ("children: some\n", "setting 'children': Input should be a valid integer"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(text: str, says: str) -> None:
    write(Path("configs/farm.yaml"), text)
    with pytest.raises(InvalidInput) as caught:
        read_settings()
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://redis.example:6379/0", "rediss://ann@127.0.0.1/0"])
def test_a_redis_without_a_password_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"rediss?://\S+ has no password; say redis"):
        read_settings(broker_url=url)
    assert read_settings(broker_url="unix:///run/redis.sock").broker_url


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(InvalidInput, match="setting 'colour'"):
        read_settings(colour="red")


def test_the_file_of_the_repository_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parent.parent / "configs" / "farm.yaml"
    monkeypatch.setenv("FARM_CONFIG", str(path))
    assert read_settings().voice == "slt"


def test_every_setting_says_what_it_does() -> None:
    described = Path(__file__).parent.parent.joinpath("farm", "config.py").read_text()
    for name in Settings.model_fields:
        _, _, after = described.partition(f"\n    {name}: ")
        assert after.split("\n")[1].strip().startswith('"""'), name


def test_a_variable_that_nobody_reads_is_told_with_the_one_that_it_resembles() -> None:
    names = ["FARM_STORE", "FARM_BROKER_URL", "FARM_CHILDS", "FARM_ZQX", "HOME", "FARMER"]
    assert unknown(names) == {
        "FARM_CHILDS": "FARM_CHILDREN", "FARM_STORE": "FARM_STORE_URL", "FARM_ZQX": ""
    }  # fmt: skip


def test_every_variable_that_compose_the_docs_and_the_tests_name_is_known() -> None:
    root = Path(__file__).parent.parent
    text = [root / name for name in ("docker-compose.yml", "Makefile", "README.md")]
    text += [*root.glob("docs/*.md"), *root.glob("tests/*/*.py")]
    named = {name for path in text for name in re.findall(r"FARM_[A-Z0-9_]+", path.read_text())}
    assert {"FARM_TAG", "FARM_API", "FARM_GPU_TESTS_DEVICE", "FARM_TEST_CACHE"} <= named
    assert unknown(named - {"FARM_COST", "FARM_BROKER", "FARM_ZQX"}) == {}  # a tag, and made up
