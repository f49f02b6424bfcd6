"""What the farm is made of: exact, hashed, audited where a database is there, and licensed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
LICENCES = (ROOT / "docs/licences.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_requirement_is_exact_and_has_a_hash(path: Path) -> None:
    entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    assert len(entries) >= 1
    for entry in entries:
        first, *hashes = entry.replace("\\\n", "\n").split()
        assert re.fullmatch(r"[\w.-]+==[\w.+]+", first), entry
        assert any(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in hashes), entry


def test_nothing_is_installed_without_its_hash() -> None:
    """Every line that installs says so, or installs the farm itself."""
    places = [ROOT / "Makefile", ROOT / "workers/Dockerfile", ROOT / ".ci/run"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places).replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"pip\S* install\b", line)]
    assert len(installs) > 5
    for line in installs:
        own = "--editable ." in line or "/wheel/*.whl" in line
        says_so = "--require-hashes" in line or "echo" in line or "to install it with" in line
        assert own or says_so, line


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / script), *arguments]
    command = [sys.executable, *command] if script == "licences" else command
    variables = {**os.environ, **environment}
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=100, check=False
    )


def test_every_package_of_the_farm_says_its_licence() -> None:
    listed = run("licences", "requirements/light.txt")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert (listed.returncode, [row for row in rows if row[2] == "unknown"]) == (0, [])
    assert len(rows) > 90
    bound = {name for name, _, licence in rows if re.search(r"\b(A|L)?GPL|Mozilla|EPL", licence)}
    assert {"piper-tts", "num2words", "soxr"} <= bound
    assert [name for name in bound if name not in LICENCES] == []


def test_without_its_database_an_audit_says_so_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nowhere = f"http://127.0.0.1:{port}"
    program = str(Path(sys.executable).with_name("pip-audit"))
    environment = {"HTTPS_PROXY": nowhere, "https_proxy": nowhere, "PIP_AUDIT": program}
    for arguments, code in (((), 3), (("--skip",), 0)):
        told = run("audit", *arguments, **environment)
        assert told.returncode == code, told.stderr
        assert told.stderr.startswith("scripts/audit: the database could not be asked: ")
        assert told.stderr.count("\n") == 1
