"""
What was told: a record with its place in the journal and its wall-clock time.

The wall clock is only ever *shown*; it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pmwatchd.core.orders import Record


@dataclass(frozen=True, slots=True)
class Told:
    """
    A record as the log, the metrics, the journal and the event stream see it.

    Attributes:
        sequence: Its number in the journal, or None where it is not kept.
        at: Wall-clock time, UTC.
    """

    record: Record
    at: datetime
    sequence: int | None = None
