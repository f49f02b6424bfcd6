"""The API is what it says of itself: every route, whatever is sent (Schemathesis, all checks)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.api.conftest import Api

ROOT = Path(__file__).parents[2]
#: Cases that a bounded run makes at least; `scripts/check-schema` makes as many as one likes.
CASES = 600


def test_whatever_is_sent_is_answered_as_the_description_says(api: Api) -> None:
    _, key = api.key("ann", "submit", "read", "admin")
    program = Path(sys.executable).with_name("schemathesis")
    run = subprocess.run(
        [ROOT / "scripts" / "check-schema", api.url, "--max-examples", "4", "--seed", "1"],
        env={**os.environ, "FARM_API_KEY": key, "SCHEMATHESIS": str(program)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    cases = re.search(r"([\d,]+) generated", run.stdout)
    assert cases is not None, run.stdout
    assert int(cases[1].replace(",", "")) >= CASES, run.stdout


def test_the_description_names_the_form_of_every_error(api: Api) -> None:
    document = api.anyone.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    own = {"/v1/jobs": "application/problem+json", "/v1/audio/speech": "application/json"}
    for path, mime in own.items():
        answers = document["paths"][path]["post"]["responses"]
        assert set(answers["400"]["content"]) == {mime}
        assert "422" not in answers
    links = document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["links"]
    assert {link["parameters"]["path.name"] for link in links.values()} == {"$response.body#/id"}
