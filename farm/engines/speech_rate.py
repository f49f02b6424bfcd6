"""Speech rates, as YourTTS services take them: characters per second."""

from __future__ import annotations

#: Characters that are spoken in a second at speed 1, by language; others: `USUAL_RATE`.
USUAL_RATES = {"zh": 5.0}
USUAL_RATE = 12.0
#: Speeds that a rate may come to; a service keeps what is beyond within them.
SPEEDS = (0.4, 2.5)


def usual_rate(language: str) -> float:
    """Return the characters per second of speed 1 in a language (BCP 47)."""
    primary = language.lower().replace("_", "-").partition("-")[0]
    return USUAL_RATES.get(primary, USUAL_RATE)


def speed(rate: float | None, language: str) -> float:
    """Return the speed that a rate comes to, within `SPEEDS`; 1 where there is none."""
    low, high = SPEEDS
    return 1.0 if rate is None else min(high, max(low, rate / usual_rate(language)))
