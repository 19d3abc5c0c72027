"""How an operation ends: told once, by a person's word not before its devices are quiet."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core import tell
from pmwatchd.core.model import Outcome
from pmwatchd.core.operation import Move, Operation, Phase
from pmwatchd.core.orders import Recall, Value
from pmwatchd.core.stage import Step


def close(
    operation: Operation, outcome: Outcome, now: float, *, reason: str = "", by: str = ""
) -> Move:
    """Close it, and tell how it ended and why."""
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


def cancelled(operation: Operation, now: float) -> Move:
    """End by a person's word, if there is one, once no command is on its way to a device."""
    word = operation.cancelled
    if word is None:
        return Move(operation)
    if commanded(operation):
        return Move(operation, (Recall(operation=operation.id),))
    outcome = operation.restoring if word.to_fence else None
    return close(operation, outcome or Outcome.CANCELLED, now, reason=word.reason, by=word.by)


def commanded(operation: Operation) -> bool:
    """Whether a command is on its way to a device."""
    members = operation.stage.members if operation.stage else ()
    return any(member.step is Step.COMMANDED for member in members)
