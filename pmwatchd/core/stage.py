r"""
One group of agents, one action: off and seen off, or on and seen on.

::

    CHECKING --reads the other--> READY --look was clear--> COMMANDED
       |  \                         ^                          | over
       |   unreadable: UNREAD       | outcome lost,            v
       |                            +-- still the other -- WAITING <--> READING
       | reads as wanted                                       | reads as wanted
       +---------------------------> SEEN <--------------------+
                                      | all members SEEN (off only)
                                      v
                                  CONFIRMING --all at once--> PROVEN

A member whose budget is over or whose command clearly failed is FAILED.  A
concurrent ``off`` needs every member PROVEN by one simultaneous reading (dual
power supplies); an ``on`` needs one, and the others are carried to their own
end.  ``off`` is sent only to members that were read before, all at once, and
only when :attr:`Stage.cleared_at` says that the last look was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pmwatchd.core.durations import doubled
from pmwatchd.core.model import AgentResult, FenceAction, FenceAgent, PowerStatus, Reply
from pmwatchd.core.rules import Fencing

FIRST_POLL_S = 0.5
"""Pause after the first reading; doubles up to the configured delay."""


class Step(StrEnum):
    """Where one member stands."""

    CHECKING = "checking"
    UNREAD = "unread"
    READY = "ready"
    COMMANDED = "commanded"
    WAITING = "waiting"
    READING = "reading"
    SEEN = "seen"
    CONFIRMING = "confirming"
    PROVEN = "proven"
    FAILED = "failed"


OUTSTANDING = frozenset({Step.CHECKING, Step.COMMANDED, Step.READING, Step.CONFIRMING})
"""An order is under way and its reply is awaited."""


SEEN = frozenset({Step.SEEN, Step.CONFIRMING, Step.PROVEN})
"""Read as wanted at least once."""

_NOT_SENT = (AgentResult.NO_PROXY, AgentResult.WITHDRAWN)


class Standing(StrEnum):
    """Where the whole group stands."""

    RUNNING = "running"
    LOOK = "look"  # commands are due and wait for the last look
    PROVEN = "proven"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """
    One agent's part in a stage.

    Attributes:
        turn: Number of its outstanding order; a reply to another is ignored.
        sent: A command may have reached the device, or is on its way.
        reached: One has reached it, or may have, in this attempt or an earlier one.
        lost: Proxies at which the outcome of the present attempt was lost.
        complaint: Why the last command clearly failed, or "".
        over_s: Seconds after which its order is certainly over; a reload changes nothing.
        hopeless: Another attempt would only lock the account.
        power: What it was read as last, where it could be read.
    """

    agent: FenceAgent
    step: Step
    deadline_at: float
    turn: int = 0
    attempt: int = 1
    over_s: float = 0.0
    sent: bool = False
    reached: bool = False
    uncertain: bool = False
    lost: frozenset[str] = frozenset()
    complaint: str = ""
    hopeless: bool = False
    power: PowerStatus = PowerStatus.UNKNOWN
    polls: int = 0
    poll_at: float = 0.0
    settled_at: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    One action at one group.

    Attributes:
        last: No other group is left, so an unreadable status is asked again.
        cleared_at: When the last look was clear; good for one volley of commands.
    """

    action: FenceAction
    group: int
    members: tuple[Member, ...]
    turn: int
    last: bool
    attempt: int = 1
    cleared_at: float | None = None

    @property
    def standing(self) -> Standing:
        """Where the whole group stands."""
        steps = {member.step for member in self.members}
        if self.action is FenceAction.ON:
            if steps <= {Step.PROVEN, Step.FAILED}:
                return Standing.PROVEN if Step.PROVEN in steps else Standing.FAILED
            return Standing.RUNNING
        if steps == {Step.PROVEN}:
            return Standing.PROVEN
        if not steps <= {Step.READY, Step.SEEN, Step.PROVEN, Step.FAILED}:
            return Standing.RUNNING
        if Step.FAILED in steps:
            return Standing.FAILED
        return Standing.LOOK if Step.READY in steps else Standing.RUNNING

    @property
    def seen_off(self) -> bool:
        """Every member was read off once; the second reading is due or under way."""
        steps = {member.step for member in self.members}
        return self.action is FenceAction.OFF and steps <= SEEN

    @property
    def hopeless(self) -> bool:
        """Another attempt makes no sense."""
        return any(member.hopeless for member in self.members)


@dataclass(frozen=True, slots=True)
class Wish:
    """An order to one member that is due now, and when the last look permitted it."""

    member: Member
    action: FenceAction
    looked_at: float | None = None


def begin(  # noqa: PLR0917 - one call site per action, read as a sentence
    action: FenceAction,
    group: int,
    agents: Sequence[FenceAgent],
    turn: int,
    fencing: Fencing,
    now: float,
    *,
    last: bool,
    attempt: int = 1,
    known: bool = False,
) -> Stage:
    """
    Start a stage.

    Args:
        known: The members were just proven to be the other way, so that the
            command may be sent without asking first.
    """
    step = Step.READY if known else Step.UNREAD
    deadline_at = now + fencing.budget_s(action)
    members = (
        Member(agent=agent, step=step, deadline_at=deadline_at, poll_at=now) for agent in agents
    )
    return Stage(
        action=action, group=group, members=tuple(members), turn=turn, last=last, attempt=attempt
    )


def deadline(stage: Stage, fencing: Fencing) -> float | None:
    """When :func:`advance` has something to do, or None while replies are awaited."""
    due = [m.poll_at for m in stage.members if m.step in (Step.WAITING, Step.UNREAD)]
    if _all_seen(stage):
        due.append(_confirm_at(stage, fencing))
    return min(due, default=None)


def advance(stage: Stage, fencing: Fencing, now: float) -> tuple[Stage, list[Wish]]:
    """Return every order that is due now, each with a turn of its own."""
    wishes: list[Wish] = []
    turn = stage.turn
    confirm = _all_seen(stage) and now >= _confirm_at(stage, fencing)
    command = _may_command(stage)
    members: list[Member] = []
    for member in stage.members:
        match member.step:
            case Step.UNREAD if now >= member.poll_at:
                following, action = Step.CHECKING, FenceAction.STATUS
            case Step.WAITING if now >= member.poll_at:
                following, action = Step.READING, FenceAction.STATUS
            case Step.SEEN | Step.PROVEN if confirm:
                following, action = Step.CONFIRMING, FenceAction.STATUS
            case Step.READY if command:
                following, action = Step.COMMANDED, stage.action
            case _:
                members.append(member)
                continue
        turn += 1
        sent = member.sent or action is not FenceAction.STATUS
        over_s = fencing.over_s(action)
        asked = replace(member, step=following, turn=turn, over_s=over_s, sent=sent)
        members.append(asked)
        wishes.append(Wish(asked, action, stage.cleared_at))
    if not wishes:
        return stage, wishes
    spent = any(wish.action is FenceAction.OFF for wish in wishes)
    cleared_at = None if spent else stage.cleared_at
    return replace(stage, members=tuple(members), turn=turn, cleared_at=cleared_at), wishes


def reply(stage: Stage, turn: int, answer: Reply, fencing: Fencing, now: float) -> Stage:
    """Take in the reply to the order with this *turn*; any other proves nothing."""
    members = tuple(
        _reply(stage, member, answer, fencing, now)
        if member.step in OUTSTANDING and member.turn == turn
        else member
        for member in stage.members
    )
    return replace(stage, members=members)


def _reply(stage: Stage, member: Member, answer: Reply, fencing: Fencing, now: float) -> Member:
    if answer.power is not PowerStatus.UNKNOWN:
        member = replace(member, power=answer.power)
    match member.step:
        case Step.CHECKING:
            return _checked(stage, member, answer, fencing, now)
        case Step.COMMANDED:
            return _commanded(stage, member, answer, fencing, now)
        case Step.READING:
            return _read(stage, member, answer, fencing, now)
        case _:
            return _confirmed(stage, member, answer, fencing, now)


def _checked(stage: Stage, member: Member, answer: Reply, fencing: Fencing, now: float) -> Member:
    """Judge the reading before any command."""
    if answer.power is PowerStatus.UNKNOWN:
        why = f"its status could not be read: {_why(answer)}"
        hopeless = answer.result is AgentResult.AUTH_ERROR
        if not stage.last or hopeless or now >= member.deadline_at:
            return replace(member, step=Step.FAILED, reason=why, hopeless=hopeless)
        return _again(stage, replace(member, reason=why), Step.UNREAD, fencing, now)
    if answer.power is not stage.action.wanted:
        return replace(member, step=Step.READY)
    found = Step.SEEN if stage.action is FenceAction.OFF else Step.PROVEN
    return replace(member, step=found, poll_at=now, settled_at=now)


def _commanded(stage: Stage, member: Member, answer: Reply, fencing: Fencing, now: float) -> Member:
    """
    Wait for the status now; the command's own result proves nothing.

    A command that clearly failed is given one delay to prove us wrong, the
    others the whole budget.
    """
    here = answer.result not in _NOT_SENT or any(one.answer for one in answer.tries)
    reached = member.reached or here or answer.uncertain
    if answer.result is AgentResult.WITHDRAWN:
        return replace(member, step=Step.READY, reached=reached, sent=reached)
    ok = answer.result is AgentResult.OK
    complaint = "" if ok or answer.uncertain else _why(answer)
    patience_s = fencing.delay_max_s(stage.action) if complaint else fencing.budget_s(stage.action)
    lost = member.lost | {answer.proxy} if answer.uncertain and answer.proxy else member.lost
    return replace(
        member,
        step=Step.WAITING,
        uncertain=answer.uncertain,
        lost=lost,
        complaint=complaint,
        reached=reached,
        sent=reached,
        hopeless=answer.result is AgentResult.AUTH_ERROR,
        polls=0,
        poll_at=now,
        settled_at=now + member.agent.settle_s,
        deadline_at=now + patience_s,
    )


def _read(stage: Stage, member: Member, answer: Reply, fencing: Fencing, now: float) -> Member:
    """Judge a reading after a command; one that failed is one lost reading, never the end."""
    if answer.power is stage.action.wanted:
        if stage.action is FenceAction.OFF:
            return replace(member, step=Step.SEEN, poll_at=now)
        if now >= member.settled_at:
            return replace(member, step=Step.PROVEN)
        return replace(member, step=Step.WAITING, poll_at=member.settled_at)
    if answer.power is not PowerStatus.UNKNOWN and member.uncertain:
        return replace(member, step=Step.READY)  # it never arrived: another proxy
    if now >= member.deadline_at:
        waited_s = fencing.budget_s(stage.action)
        why = f"not proven {stage.action} within {waited_s:g} s (last read {answer.power})"
        return _fail(stage, member, member.complaint or why, fencing, now)
    return _again(stage, member, Step.WAITING, fencing, now)


def _confirmed(stage: Stage, member: Member, answer: Reply, fencing: Fencing, now: float) -> Member:
    """Judge the second reading, in which all members must be off at the same time."""
    if answer.power is PowerStatus.OFF:
        return replace(member, step=Step.PROVEN)
    if now >= member.deadline_at:
        return _fail(stage, member, f"read off once, then {answer.power}", fencing, now)
    if answer.power is PowerStatus.UNKNOWN:
        return _again(stage, member, Step.SEEN, fencing, now)
    if member.sent:
        return _again(stage, member, Step.WAITING, fencing, now)
    return replace(member, step=Step.READY)


def _fail(stage: Stage, member: Member, why: str, fencing: Fencing, now: float) -> Member:
    """
    End an attempt of one member.

    ``on`` is tried again by each member for itself; ``off`` by the whole
    group, after a last look of its own (:mod:`pmwatchd.core.fence`).
    """
    left = member.attempt < fencing.attempts(stage.action) and not member.hopeless
    if stage.action is FenceAction.ON and left:
        return replace(
            member,
            step=Step.READY,
            attempt=member.attempt + 1,
            lost=frozenset(),
            deadline_at=now + fencing.budget_s(stage.action),
            reason=why,
        )
    return replace(member, step=Step.FAILED, reason=why)


def _again(stage: Stage, member: Member, step: Step, fencing: Fencing, now: float) -> Member:
    """Ask again after 0.5, 1, 2 ... seconds, up to the configured delay."""
    pause_s = doubled(FIRST_POLL_S, member.polls, fencing.delay_max_s(stage.action))
    return replace(member, step=step, polls=member.polls + 1, poll_at=now + pause_s)


def _may_command(stage: Stage) -> bool:
    if stage.action is FenceAction.ON:
        return True
    return stage.cleared_at is not None and stage.standing is Standing.LOOK


def _all_seen(stage: Stage) -> bool:
    """Whether the simultaneous reading can be made; a single proof is not one."""
    steps = {member.step for member in stage.members}
    return Step.SEEN in steps and steps <= {Step.SEEN, Step.PROVEN}


def _confirm_at(stage: Stage, fencing: Fencing) -> float:
    """Not before the gap after the last first reading, nor before every agent has settled."""
    return max(max(m.poll_at + fencing.confirm_gap_s, m.settled_at) for m in stage.members)


def _why(answer: Reply) -> str:
    """Return what an execution came to, in words."""
    if answer.result is AgentResult.NO_PROXY:
        tried = ", ".join(f"{t.proxy} ({t.result})" for t in answer.tries)
        return f"no proxy could run the agent; tried: {tried or 'none is eligible'}"
    said = f": {answer.text}" if answer.text else ""
    return f"{answer.result}{said}"
