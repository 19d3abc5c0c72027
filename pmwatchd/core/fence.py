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

from pmwatchd.core import power, tell
from pmwatchd.core import stage as stages
from pmwatchd.core.durations import doubled
from pmwatchd.core.events import AgentReplied, DeadlineReached
from pmwatchd.core.model import Action, Cause, FenceAction, Outcome, PowerStatus, ProbeResult
from pmwatchd.core.operation import (
    Cancelled,
    Contradicted,
    Doubted,
    FenceEvent,
    Looked,
    Move,
    Operation,
    Phase,
    Recovered,
    Vouched,
)
from pmwatchd.core.orders import Order, ProbeHost, Recall, Record, ReportNext, Value
from pmwatchd.core.rules import Fencing
from pmwatchd.core.stage import Stage, Standing, Step

DURABLE_AFTER_S = 0.5
"""What closes an operation at once waits so long: its opening is durable, or it never was."""

LOOK_AGAIN_S = 1.0
"""Pause between two last looks where the first could not decide."""

LOOK_PATIENCE_S = 30.0
"""So long an operation waits for a look that our own faults do not spoil."""


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
    if operation.vouched is not None:
        return Move(replace(operation, until_at=now + DURABLE_AFTER_S), (told,))
    following = _begin(operation, fencing, now)
    return Move(following.operation, (told, *following.orders))


def deadline(operation: Operation, fencing: Fencing) -> float | None:
    """When time alone moves it on, or None while replies are awaited."""
    match operation.phase:
        case Phase.BLOCKED | Phase.RESTING:
            return operation.until_at
        case Phase.LOOK:
            return operation.until_at or None
        case _ if operation.stage is None or operation.cancelled is not None:
            return None
        case _:
            return stages.deadline(operation.stage, fencing)


def step(operation: Operation, event: FenceEvent, fencing: Fencing, now: float) -> Move:
    """Advance an operation by one event."""
    match event:
        case AgentReplied():
            return _replied(operation, event, fencing, now)
        case Looked() if operation.phase is Phase.LOOK and event.turn == operation.turn:
            return _looked(operation, event, fencing, now)
        case Doubted() if event.turn == operation.doubt:
            return _doubted(operation, event, fencing, now)
        case Vouched() if operation.phase in (Phase.BLOCKED, Phase.OFF, Phase.LOOK):
            return _go_on(replace(operation, vouched=event), fencing, now)
        case DeadlineReached():
            return _ticked(operation, fencing, now)
        case Contradicted() if operation.vouched is not None:
            return _void(operation, Outcome.CANCELLED, f"agent {event.agent} reads on", now)
        case Recovered() if operation.vouched is not None and operation.proven_off_at is None:
            heard = replace(operation, answered_at=event.at)
            return _void(heard, Outcome.RECOVERED, "the host answers", now)
        case Recovered():
            heard = replace(operation, answered_at=event.at)
            if heard.phase is Phase.OFF and heard.doubt and event.at > heard.doubt_at:
                answer = Doubted(heard.doubt, ProbeResult.ALIVE)
                return _doubted(heard, answer, fencing, now)
            return _recovered(heard, fencing, now)
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
            return _look(operation, now)
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
    if operation.vouched is not None and not bring_back:
        return _off_vouched(operation, operation.vouched, fencing, now)
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
    begun = replace(operation, phase=Phase.OFF, group=group, stage=stage, doubt=0, doubted=False)
    return _go_on(begun, fencing, now)


def _go_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Send what is due, then see where the group stands."""
    if operation.stage is None or operation.cancelled is not None:
        return _cancelled(operation, now)
    if operation.vouched and operation.phase is not Phase.ON and not _commanded(operation):
        return _off_vouched(operation, operation.vouched, fencing, now)
    stage, wishes = stages.advance(operation.stage, fencing, now)
    if stage is not operation.stage:
        operation = replace(operation, stage=stage, turn=stage.turn)
    orders = tell.orders(operation, wishes)
    if operation.phase is Phase.ON:
        move = _on_stage_stands(operation, stage, fencing, now)
        return Move(move.operation, (*orders, *move.orders))
    if operation.doubt and not stage.seen_off:  # its power came back: whoever answers now may
        operation = replace(operation, doubt=0, doubted=False)
    if stage.seen_off and not operation.doubt:
        operation, doubts = _doubt(operation, stage, now)
        orders = (*orders, *doubts)
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
        return _look(replace(operation, looking_since_at=now), now)
    return _cleared(operation, fencing, now)


def _look(operation: Operation, now: float) -> Move:
    turn = operation.turn + 1
    stage = operation.stage and replace(operation.stage, turn=turn)
    looking = replace(
        operation, phase=Phase.LOOK, turn=turn, stage=stage, looked_at=now, until_at=0.0
    )
    order = ProbeHost(host=operation.host, operation=operation.id, turn=turn)
    return Move(looking, (order,))


def _cleared(operation: Operation, fencing: Fencing, now: float) -> Move:
    stage = operation.stage and replace(operation.stage, cleared_at=operation.looked_at)
    return _go_on(replace(operation, phase=Phase.OFF, stage=stage), fencing, now)


def _looked(operation: Operation, event: Looked, fencing: Fencing, now: float) -> Move:
    """
    Go on, wait, or give up.

    A host that answers is left alone.  A hold ends a new operation; a resumed
    one waits for what time ends, like the startup hold and its grace period.
    """
    if event.result is ProbeResult.ALIVE:
        return _give_up(operation, Outcome.RECOVERED, "the host answers", fencing, now)
    if event.held and (event.lasting or not operation.resumed):
        return _give_up(operation, Outcome.CANCELLED, "; ".join(event.held), fencing, now)
    if event.held:  # what time ends is no fault of ours
        waiting = replace(operation, until_at=now + LOOK_AGAIN_S, looking_since_at=now)
        return Move(waiting)
    ours = event.result is ProbeResult.LOCAL_FAULT or event.unsure
    if ours and now >= operation.looking_since_at + LOOK_PATIENCE_S:
        reason = "no heartbeat can be sent: a fault of our own"
        return _give_up(replace(operation, blind=True), Outcome.CANCELLED, reason, fencing, now)
    if ours:
        return Move(replace(operation, until_at=now + LOOK_AGAIN_S))
    return _cleared(operation, fencing, now)


def _doubt(operation: Operation, stage: Stage, now: float) -> tuple[Operation, tuple[Order, ...]]:
    """Send one heartbeat after the first reading of off: who answers it, or any, is not off."""
    turn = operation.turn + 1
    stage = replace(stage, turn=turn)
    doubting = replace(operation, turn=turn, doubt=turn, doubt_at=now, stage=stage)
    probe = ProbeHost(host=operation.host, operation=operation.id, turn=turn)
    return doubting, (probe, ReportNext(operation.host.name))


def _doubted(operation: Operation, event: Doubted, fencing: Fencing, now: float) -> Move:
    """
    Take in whether a host that reads off has answered.

    Then its agents switch another machine, whose power is to be restored.
    """
    operation = replace(operation, doubted=True)
    if event.result is not ProbeResult.ALIVE:
        return _go_on(operation, fencing, now)
    operation = replace(operation, miswired=True)
    if operation.phase is not Phase.OFF or operation.stage is None:
        return Move(operation)
    reason = "the host answers although its agents read off: they switch another machine"
    told = tell.record(
        operation,
        "fence.off_failed",
        group=tell.order_of(operation, operation.stage.group),
        reason=reason,
    )
    move = _give_up(operation, Outcome.FAILED, reason, fencing, now)
    return Move(move.operation, (told, *move.orders))


def _void(operation: Operation, outcome: Outcome, reason: str, now: float) -> Move:
    """No word stands against what was heard or read before it took effect."""
    if operation.proven_off_at is not None:
        return Move(operation)
    if operation.word_only:
        return _close(operation, outcome, now, reason=reason)
    return Move(replace(operation, vouched=None))


def _off_vouched(operation: Operation, word: Vouched, fencing: Fencing, now: float) -> Move:
    """Take a person's word for what no agent can prove."""
    off = replace(operation, stage=None, switched=operation.sent_off, proven_off_at=now)
    told = tell.record(
        off,
        "fence.off_proven",
        agents=(),
        took_s=round(now - operation.opened_at, 3),
        found=False,
        vouched_by=word.by,
        reason=word.reason,
    )
    if operation.action is Action.OFF:
        move = _close(off, Outcome.DONE, now)
    else:
        move = _next_on(replace(off, phase=Phase.ON, tried_on=()), fencing, now)
    return Move(move.operation, (told, *move.orders))


def _off_proven(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    found = not operation.sent_off
    leave_off = found and operation.cause is Cause.AUTOMATIC and not fencing.on_if_found_off
    stays_off = operation.action is Action.OFF or leave_off
    if stays_off and not operation.doubted:
        return Move(operation)  # what follows `on` need not wait for the doubt to end; this does
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
    if stays_off:
        move = _close(proven, Outcome.DONE, now)
    else:
        move = _next_on(replace(proven, phase=Phase.ON), fencing, now, known=stage.members)
    return Move(move.operation, (told, *move.orders))


def _off_failed(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    """Try the group again, or the next one, or bring back what was switched off."""
    reason = tell.reasons(stage)
    commanded = any(member.sent for member in stage.members)
    unread = {m.agent.name for m in stage.members if m.power is PowerStatus.UNKNOWN}
    operation = replace(
        operation,
        switched=operation.sent_off,
        unread=operation.unread | unread,
        stage=None,
    )
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
    Begin the next agents that are to be switched on, or end.

    What is owed comes first and all of it is visited; feeds come before the
    chassis behind them; of the rest one group that is proven on is enough.
    """
    waiting = sorted(power.waiting(operation), key=lambda unit: unit.rank)
    if not waiting:
        return _end_on(operation, fencing, now)
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
    return _go_on(replace(operation, stage=stage), fencing, now)


def _on_stage_stands(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    """Take in members that are proven or failed; the first proven one makes the host *on*."""
    known = {name for name, _ in operation.tried_on}
    ended = [m for m in stage.members if m.step in (Step.PROVEN, Step.FAILED)]
    fresh = [(m.agent.name, power.ended_as(m)) for m in ended if m.agent.name not in known]
    found = {m.agent.name for m in ended if m.step is Step.PROVEN and not m.sent}
    operation = replace(
        operation,
        tried_on=operation.tried_on + tuple(fresh),
        found_on=operation.found_on | found,
    )
    operation, proven = _on_proven(operation, now)
    told = list(proven)
    if stage.standing is Standing.RUNNING:
        move = _recovered(operation, fencing, now)
        return Move(move.operation, (*told, *move.orders))
    if stage.standing is Standing.FAILED:
        order = tell.order_of(operation, stage.group)
        reason = tell.reasons(stage)
        told.append(tell.record(operation, "fence.on_failed", group=order, reason=reason))
    move = _next_on(replace(operation, stage=None), fencing, now)
    return Move(move.operation, (*told, *move.orders))


def _on_proven(operation: Operation, now: float) -> tuple[Operation, tuple[Record, ...]]:
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


def _end_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Close, or rest and pursue: what was switched off is switched on again, without end."""
    if operation.restoring is not None and not operation.to_restore:
        reason = "no agent of the inventory switches what was switched off"
        return _close(operation, operation.restoring, now, reason=reason)
    if not power.is_on(operation):
        if operation.action is Action.ON:
            return _close(operation, Outcome.FAILED, now, reason="no agent was proven on")
        pause_s = doubled(fencing.retry_min_s, operation.retries, fencing.retry_max_s)
        resting = replace(
            operation,
            phase=Phase.RESTING,
            retries=operation.retries + 1,
            until_at=now + pause_s,
        )
        return _recovered(resting, fencing, now)
    failed = power.missing(operation)
    outcome = operation.restoring or (Outcome.DEGRADED if failed else Outcome.DONE)
    reason = f"not on again: {', '.join(sorted(failed))}" if failed else ""
    return _close(operation, outcome, now, reason=reason)


def _cancelled(operation: Operation, now: float) -> Move:
    """End by a person's word, but not while a command is on its way to a device."""
    word = operation.cancelled
    if word is None:
        return Move(operation)
    if _commanded(operation):
        return Move(operation, (Recall(operation=operation.id),))
    return _close(operation, Outcome.CANCELLED, now, reason=word.reason, by=word.by)


def _commanded(operation: Operation) -> bool:
    """Whether a command is on its way to a device."""
    members = operation.stage.members if operation.stage else ()
    return any(member.step is Step.COMMANDED for member in members)


def _recovered(operation: Operation, fencing: Fencing, now: float) -> Move:
    """
    End the pursuit of *on* when the host has answered since it was proven off.

    While it runs its course nothing ends it early, except the wait for a
    chassis that this operation never switched.
    """
    off_at, answered_at = operation.proven_off_at, operation.answered_at
    if off_at is None or answered_at is None or answered_at <= off_at:
        return Move(operation)
    if operation.phase is Phase.RESTING:
        return _close(operation, Outcome.RECOVERED, now, reason="the host answers")
    if operation.stage is not None and power.only_asks(operation):
        silent = (member.agent.name for member in operation.stage.members)
        asked = tuple((name, PowerStatus.UNKNOWN) for name in silent)
        ended = replace(operation, tried_on=operation.tried_on + asked, stage=None)
        ended, told = _on_proven(ended, now)
        move = _end_on(ended, fencing, now)
        return Move(move.operation, (*told, *move.orders))
    return Move(operation)


def abandon(operation: Operation, word: Cancelled, now: float) -> Move:
    """End an operation by a person's word, whatever it has reached."""
    cancelled = replace(operation, cancelled=word)
    return _close(cancelled, Outcome.CANCELLED, now, reason=word.reason, by=word.by)


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
