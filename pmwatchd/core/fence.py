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
returns the orders that follow.  What comes is given to the half that the
operation is in: :mod:`~pmwatchd.core.fence_off`, then
:mod:`~pmwatchd.core.fence_on`; :mod:`~pmwatchd.core.fence_end` closes it.
"""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core import fence_end, fence_off, fence_on, tell
from pmwatchd.core import stage as stages
from pmwatchd.core.events import AgentReplied, DeadlineReached
from pmwatchd.core.model import Outcome, ProbeResult
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
from pmwatchd.core.rules import Fencing

DURABLE_AFTER_S = 0.5
"""What closes an operation at once waits so long: its opening is durable, or it never was."""


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
        case Phase.OFF if operation.until_at:
            due_at = stages.deadline(operation.stage, fencing)
            return operation.until_at if due_at is None else min(due_at, operation.until_at)
        case _:
            return stages.deadline(operation.stage, fencing)


def step(operation: Operation, event: FenceEvent, fencing: Fencing, now: float) -> Move:
    """Advance an operation by one event."""
    match event:
        case AgentReplied():
            return _replied(operation, event, fencing, now)
        case Looked() if operation.phase is Phase.LOOK and event.turn == operation.turn:
            return fence_off.looked(operation, event, fencing, now)
        case Doubted() if event.turn == operation.doubt:
            return _doubted(operation, event, fencing, now)
        case Vouched() if operation.phase in (Phase.BLOCKED, Phase.OFF, Phase.LOOK):
            return _go_on(replace(operation, vouched=event), fencing, now)
        case DeadlineReached():
            return _ticked(operation, fencing, now)
        case Contradicted() if operation.vouched is not None:
            reason = f"agent {event.agent} reads on"
            return fence_off.void(operation, Outcome.CANCELLED, reason, now)
        case Recovered() if operation.vouched is not None and operation.proven_off_at is None:
            heard = replace(operation, answered_at=event.at)
            return fence_off.void(heard, Outcome.RECOVERED, "the host answers", now)
        case Recovered():
            heard = replace(operation, answered_at=event.at)
            if heard.phase is Phase.OFF and heard.doubt and event.at > heard.doubt_at:
                answer = Doubted(heard.doubt, ProbeResult.ALIVE)
                return _doubted(heard, answer, fencing, now)
            return fence_on.recovered(heard, fencing, now)
        case Cancelled() if operation.phase is Phase.BLOCKED and operation.brings_back:
            return Move(replace(operation, cancelled=event))
        case Cancelled() if operation.phase in (Phase.ON, Phase.RESTING):
            return fence_end.cancelled(replace(operation, cancelled=event), now)
        case _:
            return Move(operation)


def _ticked(operation: Operation, fencing: Fencing, now: float) -> Move:
    match operation.phase:
        case Phase.BLOCKED if now >= operation.until_at:
            return _begin(operation, fencing, now)
        case Phase.RESTING if now >= operation.until_at:
            fresh = replace(operation, tried_on=(), phase=Phase.ON)
            return fence_on.begin_next(fresh, fencing, now)
        case Phase.LOOK if operation.until_at and now >= operation.until_at:
            return fence_off.look(operation, now)
        case Phase.OFF if operation.until_at and now >= operation.until_at:
            asked = fence_off.ask_again(operation)
            move = _go_on(asked.operation, fencing, now)
            return Move(move.operation, (*asked.orders, *move.orders))
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


def _doubted(operation: Operation, event: Doubted, fencing: Fencing, now: float) -> Move:
    """
    Take in how the heartbeat after the first reading of off ended, whatever followed it.

    A fault of our own is no silence: while off is awaited it is asked once more.
    """
    ends_at = operation.doubt_at + fence_off.patience_s(operation)
    patient = operation.phase is Phase.OFF and now < ends_at
    if event.result is ProbeResult.LOCAL_FAULT and patient:
        return Move(replace(operation, until_at=now + fence_off.LOOK_AGAIN_S))
    deaf = event.result is ProbeResult.LOCAL_FAULT
    again_at = 0.0 if operation.phase is Phase.OFF else operation.until_at
    operation = replace(operation, doubted=True, deaf=deaf, until_at=again_at)
    if event.result is ProbeResult.ALIVE:
        return fence_off.answered(operation, fencing, now)
    return _go_on(operation, fencing, now)


def _begin(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Enter the phase that the journal's last step leads to."""
    if operation.cancelled is not None:
        return fence_end.cancelled(operation, now)
    if operation.brings_back:
        return fence_on.begin_next(replace(operation, phase=Phase.ON), fencing, now)
    if operation.vouched is not None and operation.resumed:  # nobody has listened since
        return fence_off.look(replace(operation, looking_since_at=now), now)
    if operation.vouched is not None:
        return fence_off.take_word(operation, operation.vouched, fencing, now)
    group = min(operation.group, len(operation.host.groups) - 1)
    return fence_off.begin(operation, group, fencing, now)


def _go_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    go_on = fence_on.go_on if operation.phase is Phase.ON else fence_off.go_on
    return go_on(operation, fencing, now)


def abandon(operation: Operation, word: Cancelled, now: float) -> Move:
    """End an operation by a person's word, whatever it has reached."""
    cancelled = replace(operation, cancelled=word)
    return fence_end.close(cancelled, Outcome.CANCELLED, now, reason=word.reason, by=word.by)
