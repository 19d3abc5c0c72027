"""Durations of the configuration: read with limits, and written as they can be read back."""

from __future__ import annotations

import math

from pydantic import BeforeValidator

from pmwatchd.config.faults import WrongError
from pmwatchd.core import durations

_SHOWN_MAX_S = 1e12
"""Nobody reads the digits of a longer one."""
_REMEDY = 'Write for example "500ms", "90s", "5m", "2h" or "30d"'


def seconds(value: object) -> float:
    """
    Read a duration, a text or a number of seconds, and return it in seconds.

    Raises:
        WrongError: It is no duration, or its unit is not known.
    """
    if isinstance(value, str):
        try:
            return durations.parse(value)
        except ValueError as error:
            raise WrongError(str(error), _REMEDY) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongError("is not a duration", _REMEDY)
    try:
        duration_s = float(value)
    except OverflowError:  # a whole number of more digits than a float can be large
        raise WrongError("is not a duration", _REMEDY) from None
    if not math.isfinite(duration_s) or duration_s < 0:
        raise WrongError("is not a duration", _REMEDY)
    return duration_s


def as_text(duration_s: float) -> str:
    """Write a duration as shortly as it can be read back: ``90.0`` as ``"90s"``."""
    milliseconds = round(duration_s * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    whole = milliseconds // 1000
    for unit, size, from_s in (("d", 86400, 172800), ("h", 3600, 7200), ("m", 60, 300)):
        if whole >= from_s and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def limited(value: object, least: str, most: str) -> float:
    """
    Read a duration that lies between *least* and *most*, both included, in seconds.

    Raises:
        WrongError: It is no duration, or outside of its limits.
    """
    duration_s = seconds(value)
    if not seconds(least) <= duration_s <= seconds(most):
        shown = as_text(duration_s) if duration_s < _SHOWN_MAX_S else "such a duration"
        raise WrongError(
            f"{shown} is outside of {least} to {most}",
            f"Give a duration from {least} to {most}",
        )
    return duration_s


def within(least: str, most: str) -> BeforeValidator:
    """Validate a duration that lies between *least* and *most*, both included."""

    def validate(value: object) -> float:
        return limited(value, least, most)

    return BeforeValidator(validate)
