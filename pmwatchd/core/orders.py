"""
Orders out: what is to be done, in the imperative.

The engine makes the durable ones (:data:`Durable`) durable first and only
then carries out the acts.  Every act carries a ``turn``; an answer to an
older turn is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pmwatchd.core.model import (
    Action,
    Candidate,
    Cause,
    FenceAction,
    FenceAgent,
    Host,
    Limits,
    Outcome,
    PowerStatus,
)

Value = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One thing to tell: a log line, a metric and an event of the stream are made from it.

    Attributes:
        event: ``area.past_tense``, one of the names in :mod:`pmwatchd.observe.messages`.
        fields: Closed names of the log contract (``agent``, ``proxy``, ``took_s`` ...).
        journalled: Kept for ``history``, ``events`` and ``explain``.
    """

    event: str
    host: str | None = None
    operation: str | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)
    journalled: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """
    A record as the log, the metrics, the journal and the event stream see it.

    Attributes:
        sequence: Its number in the journal, or None where it is not kept.
        at: Wall-clock time, UTC; only ever shown, it decides nothing.
    """

    record: Record
    at: datetime
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveOperation:
    """
    Where an operation stands, so that a restart continues it from there.

    Attributes:
        outcome: None while it is open.
        document: The step, as plain JSON values; see :mod:`pmwatchd.core.resume`.
    """

    id: str
    host: str
    action: Action
    cause: Cause
    reason: str
    by: str
    outcome: Outcome | None
    document: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveHost:
    """
    What is to be known about a host after a restart.

    Attributes:
        fingerprint: Where and how it has answered once; None: never.
        booting: It was powered on and has not answered yet.
        dumped: It boots by itself after a crash dump, and we did not power it on.
        quiet: An operation proved it off less than the quiet time ago.
        failures: Failed operations since it last answered.
        left_off: A person ended the pursuit of *on*.
        missing: Outlets (:attr:`pmwatchd.core.model.FenceAgent.outlet`) that were switched
            off and not proven on again.
        given_up: Those of them that a person wants pursued no more.
        miswired: The agents, as :attr:`~pmwatchd.core.model.Host.wiring` names them,
            after whose proven off the host answered; "" for none.
        reads_off: Outlets that read off, twice, while the host answered.
        expires_at: End of its maintenance as wall-clock time.
        maintenance_for_s: For so long it was given; a wall clock that is set back makes it
            no longer.  None: without an end, or not known any more.
        kept_off: Its maintenance keeps a person's off, and only a person's word ends it.
        fenced: Operations that proved it off since it was last up for an unbroken loop window.
        parked: It was fenced too often, and waits for a person's word.
        soft_fenced: Its soft fencing command ran in this silence.
    """

    host: str
    fingerprint: str | None = None
    booting: bool = False
    dumped: bool = False
    quiet: bool = False
    failures: int = 0
    left_off: bool = False
    missing: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    miswired: str = ""
    reads_off: tuple[str, ...] = ()
    maintenance: bool = False
    maintenance_by: str = ""
    maintenance_reason: str = ""
    expires_at: datetime | None = None
    maintenance_for_s: float | None = None
    kept_off: bool = False
    fenced: int = 0
    parked: bool = False
    soft_fenced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSite:
    """
    What a person set for the whole site: the pause, and the word that a storm is none.

    Attributes:
        paused_for_s: For so long it was given; a wall clock that is set back makes it no longer.
        override_for_s: Likewise.
    """

    paused_until: datetime | None = None
    paused_for_s: float | None = None
    paused_by: str = ""
    paused_reason: str = ""
    override_until: datetime | None = None
    override_for_s: float | None = None
    override_by: str = ""
    override_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgent:
    """
    Execute one agent through the first proxy of *chain* that can.

    Attributes:
        without: Proxies at which the outcome of this very command was lost; the
            fleet leaves them out of the chain.
        looked_at: When the last look that permits this ``off`` was ordered; None: it needs none.
        look_good_for_s: So long after that it may be begun.
        limits: How long it may take; a reload between this order and its execution changes
            nothing, because the journal and a later start rely on it.
        not_before: Power-ons of one domain are spaced; this one is not begun before then.
        brief: Another group is left, so two sources that cannot reach the device are enough.
    """

    host: str
    operation: str
    turn: int
    agent: FenceAgent
    action: FenceAction
    chain: tuple[Candidate, ...] = ()
    limits: Limits = field(default_factory=Limits)
    not_before: float = 0.0
    without: frozenset[str] = frozenset()
    brief: bool = False
    looked_at: float | None = None
    look_good_for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Tell no agent a command of this operation any more; what was untold is withdrawn."""

    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDevice:
    """
    Execute nothing at a device for so long: a former start's command may still run.

    Attributes:
        device: As :attr:`pmwatchd.core.model.FenceAgent.device` names it.
    """

    device: str
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeHost:
    """Send one fresh heartbeat now; answered by ``HostProbed``."""

    host: Host
    operation: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskWitness:
    """Let *witness* try the suspect from its own place; answered by ``WitnessSaid``."""

    host: Host
    question: int
    witness: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAlive:
    """
    Run the site's own command for this host; answered by ``AliveChecked``.

    Attributes:
        chain: Machines that may run it, the best first; empty when it runs here.
    """

    host: Host
    question: int
    chain: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceSoftly:
    """Run the host's soft fencing command on itself; answered by ``SoftFenced``."""

    host: Host
    question: int
    target: Candidate


@dataclass(frozen=True, slots=True)
class ReportNext:
    """Report the next heartbeat of a host even if it answers as before."""

    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A person's command is under way, or was done at once (no operation)."""

    operation: str | None = None
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A person's command is not carried out, and why; ``type`` names the problem for good."""

    type: str
    reason: str
    operation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRead:
    """What the agents of a host read, and the merged verdict."""

    power: PowerStatus
    agents: Mapping[str, PowerStatus] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a person's event."""

    request: int
    result: Accepted | Refused | PowerRead


Durable = Record | SaveOperation | SaveHost | SaveSite
Question = AskWitness | CheckAlive | FenceSoftly
Act = RunAgent | Recall | HoldDevice | ProbeHost | ReportNext | Question
Order = Durable | Act | Answer
