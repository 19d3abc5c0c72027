"""Says what is wrong on our side, once a minute for each kind, whatever the number of hosts."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pmwatchd.core.orders import Record

AGAIN_S = 60.0

log = structlog.get_logger()


class FaultLog:
    """
    Tells ``heartbeat.local_fault``, rarely.

    Args:
        tell: Shows and keeps a record; without it the fault is only logged.
    """

    def __init__(self, tell: Callable[[Record], None] | None = None) -> None:
        self._tell = tell or _log
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def note(self, kind: str, host: str | None, now: float) -> None:
        """A heartbeat, of *host* unless it was that of a canary, met a fault of this *kind*."""
        said_at = self._said_at.get(kind)
        if said_at is not None and now - said_at < AGAIN_S:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said_at[kind] = now
        fields = {"reason": kind, "unsaid": self._unsaid.pop(kind, None)}
        self._tell(Record(event="heartbeat.local_fault", host=host, fields=fields))


def _log(record: Record) -> None:
    log.warning(record.event, host=record.host, **record.fields)
