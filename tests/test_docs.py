"""The documents are true: tables against the code, generated pages against their makers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import farm
from farm import engines, voices
from farm.cli import COMMANDS
from farm.config import Settings
from farm.jobs import Segment
from tests.test_project import LAYERS, ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "training/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
PACKAGES = [*sorted(path.parent for path in ROOT.glob("farm/*/__init__.py")), ROOT / "workers"]
ENGINE_PAGE = (ROOT / "docs/adding-an-engine.md").read_text(encoding="utf-8")


def rows(page: str, first: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the table whose first heading is `first`."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def modules(folder: Path) -> set[str]:
    """The modules and packages in a folder, by name."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def block(language: str) -> str:
    """The first fenced block of a language on the page about engines."""
    match = re.search(rf"^```{language}\n(.*?)^```", ENGINE_PAGE, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def test_the_architecture_names_every_module_and_no_other() -> None:
    table = [name.strip("`") for name, _ in rows("docs/architecture.md", "module")]
    assert len(table) == len(set(table))
    assert set(table) == {"workers"} | {f"farm.{name}" for name in modules(ROOT / "farm")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_the_architecture_names_every_module_of_a_package(package: Path) -> None:
    name = ".".join(package.relative_to(ROOT).parts)
    told = dict(rows("docs/architecture.md", "module"))[f"`{name}`"]
    assert set(re.findall(r"`(\w+)`", told)) == modules(package)


def test_the_decision_on_layers_has_the_layers_that_are_checked() -> None:
    page = (ROOT / "docs/decisions/0001-layout-and-layers.md").read_text(encoding="utf-8")
    told = [set(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\d+\. (.*)", page, re.M)]
    assert told == LAYERS


def test_every_picture_is_there_small_and_shown() -> None:
    links = re.compile(r"!\[[^\]]+\]\(([^)]+\.png)\)|<img src=\"([^\"]+)\"")
    shown = {
        (page.parent / "".join(link)).resolve()
        for page in PAGES
        for link in links.findall(page.read_text(encoding="utf-8"))
    }
    assert shown == set((ROOT / "docs/img").resolve().glob("*.png"))
    assert max(path.stat().st_size for path in shown) < 400_000


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    index = re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert index == sorted(path.name for path in folder.glob("0*.md"))


def test_the_page_of_commands_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "cli.md"
    subprocess.run([sys.executable, ROOT / "scripts/make-cli-docs", fresh], check=True)
    assert (ROOT / "docs/cli.md").read_text() == fresh.read_text(), "run scripts/make-cli-docs"


def test_the_page_of_commands_has_every_command_and_setting() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    told = re.findall(r"^## farm (\w+)", page, re.MULTILINE)
    assert told == [name for name in COMMANDS if name != "supervise"]
    settings = [name.strip("`") for name, *_ in rows("docs/cli.md", "in the file")]
    assert settings == list(Settings.model_fields)


def test_the_page_of_commands_has_the_options_of_their_help() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    section = re.split(r"\n#+ ", page.partition("# farm voices add\n")[2])[0]
    run = subprocess.run(
        [sys.executable, "-m", "farm.cli", "voices", "add", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    options = set(re.findall(r"--[a-z-]+[a-z]", run.stdout)) - {"--help"}
    assert set(re.findall(r"`(--[a-z-]+)`", section)) == options
    assert len(options) == 6


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    near = [link for link in links if "://" not in link]
    assert [link for link in near if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    places = r"`((?:farm|tests|scripts|docs|training|workers|configs)/[\w./-]+)`"
    named = set(re.findall(places, page.read_text(encoding="utf-8")))
    examples = {"farm/engines/chirp.py"}
    assert [name for name in sorted(named - examples) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_place_of_somebodys_machine(page: Path) -> None:
    found = re.findall(r"(?<![\w.])/(?:work|root|home|tmp|Users)/", page.read_text("utf-8"))
    assert found == []


@pytest.mark.parametrize("language", ["fr", "pt-BR"])
def test_normalisers_are_compared_in_the_languages_that_are_our_own(language: str) -> None:
    script = str(ROOT / "scripts/compare-normalisers")
    command = [sys.executable, script, "--language", language]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ours = re.search(r"^farm +(\d+) of \1 \(100.0%\) +0 errors", said, re.MULTILINE)
    assert ours, said
    assert int(ours[1]) >= 80
    assert re.search(rf"^num2words +\d+ of {ours[1]} ", said, re.MULTILINE)


def test_the_changelog_begins_with_this_version() -> None:
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([^]]+)\]", page, re.MULTILINE)[0] == farm.__version__


def test_the_engine_on_the_page_speaks_with_the_voice_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chirp = ModuleType("farm.engines.chirp")
    exec(compile(block("python"), "adding-an-engine.md", "exec"), chirp.__dict__)
    monkeypatch.setitem(sys.modules, "farm.engines.chirp", chirp)
    for table, name, value in re.findall(r'^(\w+) +"(\w+)": "([^"]+)",', block("text"), re.M):
        monkeypatch.setitem(getattr(engines, table), name, value)
    (tmp_path / "chirp.yaml").write_text(block("yaml"), encoding="utf-8")

    voice = voices.pin(voices.read(tmp_path / "chirp.yaml"))
    assert (voice.family, voice.sample_rate) == ("chirp", 16_000)
    engine = engines.load(voice, tmp_path, "cpu")
    short, long = engine.speak([Segment("a", "Oh.", "chirp"), Segment("b", "Oh, no!", "chirp")])
    assert (len(short.samples), len(long.samples)) == (3 * 800, 7 * 800)
    assert 0.1 < np.abs(long.samples).max() <= 1
