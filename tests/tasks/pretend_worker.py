"""A real worker of the tone family on devices that only the check of the driver pretends."""

from __future__ import annotations

import os
import sys

from farm.config import read_settings
from farm.engines import ENGINES
from farm.slots import slots
from farm.tasks.worker import run_worker

if __name__ == "__main__":
    ENGINES["tone"] = os.environ.get("PRETEND_ENGINE", "tests.tasks.pretend_engine:Pretend")
    settings = read_settings()
    found = slots("tone", settings.devices, settings.per_device, 2, lambda: ["A", "B"], {})
    sys.exit(run_worker(settings, "tone", found))
