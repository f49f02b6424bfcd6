"""Commands run in this process, in a home of their own; a farm whose work is done by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from farm.cli import app
from tests.running import Running, running

Command = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of the commands; nothing of this machine's settings reaches them."""
    for name in [name for name in os.environ if name.startswith("FARM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def command(home: Path) -> Command:  # noqa: ARG001
    """Run `farm` with arguments; errors are raised, as `farm.cli.main` receives them."""

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def data(command: Command) -> Callable[..., Any]:
    """Run `farm` with `--json` and return what it printed; it must succeed."""

    def run(*arguments: str | Path) -> Any:
        result = command(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def farm(
    redis_url: str,
    home: Path,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Running]:
    """A farm that the commands join, its work done by hand."""
    monkeypatch.setenv("FARM_BROKER_URL", redis_url)
    monkeypatch.setenv("FARM_STORE_URL", (tmp_path / "store").as_uri())
    with running(redis_url, tmp_path) as there:
        yield there
