"""
Switch it off and see it off: a last look, the commands, the readings, a doubt.

S3 lives here: what is not *proven off* is not switched on, unless to restore
what was sent ``off`` in vain.
"""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core import fence_end, fence_on, tell
from pmwatchd.core import stage as stages
from pmwatchd.core.model import Action, Cause, FenceAction, Outcome, PowerStatus, ProbeResult
from pmwatchd.core.operation import Looked, Move, Operation, Phase, Vouched
from pmwatchd.core.orders import Order, ProbeHost, ReportNext
from pmwatchd.core.rules import Fencing
from pmwatchd.core.stage import Stage, Standing

LOOK_AGAIN_S = 1.0
"""Pause between two last looks where the first could not decide."""

LOOK_PATIENCE_S = 30.0
"""So long an operation waits for a look that our own faults do not spoil."""

LOOKS = 3
"""Or for so many of them, where a silent host makes each of them long."""


def begin(
    operation: Operation, group: int, fencing: Fencing, now: float, *, attempt: int = 1
) -> Move:
    """Begin a group; its readings come first."""
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
    begun = replace(
        operation,
        phase=Phase.OFF,
        group=group,
        stage=stage,
        doubt=0,
        doubted=False,
        until_at=0.0,
    )
    return go_on(begun, fencing, now)


def go_on(operation: Operation, fencing: Fencing, now: float) -> Move:
    """Send what is due, then see where the group stands."""
    if operation.stage is None or operation.cancelled is not None:
        return fence_end.cancelled(operation, now)
    if operation.vouched is not None and not fence_end.commanded(operation):
        return take_word(operation, operation.vouched, fencing, now)
    stage, wishes = stages.advance(operation.stage, fencing, now)
    operation = replace(operation, stage=stage, turn=stage.turn)
    orders = tell.orders(operation, wishes)
    if operation.doubt and not stage.seen_off:  # its power came back: whoever answers now may
        operation = replace(operation, doubt=0, doubted=False, until_at=0.0)
    if stage.seen_off and not operation.doubt:
        operation, doubts = _doubt(operation, stage, now)
        orders = (*orders, *doubts)
    if orders:
        return Move(operation, orders)
    match stage.standing:
        case Standing.LOOK if operation.phase is Phase.OFF:
            return _before_off(operation, fencing, now)
        case Standing.PROVEN:
            return _proven(operation, stage, fencing, now)
        case Standing.FAILED:
            return _failed(operation, stage, fencing, now)
        case _:
            return Move(operation)


def _before_off(operation: Operation, fencing: Fencing, now: float) -> Move:
    """
    Make the last look before every ``off``; a person's command needs none.

    Except after a restart: what was to be restarted and answers has been, or need not be.
    """
    over = operation.resumed and operation.action is Action.RESTART and operation.sent_off
    if operation.cause is Cause.AUTOMATIC or over:
        return look(replace(operation, looking_since_at=now), now)
    return _cleared(operation, fencing, now)


def look(operation: Operation, now: float) -> Move:
    """Ask the host once more whether it is alive."""
    turn = operation.turn + 1
    stage = operation.stage and replace(operation.stage, turn=turn)
    looking = replace(
        operation, phase=Phase.LOOK, turn=turn, stage=stage, looked_at=now, until_at=0.0
    )
    order = ProbeHost(host=operation.host, operation=operation.id, turn=turn)
    return Move(looking, (order,))


def patience_s(operation: Operation) -> float:
    """How long a heartbeat is tried again before what it could not tell is given up."""
    return max(LOOK_PATIENCE_S, LOOKS * operation.host.heartbeat.timeout_s)


def _cleared(operation: Operation, fencing: Fencing, now: float) -> Move:
    if operation.stage is None:  # it looked for a word that was contradicted meanwhile
        group = min(operation.group, len(operation.host.groups) - 1)
        return begin(operation, group, fencing, now)
    stage = operation.stage and replace(operation.stage, cleared_at=operation.looked_at)
    return go_on(replace(operation, phase=Phase.OFF, stage=stage), fencing, now)


def looked(operation: Operation, event: Looked, fencing: Fencing, now: float) -> Move:
    """
    Go on, wait, or give up.

    A host that answers is left alone.  A hold ends a new operation; a resumed
    one waits for what time ends, like the startup hold and its grace period.
    """
    if event.result is ProbeResult.ALIVE:
        return _give_up(operation, Outcome.RECOVERED, "the host answers", fencing, now)
    patient = now < operation.looking_since_at + patience_s(operation)
    if operation.vouched is not None:  # nothing but an answer stands against a word
        if event.result is ProbeResult.LOCAL_FAULT and patient:
            return Move(replace(operation, until_at=now + LOOK_AGAIN_S))
        return take_word(operation, operation.vouched, fencing, now)
    if event.held and (event.lasting or not operation.resumed):
        return _give_up(operation, Outcome.CANCELLED, "; ".join(event.held), fencing, now)
    blind = event.result is ProbeResult.LOCAL_FAULT
    if event.held and not blind:  # what time ends is no fault of ours
        waiting = replace(operation, until_at=now + LOOK_AGAIN_S, looking_since_at=now)
        return Move(waiting)
    ours = blind or event.unsure
    if ours and not patient:
        reason = (
            "no heartbeat can be sent: a fault of our own"
            if blind
            else "nobody else said in time whether they reach it"
        )
        return _give_up(replace(operation, blind=True), Outcome.CANCELLED, reason, fencing, now)
    if ours:
        return Move(replace(operation, until_at=now + LOOK_AGAIN_S))
    return _cleared(operation, fencing, now)


def _doubt(operation: Operation, stage: Stage, now: float) -> tuple[Operation, tuple[Order, ...]]:
    """Send one heartbeat after the first reading of off: who answers it, or any, is not off."""
    turn = operation.turn + 1
    stage = replace(stage, turn=turn)
    doubting = replace(operation, turn=turn, doubt=turn, doubt_at=now, stage=stage)
    return doubting, (_ask(doubting), ReportNext(operation.host.name))


def ask_again(operation: Operation) -> Move:
    """Send the heartbeat of the doubt once more: the last one could not be sent or heard."""
    return Move(replace(operation, until_at=0.0), (_ask(operation),))


def _ask(operation: Operation) -> ProbeHost:
    return ProbeHost(host=operation.host, operation=operation.id, turn=operation.doubt)


def answered(operation: Operation, fencing: Fencing, now: float) -> Move:
    """
    Take in that a host that reads off has answered.

    Then its agents switch another machine, whose power is to be restored.
    """
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


def void(operation: Operation, outcome: Outcome, reason: str, now: float) -> Move:
    """No word stands against what was heard or read before it took effect."""
    if operation.proven_off_at is not None:
        return Move(operation)
    if operation.word_only:
        return fence_end.close(operation, outcome, now, reason=reason)
    return Move(replace(operation, vouched=None))


def take_word(operation: Operation, word: Vouched, fencing: Fencing, now: float) -> Move:
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
        move = fence_end.close(off, Outcome.DONE, now)
    else:
        move = fence_on.begin_next(replace(off, phase=Phase.ON, tried_on=()), fencing, now)
    return Move(move.operation, (told, *move.orders))


def _proven(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    found = not operation.sent_off
    leave_off = found and operation.cause is Cause.AUTOMATIC and not fencing.on_if_found_off
    stays_off = operation.action is Action.OFF or leave_off
    if stays_off and not operation.doubted:
        return Move(operation)  # what follows `on` need not wait for the doubt to end; this does
    proven = replace(
        operation,
        stage=None,
        switched=operation.sent_off,
        vain=operation.vain - {member.agent.name for member in stage.members},
        proven_off_at=now,
        tried_on=(),
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
        move = fence_end.close(proven, Outcome.DONE, now)
    else:
        move = fence_on.begin_next(
            replace(proven, phase=Phase.ON), fencing, now, known=stage.members
        )
    return Move(move.operation, (told, *move.orders))


def _failed(operation: Operation, stage: Stage, fencing: Fencing, now: float) -> Move:
    """Try the group again, or the next one, or bring back what was switched off."""
    reason = tell.reasons(stage)
    commanded = any(member.sent for member in stage.members)
    unread = {m.agent.name for m in stage.members if m.power is PowerStatus.UNKNOWN}
    operation = replace(
        operation,
        switched=operation.sent_off,
        vain=operation.vain | {m.agent.name for m in stage.members if m.sent},
        unread=operation.unread | unread,
        stage=None,
    )
    if commanded and not stage.hopeless and stage.attempt < fencing.off_attempts:
        return begin(operation, stage.group, fencing, now, attempt=stage.attempt + 1)
    told = tell.record(
        operation, "fence.off_failed", group=tell.order_of(operation, stage.group), reason=reason
    )
    if stage.group + 1 < len(operation.host.groups):
        move = begin(operation, stage.group + 1, fencing, now)
    else:
        move = _give_up(operation, Outcome.FAILED, reason, fencing, now)
    return Move(move.operation, (told, *move.orders))


def _give_up(
    operation: Operation, outcome: Outcome, reason: str, fencing: Fencing, now: float
) -> Move:
    """End without a proven off; whatever was sent ``off`` gets ``on`` first."""
    operation = replace(operation, switched=operation.sent_off, stage=None)
    if not operation.switched:
        return fence_end.close(operation, outcome, now, reason=reason)
    told = tell.record(
        operation, "fence.restoring", agents=tuple(sorted(operation.switched)), reason=reason
    )
    restoring = replace(operation, phase=Phase.ON, restoring=outcome, tried_on=(), answered_at=None)
    move = fence_on.begin_next(restoring, fencing, now)
    return Move(move.operation, (told, ReportNext(operation.host.name), *move.orders))
