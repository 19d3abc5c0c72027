"""What can be seen from outside: read-only pictures of the fleet, made on request."""

from __future__ import annotations

from dataclasses import dataclass

from pmwatchd.core.model import (
    Action,
    Alert,
    Cause,
    HoldName,
    Host,
    HostStatus,
    Liveness,
    Outcome,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reason not to fence now, since when, and in words; *until_at* where time alone ends it."""

    name: HoldName
    since_at: float
    reason: str
    until_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedAlert:
    """A condition that stays until mended, since when, and in words."""

    name: Alert
    since_at: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceView:
    """Who took a host out of automatic fencing, why and until when (monotonic; None: no end)."""

    by: str
    reason: str
    until_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperView:
    """A person's word for the whole site: whose, why, and when it ends by itself (monotonic)."""

    by: str
    reason: str
    until_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """
    What holds for the whole site now.

    Attributes:
        automatic: False: the main file lets no host be fenced automatically.
        paused: All automatic fencing is stopped for a time.
        override: A person says that a storm is none, for a time.
    """

    automatic: bool = True
    paused: KeeperView | None = None
    override: KeeperView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """
    One host as ``status``, ``hosts`` and ``show`` tell it; instants are monotonic.

    Attributes:
        ours: An operation has powered it on, if it boots; else it boots by itself.
    """

    host: Host
    status: HostStatus
    liveness: Liveness
    since_at: float
    last_answer_at: float | None
    holds: tuple[Hold, ...]
    alerts: tuple[RaisedAlert, ...]
    operation: str | None
    maintenance: MaintenanceView | None
    ours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationView:
    """One operation of this start, open or ended."""

    id: str
    host: str
    action: Action
    cause: Cause
    by: str
    reason: str
    phase: str
    opened_at: float
    closed_at: float | None
    outcome: Outcome | None
