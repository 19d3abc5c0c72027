"""
Switch it on and see it on: everything that was switched off, without end.

S4 lives here: once something was switched off, an operation ends only when
power is back, the host answers, or a person says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pmwatchd.core import fence_end, power, tell
from pmwatchd.core import stage as stages
from pmwatchd.core.durations import doubled
from pmwatchd.core.model import Action, FenceAction, Outcome, PowerStatus
from pmwatchd.core.operation import Move, Operation, Phase
from pmwatchd.core.orders import Record
from pmwatchd.core.rules import Fencing
from pmwatchd.core.stage import Stage, Standing, Step


def begin_next(
    operation: Operation,
    fencing: Fencing,
    now: float,
    *,
    known: Sequence[stages.Member] = (),
) -> Move:
    """
    Begin the next agents that are to be switched on, or end.

    What is owed comes first and all of it is visited; feeds come before the
    chassis behind them; of the rest one group that is proven on is enough.
    """
    waiting = sorted(power.waiting(operation), key=lambda unit: unit.rank)
    if not waiting:
        return _end(operation, fencing, now)
    unit = waiting[0]
    just_off = {member.agent.name for member in known}
    stage = stages.begin(
        FenceAction.ON,
        unit.group,
        unit.agents,
        operation.turn,
        fencing,
        now,
        last=len(waiting) == 1 and not all(a.name in operation.unread for a in unit.agents),
        known=all(agent.name in just_off for agent in unit.agents),
    )
    return go_on(replace(operation, stage=stage), fencing, now)


def go_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Send what is due, then see where the agents stand."""
    if operation.stage is None or operation.cancelled is not None:
        return fence_end.cancelled(operation, now)
    stage, wishes = stages.advance(operation.stage, fencing, now)
    operation = replace(operation, stage=stage, turn=stage.turn)
    orders = tell.orders(operation, wishes)
    move = _stage_stands(operation, stage, fencing, now)
    return Move(move.operation, (*orders, *move.orders))


def _stage_stands(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    """Take in members that are proven or failed; the first proven one makes the host *on*."""
    known = {name for name, _ in operation.tried_on}
    ended = [m for m in stage.members if m.step in (Step.PROVEN, Step.FAILED)]
    fresh = [(m.agent.name, power.ended_as(m)) for m in ended if m.agent.name not in known]
    found = {m.agent.name for m in ended if m.step is Step.PROVEN and not m.sent}
    operation = replace(
        operation,
        tried_on=operation.tried_on + tuple(fresh),
        found_on=operation.found_on | found,
        powered=operation.powered | power.before(operation, found),
    )
    operation, proven = _proven(operation, now)
    told = list(proven)
    if stage.standing is Standing.RUNNING:
        move = recovered(operation, fencing, now)
        return Move(move.operation, (*told, *move.orders))
    if stage.standing is Standing.FAILED:
        order = tell.order_of(operation, stage.group)
        reason = tell.reasons(stage)
        told.append(tell.record(operation, "fence.on_failed", group=order, reason=reason))
    over = replace(operation, stage=None, ordered_on=operation.sent_on)
    move = begin_next(over, fencing, now)
    return Move(move.operation, (*told, *move.orders))


def _proven(operation: Operation, now: float) -> tuple[Operation, tuple[Record, ...]]:
    """Tell, once, that power is back."""
    if operation.proven_on_at is not None or not power.is_on(operation):
        return operation, ()
    operation = replace(operation, proven_on_at=now)
    took_s = round(now - (operation.proven_off_at or operation.opened_at), 3)
    agents = tuple(sorted(operation.on))
    groups = [g for g in operation.host.groups if any(a.name in operation.on for a in g)]
    told = tell.record(
        operation, "fence.on_proven", group=groups[0][0].order, agents=agents, took_s=took_s
    )
    return operation, (told,)


def _end(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Close, or rest and pursue: what was switched off is switched on again, without end."""
    if operation.restoring is not None and not operation.to_restore:
        reason = "no agent of the inventory switches what was switched off"
        return fence_end.close(operation, operation.restoring, now, reason=reason)
    if not power.is_on(operation):
        if operation.action is Action.ON:
            return fence_end.close(operation, Outcome.FAILED, now, reason="no agent was proven on")
        pause_s = doubled(fencing.retry_min_s, operation.retries, fencing.retry_max_s)
        resting = replace(
            operation,
            phase=Phase.RESTING,
            retries=operation.retries + 1,
            until_at=now + pause_s,
        )
        return recovered(resting, fencing, now)
    failed = power.missing(operation)
    outcome = operation.restoring or (Outcome.DEGRADED if failed else Outcome.DONE)
    reason = f"not on again: {', '.join(sorted(failed))}" if failed else ""
    return fence_end.close(operation, outcome, now, reason=reason)


def recovered(operation: Operation, fencing: Fencing, now: float) -> Move:
    """
    End the pursuit of *on* when the host has answered since it was proven off.

    While it runs its course nothing ends it early, except the wait for a
    chassis that this operation never switched.
    """
    off_at, answered_at = operation.proven_off_at, operation.answered_at
    if off_at is None or answered_at is None or answered_at <= off_at:
        return Move(operation)
    if operation.phase is Phase.RESTING:
        return fence_end.close(operation, Outcome.RECOVERED, now, reason="the host answers")
    if operation.stage is not None and power.only_asks(operation):
        silent = (member.agent.name for member in operation.stage.members)
        asked = tuple((name, PowerStatus.UNKNOWN) for name in silent)
        ended = replace(
            operation,
            tried_on=operation.tried_on + asked,
            stage=None,
            ordered_on=operation.sent_on,
        )
        ended, told = _proven(ended, now)
        move = _end(ended, fencing, now)
        return Move(move.operation, (*told, *move.orders))
    return Move(operation)
