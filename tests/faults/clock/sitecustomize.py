"""The clock of the processes of a farm under test, which a file moves: seconds, as `+10800`.

On their path only; Python imports it at their start, before anything takes `time.time` by name.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_real = time.time
_offset = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])


def _moved() -> float:
    return _real() + float(_offset.read_text())


time.time = _moved
