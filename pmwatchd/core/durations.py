"""Durations as people write them: ``"500ms"``, ``"90s"``, ``"5m"``, or a number of seconds."""

from __future__ import annotations

import math
import re

UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DOUBLINGS_MAX = 60
"""More would not fit into a float one day; nothing waits for that long."""

_SHAPE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def doubled(first_s: float, times: int, longest_s: float) -> float:
    """Return a pause that doubled so many times, up to the longest."""
    return min(first_s * 2.0 ** min(times, _DOUBLINGS_MAX), longest_s)


def parse(text: str) -> float:
    """
    Read a duration and return it in seconds.

    Raises:
        ValueError: It is no duration, is endless, or its unit is not known; the sentence says
            which.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r} is not a duration such as "500ms", "90s", "5m", "2h" or "30d"')
    number, unit = found.groups()
    if unit not in UNITS:
        raise ValueError(f"{unit!r} is not a unit of time: use one of ms, s, m, h, d")
    duration_s = float(number) * UNITS[unit]
    if math.isinf(duration_s):
        raise ValueError("so many digits are no duration that ever ends")
    return duration_s
