"""What the witness keeps: operations, readings, and what holds in one life of the daemon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from pmwatchd.core.model import Action, Cause, FenceAgent, Host, Outcome, PowerStatus
from pmwatchd.core.rules import Rules

EPS_S = 1e-6

Place = tuple[str, str]
"""Where an agent acts: its device and its plug."""


class Believer(Protocol):
    """Persons: what they asked for, said and were promised."""

    def vouched_at(self, host: str) -> float:
        """When somebody last said that this host is off."""
        ...

    def maintains(self, host: str) -> bool:
        """Whether a person was promised that this host is left alone."""
        ...

    def paused(self) -> bool:
        """Whether a person was promised that nobody is fenced."""
        ...


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, and how."""

    at: float
    rule: str
    what: str


@dataclass(slots=True)
class Track:
    """
    What is known of one operation from its orders.

    Attributes:
        sends_off: An ``off`` was ordered.
        vouched: It was proven off by a person's word.
        taken_up_at: When the daemon of now opened it, or continued it.
    """

    id: str
    host: Host
    action: Action
    cause: Cause
    opened_at: float
    proven_off: bool = False
    vouched: bool = False
    restoring: bool = False
    sends_off: bool = False
    taken_up_at: float = -1e9
    sent_off: set[Place] = field(default_factory=set)
    wants_on: bool = False
    outcome: Outcome | None = None
    closed_at: float | None = None


@dataclass(slots=True)
class Reading:
    """A status that was delivered: when it was asked for, and when the answer came."""

    began_at: float
    came_at: float
    power: PowerStatus


@dataclass(slots=True)
class Life:
    """What holds since the daemon's last start."""

    started_at: float = 0.0
    rules: Rules = field(default_factory=Rules)
    resumed_at: float = -1e9
    heard: set[str] = field(default_factory=set)
    failed_at: dict[str, float] = field(default_factory=dict)

    def too_soon(self, track: Track, tracks: Iterable[Track], now: float) -> list[str]:
        """Return what happened to a host too short a while ago for one more operation."""
        wrongs = [
            f"quiet time after {other.id}"
            for other in tracks
            if other.host.name == track.host.name
            and other is not track
            and other.proven_off
            and other.closed_at is not None
            and now - other.closed_at < self.rules.fencing.quiet_time_s - EPS_S
        ]
        failed_at = self.failed_at.get(track.host.name)
        if failed_at is not None and now - failed_at < self.rules.fencing.retry_min_s - EPS_S:
            wrongs.append("backoff")
        return wrongs


def place_of(agent: FenceAgent) -> Place:
    """Return where an agent acts; whatever it is called, it is the same switch."""
    return agent.device, agent.plug or ""
