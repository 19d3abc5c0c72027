"""
Who is first?

A queue, not a veto: hosts that nothing else holds wait for a slot.  A slot is
taken while a host is switched off and seen off; switching on needs none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from pmwatchd.core.rules import Safety

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """Who goes first: the higher priority, then the fewer failures, then the longer silence."""

    lower_priority: int
    failures: int
    silent_since_at: float
    name: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a host waits; *until_at* where time alone ends it."""

    name: str
    reason: str
    until_at: float | None = None


@dataclass(slots=True)
class Budget:
    """Slots, and the offs that were proven within the last hour."""

    proven_at: deque[float] = field(default_factory=deque)

    def proven(self, now: float) -> None:
        """Count an off that was proven."""
        self.proven_at.append(now)

    def share_out(
        self, wanting: Iterable[Rank], taken: int, safety: Safety, now: float
    ) -> tuple[list[str], list[Waiting]]:
        """Return who may begin now, and who waits and why."""
        while self.proven_at and self.proven_at[0] <= now - HOUR_S:
            self.proven_at.popleft()
        queue = [rank.name for rank in sorted(wanting)]
        slots = max(0, safety.max_concurrent - taken)
        # One that is under way may become one more of this hour.
        hourly = max(0, safety.per_hour - len(self.proven_at) - taken)
        free = min(slots, hourly)
        return queue[:free], [
            self._waits(name, number, taken, safety, full=slots <= hourly)
            for number, name in enumerate(queue[free:], start=1)
        ]

    def _waits(self, name: str, number: int, taken: int, safety: Safety, *, full: bool) -> Waiting:
        if full:
            reason = f"{safety.max_concurrent} hosts are being fenced; number {number} in the queue"
            return Waiting(name, reason)
        proven = len(self.proven_at)
        reason = (
            f"{proven} fenced within an hour and {taken} being fenced, "
            f"of {safety.per_hour} in an hour; number {number} in the queue"
        )
        # while some are under way nobody knows which of them will count, nor from when
        until_at = self.proven_at[0] + HOUR_S if proven and not taken else None
        return Waiting(name, reason, until_at)
