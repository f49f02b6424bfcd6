"""What tests of single faults share: a job that nothing happens to, and which tests are rare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.running import running


def rarely(*values: Any) -> Any:
    """What `make faults` tries, and not every run."""
    return pytest.param(*values, marks=pytest.mark.faults)


def outputs(redis_url: str, folder: Path, text: str, **job: Any) -> dict[str, str]:
    """The outputs of a job in a farm of its own that nothing happens to."""
    with running(redis_url, folder) as farm:
        farm.redis.flushall()
        farm.submit(text, **job)
        assert farm.finish() == "completed"
        return farm.outputs()
