"""
One watched machine: everything the fleet knows of it.

The parts are frozen values (a watch, an operation, holds, alerts); only their
place here changes, and only what :mod:`pmwatchd.core.treatment` joins changes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from pmwatchd.core import watch as watching
from pmwatchd.core.dump import Dump
from pmwatchd.core.holds import Circumstances
from pmwatchd.core.model import Action, Alert, Cause, HoldName, Host, HostStatus, PowerStatus
from pmwatchd.core.operation import Operation, Phase
from pmwatchd.core.opinion import Inquiry
from pmwatchd.core.orders import SaveHost, SaveOperation
from pmwatchd.core.storm import Standing
from pmwatchd.core.views import Hold, HostView, MaintenanceView, RaisedAlert
from pmwatchd.core.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """
    Out of automatic fencing by a person's word.

    Attributes:
        until_at: When it ends by itself, or None.
        expires_at: The same for the journal, as wall-clock time.
        for_s: For so long it was given, or None where that is not known any more.
        kept_off: It keeps a person's off; a person's ``on`` or ``restart`` ends it.
        announce_at: When its end is announced; *announced* once that was told.
    """

    by: str
    reason: str
    until_at: float | None = None
    expires_at: datetime | None = None
    for_s: float | None = None
    kept_off: bool = False
    announce_at: float | None = None
    announced: bool = False


@dataclass(frozen=True, slots=True)
class Deafness:
    """
    Nothing but local faults comes of a host; see :mod:`pmwatchd.core.deafness`.

    Attributes:
        fingerprint: Where and how it was asked.
    """

    fault: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """
    The heartbeat after the first reading of off, of an operation that ended before it.

    Attributes:
        outlets: What that operation switched.
    """

    operation: str
    turn: int
    outlets: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Check:
    """
    One reading of all agents of a host, under way; see :mod:`pmwatchd.core.powerwatch`.

    Attributes:
        answering: Agents whose reading came while the host answered.
    """

    id: str
    host: Host
    waiting: set[str]
    power: dict[str, PowerStatus] = field(default_factory=dict)
    answering: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Wiring:
    """
    What was read of a host's agents while it answered; see :mod:`pmwatchd.core.inspection`.

    Attributes:
        due: They are to be read now.
        suspect: Outlets that read off once.
        accused: Outlets that read off twice; whether the host answers now is being asked.
        asked: Id of that question.
        off: Outlets that read off twice while the host answered.
    """

    due: bool = False
    suspect: frozenset[str] = frozenset()
    accused: frozenset[str] = frozenset()
    asked: str = ""
    off: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class SoftFencing:
    """
    A command on the host itself, once per silence; see :mod:`pmwatchd.core.soft`.

    Attributes:
        done: It ran, or was skipped, in this silence.
        reading: The power is read before that.
        power: What it read, while others have not said all that they are asked; and when.
        running: The command runs, as far as is known.
        number: Number of the question whether it ran; numbers go on.
        until_at: Until then an answer to it is waited for.
    """

    done: bool = False
    reading: bool = False
    power: PowerStatus | None = None
    read_at: float = 0.0
    running: bool = False
    number: int = 0
    until_at: float | None = None


@dataclass(slots=True, kw_only=True)
class Machine:
    """
    A host and its state.

    Attributes:
        deafness: Why nothing is known of it, for longer than its grace.
        last_answer_at: When it last answered, as far as the core was told.
        seen: It has answered since this start.
        operated_at: When an operation of it ended last; what was asked before is out of date.
        told_at: When a planned heartbeat of it last told anything.
        blind_at: When a fresh one last met a fault of our own.
        unanswered: Its last heartbeat was, whatever was forgiven since.
        fingerprint: Where and how it has answered once.
        failures: Failed operations since it last answered.
        missing: Outlets that were switched off and not proven on again.
        given_up: Those of them that a person wants pursued no more.
        doubtful: Outlets that were sent off in vain and may yet go off, late.
        doubt_until: How long that is thought possible.
        miswired: The wiring with which it answered after an off was proven; "": none.
        wiring: What is read of its agents while it answers.
        doubt: A heartbeat that is to show whether its wires are right, and is not over yet.
        check: A reading of its power that is under way.
        off_readings: How often in a row it read off.
        probed: As it was when a fresh heartbeat was last sent for its operation.
        inquiry: What others were asked about this silence, and said.
        dump: Crash dump datagrams of this silence.
        weak_since: It gives only weak signs of life since then.
        fenced: Operations that proved it off since it was last up for long.
        parked: It was fenced too often, and waits for a person's word.
        soft: What soft fencing has done in this silence.
        spared: In shadow mode: that it would have been fenced was told in this silence.
        gone: Removed from the inventory; leaves when its operation ends.
        saved: What the journal holds of it, to save only changes.
    """

    host: Host
    watch: Watch
    seen: bool = False
    operated_at: float = -math.inf
    told_at: float = -math.inf
    blind_at: float = -math.inf
    unanswered: bool = False
    deafness: Deafness | None = None
    last_answer_at: float | None = None
    fingerprint: str | None = None
    operation: Operation | None = None
    maintenance: Maintenance | None = None
    quiet_until: float | None = None
    retry_at: float | None = None
    failures: int = 0
    left_off: bool = False
    missing: frozenset[str] = frozenset()
    given_up: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    doubt_until: float = 0.0
    miswired: str = ""
    wiring: Wiring = field(default_factory=Wiring)
    doubt: Doubt | None = None
    check: Check | None = None
    check_at: float | None = None
    check_pause_s: float = 0.0
    off_readings: int = 0
    probed: Host | None = None
    inquiry: Inquiry = field(default_factory=Inquiry)
    dump: Dump | None = None
    weak_since: float | None = None
    fenced: int = 0
    parked: bool = False
    soft: SoftFencing = field(default_factory=SoftFencing)
    spared: bool = False
    gone: bool = False
    holds: dict[HoldName, Hold] = field(default_factory=dict)
    alerts: dict[Alert, RaisedAlert] = field(default_factory=dict)
    saved: SaveHost | None = None
    saved_operation: SaveOperation | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.host.name

    def note_missing(self, outlets: frozenset[str]) -> None:
        """Note what is missing now; what is not needs no giving up."""
        self.missing = outlets
        self.given_up &= outlets

    @property
    def pursued(self) -> frozenset[str]:
        """Agents that are to be switched on again as soon as that is possible."""
        return self.missing_agents - self.host.named(self.given_up)

    @property
    def missing_agents(self) -> frozenset[str]:
        """Agents of now that switch what is missing."""
        return self.host.named(self.missing)

    @property
    def ownerless(self) -> frozenset[str]:
        """What is missing and no agent of now switches."""
        return self.missing - self.host.outlets(self.missing_agents)

    @property
    def wired_elsewhere(self) -> str:
        """Why its agents are thought to switch another machine, or ""."""
        if self.miswired and self.miswired == self.host.wiring:
            return "its agents read off while it answered: they switch another machine"
        if self.wiring.off:
            names = ", ".join(sorted(self.host.named(self.wiring.off)))
            return f"read off twice while it answered: {names}; wired to another machine?"
        return ""

    @property
    def silent(self) -> bool:
        """Silent beyond its grace period."""
        return isinstance(self.watch, watching.NonResponsive)

    @property
    def heard_at(self) -> float:
        """Its last answer since this start; what it sent before that is of another silence."""
        return -math.inf if self.last_answer_at is None else self.last_answer_at

    @property
    def silent_from(self) -> float:
        """From when on its silence counts: its last answer, or a pardon."""
        match self.watch:
            case watching.Connecting() | watching.NonResponsive():
                return max(self.heard_at, self.watch.base_at)
            case _:
                return self.heard_at

    @property
    def answers(self) -> bool:
        """Answers from elsewhere: the host of this daemon does whatever becomes of its network."""
        up = isinstance(self.watch, watching.Up)
        return up and not self.gone and not self.host.engine

    @property
    def missed(self) -> bool:
        """Silent, within its grace period or beyond it, and meant to answer."""
        if self.gone or self.left_off or self.maintenance is not None:
            return False
        connecting = isinstance(self.watch, watching.Connecting) and self.unanswered
        return self.silent or connecting

    @property
    def standing(self) -> Standing:
        """How it counts when the silent hosts of a domain are counted."""
        running = self.operation
        past_off = running is not None and running.proven_off_at is not None
        if self.maintenance or self.parked or self.left_off or past_off or self.gone:
            return Standing.NOT
        match self.watch:
            case watching.Up():
                return Standing.ANSWERING
            case watching.NonResponsive():
                return Standing.SILENT
            case watching.Connecting():
                return Standing.SILENT if self.unanswered else Standing.ANSWERING
            case _:
                return Standing.NOT

    @property
    def serves(self) -> bool:
        """Fit to run agents for others: up, not in maintenance, not in an operation."""
        up = isinstance(self.watch, watching.Up)
        return up and self.maintenance is None and self.operation is None and not self.gone

    @property
    def status(self) -> HostStatus:
        """What is shown: the first that applies."""
        if self.maintenance is not None:
            return HostStatus.MAINTENANCE
        if self.operation is not None:
            return _phase_status(self.operation)
        if self.dump is not None and HoldName.KDUMP in self.holds:
            return HostStatus.KDUMPING
        if (self.retry_at is not None or self.parked) and self.silent:
            return HostStatus.FAILED
        return HostStatus(watching.liveness(self.watch))

    def circumstances(self, startup_ends_at: float, *, journal_writable: bool) -> Circumstances:
        """Gather what is weighed before this host is fenced."""
        running = self.operation
        person = running is not None and running.cause is Cause.PERSON and not running.yields
        return Circumstances(
            host=self.host,
            seen=self.seen,
            startup_ends_at=startup_ends_at,
            journal_writable=journal_writable,
            maintenance=self._maintenance_words(),
            operation=running.id if running and person else None,
            quiet_until=self.quiet_until,
            retry_at=self.retry_at,
            miswired=self.wired_elsewhere,
            parked=self.fenced if self.parked else 0,
        )

    def _maintenance_words(self) -> str | None:
        if self.maintenance is None:
            return None
        return f"maintenance by {self.maintenance.by}: {self.maintenance.reason}"

    def memory(self, now: float) -> SaveHost:
        """Return what is to be known about it after a restart."""
        keeper = self.maintenance
        return SaveHost(
            host=self.name,
            fingerprint=self.fingerprint,
            booting=isinstance(self.watch, watching.Booting),
            dumped=isinstance(self.watch, watching.Booting) and not self.watch.ours,
            quiet=self.quiet_until is not None and now < self.quiet_until,
            failures=self.failures,
            left_off=self.left_off,
            # A restart has no time to lose with doubts: what may go off late is read on first.
            missing=tuple(sorted(self.missing | self.doubtful)),
            given_up=tuple(sorted(self.given_up)),
            miswired=self.miswired,
            reads_off=tuple(sorted(self.wiring.off)),
            maintenance=keeper is not None,
            maintenance_by=keeper.by if keeper else "",
            maintenance_reason=keeper.reason if keeper else "",
            expires_at=keeper.expires_at if keeper else None,
            maintenance_for_s=keeper.for_s if keeper else None,
            kept_off=keeper is not None and keeper.kept_off,
            fenced=self.fenced,
            parked=self.parked,
            soft_fenced=self.soft.done and not self.soft.reading and self.soft.power is None,
        )

    def view(self) -> HostView:
        """Return a picture of it."""
        return HostView(
            host=self.host,
            status=self.status,
            liveness=watching.liveness(self.watch),
            since_at=self.watch.since_at,
            last_answer_at=self.last_answer_at,
            holds=tuple(self.holds.values()),
            alerts=tuple(self.alerts.values()),
            operation=self.operation.id if self.operation else None,
            maintenance=_keeper_view(self.maintenance) if self.maintenance else None,
            ours=not isinstance(self.watch, watching.Booting) or self.watch.ours,
        )


def _keeper_view(keeper: Maintenance) -> MaintenanceView:
    return MaintenanceView(by=keeper.by, reason=keeper.reason, until_at=keeper.until_at)


def _phase_status(operation: Operation) -> HostStatus:
    match operation.phase:
        case Phase.ON:
            return HostStatus.POWERING_ON
        case Phase.RESTING | Phase.BLOCKED if operation.proven_off_at is not None:
            return HostStatus.OFF
        case Phase.RESTING:
            return HostStatus.POWERING_ON
        case Phase.BLOCKED if operation.action is Action.ON:
            return HostStatus.POWERING_ON
        case _:
            return HostStatus.POWERING_OFF


def recall(host: Host, memory: SaveHost | None, now: float, until_at: float | None) -> Machine:
    """
    Return a machine as the journal remembers it.

    ``booting`` runs its full length anew; a host that is known but has not
    answered since this start begins a full grace period.

    Args:
        until_at: End of its maintenance on this start's monotonic clock.
    """
    if memory is None:
        return Machine(host=host, watch=watching.Unknown(now))
    watch: Watch = watching.Unknown(now)
    if memory.booting:
        watch = watching.power_on(host, now, ours=not memory.dumped)
    elif memory.fingerprint == host.fingerprint:
        watch = watching.Connecting(now, base_at=now)
    keeper = Maintenance(
        by=memory.maintenance_by,
        reason=memory.maintenance_reason,
        until_at=until_at,
        expires_at=memory.expires_at,
        for_s=memory.maintenance_for_s,
        kept_off=memory.kept_off,
    )
    return Machine(
        host=host,
        watch=watch,
        fingerprint=memory.fingerprint,
        maintenance=keeper if memory.maintenance else None,
        failures=memory.failures,
        left_off=memory.left_off,
        missing=frozenset(memory.missing),
        given_up=frozenset(memory.given_up),
        miswired=memory.miswired,
        wiring=Wiring(off=host.outlets(host.named(memory.reads_off))),
        fenced=memory.fenced,
        parked=memory.parked,
        soft=SoftFencing(done=memory.soft_fenced),
        saved=memory,
    )
