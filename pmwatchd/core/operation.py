"""One operation: the value that :mod:`pmwatchd.core.fence` advances, and its own events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pmwatchd.core.events import AgentReplied, DeadlineReached
from pmwatchd.core.model import Action, Cause, FenceAction, Host, Outcome, PowerStatus, ProbeResult
from pmwatchd.core.orders import Order
from pmwatchd.core.stage import Stage


class Phase(StrEnum):
    """Where an operation stands."""

    BLOCKED = "blocked"
    OFF = "off"
    LOOK = "look"
    ON = "on"
    RESTING = "resting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Looked:
    """
    The last look came to an end, and the holds were judged again.

    Attributes:
        held: Why not to go on, in words; empty when nothing forbids it.
        lasting: Time alone does not end what forbids it.
        unsure: What others say is not known yet.
    """

    turn: int
    result: ProbeResult
    held: tuple[str, ...] = ()
    lasting: bool = False
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Doubted:
    """The heartbeat that follows the first reading of off came to an end."""

    turn: int
    result: ProbeResult


@dataclass(frozen=True, slots=True)
class Vouched:
    """A person vouches that the power is off."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Contradicted:
    """An agent of the host was read on, whoever asked it."""

    agent: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The host answered a heartbeat."""

    at: float


@dataclass(frozen=True, slots=True)
class Cancelled:
    """
    The pursuit of *on* is ended by a person.

    Attributes:
        to_fence: Or by ourselves: the host fell silent, and is fenced instead.
    """

    by: str
    reason: str
    to_fence: bool = False


FenceEvent = (
    AgentReplied
    | DeadlineReached
    | Looked
    | Doubted
    | Vouched
    | Contradicted
    | Recovered
    | Cancelled
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    One journalled change of power.

    Attributes:
        host: The host as it was defined when the operation began.
        was_up: The host answered when it was opened.
        looked_at: When the last look was ordered; an answer since then stops an ``off``.
        looking_since_at: When the first of the looks before the next ``off`` was ordered.
        until_at: End of ``BLOCKED``, ``RESTING`` or the pause between two looks.
        switched: Agents that earlier stages sent ``off``.
        vain: Those of them whose group was not proven off.
        unread: Agents whose status no proxy could read while off was tried.
        owed: Agents that earlier operations switched off and did not prove on again.
        doubt: Turn of the heartbeat that follows the first reading of off; 0: none yet.
        doubt_at: When that was ordered; any answer from then on is one to it.
        doubted: That heartbeat came to an end.
        deaf: It met nothing but faults of our own.
        miswired: That heartbeat was answered: the agents switch another machine.
        vouched: A person's word for the off, where no reading proved it.
        word_only: It was opened for that word, and sends no command.
        proven_off_at: When the off was proven; None: it was not.
        restoring: How it will end once the power is back, after a failed off.
        tried_on: Agents whose turn to be switched on is over, and what they read then.
        found_on: Agents that needed no command to be on.
        ordered_on: Agents that earlier stages sent ``on``.
        powered: Agents that were on before anything that decides was sent ``on``.
        completes: It completes the power of a host that has some.
        cancelled: A person's word; it takes effect when no command is on its way.
        blind: Given up because of a fault of our own.
        resumed: Continued after a restart; it waits where a new one would end.
        inherited: Executions of a former start that block it, as they were journalled.
    """

    id: str
    host: Host
    action: Action
    cause: Cause
    by: str
    reason: str
    opened_at: float
    was_up: bool = False
    phase: Phase = Phase.BLOCKED
    turn: int = 0
    group: int = 0
    stage: Stage | None = None
    looked_at: float = 0.0
    looking_since_at: float = 0.0
    until_at: float = 0.0
    switched: frozenset[str] = frozenset()
    vain: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    owed: frozenset[str] = frozenset()
    doubt: int = 0
    doubt_at: float = 0.0
    doubted: bool = False
    deaf: bool = False
    miswired: bool = False
    vouched: Vouched | None = None
    word_only: bool = False
    proven_off_at: float | None = None
    proven_on_at: float | None = None
    restoring: Outcome | None = None
    tried_on: tuple[tuple[str, PowerStatus], ...] = ()
    found_on: frozenset[str] = frozenset()
    ordered_on: frozenset[str] = frozenset()
    powered: frozenset[str] = frozenset()
    retries: int = 0
    blind: bool = False
    resumed: bool = False
    inherited: Mapping[str, object] = field(default_factory=dict)
    completes: bool = False
    cancelled: Cancelled | None = None
    answered_at: float | None = None
    outcome: Outcome | None = None
    closed_at: float | None = None

    @property
    def sent_off(self) -> frozenset[str]:
        """Agents that may have been switched off by this operation."""
        if self.stage is None or self.stage.action is not FenceAction.OFF:
            return self.switched
        return self.switched | {m.agent.name for m in self.stage.members if m.sent}

    @property
    def sent_on(self) -> frozenset[str]:
        """Agents that may have been switched on by this operation."""
        if self.stage is None or self.stage.action is not FenceAction.ON:
            return self.ordered_on
        return self.ordered_on | {m.agent.name for m in self.stage.members if m.sent}

    @property
    def brings_back(self) -> bool:
        """Whether no ``off`` follows any more: all that is left is to switch on."""
        past_off = self.proven_off_at is not None or self.restoring is not None
        return past_off or self.action is Action.ON

    @property
    def on(self) -> frozenset[str]:
        """Agents that were proven on."""
        return frozenset(name for name, power in self.tried_on if power is PowerStatus.ON)

    @property
    def to_restore(self) -> frozenset[str]:
        """Agents that are to be on again before this is over."""
        return (self.switched | self.owed) - self.kept_off

    @property
    def kept_off(self) -> frozenset[str]:
        """Agents that a person's off found off, by an earlier one: restoring leaves them so."""
        return self.owed - self.sent_off if self.action is Action.OFF else frozenset()

    @property
    def yields(self) -> bool:
        """Whether it ends when its host is silent: it only completes or restores the power."""
        rests = self.phase is Phase.RESTING or self.answered_at is not None
        return self.completes or (self.restoring is not None and rests)


@dataclass(frozen=True, slots=True)
class Move:
    """An operation after an event, and the orders that follow."""

    operation: Operation
    orders: tuple[Order, ...] = ()
