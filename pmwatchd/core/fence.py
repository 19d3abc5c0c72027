r"""
Switch its power: off, see it off, on, see it on.

::

    BLOCKED --over--> OFF <--> LOOK            one stage per group, by ascending order
                       |  \
      no group proven: |   \ proven off
      nothing sent:    |    v
      CLOSED (failed)  |   ON --proven on--> CLOSED (done, degraded)
                       |    |  ^
      something sent:  v    v  | backoff
      restoring ------>  RESTING             what was switched off is switched on again

One operation is one frozen value; :func:`step` advances it by one event and
returns the orders that follow.  S3 lives here: the only ways into ``ON`` are
*proven off*, restoring, and a person's ``on``.  S4 too: once something was
switched off, an operation ends only when power is back, the host answers, or
a person says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pmwatchd.core import stage as stages
from pmwatchd.core import tell
from pmwatchd.core.events import AgentReplied, DeadlineReached
from pmwatchd.core.model import (
    Action,
    Cause,
    FenceAction,
    FenceAgent,
    Fencing,
    Outcome,
    ProbeResult,
)
from pmwatchd.core.operation import (
    Cancelled,
    FenceEvent,
    Looked,
    Move,
    Operation,
    Phase,
    Recovered,
)
from pmwatchd.core.orders import Order, ProbeHost, Value
from pmwatchd.core.stage import Stage, Standing, Step

LOOK_AGAIN_S = 1.0
"""Pause between two last looks where the first could not decide."""


def open_(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Begin; the first orders are readings, never a command."""
    told = tell.record(
        operation,
        "fence.opened",
        action=operation.action,
        cause=operation.cause,
        reason=operation.reason,
        by=operation.by,
    )
    following = _begin(operation, fencing, now)
    return Move(following.operation, (told, *following.orders))


def deadline(operation: Operation, fencing: Fencing) -> float | None:
    """When time alone moves it on, or None while replies are awaited."""
    match operation.phase:
        case Phase.BLOCKED | Phase.RESTING:
            return operation.until_at
        case Phase.LOOK:
            return operation.until_at or None
        case _:
            stage = operation.stage
            return None if stage is None else stages.deadline(stage, fencing)


def step(operation: Operation, event: FenceEvent, fencing: Fencing, now: float) -> Move:
    """Advance an operation by one event."""
    match event:
        case AgentReplied():
            return _replied(operation, event, fencing, now)
        case Looked() if operation.phase is Phase.LOOK and event.turn == operation.turn:
            return _looked(operation, event, fencing, now)
        case DeadlineReached():
            return _ticked(operation, fencing, now)
        case Recovered():
            return _recovered(replace(operation, answered_at=event.at), now)
        case Cancelled() if operation.phase in (Phase.ON, Phase.RESTING):
            return _cancelled(replace(operation, cancelled=event), now)
        case _:
            return Move(operation)


def _ticked(operation: Operation, fencing: Fencing, now: float) -> Move:
    match operation.phase:
        case Phase.BLOCKED if now >= operation.until_at:
            return _begin(operation, fencing, now)
        case Phase.RESTING if now >= operation.until_at:
            fresh = replace(operation, tried_on=(), phase=Phase.ON)
            return _next_on(fresh, fencing, now)
        case Phase.LOOK if operation.until_at and now >= operation.until_at:
            return _look(operation)
        case _:
            return _go_on(operation, fencing, now)


def _replied(operation: Operation, event: AgentReplied, fencing: Fencing, now: float) -> Move:
    """Tell what an execution came to, and let the stage judge it."""
    told = tell.reply(operation.host, operation.id, event)
    if operation.stage is None:
        return Move(operation, told)
    stage = stages.reply(operation.stage, event.turn, event.reply, fencing, now)
    move = _go_on(replace(operation, stage=stage), fencing, now)
    return Move(move.operation, (*told, *move.orders))


def _begin(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Enter the phase that the journal's last step leads to."""
    bring_back = operation.proven_off_at is not None or operation.restoring is not None
    if operation.action is Action.ON or bring_back:
        return _next_on(replace(operation, phase=Phase.ON), fencing, now)
    return _begin_off(operation, min(operation.group, len(operation.host.groups) - 1), fencing, now)


# off ---------------------------------------------------------------------------------------


def _begin_off(
    operation: Operation, group: int, fencing: Fencing, now: float, *, attempt: int = 1
) -> Move:
    stage = stages.begin(
        FenceAction.OFF,
        group,
        operation.host.groups[group],
        operation.turn,
        fencing,
        now,
        last=group + 1 == len(operation.host.groups),
        attempt=attempt,
    )
    begun = replace(operation, phase=Phase.OFF, group=group, stage=stage)
    return _go_on(begun, fencing, now)


def _go_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Send what is due, then see where the group stands."""
    if operation.stage is None or operation.cancelled is not None:
        return _cancelled(operation, now)
    stage, wishes = stages.advance(operation.stage, fencing, now)
    operation = replace(operation, stage=stage, turn=stage.turn)
    orders = tell.orders(operation, wishes)
    if operation.phase is Phase.ON:
        move = _on_stage_stands(operation, stage, fencing, now)
        return Move(move.operation, (*orders, *move.orders))
    if orders:
        return Move(operation, orders)
    match stage.standing:
        case Standing.LOOK if operation.phase is Phase.OFF:
            return _before_off(operation, fencing, now)
        case Standing.PROVEN:
            return _off_proven(operation, stage, fencing, now)
        case Standing.FAILED:
            return _off_failed(operation, stage, fencing, now)
        case _:
            return Move(operation)


def _before_off(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Make the last look before every ``off``; a person's command needs none."""
    if operation.cause is Cause.AUTOMATIC:
        return _look(operation)
    return _cleared(operation, fencing, now)


def _look(operation: Operation) -> Move:
    turn = operation.turn + 1
    stage = operation.stage and replace(operation.stage, turn=turn)
    looking = replace(operation, phase=Phase.LOOK, turn=turn, stage=stage, until_at=0.0)
    order = ProbeHost(host=operation.host, operation=operation.id, turn=turn)
    return Move(looking, (order,))


def _cleared(operation: Operation, fencing: Fencing, now: float) -> Move:
    stage = operation.stage and replace(operation.stage, cleared_at=now)
    return _go_on(replace(operation, phase=Phase.OFF, stage=stage), fencing, now)


def _looked(operation: Operation, event: Looked, fencing: Fencing, now: float) -> Move:
    """
    Go on, wait, or give up.

    A host that answers is left alone.  A hold ends a new operation; a resumed
    one, which may not be forgotten, waits for it to end.
    """
    if event.result is ProbeResult.ALIVE:
        return _give_up(operation, Outcome.RECOVERED, "the host answers", fencing, now)
    if event.held and not operation.resumed:
        return _give_up(operation, Outcome.CANCELLED, "; ".join(event.held), fencing, now)
    if event.held or event.result is ProbeResult.LOCAL_FAULT:
        return Move(replace(operation, until_at=now + LOOK_AGAIN_S))
    return _cleared(operation, fencing, now)


def _off_proven(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    found = not operation.sent_off
    proven = replace(
        operation, stage=None, switched=operation.sent_off, proven_off_at=now, tried_on=()
    )
    told = tell.record(
        proven,
        "fence.off_proven",
        group=tell.order_of(proven, stage.group),
        agents=tuple(member.agent.name for member in stage.members),
        took_s=round(now - operation.opened_at, 3),
        found=found,
    )
    leave_off = found and operation.cause is Cause.AUTOMATIC and not fencing.on_if_found_off
    if operation.action is Action.OFF or leave_off:
        move = _close(proven, Outcome.DONE, now)
    else:
        move = _next_on(replace(proven, phase=Phase.ON), fencing, now, known=stage.members)
    return Move(move.operation, (told, *move.orders))


def _off_failed(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    """Try the group again, or the next one, or bring back what was switched off."""
    reason = tell.reasons(stage)
    commanded = any(member.sent for member in stage.members)
    operation = replace(operation, switched=operation.sent_off, stage=None)
    if commanded and not stage.hopeless and stage.attempt < fencing.off_attempts:
        return _begin_off(operation, stage.group, fencing, now, attempt=stage.attempt + 1)
    told = tell.record(
        operation, "fence.off_failed", group=tell.order_of(operation, stage.group), reason=reason
    )
    if stage.group + 1 < len(operation.host.groups):
        move = _begin_off(operation, stage.group + 1, fencing, now)
    else:
        move = _give_up(operation, Outcome.FAILED, reason, fencing, now)
    return Move(move.operation, (told, *move.orders))


def _give_up(
    operation: Operation, outcome: Outcome, reason: str, fencing: Fencing, now: float
) -> Move:
    """End without a proven off; whatever was sent ``off`` gets ``on`` first."""
    operation = replace(operation, switched=operation.sent_off, stage=None)
    if not operation.switched:
        return _close(operation, outcome, now, reason=reason)
    told = tell.record(
        operation, "fence.restoring", agents=tuple(sorted(operation.switched)), reason=reason
    )
    restoring = replace(operation, phase=Phase.ON, restoring=outcome, tried_on=())
    move = _next_on(restoring, fencing, now)
    return Move(move.operation, (told, *move.orders))


# on ----------------------------------------------------------------------------------------


def _next_on(
    operation: Operation,
    fencing: Fencing,
    now: float,
    *,
    known: Sequence[stages.Member] = (),
) -> Move:
    """
    Begin the next group that is to be switched on, or end.

    Groups with an agent that this operation switched off come first and are
    all visited; of the others one that is proven on is enough.
    """
    tried = {name for name, _ in operation.tried_on}
    waiting: list[tuple[bool, int, list[FenceAgent]]] = []
    for index, group in enumerate(operation.host.groups):
        agents = [a for a in group if a.name not in tried and _may_restore(operation, a)]
        owed = any(a.name in operation.switched for a in agents)
        if agents and (owed or not _is_on(operation)):
            waiting.append((not owed, index, agents))
    if not waiting:
        return _end_on(operation, fencing, now)
    waiting.sort(key=lambda item: item[:2])
    _, index, agents = waiting[0]
    just_off = {member.agent.name for member in known}
    stage = stages.begin(
        FenceAction.ON,
        index,
        agents,
        operation.turn,
        fencing,
        now,
        last=len(waiting) == 1,
        known=all(agent.name in just_off for agent in agents),
    )
    return _go_on(replace(operation, stage=stage), fencing, now)


def _may_restore(operation: Operation, agent: FenceAgent) -> bool:
    """Restoring touches only what was sent ``off``."""
    return operation.restoring is None or agent.name in operation.switched


def _is_on(operation: Operation) -> bool:
    """Whether power counts as back: by an agent we switched off, if there is one."""
    return bool(operation.on & operation.switched if operation.switched else operation.on)


def _on_stage_stands(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    """Take in members that are proven or failed; the first proven one makes the host *on*."""
    known = {name for name, _ in operation.tried_on}
    ended = [m for m in stage.members if m.step in (Step.PROVEN, Step.FAILED)]
    fresh = [(m.agent.name, m.step is Step.PROVEN) for m in ended if m.agent.name not in known]
    operation = replace(operation, tried_on=operation.tried_on + tuple(fresh))
    told: list[Order] = []
    order = tell.order_of(operation, stage.group)
    if _is_on(operation) and operation.proven_on_at is None:
        operation = replace(operation, proven_on_at=now)
        took_s = round(now - (operation.proven_off_at or operation.opened_at), 3)
        agents = tuple(sorted(operation.on))
        told.append(
            tell.record(operation, "fence.on_proven", group=order, agents=agents, took_s=took_s)
        )
    if stage.standing is Standing.RUNNING:
        return Move(operation, tuple(told))
    if stage.standing is Standing.FAILED:
        told.append(
            tell.record(operation, "fence.on_failed", group=order, reason=tell.reasons(stage))
        )
    move = _next_on(replace(operation, stage=None), fencing, now)
    return Move(move.operation, (*told, *move.orders))


def _end_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Close, or rest and pursue: what was switched off is switched on again, without end."""
    if not _is_on(operation):
        if operation.action is Action.ON:
            return _close(operation, Outcome.FAILED, now, reason="no agent was proven on")
        pause_s = min(fencing.retry_min_s * 2**operation.retries, fencing.retry_max_s)
        resting = replace(
            operation,
            phase=Phase.RESTING,
            retries=operation.retries + 1,
            until_at=now + pause_s,
        )
        return _recovered(resting, now)
    failed = {name for name, proven in operation.tried_on if not proven} & _owed(operation)
    outcome = operation.restoring or (Outcome.DEGRADED if failed else Outcome.DONE)
    reason = f"not on again: {', '.join(sorted(failed))}" if failed else ""
    return _close(operation, outcome, now, reason=reason)


def _cancelled(operation: Operation, now: float) -> Move:
    """End by a person's word, but not while a command is on its way to a device."""
    members = operation.stage.members if operation.stage else ()
    word = operation.cancelled
    if word is None or any(member.step is Step.COMMANDED for member in members):
        return Move(operation)
    return _close(operation, Outcome.CANCELLED, now, reason=word.reason, by=word.by)


def _owed(operation: Operation) -> frozenset[str]:
    """Return the agents that should be on: what was switched off, or else the group that works."""
    working = [g for g in operation.host.groups if any(a.name in operation.on for a in g)]
    return operation.switched or frozenset(agent.name for group in working for agent in group)


def _recovered(operation: Operation, now: float) -> Move:
    """End the pursuit of *on* when the host has answered since it was proven off."""
    off_at, answered_at = operation.proven_off_at, operation.answered_at
    if operation.phase is not Phase.RESTING or off_at is None or answered_at is None:
        return Move(operation)
    if answered_at <= off_at:
        return Move(operation)
    return _close(operation, Outcome.RECOVERED, now, reason="the host answers")


def _close(
    operation: Operation, outcome: Outcome, now: float, *, reason: str = "", by: str = ""
) -> Move:
    closed = replace(operation, phase=Phase.CLOSED, outcome=outcome, stage=None, closed_at=now)
    fields: dict[str, Value] = {
        "outcome": outcome,
        "action": operation.action,
        "cause": operation.cause,
        "took_s": round(now - operation.opened_at, 3),
    }
    if reason:
        fields["reason"] = reason
    if by:
        fields["by"] = by
    return Move(closed, (tell.record(closed, "fence.closed", **fields),))
