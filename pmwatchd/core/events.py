"""
Facts in: what happened outside, in the past tense.

The engine puts them into :meth:`pmwatchd.core.fleet.Fleet.step` one after
another.  An event says what was seen and never what to do about it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pmwatchd.core.model import Action, FenceAction, Host, Opinion, ProbeResult, Reply
from pmwatchd.core.rules import Rules


@dataclass(frozen=True, slots=True)
class Answered:
    """
    A host answered a heartbeat.

    Attributes:
        weak: It has a probe that gives strong signs, and gave only weak ones; None where
            that is not known.
    """

    host: str
    at: float
    weak: bool | None = False


@dataclass(frozen=True, slots=True)
class Silent:
    """
    A host did not answer a heartbeat.

    Attributes:
        last_answer_at: When it last answered since this start, or None.
        deaf_since: From then until *deaf_until* nothing but local faults came, since the
            heartbeat before that told: that time counts for nothing, and what it was
            before it still does.
    """

    host: str
    last_answer_at: float | None
    deaf_since: float = -math.inf
    deaf_until: float = -math.inf


@dataclass(frozen=True, slots=True)
class Unheard:
    """
    For longer than its grace nothing but local faults came of a host; told once.

    The first heartbeat after that which tells anything is told, whatever it tells.

    Attributes:
        fault: The fault of the last of them, in a word.
    """

    host: str
    fault: str


@dataclass(frozen=True, slots=True)
class HeartbeatsHeard:
    """
    The changes and misses of many hosts in one go.

    A host that answers as it did before is not in it: healthy hosts cost the
    engine nothing.  Silence is reported each time.
    """

    answered: tuple[Answered, ...] = ()
    silent: tuple[Silent, ...] = ()
    unheard: tuple[Unheard, ...] = ()


@dataclass(frozen=True, slots=True)
class HostProbed:
    """The one fresh heartbeat that a :class:`~pmwatchd.core.orders.ProbeHost` asked for."""

    host: str
    operation: str
    turn: int
    result: ProbeResult


@dataclass(frozen=True, slots=True)
class AgentReplied:
    """An order to an agent is certainly over."""

    host: str
    operation: str
    turn: int
    agent: str
    action: FenceAction
    reply: Reply


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """Time passed; the engine sends it when the earliest deadline is due."""


@dataclass(frozen=True, slots=True)
class ObserverPaused:
    """This process was stopped, suspended or too busy to listen for so long."""

    for_s: float


@dataclass(frozen=True, slots=True)
class CanaryHeard:
    """
    A canary answers now, or does not answer any more; told when it changes, and at first.

    Attributes:
        canary: Its probe in words, like ``tcp://10.0.0.1:53``.
    """

    canary: str
    answers: bool


@dataclass(frozen=True, slots=True)
class DumpHeard:
    """A datagram of a host that writes a crash dump arrived."""

    host: str
    at: float


@dataclass(frozen=True, slots=True)
class WitnessSaid:
    """
    What one witness found when it tried a suspect from its own place in the network.

    Attributes:
        question: Number of the :class:`~pmwatchd.core.orders.AskWitness` that is answered.
        opinion: ``none`` where the witness could not be asked.
    """

    host: str
    question: int
    witness: str
    opinion: Opinion
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AliveChecked:
    """What a site's own command found; ``none`` where it could not be run, or not in time."""

    host: str
    question: int
    opinion: Opinion
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SoftFenced:
    """The command on the host itself is over, or could not be begun."""

    host: str
    question: int
    ran: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InventoryLoaded:
    """
    The hosts to watch from now on, all of them, and the rules.

    Attributes:
        refused: Why some hosts of the files are missing here; empty when none are.
    """

    hosts: Mapping[str, Host]
    rules: Rules
    refused: str = ""


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """
    Records could not be made durable.

    Attributes:
        unopened: Operations whose opening is not durable; they must not act.
        reason: What the disk or SQLite said.
    """

    unopened: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class JournalRecovered:
    """Everything is durable again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRequested:
    """A person asked for a power action; answered by an ``Answer`` with the same *request*."""

    request: int
    host: str
    action: Action
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequested:
    """A person asked what the power switches of a host read now."""

    request: int
    host: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """A person ends a backoff or the pursuit of *on*."""

    request: int
    host: str
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VouchRequested:
    """A person vouches that a host is off (``confirm-off``)."""

    request: int
    host: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceRequested:
    """
    A person takes a host out of automatic fencing.

    Attributes:
        for_s: How long, or None for no end.
        expires_at: The same as wall-clock time, kept across restarts.
    """

    request: int
    host: str
    by: str
    reason: str
    for_s: float | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceEndRequested:
    """A person puts a host back under automatic fencing."""

    request: int
    host: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AckRequested:
    """A person looked at a parked host and lets it be fenced again."""

    request: int
    host: str
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRequested:
    """A person stops all automatic fencing for a time."""

    request: int
    by: str
    reason: str
    for_s: float
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRequested:
    """A person ends the pause."""

    request: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideRequested:
    """A person says that a storm is none, for a time."""

    request: int
    by: str
    reason: str
    for_s: float
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideEndRequested:
    """A person takes back the word that a storm is none."""

    request: int
    by: str


HostEvent = (
    PowerRequested
    | StatusRequested
    | CancelRequested
    | VouchRequested
    | MaintenanceRequested
    | MaintenanceEndRequested
    | AckRequested
)
SiteEvent = PauseRequested | ResumeRequested | OverrideRequested | OverrideEndRequested
PersonEvent = HostEvent | SiteEvent
Event = (
    HeartbeatsHeard
    | HostProbed
    | AgentReplied
    | DeadlineReached
    | ObserverPaused
    | CanaryHeard
    | DumpHeard
    | WitnessSaid
    | AliveChecked
    | SoftFenced
    | InventoryLoaded
    | JournalFailed
    | JournalRecovered
    | PersonEvent
)
