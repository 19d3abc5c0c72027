"""
How long the phases of a treatment took, from the records that end them.

Where a record carries its duration that one counts; the others are the
wall-clock distance of two records, shown and never decided upon.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from pmwatchd.core.model import Cause, FenceAction, Liveness
from pmwatchd.core.orders import Told


class Phase(StrEnum):
    """The parts of a treatment, in their order."""

    DETECT = "detect"
    HOLD = "hold"
    OFF_SENT = "off_sent"
    OFF_PROVEN = "off_proven"
    ON_PROVEN = "on_proven"
    BOOTED = "booted"


class Phases:
    """Remembers the moments from which a phase is counted; each is forgotten when used."""

    def __init__(self) -> None:
        self._non_responsive_at: dict[str, datetime] = {}
        self._opened_at: dict[str, datetime] = {}
        self._on_proven_at: dict[str, datetime] = {}

    def after(self, told: Told) -> Iterator[tuple[Phase, float]]:
        """The phases that end with this record and their durations in seconds."""
        phase, took_s = self._ended(told)
        # a wall clock that was set back says nothing
        if phase is not None and took_s is not None and took_s >= 0:
            yield phase, took_s

    def _ended(self, told: Told) -> tuple[Phase | None, float | None]:
        record = told.record
        host, operation, fields = record.host or "", record.operation or "", record.fields
        match record.event:
            case "watch.non_responsive":
                self._non_responsive_at[host] = told.at
                return Phase.DETECT, _seconds(told, "silent_s")
            case "watch.answered":
                self._non_responsive_at.pop(host, None)
                since_s = _since(self._on_proven_at.pop(host, None), told.at)
                if fields.get("was") != Liveness.BOOTING:
                    return None, None
                given_s = _seconds(told, "took_s")
                return Phase.BOOTED, since_s if given_s is None else given_s
            case "fence.opened":
                self._opened_at[operation] = told.at
                since = self._non_responsive_at.pop(host, None)
                if fields.get("cause") != Cause.AUTOMATIC:
                    return None, None
                return Phase.HOLD, _since(since, told.at)
            case "fence.intended" if fields.get("action") == FenceAction.OFF:
                return Phase.OFF_SENT, _since(self._opened_at.pop(operation, None), told.at)
            case "fence.off_proven":
                return Phase.OFF_PROVEN, _seconds(told, "took_s")
            case "fence.on_proven":
                self._on_proven_at[host] = told.at
                return Phase.ON_PROVEN, _seconds(told, "took_s")
            case "fence.closed":
                self._opened_at.pop(operation, None)
        return None, None


def _seconds(told: Told, name: str) -> float | None:
    value = told.record.fields.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _since(begin: datetime | None, end: datetime) -> float | None:
    return None if begin is None else (end - begin).total_seconds()
