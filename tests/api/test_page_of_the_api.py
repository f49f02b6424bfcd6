"""docs/api.md is true: its commands are run, its table is generated."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.text import epubs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def environment(api: Api) -> dict[str, str]:
    _, key = api.key("ann")
    return {**os.environ, "FARM_API": api.url, "FARM_API_KEY": key, "PYTHONPATH": str(ROOT)}


def test_the_table_of_routes_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "api.md"
    subprocess.run([sys.executable, ROOT / "scripts/make-api-docs", fresh], check=True)
    assert fresh.read_text(encoding="utf-8") == PAGE, "run scripts/make-api-docs"


def test_the_upload_works_as_shown(api: Api, environment: dict[str, str], tmp_path: Path) -> None:
    assert shutil.which("curl"), "install curl"
    chapter = epubs.page("<h1>The Harbour</h1><p>The boat was late.</p>")
    toc: epubs.Toc = [("The Harbour", "one.xhtml", [])]
    epubs.write_epub(tmp_path / "my-book.epub", {"one.xhtml": chapter}, toc=toc)
    run = subprocess.run(
        ["sh", "-ec", block("sh")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    job = json.loads(run.stdout)
    client = api.client("ann")
    assert api.finish(client, job["id"])["state"] == "completed"
    formats = [f["format"] for f in client.get(f"/v1/jobs/{job['id']}/outputs").json()["data"]]
    assert formats[:2] == ["m4b", "srt"]


def test_openais_client_works_as_shown(environment: dict[str, str], tmp_path: Path) -> None:
    run = [sys.executable, "-c", block("python")]
    subprocess.run(run, cwd=tmp_path, env=environment, check=True, timeout=60)
    assert (tmp_path / "good-morning.mp3").stat().st_size > 2000
