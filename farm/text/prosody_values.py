"""What SSML says of rate, pitch, volume, emphasis and pauses, in the farm's own units.

The grammar of the values is SSML 1.1's (W3C, sections 3.2.2 to 3.2.4); where it leaves the size of
a word open, it is Azure's (Speech service, "Customize voice and sound with SSML").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from farm.jobs import Prosody

#: What a whole document may come to, however its elements are nested.
SPEEDS = (0.25, 4.0)
SEMITONES = (-24.0, 24.0)
DECIBELS = (-96.0, 24.0)
#: Milliseconds that a pause lasts at most (Azure's bound too).
LONGEST_PAUSE_MS = 20_000

_RATES = {
    "x-slow": 0.5, "slow": 0.64, "medium": 1.0, "default": 1.0, "fast": 1.55, "x-fast": 2.0,
}  # fmt: skip
_PITCHES = {
    "x-low": -45.0, "low": -20.0, "medium": 0.0, "default": 0.0, "high": 20.0, "x-high": 45.0,
}  # fmt: skip
_VOLUMES = {
    "silent": DECIBELS[0], "x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0,
    "loud": 6.0, "x-loud": 12.0,
}  # fmt: skip
_STRENGTHS = {
    "none": 0, "x-weak": 250, "weak": 500, "medium": 750, "strong": 1000, "x-strong": 1250,
}  # fmt: skip
#: Level to speed and decibels.
_EMPHASES = {
    "strong": (0.9, 3.0), "moderate": (0.95, 1.5), "none": (1.0, 0.0), "reduced": (1.05, -3.0),
}  # fmt: skip
_NUMBER = r"(?P<number>[+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))"
_AMOUNT = re.compile(rf"{_NUMBER}\s?(?P<unit>%|st|hz|db|ms|s|)", re.I)


@dataclass(frozen=True)
class Change:
    """A prosody, and what of the document's wish it does not hold."""

    prosody: Prosody
    warnings: tuple[str, ...] = ()


def changed(prosody: Prosody, name: str, value: str, *, azure: bool = False) -> Change:
    """Return a prosody changed by one attribute of a `prosody` element.

    With `azure` a percentage without a sign is a change (`50%`: faster by half), as in Azure;
    else it is a share of the rate (`50%`: half as fast), as in SSML 1.1.
    """
    made = _ATTRIBUTES[name](prosody, value.strip().lower(), azure)
    if made is None:
        return Change(prosody, (f"prosody {name}={value[:40]!r} is not understood: left as it is",))
    bounded = replace(
        made,
        speed=round(_within(made.speed, SPEEDS), 4),
        pitch=round(_within(made.pitch, SEMITONES), 4),
        volume=round(_within(made.volume, DECIBELS), 4),
    )
    far = replace(made, speed=round(made.speed, 4), pitch=round(made.pitch, 4),
                  volume=round(made.volume, 4)) != bounded  # fmt: skip
    bounds = (
        f"prosody {name}={value[:40]!r} goes too far: speed is kept to {SPEEDS[0]} to {SPEEDS[1]}, "
        f"pitch to {SEMITONES[1]:g} semitones, volume to {DECIBELS[0]:g} to {DECIBELS[1]:g} dB"
    )
    return Change(bounded, (bounds,) if far else ())


def emphasised(prosody: Prosody, level: str) -> Change:
    """Return a prosody changed by an `emphasis` element: a little slower and louder, or less so."""
    known = _EMPHASES.get(level.strip().lower() or "moderate")
    if known is None:
        valid = ", ".join(_EMPHASES)
        warning = f"emphasis level={level[:40]!r} is not one of {valid}: left as it is"
        return Change(prosody, (warning,))
    speed, volume = known
    return Change(
        replace(
            prosody,
            speed=round(_within(prosody.speed * speed, SPEEDS), 4),
            volume=round(_within(prosody.volume + volume, DECIBELS), 4),
        )
    )


def pause(time: str | None, strength: str | None) -> tuple[int, str]:
    """Return how many milliseconds a `break` lasts, and a warning or nothing; time goes first."""
    if time is not None and time.strip():
        found = _AMOUNT.fullmatch(time.strip())
        timed = found and (found["unit"].lower() in ("ms", "s") or not float(found["number"]))
        if not found or not timed or found["number"][0] == "-":
            return _STRENGTHS["medium"], f"break time={time[:40]!r} is not understood: 750 ms"
        length = float(found["number"]) * (1000 if found["unit"].lower() == "s" else 1)
        if length > LONGEST_PAUSE_MS:
            return LONGEST_PAUSE_MS, f"break time={time[:40]!r} is too long: 20 s"
        return round(length), ""
    known = _STRENGTHS.get((strength or "medium").strip().lower())
    if known is None:
        return _STRENGTHS["medium"], f"break strength={(strength or '')[:40]!r}: taken as medium"
    return known, ""


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(bounds[1], max(bounds[0], value))


def _amount(value: str, units: str) -> tuple[float, str, bool] | None:
    """Number, unit, and whether it is signed; None where it is no such amount."""
    found = _AMOUNT.fullmatch(value)
    if not found or found["unit"] not in units.split("|"):
        return None
    return float(found["number"]), found["unit"], found["number"][0] in "+-"


def _rate(prosody: Prosody, value: str, azure: bool) -> Prosody | None:
    factor = _RATES.get(value)
    if factor is None:
        amount = _amount(value, "%|")
        if amount is None:
            return None
        number, unit, signed = amount
        number = number / 100 if unit else number
        relative = signed or (azure and unit == "%")
        factor = 1 + number if relative else number
        if factor == 0 and not relative:
            factor = 1.0  # `0%`: what editors write that mean no change.
    return replace(prosody, speed=prosody.speed * factor)


def _pitch(prosody: Prosody, value: str, _: bool) -> Prosody | None:
    percent = _PITCHES.get(value)
    if percent is None:
        amount = _amount(value, "%|st")
        if amount is None:
            return None
        number, unit, _signed = amount
        if unit == "st":
            return replace(prosody, pitch=prosody.pitch + number)
        if not unit and number:
            return None
        percent = number
    if percent <= -100:
        return replace(prosody, pitch=-math.inf)
    return replace(prosody, pitch=prosody.pitch + 12 * math.log2(1 + percent / 100))


def _volume(prosody: Prosody, value: str, _: bool) -> Prosody | None:
    decibels = _VOLUMES.get(value)
    if decibels is None:
        amount = _amount(value, "db|%|")
        if amount is None:
            return None
        number, unit, signed = amount
        if unit == "db":
            decibels = number
        elif unit == "%" or signed:
            decibels = _gain(1 + number / 100 if signed else number / 100)
        else:
            decibels = _gain(number / 100)
    return replace(prosody, volume=prosody.volume + decibels)


def _gain(factor: float) -> float:
    return 20 * math.log10(factor) if factor > 0 else DECIBELS[0]


_ATTRIBUTES: dict[str, Callable[[Prosody, str, bool], Prosody | None]] = {
    "rate": _rate,
    "pitch": _pitch,
    "volume": _volume,
}
