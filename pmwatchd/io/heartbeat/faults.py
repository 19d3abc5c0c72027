"""Says what is wrong on our side, once a minute for each kind, whatever the number of hosts."""

from __future__ import annotations

import structlog

AGAIN_S = 60.0

log = structlog.get_logger()


class FaultLog:
    """Logs ``heartbeat.local_fault``, rarely."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def note(self, kind: str, host: str, now: float) -> None:
        """A heartbeat of *host* met a local fault of this *kind*."""
        said_at = self._said_at.get(kind)
        if said_at is not None and now - said_at < AGAIN_S:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said_at[kind] = now
        log.warning(
            "heartbeat.local_fault",
            message=f"A heartbeat of {host} failed on our side ({kind}); it counts for nothing.",
            kind=kind,
            host=host,
            unsaid=self._unsaid.pop(kind, 0),
        )
