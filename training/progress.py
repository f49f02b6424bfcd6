"""A line of progress that is also a readable log when it goes to a file."""

import time


class Progress:
    """Counts steps towards a total and prints at most one line every few seconds."""

    def __init__(self, stage: str, total: int, start: int = 0, every_s: float = 10.0) -> None:
        """Begin at step `start`; `every_s` is the least time between two lines."""
        self._stage, self._total, self._start, self._every_s = stage, total, start, every_s
        self._begun = self._shown = time.monotonic()

    def show(self, step: int, note: str = "") -> None:
        """Print the step, the rate and what is left, unless a line was printed just now."""
        now = time.monotonic()
        if now - self._shown < self._every_s and step < self._total:
            return
        self._shown = now
        rate = (step - self._start) / max(now - self._begun, 1e-9)
        left = (self._total - step) / max(rate, 1e-9)
        where = f"{self._stage} {step}/{self._total}"
        print(f"{where} {rate:.2f}/s left {left:.0f} s {note}", flush=True)
